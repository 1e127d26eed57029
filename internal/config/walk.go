package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// visited is a key with its value, as [walk] meets it.
type visited struct {
	key     string // accounts[1].base_url
	pattern string // accounts[].base_url, as in keys
	value   reflect.Value
}

// walk visits every key of a configuration that holds a value: scalars, lists, mappings of scalars, and the keys of
// list elements, in the order of the structs.
func walk(c *Config, visit func(visited)) {
	walkValue(visited{value: reflect.ValueOf(c).Elem()}, visit)
}

func walkValue(at visited, visit func(visited)) {
	t := at.value.Type()
	switch {
	case isScalar(t):
		visit(at)
	case t.Kind() == reflect.Struct:
		for _, f := range fieldsOf(t) {
			walkValue(visited{join(at.key, f.key), join(at.pattern, f.key), at.value.Field(f.index)}, visit)
		}
	case t.Kind() == reflect.Map:
		visit(at)
		codes := at.value.MapKeys()
		slices.SortFunc(codes, func(a, b reflect.Value) int { return cmp.Compare(a.Int(), b.Int()) })
		for _, code := range codes {
			key := fmt.Sprintf("%s.%d", at.key, code.Int())
			visit(visited{key, at.pattern + "[]", at.value.MapIndex(code)})
		}
	default:
		visit(at)
		for i := range at.value.Len() {
			walkValue(visited{fmt.Sprintf("%s[%d]", at.key, i), at.pattern + "[]", at.value.Index(i)}, visit)
		}
	}
}

// parent is the key of the mapping or list that holds key; empty for a section.
func parent(key string) string {
	return key[:max(strings.LastIndexByte(key, '.'), strings.LastIndexByte(key, '['), 0)]
}
