package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// standings says what pushes wait for. It reads a waybill once, however many of its pushes are on a page.
type standings struct {
	now   time.Time
	held  func(deliveryID string, transitOnly bool) store.WaitingFor // May be nil.
	known map[state.Waybill]*waybill
}

// readStandings reads the waybills of the pending among some rows.
func (s *Store) readStandings(
	ctx context.Context, tx pgx.Tx, held func(string, bool) store.WaitingFor, rows []*row,
) (*standings, error) {
	at := &standings{now: s.opts.Now(), held: held, known: map[state.Waybill]*waybill{}}
	for _, r := range rows {
		if r.push.Status == store.Pending {
			at.known[r.event.Waybill()] = nil
		}
	}
	if len(at.known) == 0 {
		return at, nil
	}
	var all []state.Waybill
	for w := range at.known {
		all = append(all, w)
	}
	deliveries, ids := waybillKeys(all)
	found, err := tx.Query(ctx, "SELECT "+waybillFields+` FROM unnest($1::text[], $2::text[]) AS k(delivery_id, waybill_id)
		JOIN waybills w USING (delivery_id, waybill_id)`, deliveries, ids)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	return at, s.scanWaybills(found, func(w *waybill) { at.known[w.name] = w })
}

// push makes the answer of a row, with what it waits for.
func (at *standings) push(r *row) (store.Push, error) {
	p := r.store()
	if p.Status != store.Pending {
		return p, nil
	}
	w := at.known[p.Event.Waybill()]
	if w == nil {
		return p, damaged("waybill "+p.Event.Waybill().String()+" is missing", codec.ErrRecord)
	}
	transitOnly := w.transitOnly()
	p.WaitingFor, p.Waiting = at.waiting(&p, r, w, transitOnly)
	p.TransitOnly = transitOnly
	return p, w.damage
}

// waiting names the first of all that keeps a push.
func (at *standings) waiting(p *store.Push, r *row, w *waybill, transitOnly bool) (store.WaitingFor, store.Waiting) {
	behind := w.before(r.seq)
	switch {
	case w.lacksToken():
		return store.WaitToken, store.Waiting{Since: p.OpenedAt, Until: codec.FromMillis(r.push.TokenUntil)}
	case w.kept():
		return store.WaitWaybill, w.waiting(r.push.OpenedAt)
	case behind != 0:
		return store.WaitWaybill, store.Waiting{Since: p.OpenedAt, Behind: behind}
	}
	if at.held != nil {
		if why := at.held(p.Event.DeliveryID, transitOnly); why != store.WaitNothing {
			return why, store.Waiting{}
		}
	}
	if p.NextAt.After(at.now) {
		last := p.Last()
		return store.WaitRetry, store.Waiting{Since: last.At.Add(last.Duration), Until: p.NextAt}
	}
	return store.WaitNothing, store.Waiting{}
}

// waiting says how a push waits that became pending at a time (Unix ms), while the waybill is parked or frozen.
func (w *waybill) waiting(openedAt int64) store.Waiting {
	since := cmp.Or(w.parkedAt, w.frozenAt)
	if w.frozenAt != 0 {
		since = min(since, w.frozenAt)
	}
	return store.Waiting{
		Since: codec.FromMillis(max(since, openedAt)), Parked: w.parkedAt != 0, Frozen: w.frozenAt != 0, Reason: w.frozen,
	}
}

// before is the push that goes just before another one; 0 if none does.
func (w *waybill) before(seq uint64) uint64 {
	if i := slices.Index(w.open, seq); i > 0 {
		return w.open[i-1]
	}
	return 0
}

// transitOnly tells whether all that is open of the waybill are transit scans.
func (w *waybill) transitOnly() bool {
	for _, seq := range w.open {
		if e := w.timeline.Find(seq); e != nil && e.Type != state.Transit {
			return false
		}
	}
	return true
}
