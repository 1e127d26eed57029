package config

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
)

// decoder fills structs from nodes and remembers where each value stood.
type decoder struct {
	findings
	lookup      func(name string) (string, bool) // The environment.
	dir         string                           // What paths are relative to.
	at          map[string]origin
	files       []File
	plainSecret bool // A secret stands in the file itself.
}

// value fills v, the value of key, from n. at is where the key was written.
func (d *decoder) value(n *node, at origin, key string, v reflect.Value) {
	d.at[key] = at
	switch t := v.Type(); {
	case isScalar(t):
		d.scalar(n, at, key, v)
	case t.Kind() == reflect.Struct:
		d.mapping(n, key, v)
	case t.Kind() == reflect.Slice:
		d.list(n, at, key, v)
	default:
		d.errcodes(n, at, key, v)
	}
}

// mapping fills a struct. A section without any key is as good as none.
func (d *decoder) mapping(n *node, key string, v reflect.Value) {
	if n.kind == nullNode {
		return
	}
	if n.kind != mapNode {
		d.add(n.at, key, "must be a mapping (key: value), not %s", n.kind)
		return
	}
	seen := map[string]origin{}
	for _, e := range n.entries {
		path := join(key, e.key)
		f, twin, ok := findField(v.Type(), e.key)
		if first, again := seen[e.key]; again {
			d.add(e.at, path, "is given twice, first in line %d; keep one", first.line)
			continue
		}
		seen[e.key] = e.at
		switch {
		case !ok:
			d.add(e.at, path, "is no key; %s", suggestKey(v.Type(), key, e.key))
		case twin:
			if _, both := seen[f.key]; both {
				d.add(e.at, path, "is given beside %s; keep one of them", f.key)
				continue
			}
			d.secretFile(e, path, strings.TrimSuffix(path, fileSuffix), v.Field(f.index))
		default:
			if _, both := seen[f.key+fileSuffix]; both && hasTwin(f.typ) {
				d.add(e.at, path, "is given beside %s; keep one of them", f.key+fileSuffix)
				continue
			}
			d.value(e.value, e.at, path, v.Field(f.index))
		}
	}
}

// list fills a slice. A key without a value is an empty list: its entries may be commented out.
func (d *decoder) list(n *node, at origin, key string, v reflect.Value) {
	items := n.items
	switch {
	case n.kind == nullNode:
		return
	case n.kind == freeNode:
		items = splitList(n)
	case n.kind != listNode:
		d.add(at, key, "must be a list, not %s; write [a, b], or one \"- \" line for each", n.kind)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		v.Index(i).Set(defaultElement(v.Type().Elem()))
		d.value(item, item.at, fmt.Sprintf("%s[%d]", key, i), v.Index(i))
	}
}

// splitList takes a list as an environment variable gives it: SF,YTO.
func splitList(n *node) []*node {
	var items []*node
	for part := range strings.SplitSeq(n.text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			items = append(items, &node{kind: freeNode, at: n.at, text: part})
		}
	}
	return items
}

// errcodes fills a map from whole numbers to text.
func (d *decoder) errcodes(n *node, at origin, key string, v reflect.Value) {
	if n.kind == nullNode {
		return
	}
	if n.kind != mapNode {
		d.add(at, key, "must be a mapping of codes, {40199: event}, not %s", n.kind)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range n.entries {
		code, err := parseInt(e.key)
		path := join(key, e.key)
		if err != nil {
			d.add(e.at, path, "is no error code; write its number, {40199: event}")
			continue
		}
		k := reflect.ValueOf(int(code))
		if v.MapIndex(k).IsValid() {
			d.add(e.at, path, "is given twice; keep one")
			continue
		}
		scope := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, e.at, path, scope)
		v.SetMapIndex(k, scope)
	}
}

// scalar fills a single value.
func (d *decoder) scalar(n *node, at origin, key string, v reflect.Value) {
	text, ok := d.text(n, at, key, v.Type())
	if !ok {
		return
	}
	if err := setScalar(v, text); err != nil {
		// What was written, and not what a variable made of it: that may be a secret in the wrong place.
		d.add(at, key, "%q %v", n.text, err)
	}
}

// text is the text of a scalar with its variables replaced, if it is of a kind that t can take.
func (d *decoder) text(n *node, at origin, key string, t reflect.Type) (string, bool) {
	text, kind := n.text, n.kind
	if kind == textNode {
		expanded, used, err := expand(text, d.lookup)
		if err != nil {
			d.add(at, key, "%v", err)
			return "", false
		}
		if used != "" {
			text, kind = expanded, freeNode
			if expanded == "" && t == reflect.TypeFor[Secret]() {
				d.add(at, key, "the environment variable %s is empty; set it", used)
				return "", false
			}
		} else {
			text = expanded // $${ may have become ${.
		}
	}
	if problem := mismatch(kind, t); problem != "" {
		d.add(at, key, "%s", problem)
		return "", false
	}
	return text, t != reflect.TypeFor[Secret]() || d.secretText(n, at, key, text)
}

// secretText checks the text of a secret as it was given.
func (d *decoder) secretText(n *node, at origin, key, text string) bool {
	switch {
	case text == "" && n.kind == freeNode:
		d.add(at, key, "is empty; give it a value, or unset the variable")
	case text != strings.TrimSpace(text) || strings.ContainsAny(text, "\r\n\t\x00"):
		d.add(at, key, "has spaces around it or a line break in it; remove them")
	default:
		d.plainSecret = d.plainSecret || text != "" && text == n.text && at.env == ""
		return true
	}
	return false
}

// mismatch says why a value of this kind can't be a t; empty if it can.
func mismatch(k kind, t reflect.Type) string {
	if k == freeNode {
		return ""
	}
	want, fits := "text", k == textNode
	switch t {
	case reflect.TypeFor[Duration]():
		want, fits = "a duration such as 90s", k == textNode || k == numberNode
	case reflect.TypeFor[Size]():
		want, fits = "a size such as 1MiB", k == textNode || k == numberNode
	case reflect.TypeFor[int](), reflect.TypeFor[float64]():
		want, fits = "a number", k == numberNode
	case reflect.TypeFor[bool]():
		want, fits = "true or false", k == boolNode
	}
	switch {
	case fits:
		return ""
	case k == nullNode:
		return "has no value; give it one, or remove the key"
	case k == textNode:
		return fmt.Sprintf("must be %s; write it without quotes", want)
	case k == listNode || k == mapNode || want != "text":
		return fmt.Sprintf("must be %s, not %s", want, k)
	}
	return fmt.Sprintf("must be text, not %s; put it in quotes", k)
}

// setScalar reads text into v. Its error continues a sentence that begins with the text.
func setScalar(v reflect.Value, text string) error {
	switch target := v.Addr().Interface().(type) {
	case *netip.Prefix:
		return setPrefix(target, text)
	case encoding.TextUnmarshaler:
		return target.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.Int:
		n, err := parseInt(text)
		v.SetInt(n)
		return err
	case reflect.Float64:
		f, err := parseFloat(text)
		v.SetFloat(f)
		return err
	case reflect.Bool:
		yes := strings.EqualFold(text, "true")
		if !yes && !strings.EqualFold(text, "false") {
			return errors.New("must be true or false")
		}
		v.SetBool(yes)
		return nil
	}
	v.SetString(text)
	return nil
}

// setPrefix reads a network in CIDR form, and clears the bits after its mask.
func setPrefix(target *netip.Prefix, text string) error {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return errors.New("is no network in CIDR form, for example 10.0.0.0/8; for one address write /32, or /128 for IPv6")
	}
	*target = p.Masked()
	return nil
}
