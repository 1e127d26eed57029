package pebble

import (
	"context"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// sweepRows bounds the rows that one call of Sweep reads.
const sweepRows = 1000

// The phases of a sweep. One number counts through both, so that a push that moves from l to q while the sweep is
// under way is met in the one or in the other.
const (
	sweepQueued uint8 = iota // q, below the low-water mark.
	sweepEvents              // l and r, from the mark on.
)

// Sweep lists waybills of an account that have open pushes. Pushes that wait for a Token are left out.
func (s *Store) Sweep(_ context.Context, deliveryID string, from store.Place) (
	waybills []state.Waybill, next store.Place, done bool, err error,
) {
	list := sweep{delivery: deliveryID, seen: map[string]bool{}, report: s.reportDamage}
	low, durable := s.low.Load(), s.durable.Load()
	err = s.view(func(db cdb.Reader) error {
		if from.Phase == sweepQueued {
			next, err = list.queued(db, from.Seq, low)
			return err
		}
		next, done, err = list.events(db, from.Seq, durable)
		return err
	})
	return list.waybills, next, done, err
}

// sweep gathers one page.
type sweep struct {
	delivery string
	waybills []state.Waybill
	seen     map[string]bool // Waybills on this page.
	rows     int
	report   func(error) // Hears of damaged rows, which are passed over.
}

func (s *sweep) add(w state.Waybill) {
	if w.DeliveryID == s.delivery && !s.seen[w.WaybillID] {
		s.seen[w.WaybillID] = true
		s.waybills = append(s.waybills, w)
	}
}

// queued reads rows of q from number from to the mark.
func (s *sweep) queued(db cdb.Reader, from, low uint64) (store.Place, error) {
	next := store.Place{Phase: sweepEvents, Seq: max(low, from)}
	if from >= low {
		return next, nil
	}
	err := scanRange(db, seqKey(nil, tableQueued, from), seqKey(nil, tableQueued, low), func(key, value []byte) (bool, error) {
		if s.rows++; s.rows > sweepRows {
			next = store.Place{Phase: sweepQueued, Seq: keySeq(key)}
			return false, nil
		}
		w, ok := parseWaybill(value)
		if ok {
			s.add(w)
		} else {
			s.report(damaged(key, codec.ErrRecord))
		}
		return true, nil
	})
	return next, err
}

// events reads events and pushes from number from to the newest durable one. What is in q is listed as well: it may
// have come there after the sweep's first phase.
func (s *sweep) events(db cdb.Reader, from, durable uint64) (next store.Place, done bool, err error) {
	done = true
	err = walk(db, from, durable+1, func(r *row) (bool, error) {
		if s.rows++; s.rows > sweepRows {
			next, done = store.Place{Phase: sweepEvents, Seq: r.seq}, false
			return false, nil
		}
		if r.damage != nil {
			s.report(r.damage)
		} else if r.open() && r.push.TokenUntil == 0 {
			s.add(r.event.event.Waybill())
		}
		return true, nil
	})
	return next, done, err
}
