package doctor

import "testing"

func TestOlder(t *testing.T) {
	for _, tt := range []struct {
		version, than string
		want          bool
	}{
		{"2.9.10", "2.10.23", true},
		{"2.10.22", "2.10.23", true},
		{"2.10.23", "2.10.23", false},
		{"2.10.23-RC.1", "2.10.23", false},
		{"2.15.2", "2.10.23", false},
		{"3.0.0", "2.10.23", false},
		{"1.4.1", "2.2.0", true},
		{"", "2.2.0", false},
		{"dev", "2.2.0", false},
	} {
		if got := older(tt.version, tt.than); got != tt.want {
			t.Errorf("older(%q, %q) = %t", tt.version, tt.than, got)
		}
	}
}
