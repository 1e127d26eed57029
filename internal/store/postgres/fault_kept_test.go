package postgres

import (
	"context"
	"strconv"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// keptWrites are calls that need no scans.
var keptWrites = []write{
	{
		name: "PutOrder",
		call: func(ctx context.Context, s *Store, w state.Waybill) error {
			key := store.OrderKey{DeliveryID: w.DeliveryID, BizID: "B", OrderID: w.WaybillID}
			_, _, err := s.PutOrder(ctx, store.Order{OrderKey: key, WaybillID: w.WaybillID}, "ordered")
			return err
		},
		kept: func(t *testing.T, s *Store, w state.Waybill) int {
			n := countRows(t, s, "SELECT count(*) FROM orders WHERE waybill_id = $1", w.WaybillID)
			if lane, err := s.Lane(t.Context(), w); err != nil || (lane.Token == "ordered") != (n > 0) {
				t.Errorf("of %d orders, the Token is %q, %v", n, lane.Token, err)
			}
			return n
		},
	},
	{
		name: "PutShown",
		call: func(ctx context.Context, s *Store, w state.Waybill) error {
			_, err := s.PutShown(ctx, w, store.Shown{Version: 1})
			return err
		},
		kept: func(t *testing.T, s *Store, w state.Waybill) int {
			return countRows(t, s, "SELECT count(*) FROM shown WHERE waybill_id = $1", w.WaybillID)
		},
	},
	{
		name: "FirstUse",
		call: func(ctx context.Context, s *Store, w state.Waybill) error {
			_, err := s.FirstUse(ctx, w.WaybillID, [32]byte{}, time.UnixMilli(firstUseEnds(w)))
			return err
		},
		kept: func(t *testing.T, s *Store, w state.Waybill) int {
			return countRows(t, s, "SELECT count(*) FROM uses WHERE until = $1", timestamp(firstUseEnds(w)))
		},
	},
}

// firstUseEnds is a moment that tells the uses of waybills apart (Unix ms).
func firstUseEnds(w state.Waybill) int64 {
	n, _ := strconv.Atoi(w.WaybillID) // It is one.
	return 4_000_000_000_000 + int64(n)
}

func countRows(t *testing.T, s *Store, sql string, args ...any) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
