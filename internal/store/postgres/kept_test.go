package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/postgres/pgtest"
)

// openNodes opens one database as several nodes.
func openNodes(t *testing.T, n int, o Options) (nodes []*Store) {
	t.Helper()
	db := pgtest.Start(t)
	for i := range n {
		o.Node = fmt.Sprintf("node-%d", i)
		s, err := Open(t.Context(), db.URL(), o)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		nodes = append(nodes, s)
	}
	return nodes
}

// checkStore sees that all that is kept twice agrees.
func checkStore(t *testing.T, s *Store) {
	t.Helper()
	report, err := s.Check(t.Context())
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("Check: %q, %v", report.Problems, err)
	}
}

func deliver(t *testing.T, s *Store, w state.Waybill, seq uint64) {
	t.Helper()
	done := make(chan error, 1)
	s.Settle(store.Outcome{Seq: seq, Waybill: w, Status: store.Delivered}, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatalf("Settle(%d): %v", seq, err)
	}
}

// TestNodesTakeOneOrder repeats an order on two nodes at once, each time with another waybill: one answer.
func TestNodesTakeOneOrder(t *testing.T) {
	t.Parallel()
	nodes := openNodes(t, 2, testOptions(t))
	for n := range 20 {
		answers, fresh := make([]store.Order, 6), make([]bool, 6)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				o := store.Order{
					OrderKey: store.OrderKey{DeliveryID: "SF", BizID: "B", OrderID: fmt.Sprint(n)}, WaybillID: fmt.Sprintf("%d-%d", n, i),
				}
				var err error
				if answers[i], fresh[i], err = nodes[i%2].PutOrder(t.Context(), o, fmt.Sprint(i)); err != nil {
					t.Errorf("PutOrder: %v", err)
				}
			})
		}
		wg.Wait()
		first := 0
		for i := range answers {
			if answers[i] != answers[0] {
				t.Errorf("two answers: %+v and %+v", answers[0], answers[i])
			}
			if fresh[i] {
				first++
			}
		}
		if first != 1 {
			t.Errorf("%d of them were the first", first)
		}
	}
	checkStore(t, nodes[1])
}

// TestNodesTakeOneUse: of two contents under one signature one may be used, whichever node is asked.
func TestNodesTakeOneUse(t *testing.T) {
	t.Parallel()
	nodes := openNodes(t, 2, testOptions(t))
	until := time.Now().Add(time.Minute)
	for n := range 20 {
		allowed := make([]bool, 2)
		var wg sync.WaitGroup
		for i, s := range nodes {
			wg.Go(func() {
				var err error
				if allowed[i], err = s.FirstUse(t.Context(), fmt.Sprint(n), [32]byte{byte(i)}, until); err != nil {
					t.Errorf("FirstUse: %v", err)
				}
			})
		}
		wg.Wait()
		if allowed[0] == allowed[1] {
			t.Errorf("signature %d may be used with both contents: %v", n, allowed[0])
		}
	}
}

// TestNodesCancelOnce lets a pickup on one node and a cancellation on another meet: one of them wins.
func TestNodesCancelOnce(t *testing.T) {
	t.Parallel()
	nodes := openNodes(t, 2, testOptions(t))
	for n := range 30 {
		id := fmt.Sprint(n)
		key := store.OrderKey{DeliveryID: "SF", BizID: "B", OrderID: id}
		if _, _, err := nodes[0].PutOrder(t.Context(), store.Order{OrderKey: key, WaybillID: id}, "T"); err != nil {
			t.Fatalf("PutOrder: %v", err)
		}
		var wg sync.WaitGroup
		var r []store.Result
		var c store.Cancellation
		var rerr, cerr error
		wg.Go(func() { r, rerr = nodes[0].Apply(t.Context(), []state.Event{scanOf(id, 1, state.PickupDone)}) })
		wg.Go(func() {
			c, cerr = nodes[1].CancelOrder(t.Context(), key, state.Event{ID: "c" + id, Source: "wechat", Time: 1, Type: state.Cancelled})
		})
		wg.Wait()
		if rerr != nil || cerr != nil || (r[0].Verdict == state.Accepted) == (c.Verdict == state.Accepted) {
			t.Fatalf("waybill %s: the pickup %+v (%v), the cancellation %+v (%v)", id, r, rerr, c, cerr)
		}
	}
	checkStore(t, nodes[0])
}

// TestNoticesWaitForTransactions: a notice is not shown while one with a lower number may still appear.
func TestNoticesWaitForTransactions(t *testing.T) {
	t.Parallel()
	s := openStore(t, testOptions(t))
	r, err := s.Apply(t.Context(), []state.Event{scanOf("1", 1, state.PickupDone)})
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	other, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{lockNotices, "SELECT nextval('notice_numbers')"} {
		if _, err := other.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	deliver(t, s, state.Waybill{DeliveryID: "SF", WaybillID: "1"}, r[0].Seq)
	if list, err := s.Notices(t.Context(), 0, 10); err != nil || len(list) != 0 {
		t.Errorf("Notices: %+v, %v; want none before the lower number's transaction has ended", list, err)
	}
	if err := s.Told(t.Context(), 99); err != nil {
		t.Errorf("Told: %v", err)
	}
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Notices(t.Context(), 0, 10); err != nil || len(list) != 1 || list[0].Seq != r[0].Seq || list[0].Number != 2 {
		t.Errorf("Notices: %+v, %v; want number 2", list, err)
	}
}

func TestHorizon(t *testing.T) {
	t.Parallel()
	var h horizon
	for i, c := range []struct {
		last   uint64
		makers []string
		want   uint64
	}{
		{5, nil, 5},
		{9, []string{"a", "b"}, 5},       // 9 is final once a and b have ended.
		{12, []string{"b", "c"}, 5},      // b has not.
		{15, []string{"c", "d"}, 9},      // From here on 15 waits for c and d.
		{15, []string{"d", "e", "f"}, 9}, // Theirs is behind it.
		{16, []string{"e"}, 15},
		{20, nil, 20},
	} {
		if got := h.see(c.last, c.makers); got != c.want {
			t.Errorf("step %d: up to %d all is final, want %d", i, got, c.want)
		}
	}
}

// TestLettersAreBounded floods the store with messages that can't be read.
func TestLettersAreBounded(t *testing.T) {
	t.Parallel()
	for name, bounds := range map[string]Options{"by number": {maxLetters: 32}, "by bytes": {maxLetterBytes: 32 * 1000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(t)
			o.maxLetters, o.maxLetterBytes = bounds.maxLetters, bounds.maxLetterBytes
			s := openStore(t, o)
			for n := 1; n <= 80; n++ {
				if err := s.PutDeadLetter(t.Context(), store.DeadLetter{Source: "\xff\x00", Body: make([]byte, 990)}); err != nil {
					t.Fatalf("PutDeadLetter: %v", err)
				}
				page, err := s.DeadLetters(t.Context(), 0, 100)
				if err != nil || len(page.Items) > 32 || n > 32 && len(page.Items) < 30 {
					t.Fatalf("after %d there are %d, %v", n, len(page.Items), err)
				}
				if got := page.Items[0].Number; got != uint64(n) {
					t.Errorf("letter %d has number %d", n, got)
				}
			}
			if s.letters.dropped.Load() == 0 {
				t.Error("nobody is told of those that were dropped")
			}
			checkStore(t, s)
		})
	}
}

// TestBackupSaysHow: what PostgreSQL's tools do is not done here.
func TestBackupSaysHow(t *testing.T) {
	t.Parallel()
	s := openStore(t, testOptions(t))
	if err := s.Backup(t.Context(), t.TempDir()); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("Backup: %v", err)
	}
}

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
