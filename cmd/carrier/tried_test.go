package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testName = regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	longRun  = regexp.MustCompile("`go test \\./(\\S+) -run (\\w+)\\$? -([\\w-]+) \\d+\\w*( -timeout \\w+)?`")
)

// TestWhatWasTriedExists looks for each test, and each command for a long run, that the tables of fault tests name.
func TestWhatWasTriedExists(t *testing.T) {
	sources := map[string]string{} // By folder: the text of its tests.
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			sources[filepath.Dir(path)] += read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, text := range sources {
		all += text
	}
	for i, title := range []string{"\n## What was tried\n", "\n## 故障测试\n"} {
		_, section, ok := strings.Cut(read(t, readmes[i].file), title)
		section, _, _ = strings.Cut(section, "\n## ")
		names := testName.FindAllStringSubmatch(section, -1)
		if !ok || len(names) < 30 {
			t.Fatalf("%s has no table of what was tried, or it names only %d tests", readmes[i].file, len(names))
		}
		for _, m := range names {
			if !strings.Contains(all, "\nfunc "+m[1]+"(") {
				t.Errorf("%s names %s, which is no test", readmes[i].file, m[1])
			}
		}
		runs := longRun.FindAllStringSubmatch(section, -1)
		if want := strings.Count(section, "`go test ./") - 1; len(runs) != want { // One is in the introduction.
			t.Errorf("%s: %d commands for long runs can be read, want %d", readmes[i].file, len(runs), want)
		}
		for _, m := range runs {
			text := sources[filepath.Join("..", "..", filepath.FromSlash(m[1]))]
			if !strings.Contains(text, "\nfunc "+m[2]) || !strings.Contains(text, `flag.Int("`+m[3]+`"`) && !strings.Contains(text, `flag.Duration("`+m[3]+`"`) {
				t.Errorf("%s: in %s there is no test %s, or no flag -%s", readmes[i].file, m[1], m[2], m[3])
			}
		}
	}
}
