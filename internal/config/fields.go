package config

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// field is a key of a mapping and the struct field that takes it.
type field struct {
	key   string
	index int
	typ   reflect.Type
}

// fileSuffix makes the name of a secret's twin: the key that names a file to read the secret from.
const fileSuffix = "_file"

// fieldsOf lists the keys of a struct, in its order.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if key := f.Tag.Get("yaml"); key != "" {
			fields = append(fields, field{key: key, index: i, typ: f.Type})
		}
	}
	return fields
}

// findField finds the field that takes a key, and says whether the key is the twin that names a file.
func findField(t reflect.Type, key string) (f field, twin, ok bool) {
	fields := fieldsOf(t)
	if i := slices.IndexFunc(fields, func(f field) bool { return f.key == key }); i >= 0 {
		return fields[i], false, true
	}
	base, cut := strings.CutSuffix(key, fileSuffix)
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == base && hasTwin(f.typ) })
	if !cut || i < 0 {
		return field{}, false, false
	}
	return fields[i], true, true
}

// hasTwin tells the types whose value may be read from a file.
func hasTwin(t reflect.Type) bool {
	return t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[DSN]()
}

// isScalar tells the types that are one value in YAML.
func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	case reflect.Slice, reflect.Map:
		return false
	}
	return true
}

// leaf is a key that holds no further keys of its own: a scalar, or a list or mapping of scalars. A list of structs
// is one too, followed by the keys of its elements.
type leaf struct {
	pattern   string // accounts[].base_url
	typ       reflect.Type
	byDefault reflect.Value // Of a list element's keys: as in a new element.
}

// leaves lists all keys, in the order of the structs.
var leaves = sync.OnceValue(func() []leaf {
	var list []leaf
	appendLeaves(&list, "", reflect.ValueOf(*Default()))
	return list
})

func appendLeaves(list *[]leaf, pattern string, v reflect.Value) {
	t := v.Type()
	if isScalar(t) || t.Kind() == reflect.Map || t.Kind() == reflect.Slice {
		*list = append(*list, leaf{pattern: pattern, typ: t, byDefault: v})
	}
	switch {
	case isScalar(t):
	case t.Kind() == reflect.Struct:
		for _, f := range fieldsOf(t) {
			appendLeaves(list, join(pattern, f.key), v.Field(f.index))
		}
	case isListOfStructs(t):
		appendLeaves(list, pattern+"[]", defaultElement(t.Elem()))
	}
}

func isListOfStructs(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && !isScalar(t.Elem())
}

// join adds a key to the path of its mapping.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
