package pebble

import (
	"context"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store/codec"
)

// oldOrders reads a waybill's orders; nil if one of them is not older than the horizon (Unix ms).
func (x *tx) oldOrders(name state.Waybill, horizon int64) ([]orderRecord, error) {
	orders, err := readOrders(x.s.db, name)
	if err != nil {
		return nil, err
	}
	for i := range orders {
		if codec.Millis(orders[i].ReceivedAt) >= horizon {
			return nil, nil
		}
	}
	return append([]orderRecord{}, orders...), nil
}

// pruneScanless deletes what was kept of waybills that were ordered, or shown, and never scanned.
func (s *Store) pruneScanless(ctx context.Context, horizon int64) error {
	for _, table := range []byte{tableTokens, tableOrders, tableShown} {
		for from := []byte{table}; from != nil; {
			old, next, err := s.oldScanless(table, from, horizon)
			if err != nil {
				return err
			}
			if err := s.pruneAll(ctx, old, horizon); err != nil {
				return err
			}
			if from = next; !s.pause(0) {
				return errStopped
			}
		}
	}
	return nil
}

// oldScanless lists waybills without events of which a row of k, o or s is older than the horizon (Unix ms). next is the
// key to go on with; nil at the end.
func (s *Store) oldScanless(table byte, from []byte, horizon int64) (old []state.Waybill, next []byte, err error) {
	rows := 0
	err = s.view(func(db cdb.Reader) error {
		return scanRange(db, from, []byte{table + 1}, func(key, value []byte) (bool, error) {
			if rows++; rows > pruneRead {
				next = append([]byte{}, key...)
				return false, nil
			}
			w, at, err := keptOf(key, value)
			if err != nil {
				s.reportDamage(damaged(key, err))
				return true, nil
			}
			if prefix := timelinePrefix(nil, w); at < horizon && !hasRows(db, prefix, after(prefix)) {
				old = append(old, w)
			}
			return true, nil
		})
	})
	return old, next, err
}

// keptOf tells whose a row of k, o or s is, and when it came (Unix ms).
func keptOf(key, value []byte) (w state.Waybill, at int64, err error) {
	w, _ = parseWaybill(key[1:])
	switch key[0] {
	case tableTokens:
		at, err = tokensAt(value)
		return w, at, err
	case tableShown:
		rec, err := decodeShown(value)
		return w, rec.at(), err
	}
	rec, err := decodeOrder(key, value)
	return rec.Waybill(), codec.Millis(rec.ReceivedAt), err
}
