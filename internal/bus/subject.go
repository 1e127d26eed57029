package bus

import (
	"slices"
	"strings"
)

// covers tells whether every subject that matches the pattern sub matches pattern, too.
func covers(pattern, sub string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(sub, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return i < len(s)
		case i >= len(s), s[i] == ">":
			return false
		case token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

// overlap tells whether some subject matches both patterns.
func overlap(a, b string) bool {
	p, q := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(p) && i < len(q); i++ {
		switch {
		case p[i] == ">" || q[i] == ">":
			return true
		case p[i] != q[i] && p[i] != "*" && q[i] != "*":
			return false
		}
	}
	return len(p) == len(q)
}

// allCovered tells whether each of subjects is covered by one of patterns.
func allCovered(patterns, subjects []string) bool {
	return !slices.ContainsFunc(subjects, func(s string) bool {
		return !slices.ContainsFunc(patterns, func(p string) bool { return covers(p, s) })
	})
}

// anyOverlaps tells whether one of patterns overlaps with one of others.
func anyOverlaps(patterns, others []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return slices.ContainsFunc(others, func(o string) bool { return overlap(p, o) })
	})
}
