package pebble

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/engine"
)

const (
	pruneRead  = 2000                  // Events that are read at a time to find old waybills.
	pruneBatch = 32                    // Waybills that are deleted in one commit.
	prunePause = 10 * time.Millisecond // Between commits, so that events never wait long.
)

// pruneEvery is the time between two runs of prune in seconds; 0: never.
func (s *Store) pruneEvery() int {
	if s.opts.Retention <= 0 {
		return 0
	}
	return int(min(max(s.opts.Retention/10, time.Minute), time.Hour).Seconds())
}

// prune deletes what is older than the retention.
func (s *Store) prune(ctx context.Context) error {
	if s.opts.Retention <= 0 {
		return nil
	}
	horizon := s.opts.Now().Add(-s.opts.Retention).UnixMilli()
	return errors.Join(s.pruneLetters(ctx, horizon), s.pruneWaybills(ctx, horizon))
}

// pruneWaybills deletes waybills of which everything is older than the horizon (Unix ms) and settled: no push is open or
// failed, nothing is held, and nothing is to be told. A waybill goes as a whole, so that a late scan never meets half a
// timeline.
func (s *Store) pruneWaybills(ctx context.Context, horizon int64) error {
	if err := s.pruneNotices(ctx, horizon); err != nil {
		return err
	}
	for from := uint64(0); from != math.MaxUint64; {
		old, next, err := s.oldWaybills(from, horizon)
		if err != nil {
			return err
		}
		if err := s.pruneAll(ctx, old, horizon); err != nil {
			return err
		}
		from = next
	}
	if err := s.pruneScanless(ctx, horizon); err != nil {
		return err
	}
	return s.tidySpans(ctx, horizon)
}

func (s *Store) pruneAll(ctx context.Context, old []state.Waybill, horizon int64) error {
	for batch := range slices.Chunk(old, pruneBatch) {
		op := &pruneOp{waybills: batch, horizon: horizon}
		if err := s.write(ctx, op, &op.Waiter); err != nil {
			return err
		}
		s.touch(op.deleted)
		if !s.pause(prunePause) {
			return errStopped
		}
	}
	return nil
}

// pause tells whether the store is still open after a while.
func (s *Store) pause(d time.Duration) bool {
	select {
	case <-s.stop:
		return false
	case <-time.After(d):
		return true
	}
}

// oldWaybills lists the waybills of events from a number on that were received before the horizon (Unix ms). next is
// where to go on; MaxUint64 at the end.
func (s *Store) oldWaybills(from uint64, horizon int64) (old []state.Waybill, next uint64, err error) {
	seen := map[state.Waybill]bool{}
	rows := 0
	next = math.MaxUint64
	err = s.view(func(db cdb.Reader) error {
		return walk(db, from, math.MaxUint64, func(r *row) (bool, error) {
			if r.damage != nil {
				return true, nil
			}
			if r.event.receivedAt >= horizon {
				return false, nil
			}
			if rows++; rows > pruneRead {
				next = r.seq
				return false, nil
			}
			if w := r.event.event.Waybill(); !seen[w] && !r.open() {
				seen[w] = true
				old = append(old, w)
			}
			return true, nil
		})
	})
	return old, next, err
}

type pruneOp struct {
	engine.Waiter
	waybills []state.Waybill
	horizon  int64
	deleted  []uint64
}

func (o *pruneOp) rows() int { return len(o.waybills) * 4 }

func (o *pruneOp) run(x *tx) {
	for _, w := range o.waybills {
		var deleted []uint64
		if deleted, o.Err = x.pruneWaybill(w, o.horizon); o.Err != nil {
			return
		}
		o.deleted = append(o.deleted, deleted...)
	}
	x.full = true // What comes next must not read the deleted rows.
}

// pruneWaybill deletes a waybill's rows if it is all old and settled, and tells which events are gone.
func (x *tx) pruneWaybill(name state.Waybill, horizon int64) (deleted []uint64, err error) {
	if x.touched(name) {
		return nil, nil // What is read here is not what it is by now.
	}
	t, err := readTimeline(x.s.db, name)
	if err != nil {
		return nil, err
	}
	rows := make([]row, 0, len(t))
	for i := range t {
		r, found, err := readRow(x.s.db, t[i].Seq)
		if err != nil {
			return nil, err
		}
		if rec, ok := x.pushes[r.seq]; ok {
			r.hasPush, r.push = true, rec
		}
		if !found || r.event.receivedAt >= horizon || !settled(&t[i], &r) {
			return nil, nil
		}
		rows, deleted = append(rows, r), append(deleted, r.seq)
	}
	if x.mayBeTold(rows) {
		return nil, nil
	}
	kept, err := readBlock(x.s.db, name)
	if err != nil || kept.is(flagFrozen) {
		return nil, err // A freeze lasts until somebody thaws it.
	}
	orders, err := x.oldOrders(name, horizon)
	if err != nil || orders == nil {
		return nil, err
	}
	token, err := newestToken(x.s.db, name)
	if err != nil {
		return nil, err
	}
	shown, err := readShown(x.s.db, name)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		x.unindex(&t[i], &rows[i])
	}
	x.index.fronts = append(x.index.fronts, frontChange{account: name.DeliveryID, was: frontOf(t, token != 0)})
	for i := range orders {
		x.del(orderKey(nil, orders[i].OrderKey))
		x.del(orderedKey(nil, name, orders[i].number))
	}
	if shown.at() < horizon {
		x.del(waybillKey(nil, tableShown, name))
	}
	x.deleteWaybill(name, rows, token >= horizon)
	return deleted, nil
}

// touched tells whether this commit changed more of a waybill than how its pushes stand.
func (x *tx) touched(name state.Waybill) bool {
	_, fresh := x.tokens[name]
	_, shown := x.shown[name]
	for _, o := range x.orders {
		fresh = fresh || o.Waybill() == name
	}
	return fresh || shown || x.index.crowded[name] ||
		slices.ContainsFunc(x.written, func(e entryOf) bool { return e.w.name == name })
}

// settled tells whether nothing will come of an event any more.
func settled(e *state.Entry, r *row) bool {
	return e.Verdict != state.Held && r.status() != store.Pending && r.status() != store.Failed
}

func (x *tx) deleteWaybill(name state.Waybill, rows []row, keepToken bool) {
	for i := range rows {
		r := &rows[i]
		x.del(seqKey(nil, tableEvents, r.seq))
		x.del(idKey(nil, eventID(&r.event.event)))
		x.del(timelineKey(nil, name, r.seq))
		if r.hasPush {
			x.del(seqKey(nil, tablePushes, r.seq))
			x.delta.move(name.DeliveryID, r.push.Status, store.NoPush)
		}
		x.delta.pruned++
	}
	if !keepToken {
		x.del(waybillKey(nil, tableTokens, name))
		x.unlistName(name)
	}
	x.del(waybillKey(nil, tableFlags, name))
	x.w.cache.drop(name)
}
