package config

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// The descriptions and the structs name the same keys.
func TestEveryKeyIsDescribed(t *testing.T) {
	var inStructs []string
	for _, l := range leaves() {
		inStructs = append(inStructs, l.pattern)
	}
	described := slices.Collect(maps.Keys(keys))
	slices.Sort(inStructs)
	slices.Sort(described)
	if !slices.Equal(inStructs, described) {
		t.Errorf("structs      %q\ndescriptions %q", inStructs, described)
	}
	for _, table := range []map[string]about{keys, sections} {
		for key, a := range table {
			checkText(t, key, a.en, ".")
			checkText(t, key, a.zh, "。")
			if !strings.ContainsFunc(a.zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("%s: %q is no Chinese", key, a.zh)
			}
			if halfWidth.MatchString(a.zh) {
				t.Errorf("%s: %q has a comma, colon or semicolon of Latin text", key, a.zh)
			}
		}
	}
}

// halfWidth finds Latin punctuation within Chinese text.
var halfWidth = regexp.MustCompile(`\p{Han}[,:;]([^/]|$)|[,;]\p{Han}`)

func checkText(t *testing.T, key, text, end string) {
	t.Helper()
	if !strings.HasSuffix(text, end) || text != strings.TrimSpace(text) {
		t.Errorf("%s: %q is no sentence", key, text)
	}
}

// Every mapping is described too, but for the root.
func TestEverySectionIsDescribed(t *testing.T) {
	want := map[string]bool{}
	for _, l := range leaves() {
		for p := parent(l.pattern); p != ""; p = parent(p) {
			if _, leaf := keys[p]; !leaf {
				want[p] = true
			}
		}
	}
	for p := range want {
		if _, ok := sections[p]; !ok {
			t.Errorf("%s has no description", p)
		}
	}
	for p := range sections {
		if !want[p] {
			t.Errorf("%s is described and no mapping", p)
		}
	}
}

// The example shows every key once and no other, and nothing but defaults where there is one.
func TestExampleHasEveryKey(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(string(text), "\n"); first != "# yaml-language-server: $schema=carrier.schema.json" {
		t.Errorf("the first line is %q", first)
	}
	root, err := parseYAML("carrier.yaml", []byte(withMerchants(t, string(text))))
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	patternsOf(root, "", &got)
	for _, l := range leaves() {
		if !isListOfStructs(l.typ) {
			want = append(want, l.pattern)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if halfWidth.MatchString(line) {
			t.Errorf("line %d has a comma, colon or semicolon of Latin text: %s", i+1, line)
		}
	}
}

// patternsOf lists the keys of a tree that hold no mapping.
func patternsOf(n *node, pattern string, patterns *[]string) {
	switch {
	case n.kind == mapNode && pattern != "push.errcodes":
		for _, e := range n.entries {
			patternsOf(e.value, join(pattern, e.key), patterns)
		}
	case n.kind == listNode && len(n.items) > 0 && n.items[0].kind == mapNode:
		for _, item := range n.items {
			patternsOf(item, pattern+"[]", patterns)
		}
	default:
		*patterns = append(*patterns, pattern)
	}
}

// withMerchants puts the example's commented merchants in force.
func withMerchants(t *testing.T, text string) string {
	t.Helper()
	before, after, ok := strings.Cut(text, "\nmerchants: []\n")
	lines := strings.Split(after, "\n")
	n := 0
	for n < len(lines) && strings.HasPrefix(lines[n], "#  ") {
		lines[n] = lines[n][1:]
		n++
	}
	if !ok || n == 0 {
		t.Fatal("the example has no commented merchants")
	}
	return before + "\nmerchants:\n" + strings.Join(lines, "\n")
}

func TestReference(t *testing.T) {
	for _, zh := range []bool{false, true} {
		lines := strings.Split(strings.TrimSuffix(Reference(zh), "\n"), "\n")
		if len(lines) != 2+len(keys) {
			t.Fatalf("zh %t: %d lines, want %d keys", zh, len(lines), len(keys))
		}
		for i, l := range leaves() {
			line := lines[2+i]
			if !strings.HasPrefix(line, "| `"+l.pattern+"` | ") || !strings.Contains(line, escapeCell(meaningOf(l.pattern, zh))) {
				t.Errorf("zh %t: %s is described by %s", zh, l.pattern, line)
			}
			if cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); cells != 6 {
				t.Errorf("zh %t: %s has %d bars, want 6", zh, line, cells)
			}
		}
	}
	for _, want := range []string{
		"| `store.retention` | duration | `720h` | restart | Delivered events and dead letters older than this are pruned; failed events stay, and with NATS those whose outcome was not told yet. 0 keeps all. |",
		"| `accounts[].token_mode` | `stable` `basic` `none` | `stable` |",
		"| `accounts[].delivery_id` | text | required |",
		"| `admin.tokens[].token` | secret, or `token_file` | `\"\"` |",
		"| `push.errcodes` | errcode: scope | `{}` |",
		"| `push.breaker.min_requests` | whole number | `20` | yes |",
	} {
		if !strings.Contains(Reference(false), want) {
			t.Errorf("no line begins with %s", want)
		}
	}
}
