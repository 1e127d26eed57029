package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// envPrefix begins every variable that stands for a key.
const envPrefix = "CARRIER_"

// commandVariables are the command line's own; they are no keys.
var commandVariables = []string{"CARRIER_API_KEY", "CARRIER_SIGNING_SECRET", "CARRIER_ADMIN_URL", "CARRIER_ADMIN_TOKEN",
	"CARRIER_NATS_CREDS"}

// Kubernetes puts the addresses of services into every pod, in variables that begin with the service's name; one
// that is called carrier, or carrier-nats, must not stop us. (Kubernetes, "Discovering services")
var (
	serviceVariable = regexp.MustCompile(`_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	serviceLink     = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// environment makes a map of NAME=value lines; the last of a name holds.
func environment(env []string) map[string]string {
	variables := make(map[string]string, len(env))
	for _, line := range env {
		if name, value, ok := strings.Cut(line, "="); ok && name != "" {
			variables[name] = value
		}
	}
	return variables
}

// foreign tells variables that begin as ours do and are none of ours.
func foreign(name, value string) bool {
	return slices.Contains(commandVariables, name) || serviceVariable.MatchString(name) ||
		strings.HasSuffix(name, "_PORT") && serviceLink.MatchString(value)
}

// step is one part of the way to a value: the key of a mapping or, if key is empty, the index in a list.
type step struct {
	key   string
	index int
}

// assignment is a variable and the value that it stands for.
type assignment struct {
	env   string
	steps []step
}

// overlay puts the values of CARRIER_ variables over those of the file. A variable that stands for no key is a
// finding: a misspelt one would be ignored in silence.
func overlay(f *findings, root *node, variables map[string]string) {
	var found []assignment
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		rest, ours := strings.CutPrefix(name, envPrefix)
		if !ours || foreign(name, variables[name]) {
			continue
		}
		steps, ok := resolve(reflect.TypeFor[Config](), rest)
		if !ok {
			f.add(origin{env: name}, "", "stands for no key; did you mean %s?", nearest(name, envNames()))
			continue
		}
		found = append(found, assignment{env: name, steps: steps})
	}
	// Lists grow one by one, so lower indexes come first; a whole list comes before its elements.
	slices.SortStableFunc(found, func(a, b assignment) int { return slices.CompareFunc(a.steps, b.steps, compareSteps) })
	for _, a := range found {
		value := &node{kind: freeNode, at: origin{env: a.env}, text: variables[a.env]}
		if size := assign(root, a.steps, value); size >= 0 {
			f.add(value.at, "", "the list has %d entries; the next one is number %d", size, size)
		}
	}
}

func compareSteps(a, b step) int {
	if a.key == "" && b.key == "" {
		return a.index - b.index
	}
	return strings.Compare(a.key, b.key)
}

// resolve finds the key that the rest of a variable's name stands for, from the type t on.
func resolve(t reflect.Type, rest string) ([]step, bool) {
	switch {
	case isScalar(t):
		return nil, rest == ""
	case t.Kind() == reflect.Struct:
		return resolveField(t, rest)
	case rest == "":
		return nil, t.Kind() == reflect.Slice && isScalar(t.Elem())
	}
	head, tail, _ := strings.Cut(rest, "_")
	n, err := parseInt(head)
	switch {
	case err != nil || n < 0:
		return nil, false
	case t.Kind() == reflect.Map:
		return []step{{key: head}}, tail == ""
	}
	steps, ok := resolve(t.Elem(), tail)
	return append([]step{{index: int(n)}}, steps...), ok
}

// resolveField finds a field, or a twin, by the beginning of rest. Keys hold underscores too, so all are tried.
func resolveField(t reflect.Type, rest string) ([]step, bool) {
	for _, f := range fieldsOf(t) {
		name := strings.ToUpper(f.key)
		if hasTwin(f.typ) && rest == name+strings.ToUpper(fileSuffix) {
			return []step{{key: f.key + fileSuffix}}, true
		}
		tail, ok := strings.CutPrefix(rest, name)
		if !ok || tail != "" && tail[0] != '_' || tail == "_" {
			continue
		}
		if steps, ok := resolve(f.typ, strings.TrimPrefix(tail, "_")); ok {
			return append([]step{{key: f.key}}, steps...), true
		}
	}
	return nil, false
}

// assign puts value where steps lead, making what is missing on the way. It returns -1, or the size of a list in
// which an entry would be skipped. Where the file has something of another kind on the way, it does nothing: the
// decoder will refuse that.
func assign(n *node, steps []step, value *node) int {
	s := steps[0]
	if s.key == "" {
		return assignIndex(n, steps, value)
	}
	if n.kind != mapNode {
		return -1
	}
	if len(steps) == 1 {
		n.set(s.key, value)
		return -1
	}
	child := n.get(s.key)
	if child == nil || child.kind == nullNode {
		child = emptyFor(steps[1], value.at)
		n.set(s.key, child)
	}
	return assign(child, steps[1:], value)
}

func assignIndex(n *node, steps []step, value *node) int {
	i := steps[0].index
	if n.kind == freeNode {
		n.kind, n.items = listNode, splitList(n)
	}
	switch {
	case n.kind != listNode:
		return -1
	case i > len(n.items):
		return len(n.items)
	case i == len(n.items) && len(steps) > 1:
		n.items = append(n.items, emptyFor(steps[1], value.at))
	case i == len(n.items):
		n.items = append(n.items, value)
	}
	if len(steps) == 1 {
		n.items[i] = value
		return -1
	}
	return assign(n.items[i], steps[1:], value)
}

// emptyFor makes what the next step needs: a mapping for a key, a list for an index.
func emptyFor(next step, at origin) *node {
	if next.key == "" {
		return &node{kind: listNode, at: at}
	}
	return &node{kind: mapNode, at: at}
}

// set gives a key a value from the environment. It takes the place of what the file says in either form, the secret
// itself or the file that holds it; two variables that contradict each other stay, for the decoder to refuse.
func (n *node) set(key string, value *node) {
	base := strings.TrimSuffix(key, fileSuffix)
	n.entries = slices.DeleteFunc(n.entries, func(e entry) bool {
		same := e.key == key || e.key == base || e.key == base+fileSuffix
		return same && e.at.env == ""
	})
	n.entries = append(n.entries, entry{key: key, at: value.at, value: value})
}

// envNames lists the variables that stand for keys, with 0 for every index.
func envNames() []string {
	var names []string
	for _, l := range leaves() {
		name := envPrefix + strings.ToUpper(strings.NewReplacer("[]", "_0", ".", "_").Replace(l.pattern))
		switch {
		case isListOfStructs(l.typ):
		case l.typ.Kind() == reflect.Map:
			names = append(names, name+"_40199")
		default:
			names = append(names, name)
			if hasTwin(l.typ) {
				names = append(names, name+strings.ToUpper(fileSuffix))
			}
		}
	}
	return names
}
