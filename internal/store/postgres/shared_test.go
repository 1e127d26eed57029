package postgres

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// openNodes opens one database as several nodes.
func openNodes(t *testing.T, n int, o Options) (nodes []*Store) {
	t.Helper()
	db := schema.Start(t)
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

// deliver ends a push on the node that owns its waybill.
func deliver(t *testing.T, nodes []*Store, w state.Waybill, seq uint64) {
	t.Helper()
	eventually(t, soon, "a node owns the waybill", func() bool {
		return slices.ContainsFunc(nodes, func(s *Store) bool {
			done := make(chan error, 1)
			s.Settle(store.Outcome{Seq: seq, Waybill: w, Status: store.Delivered}, func(err error) { done <- err })
			err := <-done
			if err != nil && !errors.Is(err, store.ErrNotOwner) {
				t.Fatalf("Settle(%d): %v", seq, err)
			}
			return err == nil
		})
	})
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
