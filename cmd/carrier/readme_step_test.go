package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// TestReadmesAreInStep holds the two languages together line by line: what is a heading, an item, a row or a line of
// code in one is the same in the other, code reads alike but for its comments, and a row explains the same word.
func TestReadmesAreInStep(t *testing.T) {
	en, zh := shapes(read(t, readmes[0].file)), shapes(read(t, readmes[1].file))
	for i := range min(len(en), len(zh)) {
		if en[i] != zh[i] {
			t.Fatalf("line %d is %q in %s and %q in %s; both languages say the same on the same line",
				i+1, en[i], readmes[0].file, zh[i], readmes[1].file)
		}
	}
	if len(en) != len(zh) {
		t.Errorf("%d lines in %s, %d in %s", len(en), readmes[0].file, len(zh), readmes[1].file)
	}
}

var (
	heading = regexp.MustCompile(`^#+ `)
	item    = regexp.MustCompile(`^\s*(-|\d+\.) `)
	picture = regexp.MustCompile(`^!\[.*\]\((.*)\)$`)
	// comment is what may differ in a code block: it is in the reader's language.
	comment = regexp.MustCompile(`\s*#.*$`)
	// codeCell is a cell that is one word of the code.
	codeCell = regexp.MustCompile("^`[^`]+`$")
	// separator is an unescaped border of a table's cells.
	separator = regexp.MustCompile(`(^|[^\\])\|`)
)

// shapes are the lines of a document without what is said in words.
func shapes(text string) []string {
	var all []string
	code := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence || code:
			all = append(all, comment.ReplaceAllString(line, ""))
		default:
			all = append(all, shape(line))
		}
		code = code != fence
	}
	return all
}

// shape is what a line of prose is.
func shape(line string) string {
	switch {
	case line == "", strings.HasPrefix(line, "<!--"):
		return line
	case heading.MatchString(line):
		return heading.FindString(line)
	case picture.MatchString(line):
		return "![" + strings.Replace(picture.FindStringSubmatch(line)[1], ".zh-CN.", ".", 1) // Each has its language's.
	case strings.HasPrefix(line, "|"):
		return row(line)
	case item.MatchString(line):
		return item.FindString(line)
	}
	return "text"
}

// row is a table's row: how many cells it has and, if that is a word of the code, its first.
func row(line string) string {
	cells := separator.Split(strings.Trim(line, "|"), -1)
	first := strings.TrimSpace(cells[0])
	if !codeCell.MatchString(first) {
		first = "..."
	}
	return fmt.Sprintf("| %s | and %d cells", first, len(cells)-1)
}

// TestReadmeLinks follows every link to a heading and to a file of the repository.
func TestReadmeLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	for _, r := range readmes {
		text := read(t, r.file)
		there := anchors(text)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			switch {
			case strings.Contains(file, "://"):
			case file == "" && !slices.Contains(there, anchor):
				t.Errorf("%s links to #%s, and there is no such heading", r.file, anchor)
			case file != "":
				if _, err := os.Stat(filepath.Join(filepath.Dir(r.file), file)); err != nil {
					t.Errorf("%s links to a file that is not there: %v", r.file, err)
				}
			}
		}
	}
}

// anchors are the headings as addresses: small letters, spaces as hyphens, without punctuation.
func anchors(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if !heading.MatchString(line) {
			continue
		}
		all = append(all, strings.Map(func(c rune) rune {
			switch {
			case c == ' ':
				return '-'
			case unicode.IsLetter(c), unicode.IsDigit(c), c == '-', c == '_':
				return unicode.ToLower(c)
			}
			return -1
		}, strings.TrimSpace(heading.ReplaceAllString(line, ""))))
	}
	return all
}
