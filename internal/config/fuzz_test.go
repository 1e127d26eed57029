package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad looks for files that crash Load or Check, and for findings that take more than a line or say nothing.
func FuzzLoad(f *testing.F) {
	text, err := os.ReadFile(example)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, seed := range []string{
		"", "server:\n", "accounts:\n- delivery_id: ${A}\n", "a: &a [*a]\n", "<<: {a: 1}\n", "? a\n: b\n", "{a: [b, {c: d}]}",
		"push: {errcodes: {1: x, ~: y, [a]: b}}", "log: |+\n  x\n", "---\n---\n...\n%YAML 1.2\n---\nlog: !!str x", "\ufeff- - - -",
		"sources:\n- api_key_file: c.yaml\n", "log: {level: 0o17, format: .nan}", "'a\n\n b': \"\\u0000\\xff\"", "a: b: c", "- ? - :",
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "c.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, append([]string{"A=1", "CARRIER_ACCOUNTS_0_RATE=1"}, exampleEnv...))
		if err == nil {
			err = c.Check()
			c.Warnings()
		}
		if err == nil {
			return
		}
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok {
			joined = one{err}
		}
		for _, e := range joined.Unwrap() {
			finding, ok := errors.AsType[*Finding](e)
			if !ok || finding.Message == "" {
				t.Errorf("%#v is no finding", e)
			}
			if strings.ContainsAny(finding.Key+finding.Message, "\n\r\x00") {
				t.Errorf("the finding %q takes more than a line", finding)
			}
		}
	})
}

// one is a single error in the shape of joined ones.
type one []error

func (o one) Unwrap() []error { return o }
