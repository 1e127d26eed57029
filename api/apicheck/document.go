package apicheck

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"carrier/api"
)

// Document is the description of the HTTP interface, ready to be asked. It is safe for concurrent use.
type Document struct {
	*description
	Kin *openapi3.T // As kin-openapi reads it.
}

// The descriptions' addresses to the compilers. One refers to the other by the last part.
const (
	openapiLocation  = "https://carrier.invalid/openapi.yaml"
	asyncapiLocation = "https://carrier.invalid/asyncapi.yaml"
)

var load = sync.OnceValues(func() (*Document, error) { return Parse(api.OpenAPI) })

// Load reads the description that the service serves, once.
func Load() (*Document, error) { return load() }

// Parse reads a description in YAML. It is not validated as a whole; Kin.Validate does that.
func Parse(text string) (*Document, error) {
	kin, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("reading the API's description: %w", err)
	}
	open, err := tree(text)
	if err != nil {
		return nil, err
	}
	strict, err := tree(text)
	if err != nil {
		return nil, err
	}
	closeAll(strict)
	d, err := describe(openapiLocation, map[string]any{openapiLocation: open}, map[string]any{openapiLocation: strict})
	if err != nil {
		return nil, err
	}
	return &Document{d, kin}, nil
}

// tree is the description as plain values, numbers as they were written.
func tree(text string) (map[string]any, error) {
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("reading the API's description: %w", err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return nil, fmt.Errorf("reading the API's description: %w", err)
	}
	root, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("reading the API's description: it is %T, not an object", value)
	}
	return root, nil
}

// closeAll closes every schema of the description. Where a schema stands that others build upon (a component, a part of
// allOf, oneOf or anyOf) it is left open, and what is built is closed as a whole.
func closeAll(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, v := range value {
			schema, is := v.(map[string]any)
			switch {
			case name == "schema" && is:
				closeSchema(schema, true)
			case name == "schemas" && is:
				for _, component := range schema {
					if s, is := component.(map[string]any); is {
						closeSchema(s, false)
					}
				}
			case name != "examples" && name != "example":
				closeAll(v)
			}
		}
	case []any:
		for _, v := range value {
			closeAll(v)
		}
	}
}

func closeSchema(schema map[string]any, whole bool) {
	if whole && isObject(schema) {
		schema["unevaluatedProperties"] = false
	}
	for name, v := range schema {
		switch name {
		case "properties", "patternProperties":
			for _, p := range values(v) {
				closeSchema(p, true)
			}
		case "items", "additionalProperties":
			if s, is := v.(map[string]any); is {
				closeSchema(s, true)
			}
		case "allOf", "oneOf", "anyOf":
			for _, s := range values(v) {
				closeSchema(s, false)
			}
		}
	}
}

// isObject tells whether a schema can be an object's, and does not say itself what else an object may hold.
func isObject(schema map[string]any) bool {
	for _, name := range []string{"additionalProperties", "unevaluatedProperties"} {
		if _, said := schema[name]; said {
			return false
		}
	}
	for _, name := range []string{"$ref", "properties", "allOf", "oneOf", "anyOf"} {
		if _, has := schema[name]; has {
			return true
		}
	}
	return false
}

// values are the objects in a list, or among the members of an object.
func values(v any) []map[string]any {
	var all []any
	switch v := v.(type) {
	case []any:
		all = v
	case map[string]any:
		all = slices.Collect(maps.Values(v))
	}
	var objects []map[string]any
	for _, o := range all {
		if object, is := o.(map[string]any); is {
			objects = append(objects, object)
		}
	}
	return objects
}
