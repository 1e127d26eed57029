package config

import (
	"strings"
	"testing"
)

func TestStoreAt(t *testing.T) {
	from := Store{URL: "file:carrier-data", KeyFile: "keys"}
	environ := []string{"PG_PASSWORD=first", "PG_PASSWORD=s3cret"}
	for _, tt := range []struct{ name, place, want, wrong string }{
		{"a folder", "file:/var/lib/carrier", "file:/var/lib/carrier", ""},
		{"a database, with the last of a variable's values", "postgres://carrier:${PG_PASSWORD}@db/carrier", "postgres://carrier:s3cret@db/carrier", ""},
		{"no scheme", "carrier-data", "", "must be file:FOLDER"},
		{"no database", "postgres://carrier:${PG_PASSWORD}@db", "", "must be file:FOLDER"},
		{"a variable that is not set", "postgres://carrier:${OTHER}@db/carrier", "", "OTHER is not set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := from.At(tt.place, environ)
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("At: %v, want %q", err, tt.wrong)
				}
				return
			}
			if err != nil || got.URL.Reveal() != tt.want || got.KeyFile != from.KeyFile {
				t.Errorf("At: %s with keys of %s, %v; want %s", got.URL.Reveal(), got.KeyFile, err, tt.want)
			}
		})
	}
}
