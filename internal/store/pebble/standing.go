package pebble

import (
	"cmp"
	"slices"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// standings says what pushes wait for. It reads a waybill once, however many of its pushes are on the page.
type standings struct {
	db    cdb.Reader
	now   time.Time
	held  func(deliveryID string, transitOnly bool) store.WaitingFor // May be nil.
	known map[state.Waybill]standing
}

// standing is what a waybill's pushes have in common.
type standing struct {
	token bool
	block *block     // Parked or frozen; nil while neither.
	open  []openPush // In the order in which they are sent.
	main  bool       // One of them is no transit scan.
}

// openPush is a push that is pending.
type openPush struct{ seq, ord uint64 }

func newStandings(db cdb.Reader, now time.Time, held func(string, bool) store.WaitingFor) *standings {
	return &standings{db: db, now: now, held: held, known: map[state.Waybill]standing{}}
}

// push makes the answer of a row, with what it waits for.
func (s *standings) push(r *row) (store.Push, error) {
	p := r.event.push(r.seq, 0)
	if !r.hasPush {
		p.Status = store.NoPush
		return p, nil
	}
	r.push.fill(&p)
	if p.Status != store.Pending {
		return p, nil
	}
	at, err := s.of(p.Event.Waybill())
	p.WaitingFor, p.Waiting = s.waiting(&p, &r.push, at)
	p.TransitOnly = !at.main
	return p, err
}

// waiting names the first of all that keeps a push.
func (s *standings) waiting(p *store.Push, rec *pushRecord, at standing) (store.WaitingFor, store.Waiting) {
	behind := at.before(p.Ord)
	switch {
	case !at.token:
		return store.WaitToken, store.Waiting{Since: p.OpenedAt, Until: codec.FromMillis(rec.TokenUntil)}
	case at.block != nil:
		return store.WaitWaybill, at.block.waiting(p.OpenedAt)
	case behind != 0:
		return store.WaitWaybill, store.Waiting{Since: p.OpenedAt, Behind: behind}
	}
	if s.held != nil {
		if w := s.held(p.Event.DeliveryID, !at.main); w != store.WaitNothing {
			return w, store.Waiting{}
		}
	}
	if p.NextAt.After(s.now) {
		last := p.Last()
		return store.WaitRetry, store.Waiting{Since: last.At.Add(last.Duration), Until: p.NextAt}
	}
	return store.WaitNothing, store.Waiting{}
}

// waiting says how a push waits that became pending at a time.
func (k *block) waiting(openedAt time.Time) store.Waiting {
	w := store.Waiting{Parked: k.is(flagParked), Frozen: k.is(flagFrozen), Reason: k.hold.Reason}
	for _, since := range []time.Time{codec.FromMillis(k.parked), k.hold.Since} {
		if !since.IsZero() && (w.Since.IsZero() || since.Before(w.Since)) {
			w.Since = since
		}
	}
	if openedAt.After(w.Since) {
		w.Since = openedAt
	}
	return w
}

// before is the push that goes just before the one with an ord; 0 if none does.
func (at *standing) before(ord uint64) (seq uint64) {
	i, _ := slices.BinarySearchFunc(at.open, ord, func(p openPush, ord uint64) int { return cmp.Compare(p.ord, ord) })
	if i == 0 {
		return 0
	}
	return at.open[i-1].seq
}

func (s *standings) of(w state.Waybill) (standing, error) {
	if at, ok := s.known[w]; ok {
		return at, nil
	}
	at, err := readStanding(s.db, w)
	if err == nil {
		s.known[w] = at
	}
	return at, err
}

func readStanding(db cdb.Reader, w state.Waybill) (at standing, err error) {
	newest, err := newestToken(db, w)
	if err != nil {
		return at, err
	}
	at.token = newest != 0
	if at.block, err = readBlock(db, w); err != nil {
		return at, err
	}
	t, err := readTimeline(db, w)
	if err != nil {
		return at, err
	}
	for i := range t {
		if t[i].Ord == 0 {
			continue
		}
		rec, err := readPush(db, t[i].Seq, t[i].Ord)
		if err != nil {
			return at, err
		}
		if rec.Status == store.Pending {
			at.open = append(at.open, openPush{t[i].Seq, t[i].Ord})
			at.main = at.main || t[i].Type != state.Transit
		}
	}
	slices.SortFunc(at.open, func(a, b openPush) int { return cmp.Compare(a.ord, b.ord) })
	return at, nil
}
