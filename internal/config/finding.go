package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Finding is one thing that is wrong, and what to do about it. Its Error is one line:
//
//	configs/carrier.yaml:12: accounts[1].delivery_id: "SF" is used twice; give each account its own
//	configs/carrier.yaml:3:9: found a tab character ...
//	CARRIER_LOG_LEVEL: log.level: must be debug, info, warn or error, not "loud"
//
// It never holds the value of a secret.
type Finding struct {
	File    string // As given to Load; empty if there was none.
	Line    int    // From 1; 0 if it speaks of the file as a whole, or of what isn't in it.
	Column  int    // From 1, of what is no readable YAML; else 0.
	Env     string // The environment variable that gave the value, in place of File and Line.
	Key     string // accounts[1].delivery_id; empty if it speaks of no single key.
	Message string
}

// Error is the finding as one line.
func (f *Finding) Error() string {
	var b strings.Builder
	switch {
	case f.Env != "":
		b.WriteString(f.Env + ": ")
	case f.File != "" && f.Line > 0 && f.Column > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", f.File, f.Line, f.Column)
	case f.File != "" && f.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", f.File, f.Line)
	case f.File != "":
		b.WriteString(f.File + ": ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// origin is where a value was written. The zero value is a default.
type origin struct {
	line int    // In the file.
	env  string // The variable's name, if it came from the environment.
}

// findings collects what is wrong.
type findings struct {
	file string
	list []*Finding
}

// add notes that the value of key, written at o, is wrong.
func (f *findings) add(o origin, key, format string, args ...any) {
	n := &Finding{Key: key, Message: fmt.Sprintf(format, args...), Env: o.env}
	if o.env == "" {
		n.File, n.Line = f.file, o.line
	}
	f.list = append(f.list, n)
}

// err joins the findings in the order of the file; those of no line come last. nil if there are none.
func (f *findings) err() error {
	slices.SortStableFunc(f.list, func(a, b *Finding) int {
		return cmp.Or(cmp.Compare(uint(a.Line)-1, uint(b.Line)-1), cmp.Compare(a.Env, b.Env))
	})
	errs := make([]error, len(f.list))
	for i, n := range f.list {
		errs[i] = n
	}
	return errors.Join(errs...)
}
