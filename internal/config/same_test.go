package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the keys and values, the file and the environment say the same, and the environment counts for more.
func TestFileAndEnvironmentAgree(t *testing.T) {
	inFolder(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		values := map[string]string{}
		for _, l := range leaves() {
			if isScalar(l.typ) && !strings.HasSuffix(l.pattern, "[]") && rapid.Bool().Draw(t, l.pattern) {
				values[l.pattern] = drawValue(t, l)
			}
		}
		var env []string
		root := &node{kind: mapNode}
		for pattern, value := range values {
			name := envPrefix + strings.ToUpper(strings.NewReplacer("[]", "_0", ".", "_").Replace(pattern))
			env = append(env, name+"="+value)
			steps, _ := resolve(reflect.TypeFor[Config](), strings.TrimPrefix(name, envPrefix))
			assign(root, steps, &node{kind: textNode, text: value})
		}
		fromFile := loadText(t, render(root, false), nil)
		fromEnv := loadText(t, "", env)
		both := loadText(t, render(root, true), env)
		fromFile.loaded, fromEnv.loaded, both.loaded = nil, nil, nil
		if !reflect.DeepEqual(fromFile, fromEnv) {
			t.Fatalf("file %+v\nenvironment %+v", fromFile, fromEnv)
		}
		if !reflect.DeepEqual(both, fromEnv) {
			t.Fatalf("environment over file %+v\nenvironment %+v", both, fromEnv)
		}
	})
}

func loadText(t *rapid.T, text string, env []string) *Config {
	if err := os.WriteFile("c.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load("c.yaml", env)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

// drawValue draws a value of a key's type.
func drawValue(t *rapid.T, l leaf) string {
	switch l.typ {
	case reflect.TypeFor[Duration]():
		return Duration(rapid.Int64Min(0).Draw(t, "duration")).String()
	case reflect.TypeFor[Size]():
		return Size(rapid.Int64Min(0).Draw(t, "size")).String()
	case reflect.TypeFor[int]():
		return fmt.Sprint(rapid.IntRange(0, 1e9).Draw(t, "number"))
	case reflect.TypeFor[float64]():
		return fmt.Sprint(rapid.Float64Range(0, 1e6).Draw(t, "fraction"))
	case reflect.TypeFor[bool]():
		return fmt.Sprint(rapid.Bool().Draw(t, "truth"))
	}
	return rapid.StringMatching(`[a-zA-Z0-9:/\-_.$ #世'"{}\[\]&*!|>%@,]{0,20}[a-z]`).
		Filter(func(s string) bool { return !strings.Contains(s, "${") && s == strings.TrimSpace(s) && !isTruth(s) }).Draw(t, "text")
}

// isTruth tells the texts that YAML takes for a boolean unless they are quoted.
func isTruth(text string) bool { return text == "true" || text == "false" }

// render writes a tree as YAML in flow style. If wrong is set, every value is another than the tree's.
func render(n *node, wrong bool) string {
	var parts []string
	switch {
	case n.kind == mapNode:
		for _, e := range n.entries {
			parts = append(parts, e.key+": "+render(e.value, wrong))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case n.kind == listNode:
		for _, item := range n.items {
			parts = append(parts, render(item, wrong))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case wrong:
		return "'wrong'" // Of the wrong type, too, for many: it must not be looked at.
	case decimalNumber.MatchString(n.text), isTruth(n.text):
		return n.text
	}
	return "'" + strings.ReplaceAll(n.text, "'", "''") + "'"
}
