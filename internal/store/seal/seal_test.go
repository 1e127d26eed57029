package seal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func keys(t *testing.T, fill ...byte) Keys {
	t.Helper()
	var raw [][]byte
	for _, b := range fill {
		raw = append(raw, bytes.Repeat([]byte{b}, 32))
	}
	k, err := New(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealed(t *testing.T) {
	k := keys(t, 1)
	id, where := k[0].id, []byte("where")
	const header = "before"
	sealed := k.Seal([]byte(header), where, []byte("SECRET"))
	if bytes.Contains(sealed, []byte("SECRET")) || bytes.Equal(sealed, k.Seal([]byte(header), where, []byte("SECRET"))) {
		t.Errorf("%q tells its secret, or that it is the same", sealed)
	}
	for name, k := range map[string]Keys{"the key": k, "a newer key and it": keys(t, 2, 1)} {
		if got, err := k.Open(sealed, len(header), where); err != nil || string(got) != "SECRET" {
			t.Errorf("with %s: %q, %v", name, got, err)
		}
	}
	for name, k := range map[string]Keys{"no key": nil, "another key": keys(t, 2)} {
		_, err := k.Open(sealed, len(header), where)
		if missing, ok := errors.AsType[*MissingKeyError](err); !ok || missing.Key != id || !strings.Contains(err.Error(), "store.key_file") {
			t.Errorf("with %s: %v", name, err)
		}
	}
	if got, err := k.Open(sealed, len(header), []byte("elsewhere")); !errors.Is(err, ErrDamaged) {
		t.Errorf("in another place: %q, %v", got, err)
	}
	for i := range sealed {
		if got, err := k.Open(sealed[:i], len(header), where); err == nil {
			t.Errorf("cut at %d: %q", i, got)
		}
		for bit := range 8 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			if got, err := k.Open(bad, len(header), where); err == nil {
				t.Errorf("with bit %d of byte %d flipped: %q", bit, i, got)
			}
		}
	}
}

// TestSecret keeps secrets with a key and without one, the empty one among them.
func TestSecret(t *testing.T) {
	place := []byte("secret")
	for _, secret := range []string{"SECRET", ""} {
		for name, k := range map[string]Keys{"no key": nil, "a key": keys(t, 1)} {
			record := k.SealSecret(place, []byte(secret))
			if got, err := k.OpenSecret(place, record); err != nil || got == nil || string(got) != secret {
				t.Errorf("%q with %s: %q, %v", secret, name, got, err)
			}
			if plain := "\x01" + secret; k == nil && string(record) != plain {
				t.Errorf("the record without a key is %q, want %q", record, plain)
			}
		}
	}
	for _, record := range []string{"", "\x02", "\x02short", "\x03SECRET"} {
		if got, err := keys(t, 1).OpenSecret(place, []byte(record)); !errors.Is(err, ErrDamaged) {
			t.Errorf("the record %q: %q, %v", record, got, err)
		}
	}
}

func TestBadKeys(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := New([][]byte{make([]byte, 32), make([]byte, n)}); err == nil || !strings.Contains(err.Error(), "key 2") {
			t.Errorf("a key of %d bytes: %v", n, err)
		}
	}
}
