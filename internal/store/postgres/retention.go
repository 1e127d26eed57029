package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

const (
	pruneRead  = 2000                  // Rows that are read at a time to find old waybills.
	pruneBatch = 64                    // Waybills that are deleted in one transaction.
	prunePause = 10 * time.Millisecond // Between transactions, so that events never wait long.
)

// pruning is what retention remembers between two runs.
type pruning struct {
	mu   sync.Mutex // Held for a run: the background's, or Tick's.
	done time.Time  // When the background's last one began.
	past passed
}

// prune deletes what is older than the retention. Nodes that do so at the same time are in each other's way, and no more.
func (s *Store) prune(ctx context.Context) error {
	if s.opts.Retention <= 0 {
		return nil
	}
	s.pruning.mu.Lock()
	defer s.pruning.mu.Unlock()
	horizon := s.opts.Now().Add(-s.opts.Retention).UnixMilli()
	return errors.Join(s.pruneLetters(ctx, horizon), s.pruneAll(ctx, horizon))
}

// pruneAll deletes waybills of which everything is older than the horizon (Unix ms) and settled: no push is open or failed,
// nothing is held, and nothing is to be told. A waybill goes as a whole, so that a late scan never meets half a timeline.
// Partitions go once nothing is left in them.
func (s *Store) pruneAll(ctx context.Context, horizon int64) error {
	if err := s.pruneNotices(ctx, horizon); err != nil {
		return err
	}
	for _, find := range []finder{s.oldScanned, s.oldScanless} {
		for from := (place{}); !from.end; {
			old, next, err := find(ctx, from, horizon)
			if err != nil {
				return err
			}
			if err := s.pruneWaybills(ctx, old, horizon); err != nil {
				return err
			}
			from = next
		}
	}
	return errors.Join(s.pruneShown(ctx, horizon), s.dropPartitions(ctx))
}

func (s *Store) pruneWaybills(ctx context.Context, old []state.Waybill, horizon int64) error {
	for batch := range slices.Chunk(old, pruneBatch) {
		err := s.change(ctx, slotOf(batch[0]), func(x *tx) error { return x.prune(batch, horizon) }, batch...)
		if err != nil {
			return err
		}
		select {
		case <-s.stop.Done():
			return errStopped
		case <-time.After(prunePause):
		}
	}
	return nil
}

// place is where a finder stands.
type place struct {
	seq     uint64
	waybill state.Waybill
	end     bool
}

// finder lists waybills that may be old, a bounded number of rows at a time.
type finder func(ctx context.Context, from place, horizon int64) (old []state.Waybill, next place, err error)

const oldEvents = `SELECT delivery_id, waybill_id, seq, received_at < $2 AND verdict <> 2 AND status NOT IN (1, 3), received_at < $2
	FROM events WHERE seq > $1 ORDER BY seq LIMIT $3`

// oldScanned lists waybills of old events. It ends where no event is old any more.
func (s *Store) oldScanned(ctx context.Context, from place, horizon int64) (old []state.Waybill, next place, err error) {
	next, seen, rowsRead, anyOld := from, map[state.Waybill]bool{}, 0, false
	err = s.view(ctx, func(t pgx.Tx) error {
		rows, err := t.Query(ctx, oldEvents, int64(from.seq), timestamp(horizon), pruneRead)
		if err != nil {
			return err
		}
		var w state.Waybill
		var settled, isOld bool
		_, err = pgx.ForEachRow(rows, []any{&w.DeliveryID, &w.WaybillID, (*numberDest)(&next.seq), &settled, &isOld}, func() error {
			rowsRead, anyOld = rowsRead+1, anyOld || isOld
			if settled && !seen[w] {
				seen[w], old = true, append(old, w)
			}
			return nil
		})
		return err
	})
	next.end = rowsRead < pruneRead || !anyOld
	return old, next, s.readError(err)
}

const oldWaybills = `SELECT delivery_id, waybill_id, timeline = $3 AND (token_at IS NULL OR token_at < $4)
	FROM waybills WHERE (delivery_id, waybill_id) > ($1, $2) ORDER BY delivery_id, waybill_id LIMIT $5`

// oldScanless lists waybills without events: ordered, or given a Token, and never scanned.
func (s *Store) oldScanless(ctx context.Context, from place, horizon int64) (old []state.Waybill, next place, err error) {
	next, rowsRead := from, 0
	err = s.view(ctx, func(t pgx.Tx) error {
		rows, err := t.Query(ctx, oldWaybills, from.waybill.DeliveryID, from.waybill.WaybillID, encodeTimeline(nil), timestamp(horizon), pruneRead)
		if err != nil {
			return err
		}
		var scanless bool
		w := &next.waybill
		_, err = pgx.ForEachRow(rows, []any{&w.DeliveryID, &w.WaybillID, &scanless}, func() error {
			if rowsRead++; scanless {
				old = append(old, *w)
			}
			return nil
		})
		return err
	})
	next.end = rowsRead < pruneRead
	return old, next, s.readError(err)
}

// prune deletes those of some waybills that are all old and settled.
func (x *tx) prune(names []state.Waybill, horizon int64) error {
	p := pruner{x: x, horizon: horizon, young: map[state.Waybill]bool{}}
	if err := p.load(names); err != nil {
		return err
	}
	for _, name := range names {
		if w := x.waybills[name]; w.damage == nil && w.stored && !p.young[name] && p.isOver(w) {
			p.delete(w)
		}
	}
	return p.save()
}

// pruner is retention at work in one transaction.
type pruner struct {
	x       *tx
	horizon int64                  // Unix ms
	young   map[state.Waybill]bool // Ordered lately.
	waiting map[uint64]bool        // Events with notices that wait.
	oldest  int64                  // When the end was that is told next; 0: none waits.

	gone []*row
	left []state.Waybill // Without anything left.
}

const youngOrders = `SELECT DISTINCT o.delivery_id, o.waybill_id FROM unnest($1::text[], $2::text[]) AS k(delivery_id, waybill_id)
	JOIN orders o USING (delivery_id, waybill_id) WHERE o.received_at >= $3`

// load reads what it takes to decide.
func (p *pruner) load(names []state.Waybill) error {
	var seqs []uint64
	for _, name := range names {
		if _, err := p.x.waybill(name); err != nil && p.x.broken != nil {
			return err
		}
		for _, e := range p.x.waybills[name].timeline {
			seqs = append(seqs, e.Seq)
		}
	}
	if err := p.x.want(seqs); err != nil {
		return err
	}
	var batch pgx.Batch
	deliveries, ids := waybillKeys(names)
	batch.Queue(youngOrders, deliveries, ids, timestamp(p.horizon)).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[state.Waybill])
		for _, w := range list {
			p.young[w] = true
		}
		return err
	})
	batch.Queue(nextNotice).QueryRow(func(row pgx.Row) error { return row.Scan((*stampDest)(&p.oldest)) })
	if err := p.x.run(&batch); err != nil {
		return err
	}
	return p.loadNotices(seqs)
}

// loadNotices reads which events are still to be told, if any of these may be. There is no index for that, as hardly ever
// a notice waits for as long as events are kept.
func (p *pruner) loadNotices(seqs []uint64) error {
	p.waiting = map[uint64]bool{}
	if p.oldest == 0 || p.newest(seqs) < p.oldest-clockSkew.Milliseconds() {
		return nil
	}
	var batch pgx.Batch
	batch.Queue("SELECT DISTINCT seq FROM notices WHERE seq = ANY ($1::bigint[])", int64s(seqs)).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		for _, seq := range list {
			p.waiting[uint64(seq)] = true
		}
		return err
	})
	return p.x.run(&batch)
}

// newest is when anything last became of some events: whatever ends one leaves a trace that is as new.
func (p *pruner) newest(seqs []uint64) (at int64) {
	for _, seq := range seqs {
		if r := p.x.rows[seq]; r != nil {
			at = max(at, r.receivedAt, r.push.doneAt)
		}
	}
	return at
}

// isOver tells whether nothing will come of a waybill any more. A freeze lasts until somebody thaws it.
func (p *pruner) isOver(w *waybill) bool {
	if w.frozenAt != 0 {
		return false
	}
	for i := range w.timeline {
		r := p.x.rows[w.timeline[i].Seq]
		switch {
		case r == nil: // It is gone already.
		case r.receivedAt >= p.horizon, r.entry.Verdict == state.Held, r.push.status == store.Pending, r.push.status == store.Failed,
			p.waiting[r.seq]:
			return false
		}
	}
	return len(w.timeline) > 0 || w.tokenAt < p.horizon
}

// delete takes a waybill apart. A Token that is young stays, and so does the row then.
func (p *pruner) delete(w *waybill) {
	x := p.x
	for i := range w.timeline {
		r := x.rows[w.timeline[i].Seq]
		if r == nil {
			continue
		}
		p.gone = append(p.gone, r)
		x.delta.move(w.name.DeliveryID, r.push.status, store.NoPush)
		x.delta[counterPruned]++
		delete(x.rows, r.seq)
		delete(x.ids, eventID{r.event.Source, r.event.ID})
	}
	p.left = append(p.left, w.name)
	w.timeline, w.parkedAt, w.dirty = nil, 0, w.tokenAt >= p.horizon
	if !w.dirty {
		x.waybills[w.name] = newWaybill(w.name) // For what comes after it in this transaction.
	}
}

const (
	deleteEvents = `DELETE FROM events WHERE seq = ANY ($1::bigint[])`
	deleteIDs    = `DELETE FROM event_ids i USING unnest($1::text[], $2::text[]) AS k(source, id) WHERE i.source = k.source AND i.id = k.id`
	ofWaybills   = ` USING unnest($1::text[], $2::text[]) AS k(delivery_id, waybill_id)
		WHERE t.delivery_id = k.delivery_id AND t.waybill_id = k.waybill_id`
	deleteOrders   = `DELETE FROM orders t` + ofWaybills
	deleteShown    = `DELETE FROM shown t` + ofWaybills + ` AND coalesce(greatest(t.received_at, t.expunged_at), '-infinity') < $3`
	deleteWaybills = `DELETE FROM waybills t` + ofWaybills + ` AND (t.token_at IS NULL OR t.token_at < $3)`
)

// save deletes at once: what comes after it in this transaction must not read the deleted rows.
func (p *pruner) save() error {
	if len(p.left) == 0 {
		return nil
	}
	p.x.wrote = true
	deliveries, ids := waybillKeys(p.left)
	horizon := timestamp(p.horizon)
	var batch pgx.Batch
	batch.Queue(deleteEvents, gather(p.gone, func(r *row) int64 { return int64(r.seq) }))
	batch.Queue(deleteIDs, gather(p.gone, func(r *row) string { return r.event.Source }), gather(p.gone, func(r *row) string { return r.event.ID }))
	batch.Queue(deleteOrders, deliveries, ids)
	batch.Queue(deleteShown, deliveries, ids, horizon)
	batch.Queue(deleteWaybills, deliveries, ids, horizon)
	return p.x.run(&batch)
}

// pruneShown deletes what was shown of waybills of which nothing else is known.
func (s *Store) pruneShown(ctx context.Context, horizon int64) error {
	for deleted := int64(pruneRead); deleted == pruneRead; {
		err := s.change(ctx, 0, func(x *tx) (err error) {
			deleted, err = x.exec(`DELETE FROM shown WHERE (delivery_id, waybill_id) IN (
				SELECT s.delivery_id, s.waybill_id FROM shown s
				WHERE coalesce(greatest(s.received_at, s.expunged_at), '-infinity') < $1
					AND NOT EXISTS (SELECT FROM waybills w WHERE w.delivery_id = s.delivery_id AND w.waybill_id = s.waybill_id)
				LIMIT $2)`, timestamp(horizon), pruneRead)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pruneNotices forgets notices from before the horizon (Unix ms) that nobody will be told any more.
func (s *Store) pruneNotices(ctx context.Context, horizon int64) error {
	if s.opts.Notify != nil {
		return nil
	}
	var last int64
	err := s.view(ctx, func(t pgx.Tx) error {
		// They are in the order of time, but for the clocks of nodes.
		return t.QueryRow(ctx, `SELECT coalesce((SELECT number FROM notices WHERE at < $1 ORDER BY number DESC LIMIT 1), 0)`, timestamp(horizon)).Scan(&last)
	})
	if err != nil || last == 0 {
		return s.readError(err)
	}
	s.opts.Logger.Warn("notices of ends are off; those that were never told and are older than the retention are forgotten",
		"up_to", last)
	return s.Told(ctx, uint64(last))
}
