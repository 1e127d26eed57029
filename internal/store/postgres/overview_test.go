package postgres

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"carrier/internal/store"
)

// TestBehind: what begins with a prefix is below, and what does not is not, in the order of bytes.
func TestBehind(t *testing.T) {
	for prefix, want := range map[string]string{"2400": "2401", "z": "{", "号": "司", "a\U0010ffff": "b", "\ud7ff": "\ue000", "": "\U0010ffff"} {
		if got := behind(prefix); got != want {
			t.Errorf("behind(%q) is %q, want %q", prefix, got, want)
		}
	}
	text := rapid.StringOf(rapid.SampledFrom([]rune("ab09号\u007f\u07ff\uffff\ud7ff\ue000\U0010ffff")))
	rapid.Check(t, func(t *rapid.T) {
		prefix, other := rapid.SampledFrom([]string{"a", "9", "号", "\ud7ff"}).Draw(t, "first")+text.Draw(t, "prefix"), text.Draw(t, "other")
		end := behind(prefix)
		if !utf8.ValidString(end) || end <= prefix+other {
			t.Fatalf("behind(%q) is %q, and %q is not below", prefix, end, prefix+other)
		}
		if other >= prefix && !strings.HasPrefix(other, prefix) && other < end {
			t.Fatalf("behind(%q) is %q, and %q is below", prefix, end, other)
		}
	})
}

// TestReversed: the database turns numbers round as store.Reversed does.
func TestReversed(t *testing.T) {
	t.Parallel()
	s := openStore(t, testOptions(t))
	for _, number := range []string{"SF0042", "aZ-9_%", "运单É号é", "İıSſ\U0001f600x", "ẞK"} {
		var got string
		if err := s.pool.QueryRow(t.Context(), `SELECT reverse(lower($1::text COLLATE "C"))`, number).Scan(&got); err != nil || got != store.Reversed(number) {
			t.Errorf("%q is %q, %v; want %q", number, got, err, store.Reversed(number))
		}
	}
}
