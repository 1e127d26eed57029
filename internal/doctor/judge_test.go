package doctor

import (
	"strings"
	"testing"
	"time"

	"carrier/internal/store/postgres"
)

// TestPostgresFromAfar judges what a server on loopback can't be.
func TestPostgresFromAfar(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(s *postgres.Survey)
		level Level
		want  string // In one finding of that level, and no other is worse than ok.
	}{
		{"an old server", func(s *postgres.Survey) { s.Old, s.Version = true, "13.1" }, Fail, "PostgreSQL 13.1 is too old"},
		{"a standby", func(s *postgres.Survey) { s.Standby = true }, Fail, "a standby, which takes no writes"},
		{"in the clear", func(s *postgres.Survey) { s.Encrypted = false }, Warn, "the connection is not encrypted"},
		{"in the clear on this machine", func(s *postgres.Survey) { s.Encrypted, s.Local = false, true }, OK, "answers within"},
		{"a clock that is ahead", func(s *postgres.Survey) { s.Ahead = 3 * time.Second }, Warn, "its clock is 3s ahead of this machine's"},
		{"a clock that is behind", func(s *postgres.Survey) { s.Ahead = -3 * time.Second }, Warn, "its clock is 3s behind this machine's"},
		{"a slow network", func(s *postgres.Survey) { s.Ahead, s.RoundTrip = 3*time.Second, 5*time.Second }, OK, "its clock agrees"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &postgres.Survey{
				Where: "db:5432/carrier", Version: "15.1", Encoding: "UTF8", Synchronous: "on", Fsync: "on", FullPageWrites: "on",
				Schema: 2, NewestSchema: 2, FreeConnections: 97, PerNode: 11, Encrypted: true,
			}
			tt.spoil(s)
			said := false
			d := &doctor{check: "postgres", found: func(f Finding) {
				matches := f.Level == tt.level && strings.Contains(f.Text.En, tt.want)
				said = said || matches
				if f.Level != OK && (!matches || f.Advice.En == "" || f.Advice.Zh == "" || f.Text.Zh == "") {
					t.Errorf("it finds %+v", f)
				}
			}}
			d.judge(s)
			if !said {
				t.Errorf("nothing says %q", tt.want)
			}
		})
	}
}
