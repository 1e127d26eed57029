package callback

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxBodyBytes is how much of a request's body a caller should read at most; more is refused.
const MaxBodyBytes = 1 << 20

// What else bounds a message, in either format. The largest real ones are orders with many goods: three elements each.
const (
	maxDepth = 8
	maxNodes = 1000
)

// nodeKind is what a value was written as. XML has no types: its elements without children are all untyped.
type nodeKind uint8

const (
	kindUntyped nodeKind = iota // An XML element without children.
	kindString
	kindNumber
	kindBool
	kindNull
	kindGroup // An XML element with children, or a JSON object.
	kindList  // A JSON array within another; one that is a member becomes siblings instead.
)

// node is one value of a message: both formats are read into the same tree. A list is a row of siblings with the same
// name, as XML has it (DetailList, Actions).
type node struct {
	name   string
	kind   nodeKind
	text   string // Of what isn't a group, and isn't null.
	kids   []*node
	inList bool // It was an element of a JSON array.
}

// named are the children with a name, in order. JSON's null is as good as nothing.
func (n *node) named(name string) []*node {
	var found []*node
	for _, kid := range n.kids {
		if kid.name == name && kid.kind != kindNull {
			found = append(found, kid)
		}
	}
	return found
}

// readTree reads a message in the format that its first character tells.
func readTree(body []byte) (*node, Format, error) {
	switch {
	case len(body) > MaxBodyBytes:
		return nil, 0, fmt.Errorf("the message has more than %d bytes", MaxBodyBytes)
	case !utf8.Valid(body):
		return nil, 0, errors.New("the message is not UTF-8")
	}
	text := body
	for len(text) > 0 && isSpace(text[0]) {
		text = text[1:]
	}
	if len(text) > 0 && text[0] == '<' {
		root, err := readXML(string(text))
		return root, XML, err
	}
	if len(text) > 0 && text[0] == '{' {
		root, err := readJSON(text)
		return root, JSON, err
	}
	return nil, 0, errors.New("the message is neither XML nor a JSON object")
}

// isSpace knows the white space that XML and JSON share.
func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
