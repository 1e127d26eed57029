package apicheck

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"carrier/api"
)

// Document is the description, ready to be asked. It is safe for concurrent use.
type Document struct {
	Kin *openapi3.T // As kin-openapi reads it.

	root     map[string]any // As it was written.
	mu       sync.Mutex     // Of the two compilers, and what they made.
	open     *jsonschema.Compiler
	closed   *jsonschema.Compiler // Its schemas take no member that they don't name.
	compiled map[string]*jsonschema.Schema
}

// location names the description to the compilers.
const location = "carrier:openapi"

var load = sync.OnceValues(func() (*Document, error) { return Parse(api.OpenAPI) })

// Load reads the description that the service serves, once.
func Load() (*Document, error) { return load() }

// Parse reads a description in YAML. It is not validated as a whole; Kin.Validate does that.
func Parse(text string) (*Document, error) {
	kin, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("reading the API's description: %w", err)
	}
	d := &Document{Kin: kin, compiled: map[string]*jsonschema.Schema{}}
	if d.root, err = tree(text); err != nil {
		return nil, err
	}
	if d.open, err = compiler(d.root); err != nil {
		return nil, err
	}
	strict, err := tree(text)
	if err != nil {
		return nil, err
	}
	closeAll(strict)
	d.closed, err = compiler(strict)
	return d, err
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

func compiler(root map[string]any) (*jsonschema.Compiler, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(location, root); err != nil {
		return nil, fmt.Errorf("reading the API's description: %w", err)
	}
	return c, nil
}

// Node is a place in the description.
type Node struct {
	Value   any
	Pointer string // A JSON Pointer from the root.
}

// At is the node at a path of member names, with references followed.
func (d *Document) At(path ...string) (Node, bool) {
	n := Node{Value: d.root}
	for _, name := range path {
		var ok bool
		if n, ok = d.Member(n, name); !ok {
			return Node{}, false
		}
	}
	return n, true
}

// Member is a member of an object, with a reference followed.
func (d *Document) Member(n Node, name string) (Node, bool) {
	object, ok := n.Value.(map[string]any)
	if !ok {
		return Node{}, false
	}
	value, ok := object[name]
	if !ok {
		return Node{}, false
	}
	found := Node{value, n.Pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)}
	if ref, is := member(value, "$ref").(string); is && strings.HasPrefix(ref, "#/") && !isSchema(found.Pointer) {
		return d.At(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return found, true
}

// isSchema tells schemas: a reference in one may have members beside it that count too.
func isSchema(pointer string) bool { return strings.HasSuffix(pointer, "/schema") }

// Names lists an object's members in order.
func (n Node) Names() []string {
	object, _ := n.Value.(map[string]any)
	return slices.Sorted(maps.Keys(object))
}

func member(value any, name string) any {
	object, _ := value.(map[string]any)
	return object[name]
}

// Schema compiles the schema at a JSON Pointer. Strict says that members which it does not name are wrong.
func (d *Document) Schema(pointer string, strict bool) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := fmt.Sprint(strict, pointer)
	if s := d.compiled[key]; s != nil {
		return s, nil
	}
	c := d.open
	if strict {
		c = d.closed
	}
	s, err := c.Compile(location + "#" + escape(pointer))
	if err != nil {
		return nil, fmt.Errorf("the schema at %s: %w", pointer, err)
	}
	d.compiled[key] = s
	return s, nil
}

// escape makes a fragment of a JSON Pointer (RFC 6901, section 6).
func escape(pointer string) string {
	return strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D", " ", "%20").Replace(pointer)
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
