package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestPagesEndInTime: a search that has taken its time gives what it has, and where to go on.
func TestPagesEndInTime(t *testing.T) {
	t.Parallel()
	s := openStore(t, testOptions(t))
	var events []state.Event
	for n := range 50 {
		events = append(events, scanOf(fmt.Sprint(n), 1, state.PickupDone))
	}
	if _, err := s.Apply(t.Context(), events); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	for _, ascending := range []bool{false, true} {
		var got []uint64
		q := store.Query{Limit: 4, Ascending: ascending}
		for range 100 {
			next := onePage(t, s, &q, &got)
			if next == 0 {
				break
			}
			if q.Ascending {
				q.After = next
			} else {
				q.Before = next
			}
		}
		if !ascending {
			slices.Reverse(got)
		}
		if len(got) != 50 || !slices.IsSorted(got) {
			t.Errorf("ascending %v: the pages have %v", ascending, got)
		}
	}
}

// onePage reads a page with windows of 10 numbers, of which it may look at one.
func onePage(t *testing.T, s *Store, q *store.Query, got *[]uint64) (next uint64) {
	t.Helper()
	err := s.view(t.Context(), func(tx pgx.Tx) error {
		f, err := newSearch(t.Context(), s, tx, q, false)
		if err != nil {
			return err
		}
		f.window = 10
		for f.goesOn() {
			f.ends = time.Time{}
			rows, err := f.read()
			if err != nil {
				return err
			}
			for _, r := range rows {
				if f.found(r.seq) {
					*got = append(*got, r.seq)
				}
			}
		}
		next = f.next
		return nil
	})
	if err != nil {
		t.Fatalf("a page: %v", err)
	}
	return next
}

// TestListsOfOddWords: what no row can hold matches none, and is no error.
func TestListsOfOddWords(t *testing.T) {
	t.Parallel()
	s := openStore(t, testOptions(t))
	if _, err := s.Apply(t.Context(), []state.Event{scanOf("1", 1, state.PickupDone)}); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	for name, q := range map[string]store.Query{
		"a zero byte": {Source: "\x00"}, "no UTF-8": {WaybillID: "\xff"}, "a large code": {Errcode: new(1 << 40)},
		"a verdict that is not kept": {Verdict: state.Duplicate}, "an unknown reason": {Reason: "'; DROP TABLE events; --"},
		"before all": {Before: 1}, "after all": {After: 1 << 63},
	} {
		for list, get := range map[string]func(context.Context, store.Query) (int, error){
			"pushes": func(ctx context.Context, q store.Query) (int, error) {
				p, err := s.Pushes(ctx, q)
				return len(p.Items), err
			},
			"events": func(ctx context.Context, q store.Query) (int, error) {
				p, err := s.Events(ctx, q)
				return len(p.Items), err
			},
		} {
			q.Limit = 10
			if n, err := get(t.Context(), q); err != nil || n != 0 {
				t.Errorf("%s of %s: %d, %v", list, name, n, err)
			}
		}
	}
	if _, err := s.ReadOrder(t.Context(), store.OrderKey{OrderID: "\xff\x00"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("ReadOrder: %v, want ErrNotFound", err)
	}
}
