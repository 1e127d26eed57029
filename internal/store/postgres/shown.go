package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// shownRow is a row of shown. A waybill that was expunged has one even if nothing was shown: what WeChat tells
// afterwards holds the old texts, too.
type shownRow struct {
	version    *int64 // nil: nothing is known to be shown.
	receivedAt int64  // Unix ms.
	detail     shownDetail
	expungedAt int64 // Unix ms; 0: never.
}

// shownDetail is the column detail.
type shownDetail struct {
	OrderID string              `json:"order_id,omitempty"`
	Actions []store.ShownAction `json:"actions,omitempty"`
}

const (
	// makeShown makes the row if there is none, so that there is always one to lock.
	makeShown  = `INSERT INTO shown (delivery_id, waybill_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	readShown  = `SELECT version, received_at, detail, expunged_at FROM shown WHERE delivery_id = $1 AND waybill_id = $2`
	writeShown = `UPDATE shown SET version = $3, received_at = $4, detail = $5, expunged_at = $6
		WHERE delivery_id = $1 AND waybill_id = $2`
)

// PutShown keeps what the customer sees of a waybill.
func (s *Store) PutShown(ctx context.Context, w state.Waybill, shown store.Shown) (kept bool, err error) {
	if err := shown.Fit(w); err != nil {
		return false, err
	}
	err = s.change(ctx, slotOf(w), func(x *tx) (err error) {
		kept, err = x.putShown(w, &shown)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("what is shown of waybill %s: %w", w, err)
	}
	return kept, nil
}

func (x *tx) putShown(w state.Waybill, shown *store.Shown) (kept bool, err error) {
	known, err := x.lockShown(w)
	if err != nil || known.version != nil && shown.Version <= *known.version {
		return false, err
	}
	known.version, known.receivedAt = &shown.Version, x.now
	known.detail = shownDetail{OrderID: shown.OrderID, Actions: slices.Clone(shown.Actions)} // They are the caller's.
	if known.expungedAt != 0 {
		known.forget(known.expungedAt / 1000)
	}
	return true, x.writeShown(w, &known)
}

// lockShown reads a waybill's row and locks it; it makes one if there is none.
func (x *tx) lockShown(w state.Waybill) (r shownRow, err error) {
	if _, err := x.exec(makeShown, w.DeliveryID, w.WaybillID); err != nil {
		return r, err
	}
	x.trips++
	r, _, err = scanShown(x.conn.QueryRow(x.ctx, readShown+" FOR UPDATE", w.DeliveryID, w.WaybillID))
	if err != nil {
		return r, x.fail(x.lost(err))
	}
	return r, nil
}

func (x *tx) writeShown(w state.Waybill, r *shownRow) error {
	detail, err := r.encode()
	if err != nil {
		return err
	}
	_, err = x.exec(writeShown, w.DeliveryID, w.WaybillID, r.version, timestamp(r.receivedAt), detail, timestamp(r.expungedAt))
	return err
}

// encode makes the column detail; nil if nothing is known to be shown.
func (r *shownRow) encode() ([]byte, error) {
	if r.version == nil {
		return nil, nil
	}
	return json.Marshal(r.detail)
}

// shown is what is known to be shown.
func (r *shownRow) shown() store.Shown {
	return store.Shown{Version: *r.version, ReceivedAt: codec.FromMillis(r.receivedAt), OrderID: r.detail.OrderID, Actions: r.detail.Actions}
}

// forget empties the texts of actions up to a time (Unix seconds).
func (r *shownRow) forget(until int64) (forgotten int) {
	for i := range r.detail.Actions {
		if a := &r.detail.Actions[i]; a.Msg != "" && a.Time <= until {
			a.Msg = ""
			forgotten++
		}
	}
	return forgotten
}

// scanShown reads a row, and what comes before it; found is false if there is none.
func scanShown(row pgx.Row, before ...any) (r shownRow, found bool, err error) {
	var detail *shownDetail
	err = row.Scan(append(before, &r.version, (*stampDest)(&r.receivedAt), &detail, (*stampDest)(&r.expungedAt))...)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, false, nil
	}
	if detail != nil {
		r.detail = *detail
	}
	return r, true, err
}

// Shown finds what the customer sees of a waybill.
func (s *Store) Shown(ctx context.Context, w state.Waybill) (shown store.Shown, err error) {
	err = s.view(ctx, func(t pgx.Tx) error {
		r, _, err := scanShown(t.QueryRow(ctx, readShown, w.DeliveryID, w.WaybillID))
		if err == nil && r.version == nil {
			err = store.ErrNotFound
		}
		if err == nil {
			shown = r.shown()
		}
		return err
	})
	if err != nil {
		return store.Shown{}, fmt.Errorf("what is shown of waybill %s: %w", w, s.readError(err))
	}
	return shown, nil
}
