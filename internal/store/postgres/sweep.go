package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// sweepRows bounds the rows that one call of Sweep reads.
const sweepRows = 1000

// Sweep lists waybills of an account that have open pushes, in the order of these, of the slots that this node owns. Pushes that wait for a Token are left
// out. A Place is the number of the last push that was read: one that is open all the while keeps its number, so it is
// met.
func (s *Store) Sweep(ctx context.Context, deliveryID string, from store.Place) (
	waybills []state.Waybill, next store.Place, done bool, err error,
) {
	if err := s.isOpen(); err != nil {
		return nil, from, false, err
	}
	rows, err := s.pool.Query(ctx, `SELECT seq, waybill_id, token_until IS NULL FROM events
		WHERE delivery_id = $1 AND status = 1 AND seq > $2 AND slot = ANY($4::smallint[]) ORDER BY seq LIMIT $3`,
		deliveryID, int64(from.Seq), sweepRows, s.leases.owned())
	if err != nil {
		return nil, from, false, s.readError(err)
	}
	next = from
	n, seen := 0, map[string]bool{}
	var id string
	var sendable bool
	_, err = pgx.ForEachRow(rows, []any{(*numberDest)(&next.Seq), &id, &sendable}, func() error {
		if n++; sendable && !seen[id] {
			seen[id] = true
			waybills = append(waybills, state.Waybill{DeliveryID: deliveryID, WaybillID: id})
		}
		return nil
	})
	return waybills, next, n < sweepRows, s.readError(err)
}
