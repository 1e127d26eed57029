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
}{
	{pattern: "store.url", used: isPostgres},
	{pattern: "store.key_file"},
	{pattern: "nats.url"},
	{pattern: "accounts[].callback.token"},
	{pattern: "accounts[].callback.encoding_aes_key"},
	{pattern: "accounts[].callback.previous_encoding_aes_key"},
	{pattern: "accounts[].orders.url"},
	{pattern: "accounts[].orders.secret"},
	{pattern: "merchants"},
	{pattern: "push.unknown_waybills", used: func(v reflect.Value) bool { return v.String() == UnknownDiscard }},
	{pattern: "push.quota_reserve", used: func(v reflect.Value) bool { return v.Float() > 0 }},
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

// notYet tells whether a key, or a value of it, isn't available.
func notYet(pattern string) bool {
	for _, u := range unavailable {
		if u.pattern == pattern {
			return true
		}
	}
	return false
}
