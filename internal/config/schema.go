package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"net/netip"
	"reflect"
)

// object is a JSON object.
type object = map[string]any

// Patterns of what YAML can't tell from other text.
const (
	variablePattern = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`
	durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`
	sizePattern     = `^(0|[1-9][0-9]*) ?(KiB|MiB|GiB)?$`
	errcodePattern  = `^-?[1-9][0-9]*$`
)

// Schema is a JSON Schema (draft 2020-12) of the configuration file, with which editors complete and check. It
// accepts whatever Load and Check accept; contradictions between keys are left to Check.
func Schema() []byte {
	root := schemaOf(reflect.TypeFor[Config](), "")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Configuration of carrier"
	root["$defs"] = object{"variable": object{
		"type": "string", "pattern": variablePattern,
		"description": "Replaced from the environment.",
	}}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic("config: the schema can't be encoded: " + err.Error()) // It holds maps, strings and numbers only.
	}
	return b.Bytes()
}

// schemaOf is the schema of a value of type t at pattern.
func schemaOf(t reflect.Type, pattern string) object {
	switch {
	case isScalar(t):
		return scalarSchema(t, keys[pattern])
	case t.Kind() == reflect.Struct:
		return structSchema(t, pattern)
	case t.Kind() == reflect.Map:
		return object{
			"type":                 []string{"object", "null"},
			"patternProperties":    object{errcodePattern: orVariable(object{"enum": errcodeScopes})},
			"additionalProperties": false,
		}
	}
	return object{"type": []string{"array", "null"}, "items": schemaOf(t.Elem(), pattern+"[]")}
}

// structSchema is the schema of a mapping. Without a value it is as good as left out, except in a list.
func structSchema(t reflect.Type, pattern string) object {
	properties, required, contradictions := object{}, []string{}, []object{}
	for _, f := range fieldsOf(t) {
		path := join(pattern, f.key)
		properties[f.key] = described(schemaOf(f.typ, path), path)
		if keys[path].required {
			required = append(required, f.key)
		}
		if hasTwin(f.typ) {
			twin := f.key + fileSuffix
			properties[twin] = object{"type": "string", "minLength": 1, "description": "File to read " + f.key + " from.\n\n从该文件读取 " + f.key + "。"}
			contradictions = append(contradictions, object{"not": object{"required": []string{f.key, twin}}})
		}
	}
	s := object{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["type"], s["required"] = "object", required
	}
	if len(contradictions) > 0 {
		s["allOf"] = contradictions
	}
	return s
}

// described adds what the key means and its default.
func described(s object, path string) object {
	a, ok := keys[path]
	if !ok {
		a = sections[path]
	}
	if a.en != "" {
		s["description"] = a.en + "\n\n" + a.zh
	}
	for _, l := range leaves() {
		if l.pattern == path && !a.required {
			s["default"] = jsonValue(l.byDefault)
		}
	}
	if items, ok := s["items"].(object); ok && sections[path+"[]"].en != "" {
		items["description"] = sections[path+"[]"].en + "\n\n" + sections[path+"[]"].zh
	}
	return s
}

// scalarSchema is the schema of a single value.
func scalarSchema(t reflect.Type, a about) object {
	switch {
	case a.choices != nil:
		return orVariable(object{"enum": a.choices})
	case t == reflect.TypeFor[Duration]():
		return object{"anyOf": []object{
			{"type": "string", "pattern": durationPattern},
			{"const": 0},
			variable(),
		}}
	case t == reflect.TypeFor[Size]():
		return object{"anyOf": []object{
			limited(object{"type": "integer"}, a.limit),
			{"type": "string", "pattern": sizePattern},
			variable(),
		}}
	case t.Kind() == reflect.Int:
		return orVariable(limited(object{"type": "integer"}, a.limit))
	case t.Kind() == reflect.Bool:
		return orVariable(object{"type": "boolean"})
	case t.Kind() == reflect.Float64:
		return orVariable(limited(object{"type": "number"}, a.limit))
	case t == reflect.TypeFor[netip.Prefix]():
		return orVariable(object{"type": "string", "pattern": `^[0-9A-Fa-f.:]+/[0-9]{1,3}$`})
	}
	return object{"type": "string"}
}

func variable() object { return object{"$ref": "#/$defs/variable"} }

// orVariable lets a ${NAME} stand for a value that is no text.
func orVariable(s object) object { return object{"anyOf": []object{s, variable()}} }

// limited adds the bounds of a number.
func limited(s object, l limit) object {
	switch {
	case l.set && l.above:
		s["exclusiveMinimum"] = l.min
	case l.set:
		s["minimum"] = l.min
	}
	if l.max != 0 {
		s["maximum"] = l.max
	}
	return s
}

// jsonValue is a default as it is written in the file.
func jsonValue(v reflect.Value) any {
	switch {
	case v.Kind() == reflect.Slice:
		return []any{}
	case v.Kind() == reflect.Map:
		return object{}
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err == nil {
			return string(text)
		}
	}
	return v.Interface()
}
