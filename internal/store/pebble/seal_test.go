package pebble

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/seal"
)

func mustKeys(t testing.TB, keys ...byte) seal.Keys {
	t.Helper()
	var all [][]byte
	for _, k := range keys {
		all = append(all, bytes.Repeat([]byte{k}, 32))
	}
	s, err := seal.New(all)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealedTokens(t *testing.T) {
	tokens := []store.TokenRecord{{At: 1_800_000_000_000, Value: "NEWEST"}, {At: 1_700_000_000_000, Value: "OLDER"}}
	key := waybillKey(nil, tableTokens, state.Waybill{DeliveryID: "SF", WaybillID: "1"})
	row := sealTokens(mustKeys(t, 1), []byte("before"), key, tokens)
	if bytes.Contains(row, []byte("NEWEST")) || bytes.Contains(row, bytes.Repeat([]byte{1}, 4)) {
		t.Errorf("the row tells its secret: %q", row)
	}
	if again := sealTokens(mustKeys(t, 1), nil, key, tokens); bytes.Equal(row, again) {
		t.Error("sealed twice it is the same: the nonce is not random")
	}
	if at, err := tokensAt(row); at != tokens[0].At || err != nil {
		t.Errorf("the newest came at %d, %v", at, err)
	}
	for name, s := range map[string]seal.Keys{"the key": mustKeys(t, 1), "a newer key and it": mustKeys(t, 2, 1)} {
		if got, err := openTokens(s, key, row); err != nil || !slices.Equal(got, tokens) {
			t.Errorf("with %s: %v, %v", name, got, err)
		}
	}
	for name, s := range map[string]seal.Keys{"no key": nil, "another key": mustKeys(t, 2)} {
		got, err := openTokens(s, key, row)
		if _, ok := errors.AsType[*seal.MissingKeyError](err); !ok || got != nil || !strings.Contains(err.Error(), "store.key_file") {
			t.Errorf("with %s: %v, %v", name, got, err)
		}
	}
	other := waybillKey(nil, tableTokens, state.Waybill{DeliveryID: "SF", WaybillID: "2"})
	if got, err := openTokens(mustKeys(t, 1), other, row); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("as another waybill's row: %v, %v", got, err)
	}
	if got, err := openTokens(mustKeys(t, 1), key, codec.AppendTokens(nil, tokens)); err != nil || !slices.Equal(got, tokens) {
		t.Errorf("a row that is not sealed: %v, %v", got, err)
	}
}

// TestSealedTokensTampered flips every bit, and cuts the row at every byte: nothing is opened.
func TestSealedTokensTampered(t *testing.T) {
	s := mustKeys(t, 1)
	key := []byte("kSF\x001")
	row := sealTokens(s, nil, key, []store.TokenRecord{{At: 1, Value: "T"}})
	for i := range row {
		if got, err := openTokens(s, key, row[:i]); err == nil {
			t.Errorf("cut at %d: %v", i, got)
		}
		for bit := range 8 {
			bad := bytes.Clone(row)
			bad[i] ^= 1 << bit
			if got, err := openTokens(s, key, bad); err == nil {
				t.Errorf("bit %d of byte %d: %v", bit, i, got)
			}
		}
	}
}

func TestBadKeys(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := seal.New([][]byte{make([]byte, 32), make([]byte, n)}); err == nil || !strings.Contains(err.Error(), "key 2") {
			t.Errorf("a key of %d bytes: %v", n, err)
		}
		o := options(t, vfs.NewMem())
		o.TokenKeys = [][]byte{make([]byte, n)}
		if s, err := Open("data", o); err == nil {
			mustClose(t, s)
			t.Errorf("a store with a key of %d bytes opens", n)
		}
	}
}

// TestSealedFiles searches the files for a Token: it is nowhere, neither in tables nor in logs. Plain ones from before
// are sealed with the next change.
func TestSealedFiles(t *testing.T) {
	fs := vfs.NewMem()
	o := options(t, fs)
	s, err := Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	const plain, sealed = "PLAIN-kT5vZ9qBw2", "SEALED-Lr8nX3mHc7"
	w := state.Waybill{DeliveryID: "SF", WaybillID: "1"}
	put := func(w state.Waybill, token string) {
		t.Helper()
		if _, err := s.PutToken(t.Context(), w, token, store.Act{}); err != nil {
			t.Fatal(err)
		}
	}
	put(w, plain)
	mustClose(t, s)
	if len(filesWith(t, fs, "data", plain)) == 0 {
		t.Fatal("the Token is not in the files: the test proves nothing")
	}
	o.TokenKeys = [][]byte{bytes.Repeat([]byte{7}, 32)}
	if s, err = Open("data", o); err != nil {
		t.Fatal(err)
	}
	put(state.Waybill{DeliveryID: "SF", WaybillID: "2"}, sealed)
	e := scanOf("3", 0)
	e.Token = sealed
	mustApply(t, s, e)
	put(w, sealed)
	if found := filesWith(t, fs, "data", sealed); len(found) > 0 {
		t.Errorf("a Token stands in %q", found)
	}
	mustCheck(t, s)
	mustClose(t, s)
	if found := filesWith(t, fs, "data", sealed); len(found) > 0 {
		t.Errorf("a Token stands in %q", found)
	}
	checkDir := func(keys [][]byte) []string {
		o := options(t, fs)
		o.TokenKeys = keys
		report, err := CheckDir(t.Context(), "data", o)
		if err != nil {
			t.Fatal(err)
		}
		return report.Problems
	}
	if got := checkDir(o.TokenKeys); len(got) > 0 {
		t.Errorf("CheckDir with the key: %q", got)
	}
	if got := checkDir(nil); len(got) != 1 || !strings.Contains(got[0], "3 waybills") {
		t.Errorf("CheckDir without the key: %q", got)
	}
}

// TestCheckFindsWhatIsMissing takes rows of orders and Tokens away, or spoils them.
func TestCheckFindsWhatIsMissing(t *testing.T) {
	w := state.Waybill{DeliveryID: "SF", WaybillID: "1"}
	k := store.OrderKey{DeliveryID: "SF", BizID: "B", OrderID: "1"}
	for name, spoil := range map[string]func(*cdb.DB) error{
		"an order that its waybill does not lead to": func(db *cdb.DB) error { return db.Delete(orderedKey(nil, w, 1), cdb.Sync) },
		"a waybill that leads to no order":           func(db *cdb.DB) error { return db.Delete(orderKey(nil, k), cdb.Sync) },
		"a damaged order":                            func(db *cdb.DB) error { return db.Set(orderKey(nil, k), []byte{orderVersion, 1}, cdb.Sync) },
		"damaged Tokens": func(db *cdb.DB) error {
			return db.Set(waybillKey(nil, tableTokens, w), []byte{sealedTokens}, cdb.Sync)
		},
		"damage of what is shown": func(db *cdb.DB) error {
			return db.Set(waybillKey(nil, tableShown, w), []byte{shownVersion, 1}, cdb.Sync)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, "data", options(t, vfs.NewMem()))
			if _, _, err := s.PutOrder(t.Context(), store.Order{OrderKey: k, WaybillID: "1"}, "T"); err != nil {
				t.Fatal(err)
			}
			mustCheck(t, s)
			if err := spoil(s.db); err != nil {
				t.Fatal(err)
			}
			if report, err := s.Check(t.Context()); err != nil || len(report.Problems) == 0 {
				t.Errorf("Check finds nothing: %v", err)
			}
		})
	}
}

// TestUpgradeOf2 opens a store of a format that had no orders.
func TestUpgradeOf2(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, "data", options(t, fs))
	fillSome(t, s, 100)
	want := allLists(t, s)
	if err := s.db.Set(metaFormat, []byte{2}, cdb.Sync); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if report, err := CheckDir(t.Context(), "data", options(t, fs)); err != nil || len(report.Problems) > 0 {
		t.Errorf("CheckDir of format 2: %v, %v", report.Problems, err)
	}
	s = mustOpen(t, "data", options(t, fs))
	if got := allLists(t, s); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("after the upgrade:\n%v, want\n%v", got, want)
	}
	if version, _, err := readIdentity(s.db); version != format || err != nil {
		t.Errorf("the format is %d, %v", version, err)
	}
	mustCheck(t, s)
}
