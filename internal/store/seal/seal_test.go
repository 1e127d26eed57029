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
	id, where := k.Newest(), []byte("where")
	sealed := k.Seal([]byte("before"), []byte("SECRET"), where)[len("before"):]
	if bytes.Contains(sealed, []byte("SECRET")) || bytes.Equal(sealed, k.Seal(nil, []byte("SECRET"), where)) {
		t.Errorf("%q tells its secret, or that it is the same", sealed)
	}
	for name, k := range map[string]Keys{"the key": k, "a newer key and it": keys(t, 2, 1)} {
		if got, err := k.Open(id, sealed, where); err != nil || string(got) != "SECRET" {
			t.Errorf("with %s: %q, %v", name, got, err)
		}
	}
	for name, k := range map[string]Keys{"no key": nil, "another key": keys(t, 2)} {
		_, err := k.Open(id, sealed, where)
		if missing, ok := errors.AsType[*MissingKeyError](err); !ok || missing.Key != id || !strings.Contains(err.Error(), "store.key_file") {
			t.Errorf("with %s: %v", name, err)
		}
	}
	if got, err := k.Open(id, sealed, []byte("elsewhere")); !errors.Is(err, ErrDamaged) {
		t.Errorf("in another place: %q, %v", got, err)
	}
	for i := range len(sealed) * 8 {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		if got, err := k.Open(id, bad, where); !errors.Is(err, ErrDamaged) {
			t.Errorf("with bit %d flipped: %q, %v", i, got, err)
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
