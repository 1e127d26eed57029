package config

import (
	"reflect"
	"strings"
)

// unavailable lists the keys whose part of the service isn't in this version, so that nobody believes that it works.
// A key that isn't at its default is refused, or, where used says so, one of certain values. Whoever builds a part
// removes its line.
var unavailable = []struct {
	pattern string
	used    func(reflect.Value) bool // nil: any value but the default.
	value   string                   // What used finds, for the reference.
}{
	{pattern: "store.url", used: isPostgres, value: "postgres://"},
}

func isPostgres(v reflect.Value) bool {
	return strings.HasPrefix(v.String(), "postgres://") || strings.HasPrefix(v.String(), "postgresql://")
}

// available refuses what this version can't do.
func (k *checker) available(at visited) {
	for _, u := range unavailable {
		if u.pattern != at.pattern {
			continue
		}
		if u.used != nil && u.used(at.value) || u.used == nil && !isEmpty(at.value) {
			k.bad(at.key, "not available in this version; remove it")
		}
	}
}

// isEmpty tells the default of the keys above, which all are empty by default.
func isEmpty(v reflect.Value) bool {
	if v.Kind() == reflect.Slice {
		return v.Len() == 0
	}
	return v.IsZero()
}

// notYet says in the reference what of a key isn't available; empty if all is.
func notYet(pattern string) (en, zh string) {
	for _, u := range unavailable {
		switch {
		case u.pattern == pattern && u.value != "":
			return " Not available in this version: " + u.value + ".", "本版本暂不支持 " + u.value + "。"
		case u.pattern == pattern || strings.HasPrefix(pattern, u.pattern+"[]"):
			return " Not available in this version.", "本版本暂不支持。"
		}
	}
	return "", ""
}
