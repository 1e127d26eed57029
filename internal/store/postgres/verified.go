package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// MarkVerified notes that upstream shows pushes of a waybill.
func (s *Store) MarkVerified(ctx context.Context, w state.Waybill, seqs []uint64, at time.Time) error {
	if len(seqs) == 0 {
		return nil
	}
	err := s.changeOf(ctx, w, func(x *tx) error { return x.markVerified(w, seqs, at) })
	if err != nil {
		return fmt.Errorf("verifying pushes of waybill %s: %w", w, err)
	}
	return nil
}

// markVerified goes through the rows, as others may have been changed in this transaction before.
func (x *tx) markVerified(w state.Waybill, seqs []uint64, at time.Time) error {
	if err := x.want(seqs); err != nil {
		return err
	}
	for _, seq := range seqs {
		if r := x.rows[seq]; r != nil && r.event.Waybill() == w && r.push.Status == store.Delivered {
			r.push.VerifiedAt = codec.Millis(at)
			x.change(r)
		}
	}
	return nil
}

// difference is the column detail of a difference.
type difference struct {
	Merchant string   `json:"merchant,omitempty"`
	Missing  []uint64 `json:"missing,omitempty"`
	Changed  []uint64 `json:"changed,omitempty"`
	Moved    []uint64 `json:"moved,omitempty"`
	Extra    int      `json:"extra,omitempty"`
}

func differenceOf(d *store.Difference) difference {
	return difference{d.Merchant, d.Missing, d.Changed, d.Moved, d.Extra}
}

const (
	putDifference = `INSERT INTO differences (delivery_id, waybill_id, found_at, checked_at, detail) VALUES ($1, $2, $3, $3, $4)
		ON CONFLICT (delivery_id, waybill_id) DO UPDATE SET checked_at = excluded.checked_at, detail = excluded.detail`
	dropDifferences = `DELETE FROM differences WHERE (delivery_id, waybill_id) IN (
		SELECT delivery_id, waybill_id FROM differences ORDER BY checked_at DESC, delivery_id, waybill_id OFFSET $1)`
	differenceFields = `delivery_id, waybill_id, found_at, checked_at, detail`
	readDifference   = `SELECT ` + differenceFields + ` FROM differences WHERE delivery_id = $1 AND waybill_id = $2`
	closeDifference  = `DELETE FROM differences WHERE delivery_id = $1 AND waybill_id = $2 RETURNING ` + differenceFields
	listDifferences  = `SELECT ` + differenceFields + ` FROM differences
		ORDER BY checked_at DESC, delivery_id, waybill_id`
)

// PutDifference keeps a waybill's difference.
func (s *Store) PutDifference(ctx context.Context, d store.Difference) error {
	d.Merchant = text(d.Merchant)
	err := s.change(ctx, 0, func(x *tx) error { return x.putDifference(d) })
	if err != nil {
		return fmt.Errorf("keeping the difference of waybill %s: %w", d.Waybill, err)
	}
	return nil
}

func (x *tx) putDifference(d store.Difference) error {
	detail, err := json.Marshal(differenceOf(&d))
	if err != nil {
		return err
	}
	kept, found, err := x.oneDifference(readDifference+" FOR UPDATE", d.Waybill)
	if err != nil {
		return err
	}
	if _, err := x.exec(putDifference, d.Waybill.DeliveryID, d.Waybill.WaybillID, timestamp(x.now), detail); err != nil {
		return err
	}
	if _, err := x.exec(dropDifferences, store.MaxDifferences); err != nil {
		return err
	}
	if d.CheckedAt, d.FoundAt = codec.FromMillis(x.now), codec.FromMillis(x.now); found {
		d.FoundAt = kept.FoundAt
	}
	if !found || !d.SameAs(&kept) {
		x.noticeDifference(&d)
	}
	return nil
}

// CloseDifference forgets a waybill's difference.
func (s *Store) CloseDifference(ctx context.Context, w state.Waybill, agrees bool) (closed bool, err error) {
	err = s.change(ctx, 0, func(x *tx) error {
		kept, found, err := x.oneDifference(closeDifference, w)
		if closed = found; found && agrees {
			x.noticeDifference(&store.Difference{Waybill: w, Merchant: kept.Merchant, FoundAt: kept.FoundAt, CheckedAt: codec.FromMillis(x.now)})
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("closing the difference of waybill %s: %w", w, err)
	}
	return closed, nil
}

// oneDifference reads what a statement gives of a waybill's difference.
func (x *tx) oneDifference(sql string, w state.Waybill) (d store.Difference, found bool, err error) {
	x.wrote = true
	x.trips++
	rows, err := x.conn.Query(x.ctx, sql, w.DeliveryID, w.WaybillID)
	if err == nil {
		d, err = pgx.CollectExactlyOneRow(rows, scanDifference)
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return d, false, nil
	case err != nil:
		return d, false, x.fail(x.lost(err))
	}
	return d, true, nil
}

// Differences lists all.
func (s *Store) Differences(ctx context.Context) (all []store.Difference, err error) {
	err = s.view(ctx, func(t pgx.Tx) error {
		rows, err := t.Query(ctx, listDifferences)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanDifference)
		return err
	})
	return all, s.readError(err)
}

func scanDifference(row pgx.CollectableRow) (d store.Difference, err error) {
	var more difference
	var found, checked int64
	err = row.Scan(&d.Waybill.DeliveryID, &d.Waybill.WaybillID, (*stampDest)(&found), (*stampDest)(&checked), &more)
	d.FoundAt, d.CheckedAt = codec.FromMillis(found), codec.FromMillis(checked)
	d.Merchant, d.Missing, d.Changed, d.Moved, d.Extra = more.Merchant, more.Missing, more.Changed, more.Moved, more.Extra
	return d, err
}
