package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"carrier/internal/problem"
)

// counted are nouns that people read with a number before them.
const counted = `pushes|events|waybills|scans|requests|attempts|tries|orders|Tokens|letters|replays|nodes|rows|records|findings|problems|
	differences|calls|notices|accounts|sources|keys|tokens|times|items|entries|others|refusals|answers|seconds|minutes|hours|days|commits`

// tooMany finds what a count of one makes wrong: "1 pushes have failed".
var tooMany = regexp.MustCompile(`\b1 (?:(?:[a-z-]+ ){0,2}|[a-z]+ or [a-z]+ )(?:` + strings.Join(strings.Fields(counted), "") + `)\b`)

// limits are numbers that are settings or constants, and never one.
var limits = regexp.MustCompile(`(?i)(?:at most|at least|more than|to|last|after|below) 1\b`)

// numbers are the verbs that a count may fill in.
var numbers = regexp.MustCompile(`%(?:\[\d\])?[dsv]`)

// TestPluralsOfTexts reads the English half of every text that people see in two languages, with 1 for every number.
func TestPluralsOfTexts(t *testing.T) {
	found := 0
	for _, root := range []string{"..", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, text := range englishOf(file) {
				found++
				one := problem.Sprintf(numbers.ReplaceAllString(text, "1"), 1, 1, 1, 1, 1, 1, 1, 1, 1)
				one, _, _ = strings.Cut(one, "%!(EXTRA")
				if wrong := tooMany.FindString(limits.ReplaceAllString(one, "$0-")); wrong != "" {
					t.Errorf("%s: %q in %q: write it in both forms, {1:push|pushes} (see problem.Sprintf)", path, wrong, text)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 500 {
		t.Errorf("only %d texts were found: the test looks at the wrong places", found)
	}
}

// bilingual are the functions whose first two arguments are a text in English and in Chinese.
var bilingual = map[string]bool{"Textf": true, "textf": true, "Sayf": true, "sayf": true, "Say": true, "say": true}

// englishOf lists the English texts of a file: of calls of bilingual functions, and of literals with En and Zh.
func englishOf(file *ast.File) (texts []string) {
	literal := func(e ast.Expr) {
		if text, ok := constant(e); ok {
			texts = append(texts, text)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if len(n.Args) < 2 || !bilingual[calledName(n)] {
				break
			}
			if _, ok := constant(n.Args[1]); ok {
				literal(n.Args[0])
			}
		case *ast.CompositeLit:
			if len(n.Elts) != 2 {
				break
			}
			if pair, ok := n.Elts[0].(*ast.KeyValueExpr); ok {
				if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "En" {
					literal(pair.Value)
				}
			} else if _, second := constant(n.Elts[1]); second {
				literal(n.Elts[0])
			}
		}
		return true
	})
	return texts
}

// calledName is the last part of what is called.
func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// constant is a string literal, or several that are added up.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := constant(e.X)
		right, both := constant(e.Y)
		return left + right, ok && both && e.Op == token.ADD
	}
	return "", false
}
