package config

import (
	"fmt"
	"slices"
	"strings"
)

// Check tells what contradicts itself or can't work. The error joins a [*Finding] for each; nil if all is well. It
// opens no connection and resolves no name, so the same configuration gives the same answer on every machine, but
// for the files that it names.
func (c *Config) Check() error {
	k := &checker{c: c, loaded: c.loaded}
	if k.loaded == nil {
		k.loaded = &loaded{}
	}
	k.file = k.loaded.file
	walk(c, k.limits)
	k.server()
	k.store()
	k.nats()
	k.sources()
	k.accounts()
	k.merchants()
	k.platform()
	k.state()
	k.push()
	k.verify()
	k.admin()
	return k.err()
}

// checker collects what Check finds.
type checker struct {
	findings
	c      *Config
	loaded *loaded
}

// bad notes that the value of key is wrong.
func (k *checker) bad(key, format string, args ...any) {
	k.add(k.loaded.where(key), key, format, args...)
}

// where is where a key was written; if it wasn't, where the nearest mapping or list around it was.
func (l *loaded) where(key string) origin {
	for ; key != ""; key = parent(key) {
		if o, ok := l.at[key]; ok {
			return o
		}
	}
	return origin{}
}

// limits checks the ranges and choices that keys.go states.
func (k *checker) limits(at visited) {
	a := keys[at.pattern]
	if n, ok := number(at.value); ok && !a.limit.holds(n) {
		k.bad(at.key, "%s, not %s", a.limit.describe(at.value.Type()), inUnits(at.value.Type(), n))
	}
	if a.choices != nil && !slices.Contains(a.choices, at.value.String()) {
		k.bad(at.key, "must be %s, not %q", orList(a.choices), at.value.String())
	}
}

// orList is "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// unique finds values that entries of a list share: value to the key that has it.
type unique map[string]string

// claim notes that key has the value, and returns the key that had it first; empty if none had.
func (u unique) claim(value, key string) string {
	if first, taken := u[value]; taken {
		return first
	}
	u[value] = key
	return ""
}

func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
