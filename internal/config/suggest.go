package config

import (
	"reflect"
	"slices"
	"strings"
)

// nearest is the candidate that is fewest letters away from word, where a common beginning speaks for it.
func nearest(word string, candidates []string) string {
	word = strings.ToLower(word)
	away := func(candidate string) int {
		candidate = strings.ToLower(candidate)
		return distance(word, candidate) - commonPrefix(word, candidate)
	}
	return slices.MinFunc(candidates, func(a, b string) int { return away(a) - away(b) })
}

// commonPrefix is the length of what both begin with.
func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// distance counts the letters to insert, remove, change or swap with their neighbour to make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// suggestKey says what an unknown key of a mapping may have been meant to be.
func suggestKey(t reflect.Type, path, key string) string {
	if len(key) > 64 { // No key; and the distance takes time in the square of the length.
		return "the keys here are " + strings.Join(keysOf(t), ", ")
	}
	if near := nearest(key, keysOf(t)); distance(strings.ToLower(key), near) <= max(1, len(key)/3) {
		return "did you mean " + near + "?"
	}
	for _, l := range leaves() {
		if l.pattern == key || strings.HasSuffix(l.pattern, "."+key) {
			return "it belongs at " + l.pattern
		}
	}
	return "the keys here are " + strings.Join(keysOf(t), ", ")
}

// keysOf lists the keys of a mapping, twins among them.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
		if hasTwin(f.typ) {
			keys = append(keys, f.key+fileSuffix)
		}
	}
	return keys
}
