package apicheck

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// description is one of the two descriptions, as plain values, with the schemas in it. It is safe for concurrent use.
type description struct {
	location string
	root     map[string]any // As it was written.

	mu       sync.Mutex // Of the two compilers, and what they made.
	open     *jsonschema.Compiler
	closed   *jsonschema.Compiler // Its schemas take no member that they don't name.
	compiled map[string]*jsonschema.Schema
}

// describe makes a description of what is at location, among documents that may refer to each other: as they were
// written, and once more with their schemas closed.
func describe(location string, open, closed map[string]any) (*description, error) {
	d := &description{location: location, compiled: map[string]*jsonschema.Schema{}}
	d.root, _ = open[location].(map[string]any)
	var err error
	if d.open, err = compiler(open); err != nil {
		return nil, err
	}
	d.closed, err = compiler(closed)
	return d, err
}

func compiler(documents map[string]any) (*jsonschema.Compiler, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	for location, root := range documents {
		if err := c.AddResource(location, root); err != nil {
			return nil, fmt.Errorf("reading the API's description: %w", err)
		}
	}
	return c, nil
}

// Node is a place in the description.
type Node struct {
	Value   any
	Pointer string // A JSON Pointer from the root.
}

// At is the node at a path of member names, with references followed.
func (d *description) At(path ...string) (Node, bool) {
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
func (d *description) Member(n Node, name string) (Node, bool) {
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
func (d *description) Schema(pointer string, strict bool) (*jsonschema.Schema, error) {
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
	s, err := c.Compile(d.location + "#" + escape(pointer))
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

// Validate holds a value (as jsonschema.UnmarshalJSON gives it) against the schema at a JSON Pointer.
func (d *description) Validate(pointer string, value any, strict bool) error {
	s, err := d.Schema(pointer, strict)
	if err != nil {
		return err
	}
	return s.Validate(value)
}
