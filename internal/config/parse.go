package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on a file, far beyond any real one, so that a wrong file (a log, a dump) is refused and not digested: the
// parser is recursive, and takes time in the square of a mapping's keys.
const (
	maxFileBytes = 1 << 20
	maxDepth     = 32
	maxKeys      = 20_000
)

// kind is what a node is, as far as the decoder tells them apart.
type kind uint8

const (
	nullNode   kind = iota
	textNode        // A string, quoted or not.
	numberNode      // Looks like a number and isn't quoted.
	boolNode
	freeNode // From an environment variable: whatever the key wants.
	listNode
	mapNode
)

var kindNames = [...]string{"nothing", "text", "a number", "true or false", "text", "a list", "a mapping"}

func (k kind) String() string { return kindNames[k] }

// node is a YAML value, free of the parser's types and of what isn't allowed here.
type node struct {
	kind    kind
	at      origin
	text    string // Of scalars, as written for numbers.
	items   []*node
	entries []entry // Of a mapping, in order; repeated keys are kept, for the decoder to refuse.
}

// entry is a key of a mapping and its value.
type entry struct {
	key   string
	at    origin
	value *node
}

// get finds the value of a key; nil if there is none.
func (n *node) get(key string) *node {
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// parseYAML reads one document. A nil node without an error is an empty file.
func parseYAML(file string, data []byte) (root *node, err error) {
	// A broken file must end in a message, whatever the parser makes of it.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, &Finding{File: file, Message: "can't be read as YAML"}
		}
	}()
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // As some editors on Windows write it.
	if f := readable(file, data); f != nil {
		return nil, f
	}
	tokens := lexer.Tokenize(string(data))
	if tk, message := excess(tokens); tk != nil {
		return nil, syntax(file, tk, message)
	}
	doc, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxOf(file, err)
	}
	return oneDocument(file, doc)
}

// readable refuses what is no text of a sensible size.
func readable(file string, data []byte) *Finding {
	switch {
	case len(data) > maxFileBytes:
		return &Finding{File: file, Message: "is larger than 1 MiB, which no configuration is; is it the right file?"}
	case !utf8.Valid(data):
		line := 1 + bytes.Count(data[:invalidAt(data)], []byte("\n"))
		return &Finding{File: file, Line: line, Message: "is not UTF-8; save the file in that encoding"}
	case bytes.IndexByte(data, 0) >= 0:
		return &Finding{File: file, Message: "holds a NUL byte; it is no YAML text"}
	}
	return nil
}

// invalidAt is the offset of the first byte that is not UTF-8.
func invalidAt(data []byte) int {
	at := 0
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// Messages of excess and convert.
const (
	tooDeep  = "is nested too deeply for a configuration"
	tooLarge = "has more keys than a configuration; is it the right file?"
)

// excess finds the first token beyond the bounds, and says which. In block style every level needs its own column,
// or its own "- " or "? " on the line.
func excess(tokens token.Tokens) (*token.Token, string) {
	flow, line, marks, keys := 0, 0, 0, 0
	for _, tk := range tokens {
		if tk.Position.Line != line {
			line, marks = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			marks++
		case token.MappingValueType:
			keys++
		}
		switch {
		case flow+marks > maxDepth:
			return tk, tooDeep
		case keys > maxKeys:
			return tk, tooLarge
		}
	}
	return nil, ""
}

// syntaxOf turns the parser's error into a finding. Its own text quotes the lines around, which may hold secrets.
func syntaxOf(file string, err error) *Finding {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		return syntax(file, e.GetToken(), e.GetMessage())
	}
	return &Finding{File: file, Message: "can't be read as YAML"}
}

func syntax(file string, tk *token.Token, message string) *Finding {
	text := oneLine(message)
	if strings.Contains(message, "\t") {
		text = "a tab can't stand here: indent with spaces"
	}
	f := &Finding{File: file, Message: text}
	if tk.Position != nil {
		f.Line, f.Column = max(1, tk.Position.Line), max(1, tk.Position.Column)
	}
	return f
}

// oneLine makes what the parser says fit on one line.
func oneLine(message string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, message)
}

// oneDocument takes the only document of a file.
func oneDocument(file string, doc *ast.File) (*node, error) {
	var root *node
	seen := false
	for _, d := range doc.Docs {
		if d.Body == nil || d.Body.Type() == ast.CommentType {
			continue
		}
		if seen {
			return nil, syntax(file, d.Body.GetToken(), "begins a second document; a configuration is one")
		}
		seen = true
		var err error
		if root, err = convert(d.Body, 0); err != nil {
			return nil, syntaxOf(file, err)
		}
	}
	return root, nil
}

// convert makes a node of the parser's; anchors, aliases, merge keys and tags are refused, so that a value is what
// stands beside its key.
func convert(from ast.Node, depth int) (*node, error) {
	tk := from.GetToken()
	if depth > maxDepth {
		return nil, refuse(tk, tooDeep)
	}
	at := origin{line: tk.Position.Line}
	switch n := from.(type) {
	case *ast.NullNode:
		return &node{kind: nullNode, at: at}, nil
	case *ast.StringNode:
		if tk.Type == token.StringType && decimalNumber.MatchString(n.Value) {
			return &node{kind: numberNode, at: at, text: n.Value}, nil // Too large a number for the parser.
		}
		return &node{kind: textNode, at: at, text: n.Value}, nil
	case *ast.LiteralNode:
		return &node{kind: textNode, at: at, text: n.Value.Value}, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return &node{kind: numberNode, at: at, text: tk.Value}, nil
	case *ast.BoolNode:
		return &node{kind: boolNode, at: at, text: tk.Value}, nil
	case *ast.SequenceNode:
		return convertList(n, at, depth)
	case *ast.MappingNode:
		return convertMap(n.Values, at, depth)
	case *ast.MappingValueNode:
		return convertMap([]*ast.MappingValueNode{n}, at, depth)
	}
	return nil, refuse(tk, "is a YAML anchor, alias, tag or directive; write the value itself")
}

func convertList(from *ast.SequenceNode, at origin, depth int) (*node, error) {
	to := &node{kind: listNode, at: at}
	for _, v := range from.Values {
		item, err := convert(v, depth+1)
		if err != nil {
			return nil, err
		}
		to.items = append(to.items, item)
	}
	return to, nil
}

func convertMap(values []*ast.MappingValueNode, at origin, depth int) (*node, error) {
	to := &node{kind: mapNode, at: at}
	for _, v := range values {
		key, err := convertKey(v.Key)
		if err != nil {
			return nil, err
		}
		value, err := convert(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		to.entries = append(to.entries, entry{key: key.text, at: key.at, value: value})
	}
	if len(to.entries) > 0 {
		to.at = to.entries[0].at // The parser points at the colon.
	}
	return to, nil
}

// convertKey takes a plain key: text or a number.
func convertKey(from ast.MapKeyNode) (*node, error) {
	key, err := convert(from, 0)
	switch {
	case err != nil:
		return nil, err
	case key.kind != textNode && key.kind != numberNode:
		return nil, refuse(from.GetToken(), fmt.Sprintf("is %s where a key belongs", key.kind))
	case strings.ContainsFunc(key.text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return nil, refuse(from.GetToken(), "is no key: it holds a character that can't be printed")
	}
	return key, nil
}

func refuse(tk *token.Token, message string) error {
	return &yaml.SyntaxError{Token: tk, Message: message}
}
