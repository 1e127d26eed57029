package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/migrate"
)

// fakeStore holds records by their keys.
type fakeStore struct {
	records map[string]*store.Record
	commits int
	broken  error // What reading ends with.
	reverse bool  // It gives them in the wrong order.
}

func newFake() *fakeStore { return &fakeStore{records: map[string]*store.Record{}} }

func (f *fakeStore) put(r *store.Record) { f.records[r.Key()] = r }

func (f *fakeStore) Export(ctx context.Context, use func(*store.Record) error) error {
	keys := slices.Sorted(maps.Keys(f.records))
	if f.reverse {
		slices.Reverse(keys)
	}
	for _, key := range keys {
		if err := errors.Join(context.Cause(ctx), use(f.records[key])); err != nil {
			return err
		}
	}
	return f.broken
}

func (f *fakeStore) Import(_ context.Context, records []*store.Record, gone []string) error {
	f.commits++
	next := maps.Clone(f.records) // Who reads goes on with what was there.
	for _, key := range gone {
		if next[key] == nil {
			return fmt.Errorf("%s is forgotten and was not there", key)
		}
		delete(next, key)
	}
	for _, r := range records {
		next[r.Key()] = r
	}
	f.records = next
	return nil
}

func (f *fakeStore) Finish(context.Context) error { return nil }
func (f *fakeStore) Close() error                 { return nil }

// drawStore is a store with a few records, of which another one has some, some otherwise, and some not.
func drawStore(t *rapid.T, label string) *fakeStore {
	f := newFake()
	for n := range rapid.IntRange(0, 30).Draw(t, label) {
		id, version := rapid.IntRange(0, 20).Draw(t, "id"), rapid.IntRange(0, 2).Draw(t, "version")
		switch n % 3 {
		case 0:
			f.put(&store.Record{Secret: &store.SecretRecord{Name: fmt.Sprint(id), Value: []byte{byte(version)}}})
		case 1:
			f.put(&store.Record{Act: &store.AuditEntry{Number: uint64(id), Seq: uint64(version)}})
		case 2:
			w := &store.WaybillRecord{DeliveryID: "SF", WaybillID: fmt.Sprint(id)}
			for seq := range version * 300 {
				w.Events = append(w.Events, store.EventRecord{Seq: uint64(seq), Event: state.Event{Msg: "正在派件"}})
			}
			f.put(&store.Record{Waybill: w})
		}
	}
	return f
}

func TestCopyMakesEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := drawStore(t, "from"), drawStore(t, "to")
		missing, removed := 0, 0
		for key, r := range from.records {
			if other := to.records[key]; other == nil || digest(t, other) != digest(t, r) {
				missing++
			}
		}
		for key := range to.records {
			if from.records[key] == nil {
				removed++
			}
		}
		want := migrate.Report{Records: len(from.records), Events: events(from), Carried: missing, Removed: removed}
		if got, err := migrate.Compare(t.Context(), from, to, nil); err != nil || got != want {
			t.Fatalf("Compare: %+v, %v; want %+v", got, err, want)
		}
		if got, err := migrate.Copy(t.Context(), from, to, nil); err != nil || got != want {
			t.Fatalf("Copy: %+v, %v; want %+v", got, err, want)
		}
		if !maps.EqualFunc(from.records, to.records, func(a, b *store.Record) bool { return digest(t, a) == digest(t, b) }) {
			t.Fatalf("the target is not what the source is")
		}
		commits := to.commits
		if got, err := migrate.Copy(t.Context(), from, to, nil); err != nil || !got.Same() || to.commits != commits {
			t.Fatalf("Copy once more: %+v, %v, %d commits", got, err, to.commits-commits)
		}
	})
}

func digest(t *rapid.T, r *store.Record) [32]byte {
	d, err := r.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func events(f *fakeStore) (n int) {
	for _, r := range f.records {
		if r.Waybill != nil {
			n += len(r.Waybill.Events)
		}
	}
	return n
}

func TestTrouble(t *testing.T) {
	filled := func(edit func(*fakeStore)) *fakeStore {
		f := newFake()
		for n := range 5 {
			f.put(&store.Record{Act: &store.AuditEntry{Number: uint64(n)}})
		}
		edit(f)
		return f
	}
	same := func(*fakeStore) {}
	broken := errors.New("the disk is gone")
	for _, tt := range []struct {
		name     string
		from, to func(*fakeStore)
		want     string
	}{
		{"the source ends early", func(f *fakeStore) { f.broken = broken }, same, "reading the source: the disk is gone"},
		{"the target ends early", same, func(f *fakeStore) { f.broken = broken }, "reading the target: the disk is gone"},
		{"the source is in no order", func(f *fakeStore) { f.reverse = true }, same, "reading the source: \"act/0000000000000003\" comes after"},
		{"the target is in no order", same, func(f *fakeStore) { f.reverse = true }, "reading the target: \"act/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := migrate.Copy(t.Context(), filled(tt.from), filled(tt.to), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Copy: %v, want %q", err, tt.want)
			}
		})
	}
}
