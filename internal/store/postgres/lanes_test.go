package postgres

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestLanesAreReadTogether has many ask at once: each gets its own lane, and one that is damaged spoils no other's.
func TestLanesAreReadTogether(t *testing.T) {
	t.Parallel()
	s := openStore(t, testOptions(t))
	const n = 3 * maxLanes
	var events []state.Event
	for i := range n {
		events = append(events, scanOf(fmt.Sprint(i), 1, state.PickupDone))
		if i%2 == 0 {
			events = append(events, scanOf(fmt.Sprint(i), 2, state.Transit))
		}
	}
	if _, err := s.Apply(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(t.Context(), `UPDATE waybills SET timeline = '\x07' WHERE waybill_id = '7'`); err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for i := range n + 1 { // The last one is of no waybill.
		callers.Go(func() {
			lane, err := s.Lane(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(i)})
			want := 1 + (i+1)%2
			switch {
			case i == 7:
				if !errors.Is(err, store.ErrDamaged) {
					t.Errorf("the damaged waybill: %v", err)
				}
				return
			case i == n:
				want = 0
			}
			if err != nil || lane.Waybill.WaybillID != fmt.Sprint(i) || len(lane.Pushes) != want || want > 0 && lane.Token != "T" {
				t.Errorf("waybill %d: %+v, %v; want %d pushes", i, lane, err, want)
			}
			for k, p := range lane.Pushes {
				if p.Event.WaybillID != fmt.Sprint(i) || p.Event.Time != int64(1001+k) {
					t.Errorf("waybill %d: push %d is of %s at %d", i, k, p.Event.WaybillID, p.Event.Time)
				}
			}
		})
	}
	callers.Wait()
}
