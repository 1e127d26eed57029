package storetest

import (
	"bytes"
	"strings"

	"carrier/internal/store"
)

var secretTests = map[string]func(*fixture){
	"secrets are kept":                 secretsKept,
	"secrets under a key":              secretsSealed,
	"a key of a secret that is lost":   secretsLost,
	"names and values have bounds":     secretsBounded,
	"an empty secret is not none":      secretsEmpty,
	"a caller's bytes are not the own": secretsCopied,
}

func (f *fixture) put(name, value string) {
	f.Helper()
	if err := f.store.PutSecret(f.Context(), name, []byte(value)); err != nil {
		f.Fatalf("PutSecret(%s): %v", name, err)
	}
}

// secret wants a value under a name; "" stands for none.
func (f *fixture) secret(name, want string) {
	f.Helper()
	got, err := f.store.Secret(f.Context(), name)
	if err != nil || string(got) != want || (got == nil) != (want == "") {
		f.Errorf("Secret(%s) = %q, %v; want %q", name, got, err, want)
	}
}

func secretsKept(f *fixture) {
	f.secret("a", "")
	f.put("a", "1")
	f.put("a/b", "2")
	f.put("a", "3")
	for range 2 {
		f.secret("a", "3")
		f.secret("a/b", "2")
		f.secret("a/", "")
		f.reopen()
	}
}

func secretsSealed(f *fixture) {
	f.put("plain", "P")
	f.keys(key(1))
	f.secret("plain", "P")
	f.put("1", "A")
	f.keys(key(2), key(1))
	f.secret("plain", "P")
	f.secret("1", "A")
	f.put("1", "B")
	f.put("plain", "Q")
	f.keys(key(2))
	f.secret("1", "B")
	f.secret("plain", "Q")
}

func secretsLost(f *fixture) {
	f.keys(key(1))
	f.put("1", "A")
	f.keys(key(2))
	got, err := f.store.Secret(f.Context(), "1")
	if err == nil || got != nil || !strings.Contains(err.Error(), "store.key_file") {
		f.Errorf("Secret = %q, %v; want an error that names store.key_file", got, err)
	}
	report, err := f.store.Check(f.Context())
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "store.key_file") {
		f.Errorf("Check: %q, %v", report.Problems, err)
	}
	f.put("1", "B") // What is lost can be replaced.
	f.secret("1", "B")
}

func secretsBounded(f *fixture) {
	f.put(strings.Repeat("n", store.MaxSecretName), strings.Repeat("v", store.MaxSecret))
	for name, value := range map[string]int{"": 1, strings.Repeat("n", store.MaxSecretName+1): 1, "long": store.MaxSecret + 1} {
		if err := f.store.PutSecret(f.Context(), name, bytes.Repeat([]byte("CANARY"), value)); err == nil || strings.Contains(err.Error(), "CANARY") {
			f.Errorf("PutSecret(%.10s..., %d) = %v; want an error without the value", name, value, err)
		}
	}
	f.secret("long", "")
}

func secretsEmpty(f *fixture) {
	for _, keys := range [][][]byte{nil, {key(1)}} {
		f.keys(keys...)
		f.put("empty", "")
		if got, err := f.store.Secret(f.Context(), "empty"); err != nil || got == nil || len(got) != 0 {
			f.Errorf("Secret = %v, %v; want an empty one", got, err)
		}
	}
}

func secretsCopied(f *fixture) {
	value := []byte("before")
	f.put("a", "")
	if err := f.store.PutSecret(f.Context(), "a", value); err != nil {
		f.Fatal(err)
	}
	copy(value, "change")
	got, _ := f.store.Secret(f.Context(), "a")
	copy(got, "spoilt")
	f.secret("a", "before")
}
