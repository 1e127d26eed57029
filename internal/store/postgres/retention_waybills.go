package postgres

import (
	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// prune deletes those of some waybills that are all old and settled.
func (x *tx) prune(names []state.Waybill, horizon int64) error {
	p := pruner{x: x, horizon: horizon, young: map[state.Waybill]bool{}}
	if err := p.load(names); err != nil {
		return err
	}
	for _, name := range names {
		if w := x.waybills[name]; w.damage == nil && !p.young[name] && p.isOver(w) {
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
			at = max(at, r.receivedAt, r.push.DoneAt)
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
		case r.receivedAt >= p.horizon, r.entry.Verdict == state.Held, r.push.Status == store.Pending, r.push.Status == store.Failed,
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
		x.delta.move(w.name.DeliveryID, r.push.Status, store.NoPush)
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
