package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// restart are the keys, and sections of keys, that a running service can't take over: listeners, the store and the
// connection to NATS are opened once, and the vault of a third-party platform belongs to the store. All others it can.
var restart = []string{"server", "store", "nats", "platform", "log.format"}

// needsRestart tells whether a key, as in [keys], is only read at the start.
func needsRestart(pattern string) bool {
	return slices.ContainsFunc(restart, func(key string) bool {
		return pattern == key || strings.HasPrefix(pattern, key+".")
	})
}

// Change is a key that two configurations have different values of.
type Change struct {
	// Key is as people name it: an element of a list goes by its own name, as in accounts[SF].rate, wherever it stands.
	Key string
	// Text says what became of it: "0 → 50", "added" or "removed"; of secrets only "changed".
	Text string
	// Restart tells that a running service can't take it over.
	Restart bool
}

// String is the change on one line.
func (c Change) String() string { return c.Key + ": " + c.Text }

// Changes lists what another configuration has otherwise, in the order of the reference. No secret is in it.
func (c *Config) Changes(to *Config) []Change {
	before, after := namedValues(c), namedValues(to)
	var all []Change
	for _, key := range mergedKeys(before.order, after.order) {
		was, had := before.values[key]
		is, has := after.values[key]
		change := Change{Key: key}
		switch {
		case had && has:
			if change.Text = difference(was.value, is.value); change.Text == "" {
				continue
			}
			change.Restart = needsRestart(is.pattern)
		case within(key, before.elements) != within(key, after.elements):
			continue // Its element as a whole was added or removed.
		case has:
			change.Text, change.Restart = "added", needsRestart(is.pattern)
		default:
			change.Text, change.Restart = "removed", needsRestart(was.pattern)
		}
		all = append(all, change)
	}
	return all
}

// named are a configuration's values by keys in which list elements go by their names.
type named struct {
	order    []string
	values   map[string]visited
	elements map[string]bool // The keys of list elements, such as accounts[SF].
}

// namedValues lists the values of a configuration, and its list elements, which have no value of their own.
func namedValues(c *Config) named {
	n := named{values: map[string]visited{}, elements: map[string]bool{}}
	names := map[string]string{} // accounts[0] to accounts[SF]
	add := func(key string, v visited) {
		if _, twice := n.values[key]; !twice {
			n.order = append(n.order, key)
		}
		n.values[key] = v
	}
	walk(c, func(v visited) {
		t := v.value.Type()
		if isListOfStructs(t) {
			for i := range v.value.Len() {
				at, key := fmt.Sprintf("%s[%d]", v.key, i), fmt.Sprintf("%s[%s]", v.key, elementName(v.value.Index(i)))
				names[at], n.elements[key] = key, true
				add(key, visited{key: key, pattern: v.pattern + "[]"})
			}
			return
		}
		if t.Kind() == reflect.Map || strings.HasSuffix(v.key, "]") {
			return // The entries of a mapping follow; those of a list of texts came with it.
		}
		key := v.key
		if at := strings.IndexByte(key, ']'); at >= 0 && names[key[:at+1]] != "" {
			key = names[key[:at+1]] + key[at+1:]
		}
		add(key, v)
	})
	return n
}

// elementName is what a list element goes by: its first key, which Check wants to be unique.
func elementName(element reflect.Value) string {
	return element.Field(fieldsOf(element.Type())[0].index).String()
}

// mergedKeys are the keys of both: those of the first in its order, and each that only the second has behind the one
// that it follows there.
func mergedKeys(first, second []string) []string {
	all := slices.Clone(first)
	known := map[string]bool{}
	for _, key := range first {
		known[key] = true
	}
	at := 0
	for _, key := range second {
		if known[key] {
			at = slices.Index(all, key) + 1
			continue
		}
		all = slices.Insert(all, at, key)
		at++
	}
	return all
}

// within tells whether a key belongs to one of these elements.
func within(key string, elements map[string]bool) bool {
	at := strings.IndexByte(key, ']')
	return at >= 0 && at+1 < len(key) && elements[key[:at+1]]
}

// difference says how a value differs from another; "" if it doesn't.
func difference(was, is reflect.Value) string {
	if !was.IsValid() || !is.IsValid() || reflect.DeepEqual(was.Interface(), is.Interface()) {
		return "" // Invalid: an element as such.
	}
	if was.Type() == reflect.TypeFor[Secret]() {
		return "changed"
	}
	from, to := display(was), display(is)
	if from == to {
		return "changed" // Within what is masked of it.
	}
	return from + " → " + to
}

// display is a value as it is written in the file, with what may be secret in an address hidden.
func display(v reflect.Value) string {
	switch t := v.Interface().(type) {
	case encoding.TextMarshaler:
		if text, err := t.MarshalText(); err == nil {
			return quoted(string(text))
		}
	case string:
		return quoted(maskURL(t))
	}
	if v.Kind() == reflect.Slice {
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = display(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}

// quoted shows that there is something where there is nothing.
func quoted(text string) string {
	if text == "" {
		return `""`
	}
	return text
}
