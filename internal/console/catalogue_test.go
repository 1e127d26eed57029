package console

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"carrier/internal/problem"
	"carrier/internal/store"
)

// keyUse finds keys where templates and code name them.
var keyUse = regexp.MustCompile(`"([a-z_]+\.[a-z_0-9]+)"`)

// keyPrefix finds where templates and code put a key together of a fixed part and a word: (print "accounts." .State).
var keyPrefix = regexp.MustCompile(`"([a-z_]+\.(?:[a-z_]+\.)?)"`)

// source is all templates, and all code but the catalogue itself.
func source(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_texts.go") {
			return err
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".html" {
			return nil
		}
		body, err := os.ReadFile(path)
		all.Write(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestCatalogue: every text is there in both languages, takes the same values in both, and is used; every key that is
// used is there.
func TestCatalogue(t *testing.T) {
	code := source(t)
	used := map[string]bool{}
	for _, m := range keyUse.FindAllStringSubmatch(code, -1) {
		used[m[1]] = true
	}
	var prefixes []string
	for _, m := range keyPrefix.FindAllStringSubmatch(code, -1) {
		prefixes = append(prefixes, m[1])
	}
	for key, text := range catalogue {
		if text.En == "" || text.Zh == "" {
			t.Errorf("%s is missing in one language: %+v", key, text)
		}
		if en, zh := verbs(text.En), verbs(text.Zh); en != zh {
			t.Errorf("%s takes %s in English and %s in Chinese", key, en, zh)
		}
		if !used[key] && !hasPrefix(key, prefixes) {
			t.Errorf("%s is used nowhere: take it out", key)
		}
	}
	sections := map[string]bool{}
	for key := range catalogue {
		section, _, _ := strings.Cut(key, ".")
		sections[section] = true
	}
	for key := range used {
		section, _, _ := strings.Cut(key, ".")
		if _, ok := catalogue[key]; !ok && sections[section] && !notKeys[key] {
			t.Errorf("%s is used and not in the catalogue", key)
		}
	}
}

// notKeys look like keys and are none.
var notKeys = map[string]bool{}

func hasPrefix(key string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

var verb = regexp.MustCompile(`%(\[\d+\])?[a-z]`)

// verbs are the values that a text takes, whatever their order.
func verbs(text string) string {
	kinds := map[string]int{}
	for _, v := range verb.FindAllString(strings.ReplaceAll(text, "%%", ""), -1) {
		kinds[v[len(v)-1:]]++
	}
	return fmt.Sprint(kinds)
}

// TestSayFillsIn: values go to their places, which differ between the languages.
func TestSayFillsIn(t *testing.T) {
	if got, want := say(problem.Chinese, "accounts.guard", 3, 20), "保护机制已暂停该账户：20 个中有 3 个被永久拒绝。"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestActsHaveNames: the audit page names every act.
func TestActsHaveNames(t *testing.T) {
	for _, action := range store.Actions() {
		if _, ok := catalogue["act."+action]; !ok {
			t.Errorf("the catalogue has no act.%s", action)
		}
	}
}
