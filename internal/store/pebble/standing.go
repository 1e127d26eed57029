package pebble

import (
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
)

// standings says what pushes wait for. It reads a waybill once, however many of its pushes are on the page.
type standings struct {
	db    cdb.Reader
	now   time.Time
	held  func(deliveryID string) store.WaitingFor // May be nil.
	known map[state.Waybill]standing
}

// standing is what a waybill's pushes have in common.
type standing struct {
	token   bool
	blocked bool   // Parked or frozen.
	head    uint64 // The ord of its first open push; 0 if none is open.
}

func newStandings(db cdb.Reader, now time.Time, held func(string) store.WaitingFor) *standings {
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
	p.WaitingFor = s.waitingFor(&p, at)
	return p, err
}

// waitingFor names the first of all that keeps a push.
func (s *standings) waitingFor(p *store.Push, at standing) store.WaitingFor {
	switch {
	case !at.token:
		return store.WaitToken
	case at.blocked || at.head != p.Ord:
		return store.WaitWaybill
	}
	if s.held != nil {
		if w := s.held(p.Event.DeliveryID); w != store.WaitNothing {
			return w
		}
	}
	if p.NextAt.After(s.now) {
		return store.WaitRetry
	}
	return store.WaitNothing
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
	tokens, err := readTokens(db, w)
	if err != nil {
		return at, err
	}
	flags, err := readFlags(db, w)
	if err != nil {
		return at, err
	}
	at.token, at.blocked = len(tokens) > 0, flags != 0
	t, err := readTimeline(db, w)
	if err != nil {
		return at, err
	}
	for i := range t {
		if t[i].Ord == 0 || at.head != 0 && t[i].Ord > at.head {
			continue
		}
		rec, err := readPush(db, t[i].Seq, t[i].Ord)
		if err != nil {
			return at, err
		}
		if rec.status == store.Pending {
			at.head = t[i].Ord
		}
	}
	return at, nil
}
