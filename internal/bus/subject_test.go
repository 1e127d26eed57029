package bus

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCovers(t *testing.T) {
	for _, test := range []struct {
		pattern, sub string
		want         bool
	}{
		{"carrier.events.*", "carrier.events.*", true},
		{"carrier.events.*", "carrier.events.app", true},
		{"carrier.events.app", "carrier.events.*", false},
		{"carrier.>", "carrier.events.*", true},
		{"carrier.events.>", "carrier.events.*", true},
		{"carrier.events.*.>", "carrier.events.*", false},
		{">", "carrier.events.*", true},
		{"*.events.*", "carrier.events.*", true},
		{"carrier.events.*", "carrier.events.>", false},
		{"carrier.events", "carrier.events.*", false},
		{"carrier.events.*.*", "carrier.events.*", false},
	} {
		if got := covers(test.pattern, test.sub); got != test.want {
			t.Errorf("%s covers %s: %v", test.pattern, test.sub, got)
		}
	}
}

// TestSubjectsProperty compares both questions with what they mean, for all subjects of up to four tokens.
func TestSubjectsProperty(t *testing.T) {
	var all []string
	for level, n := []string{"a", "b"}, 0; n < 4; n++ {
		all = append(all, level...)
		var next []string
		for _, s := range level {
			next = append(next, s+".a", s+".b")
		}
		level = next
	}
	pattern := rapid.Custom(func(t *rapid.T) string {
		tokens := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*"}), 0, 3).Draw(t, "tokens")
		if len(tokens) == 0 || rapid.Bool().Draw(t, "tail") {
			tokens = append(tokens, ">")
		}
		return strings.Join(tokens, ".")
	})
	rapid.Check(t, func(t *rapid.T) {
		p, q := pattern.Draw(t, "p"), pattern.Draw(t, "q")
		every, some := true, false
		for _, s := range all {
			if covers(q, s) {
				every = every && covers(p, s)
				some = some || covers(p, s)
			}
		}
		// "a" and "b" are not all tokens there are: what each of them is covered by, a star is not.
		if covers(p, q) && !every {
			t.Errorf("%s covers %s, but not all of its subjects", p, q)
		}
		if overlap(p, q) != some {
			t.Errorf("%s and %s overlap: %v", p, q, overlap(p, q))
		}
	})
}
