package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// errNotClosed speaks of no value, because the value may be a secret.
var errNotClosed = errors.New(`has a "${" that begins no ${NAME}; write $${ for the text itself`)

// expand replaces each ${NAME} in text by the variable's value, which isn't looked at again, and each $${ by ${.
// It works on values that are parsed already, so what a variable holds can't become YAML. used is the name of the
// last variable replaced. An error names an undefined variable.
func expand(text string, lookup func(string) (string, bool)) (expanded, used string, err error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			b.WriteString(text)
			return b.String(), used, nil
		}
		if escaped, ok := strings.CutSuffix(before, "$"); ok {
			b.WriteString(escaped + "${")
			text = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !variableName.MatchString(name) {
			return "", "", errNotClosed
		}
		value, ok := lookup(name)
		if !ok {
			return "", "", fmt.Errorf("the environment variable %s is not set; set it, or write the value here", name)
		}
		b.WriteString(before + value)
		text, used = after, name
	}
}
