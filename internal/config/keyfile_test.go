package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestTokenKeys(t *testing.T) {
	a, b := bytes.Repeat([]byte{0xa1}, 32), bytes.Repeat([]byte{0xff}, 32)
	b64 := base64.StdEncoding.EncodeToString
	for _, tt := range []struct {
		name, text string
		want       [][]byte
		err        string // "": none.
	}{
		{name: "base64", text: b64(a) + "\n", want: [][]byte{a}},
		{name: "base64 without padding", text: strings.TrimRight(b64(a), "="), want: [][]byte{a}},
		{name: "hex", text: hex.EncodeToString(a), want: [][]byte{a}},
		{name: "upper hex", text: strings.ToUpper(hex.EncodeToString(a)), want: [][]byte{a}},
		{name: "two, newest first", text: b64(b) + "\r\n" + hex.EncodeToString(a) + "\r\n", want: [][]byte{b, a}},
		{name: "comments", text: "\ufeff# since 2026\n\n  " + b64(a) + "  # the newest\n#" + b64(b) + "\n", want: [][]byte{a}},
		{name: "nothing", text: "", err: "holds no key"},
		{name: "only comments", text: "# none yet\n", err: "holds no key"},
		{name: "31 bytes", text: b64(a[:31]), err: "line 1 is no key of 32 bytes"},
		{name: "33 bytes", text: "#\n" + b64(append(slices.Clone(a), 1)), err: "line 2 is no key of 32 bytes"},
		{name: "hex of 31 bytes", text: hex.EncodeToString(a[:31]), err: "line 1"},
		{name: "64 characters that are no hex", text: strings.Repeat("g", 64), err: "line 1"},
		{name: "base64 for URLs", text: base64.URLEncoding.EncodeToString(b), err: "line 1"},
		{name: "two on a line", text: b64(a) + " " + b64(b), err: "line 1"},
		{name: "a PEM file", text: "-----BEGIN PRIVATE KEY-----\n", err: "line 1"},
		{name: "the same twice", text: b64(a) + "\n" + hex.EncodeToString(a), err: "line 2 repeats"},
		{name: "too large", text: strings.Repeat("\n", maxSecretBytes+1), err: "64 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFolder(t, map[string]string{"keys": tt.text})
			got, err := Store{KeyFile: "keys"}.TokenKeys()
			if !slices.EqualFunc(got, tt.want, bytes.Equal) {
				t.Errorf("got %x, want %x", got, tt.want)
			}
			switch {
			case (err != nil) != (tt.err != ""), err != nil && !strings.Contains(err.Error(), tt.err):
				t.Errorf("the error is %v, want %q", err, tt.err)
			case err != nil && (strings.Contains(err.Error(), b64(a)[:8]) || strings.Contains(err.Error(), hex.EncodeToString(a)[:8])):
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
	if got, err := (Store{}).TokenKeys(); got != nil || err != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
}

func TestKeyFileForAllEyes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows keeps that elsewhere")
	}
	inFolder(t, map[string]string{"keys": strings.Repeat("ab", 32), "c.yaml": "store: {key_file: keys}\n"})
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.Chmod("keys", mode); err != nil {
			t.Fatal(err)
		}
		c, err := Load("c.yaml", nil)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.ContainsFunc(c.Warnings(), func(w string) bool { return strings.HasPrefix(w, "store.key_file: keys: is readable by everyone") })
		if got != want {
			t.Errorf("mode %o: warned %v, want %v: %q", mode, got, want, c.Warnings())
		}
	}
}
