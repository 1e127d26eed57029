package callback

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

var errNotJSON = errors.New("it is not one JSON object")

// readJSON reads one JSON object and nothing behind it. encoding/json by itself lets the last of repeated members win
// and matches names in any letter case: here a repeated member is refused, and names are taken as they are. Members
// that nobody knows are read and not used, since WeChat adds fields.
func readJSON(text []byte) (*node, error) {
	if !json.Valid(text) {
		return nil, errNotJSON
	}
	r := jsonReader{dec: json.NewDecoder(bytes.NewReader(text)), left: maxNodes}
	r.dec.UseNumber()
	return r.value("", 1)
}

// jsonReader builds the tree of a text that is known to be valid.
type jsonReader struct {
	dec  *json.Decoder
	left int // Values that may still come.
}

func (r *jsonReader) value(name string, depth int) (*node, error) {
	if r.left--; r.left < 0 {
		return nil, fmt.Errorf("it has more than %d values", maxNodes)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	token, err := r.dec.Token()
	if err != nil {
		return nil, errNotJSON
	}
	switch token {
	case json.Delim('{'):
		return r.object(name, depth)
	case json.Delim('['):
		return r.array(name, depth)
	}
	return scalar(name, token), nil
}

// object reads members. One that is an array becomes as many children as the array has elements.
func (r *jsonReader) object(name string, depth int) (*node, error) {
	group, seen := &node{name: name, kind: kindGroup}, map[string]bool{}
	for r.dec.More() {
		key, err := r.dec.Token()
		if err != nil {
			return nil, errNotJSON
		}
		member, _ := key.(string)
		if seen[member] {
			return nil, fmt.Errorf("it has the member %.64q twice", member)
		}
		seen[member] = true
		value, err := r.value(member, depth+1)
		if err != nil {
			return nil, err
		}
		if value.kind == kindList {
			group.kids = append(group.kids, value.kids...)
		} else {
			group.kids = append(group.kids, value)
		}
	}
	_, err := r.dec.Token() // The closing brace.
	return group, err
}

// array reads elements. One within another stays a list, which is no type that any field here has.
func (r *jsonReader) array(name string, depth int) (*node, error) {
	list := &node{name: name, kind: kindList}
	for r.dec.More() {
		element, err := r.value(name, depth+1)
		if err != nil {
			return nil, err
		}
		element.inList = true
		list.kids = append(list.kids, element)
	}
	_, err := r.dec.Token() // The closing bracket.
	return list, err
}

func scalar(name string, token json.Token) *node {
	switch v := token.(type) {
	case string:
		return &node{name: name, kind: kindString, text: v}
	case json.Number:
		return &node{name: name, kind: kindNumber, text: v.String()}
	case bool:
		return &node{name: name, kind: kindBool}
	}
	return &node{name: name, kind: kindNull}
}
