package postgres

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// laneReader reads lanes for many callers at once. Of what comes in on one node, most is another's to push as soon as
// there are three, and each of those lanes is read: one by one, the round trips would be the limit.
type laneReader struct {
	s    *Store
	turn chan struct{} // Whoever can send reads for all that wait.

	mu      sync.Mutex
	waiting []*laneAsk
}

// laneAsk is one caller's. lane and err are set once done is closed.
type laneAsk struct {
	name state.Waybill
	lane store.Lane
	err  error
	done chan struct{}
}

func newLaneReader(s *Store) *laneReader { return &laneReader{s: s, turn: make(chan struct{}, 1)} }

// read gives one lane, as it was at some time after the call.
func (r *laneReader) read(ctx context.Context, name state.Waybill) (store.Lane, error) {
	ask := &laneAsk{name: name, done: make(chan struct{})}
	r.mu.Lock()
	r.waiting = append(r.waiting, ask)
	r.mu.Unlock()
	select {
	case <-ask.done:
		return ask.lane, ask.err
	case <-ctx.Done():
		return store.Lane{Waybill: name}, context.Cause(ctx)
	case r.turn <- struct{}{}:
	}
	r.readAll(ctx)
	<-r.turn
	<-ask.done // Whoever had the turn before may have read it.
	return ask.lane, ask.err
}

// maxLanes bounds how many are read in one go.
const maxLanes = 256

// readAll answers all that wait. The caller's end must not be that of the others.
func (r *laneReader) readAll(ctx context.Context) {
	r.mu.Lock()
	asks := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), transactionTimeout, errTimeout)
	defer cancel()
	for some := range slices.Chunk(asks, maxLanes) {
		r.answer(ctx, some)
	}
}

func (r *laneReader) answer(ctx context.Context, asks []*laneAsk) {
	found := map[state.Waybill]*laneFound{}
	for _, ask := range asks {
		found[ask.name] = &laneFound{}
	}
	err := r.query(ctx, found)
	for _, ask := range asks {
		f := found[ask.name]
		ask.lane, ask.err = store.Lane{Waybill: ask.name}, cmp.Or(err, f.err)
		if ask.err == nil {
			ask.lane = f.lane(ask.name)
		}
		close(ask.done)
	}
}

// query reads waybills and their open pushes from one consistent state.
func (r *laneReader) query(ctx context.Context, found map[state.Waybill]*laneFound) error {
	err := r.try(ctx, found)
	if isLost(err) {
		r.s.pool.Reset() // The connection may have broken while nobody used it, and most often all have.
		err = r.try(ctx, found)
	}
	return err
}

const openEvents = `FROM events e WHERE e.seq IN (SELECT unnest(w.open)
	FROM unnest($1::text[], $2::text[]) AS k(delivery_id, waybill_id) JOIN waybills w USING (delivery_id, waybill_id))`

// try makes one round trip of it.
func (r *laneReader) try(ctx context.Context, found map[state.Waybill]*laneFound) error {
	conn, err := r.s.pool.Acquire(ctx)
	if err != nil {
		return &lostError{err}
	}
	defer conn.Release() // A connection within a transaction is closed by that.
	names := make([]state.Waybill, 0, len(found))
	for name, f := range found {
		names = append(names, name)
		*f = laneFound{}
	}
	deliveries, ids := waybillKeys(names)
	var batch pgx.Batch
	batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	batch.Queue("SELECT "+waybillFields+" FROM unnest($1::text[], $2::text[]) AS k(delivery_id, waybill_id) JOIN waybills w USING (delivery_id, waybill_id)",
		deliveries, ids).Query(func(rows pgx.Rows) error {
		return r.s.scanWaybills(rows, func(w *waybill) { found[w.name].waybill, found[w.name].err = w, w.damage })
	})
	batch.Queue("SELECT "+eventFields+" "+openEvents, deliveries, ids).Query(func(rows pgx.Rows) error {
		return scanRows(rows, func(e *row) {
			if f := found[e.event.Waybill()]; f != nil { // Or else a waybill lists another's event: store check tells.
				f.open = append(f.open, e)
			}
		})
	})
	batch.Queue("COMMIT")
	err = conn.SendBatch(ctx, &batch).Close()
	if err != nil && conn.Conn().IsClosed() {
		return &lostError{err}
	}
	return err
}

// laneFound is what was read of a waybill.
type laneFound struct {
	waybill *waybill // nil: nothing is known of it.
	open    []*row
	err     error
}

func (f *laneFound) lane(name state.Waybill) store.Lane {
	lane := store.Lane{Waybill: name}
	if w := f.waybill; w != nil {
		lane.Parked, lane.Frozen = w.parkedAt != 0, w.frozenAt != 0
		lane.Token, lane.TokenAt = w.usable()
	}
	for _, e := range f.open {
		lane.Pushes = append(lane.Pushes, e.store())
	}
	slices.SortFunc(lane.Pushes, func(a, b store.Push) int { return cmp.Compare(a.Ord, b.Ord) })
	return lane
}
