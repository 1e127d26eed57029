package callback

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Fault says what about a message's fields isn't as it must be. Its texts hold names of fields and nothing of their
// values, so they can be logged and sent back.
type Fault struct {
	Field string     // As the documents spell it, with the fields around it: "Cargo.Weight".
	Why   string     // What to change: "is missing".
	Code  ResultCode // What the reply should say about it.
}

// Error is the field and what is wrong with it.
func (f *Fault) Error() string { return f.Field + " " + f.Why }

// fields reads typed values from one group of a message. The first fault is kept, and reading goes on, so that as much
// as can be read is there for the reply. What is absent reads as the zero value.
type fields struct {
	group *node // Nil if it is absent.
	path  string
	code  ResultCode // Of faults from here on.
	fault **Fault    // Shared by all groups of a message.
}

func newFields(root *node) fields { return fields{group: root, code: Failed, fault: new(*Fault)} }

// first is the first fault of the whole message; nil if all is well.
func (f fields) first() *Fault { return *f.fault }

func (f fields) bad(name, why string) { f.badWith(f.code, name, why) }

func (f fields) badWith(code ResultCode, name, why string) {
	if *f.fault == nil {
		*f.fault = &Fault{Field: f.path + name, Why: why, Code: code}
	}
}

// one finds the field with any of the names, of which the first is the documents'; nil if there is none.
func (f fields) one(names ...string) *node {
	if f.group == nil {
		return nil
	}
	var found []*node
	for _, name := range names {
		found = append(found, f.group.named(name)...)
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return found[0]
	}
	f.bad(names[0], "is there more than once")
	return nil
}

// text reads a text as it is, with the space around it.
func (f fields) text(names ...string) string {
	n := f.one(names...)
	if n == nil {
		return ""
	}
	if n.inList || n.kind != kindUntyped && n.kind != kindString {
		f.bad(names[0], "is not a text")
		return ""
	}
	return n.text
}

// need reads a text that must be there.
func (f fields) need(names ...string) string {
	text := f.text(names...)
	if text == "" {
		f.bad(names[0], "is missing")
	}
	return text
}

// number reads a number's text, also one written as a text, without the space around it; an empty one is absent.
func (f fields) number(name string) string {
	n := f.one(name)
	if n == nil {
		return ""
	}
	if n.inList || n.kind != kindUntyped && n.kind != kindString && n.kind != kindNumber {
		f.bad(name, "is not a number")
		return ""
	}
	return strings.TrimSpace(n.text)
}

func (f fields) integer(name string) int64 {
	text := f.number(name)
	if text == "" {
		return 0
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f.bad(name, "is not an integer")
	}
	return value
}

// decimal reads a number that may have a fraction. ParseFloat also takes hex, underscores and infinities: not here.
func (f fields) decimal(name string) float64 {
	text := f.number(name)
	if text == "" {
		return 0
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(value, 0) || strings.Trim(text, "0123456789.eE+-") != "" {
		f.bad(name, "is not a number")
		return 0
	}
	return value
}

// in gives a group within this one. The documents' tables call them lists and their examples have objects: a JSON list
// of one is taken for its element.
func (f fields) in(name string, code ResultCode) fields {
	return fields{group: f.asGroup(f.one(name), name), path: f.path + name + ".", code: code, fault: f.fault}
}

// each gives the groups of a list, in order.
func (f fields) each(name string) []fields {
	if f.group == nil {
		return nil
	}
	var list []fields
	for i, n := range f.group.named(name) {
		if group := f.asGroup(n, name); group != nil {
			list = append(list, fields{group: group, path: fmt.Sprintf("%s%s[%d].", f.path, name, i), code: f.code, fault: f.fault})
		}
	}
	return list
}

// asGroup wants a group. An XML element without children may be one that is empty, which is as good as absent.
func (f fields) asGroup(n *node, name string) *node {
	switch {
	case n == nil || n.kind == kindGroup:
		return n
	case n.kind != kindUntyped || strings.TrimSpace(n.text) != "":
		f.bad(name, "is not a group of fields")
	}
	return nil
}
