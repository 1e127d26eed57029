package pebble

import (
	"carrier/internal/state"
	"carrier/internal/store"
)

// plan is a query as an intersection of sets of rows. All that matches is in every set; a row that is may still not
// match, as a set can hold more than the condition that it stands for.
type plan struct {
	s *Store
	// Conditions on what is in memory come first: where they leave nothing of a span, b is not read.
	memory, disk []condition
	positive     bool // Some condition says what must be.

	rows, set, scratch bitset // Of the span that is worked out.
}

// condition holds for a row that is listed under any of some terms or sets, and, if except is given, not under that.
type condition struct {
	terms  []term
	open   openSets
	except *term
	not    bool // It must not hold.
}

func anyOf(terms ...term) condition   { return condition{terms: terms} }
func noneOf(terms ...term) condition  { return condition{terms: terms, not: true} }
func isOpen(sets openSets) condition  { return condition{open: sets} }
func notOpen(sets openSets) condition { return condition{open: sets, not: true} }

// noPush are the events that have no push: an accepted one has one.
var noPush = noneOf(verdictTerm(state.Held), verdictTerm(state.Ignored), verdictTerm(state.Rejected))

// delivered says that a push is delivered, by what it is not.
func delivered() condition {
	return condition{
		terms: []term{statusTerm(store.Failed), statusTerm(store.Discarded)}, open: setOpen, not: true,
	}
}

func (p *plan) add(c condition) {
	p.positive = p.positive || !c.not
	if len(c.terms) > 0 && c.terms[0].inBits() {
		p.disk = append(p.disk, c)
		return
	}
	p.memory = append(p.memory, c)
}

// plan tells what to read for the query; ok is false if nothing can match.
func (f *search) plan() (p *plan, ok bool) {
	q, rows := &f.query, f.s.index.rows
	p = &plan{s: f.s, rows: newBitset(rows), set: newBitset(rows), scratch: newBitset(rows)}
	if !f.planVerdict(p) || !f.planWaiting(p) {
		return nil, false
	}
	if f.pushes || q.Status != store.NoPush || q.Errcode != nil || q.WaitingFor != store.WaitNothing {
		p.add(noPush)
	}
	switch q.Status {
	case store.Pending:
		p.add(isOpen(setOpen))
	case store.Failed, store.Discarded:
		p.add(anyOf(statusTerm(q.Status)))
	case store.Delivered:
		p.add(delivered())
	}
	if q.Errcode != nil {
		p.add(errcodeCondition(*q.Errcode))
	}
	if q.Reason != "" && f.pushes {
		p.add(anyOf(pushReasonTerm(q.Reason)))
	} else if q.Reason != "" {
		p.add(anyOf(pushReasonTerm(q.Reason), reasonTerm(q.Reason)))
	}
	f.planBirth(p)
	return p, true
}

// planBirth adds the conditions on what never changes.
func (f *search) planBirth(p *plan) {
	q := &f.query
	if q.DeliveryID != "" {
		p.add(anyOf(term{termAccount, q.DeliveryID}))
	}
	if q.Source != "" {
		p.add(anyOf(term{termSource, q.Source}))
	}
	if q.Type != 0 {
		p.add(anyOf(typeTerm(q.Type)))
	}
	if !p.positive {
		p.add(anyOf(term{kind: termAll}))
	}
}

func (f *search) planVerdict(p *plan) (ok bool) {
	switch v := f.query.Verdict; v {
	case 0:
	case state.Accepted:
		p.add(noPush)
	case state.Held, state.Ignored, state.Rejected:
		p.add(anyOf(verdictTerm(v)))
	default:
		return false // Those events are not kept.
	}
	return true
}

// errcodeCondition holds where the last attempt can have had an errcode. Delivered pushes are not listed under 0, as
// nearly all of them would be.
func errcodeCondition(code int) condition {
	t := errcodeTerm(code)
	if code != 0 {
		return anyOf(t)
	}
	c := delivered()
	c.except = &t
	return c
}

func (f *search) planWaiting(p *plan) (ok bool) {
	switch w := f.query.WaitingFor; w {
	case store.WaitNothing:
	case store.WaitToken:
		p.add(isOpen(setNoToken))
	case store.WaitWaybill:
		p.add(isOpen(setBehind))
		p.add(notOpen(setNoToken))
	case store.WaitRetry:
		p.add(isOpen(setRetry))
		p.add(notOpen(setNoToken))
		if held := f.heldAccounts(false, store.WaitBreaker, store.WaitAccount); len(held) > 0 {
			p.add(noneOf(held...))
		}
	case store.WaitBreaker, store.WaitAccount:
		held := f.heldAccounts(true, w)
		if len(held) == 0 {
			return false
		}
		p.add(isOpen(setOpen))
		p.add(notOpen(setNoToken))
		p.add(anyOf(held...))
	default:
		return false
	}
	return true
}

// heldAccounts are the accounts with pending pushes that all wait for one of some things; with transitOnly, also those
// in which it may be only those of waybills that have nothing but transit scans open.
func (f *search) heldAccounts(transitOnly bool, why ...store.WaitingFor) (terms []term) {
	if f.query.Held == nil {
		return nil
	}
	for delivery, pending := range f.s.pendingByAccount() {
		for _, w := range why {
			if pending > 0 && f.query.Held(delivery, transitOnly) == w {
				terms = append(terms, term{termAccount, delivery})
			}
		}
	}
	return terms
}

// narrow takes out of rows what can't match in a span.
func (p *plan) narrow(span uint64) error {
	for _, list := range [][]condition{p.memory, p.disk} {
		for i := range list {
			if p.rows.empty() {
				return nil
			}
			if err := p.apply(&list[i], span); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *plan) apply(c *condition, span uint64) error {
	clear(p.set)
	for _, t := range c.terms {
		if err := p.read(t, span, p.set); err != nil {
			return err
		}
	}
	if c.open != 0 {
		p.s.index.readOpen(c.open, span, p.set)
	}
	if c.except != nil {
		clear(p.scratch)
		if err := p.read(*c.except, span, p.scratch); err != nil {
			return err
		}
		p.set.andNot(p.scratch)
	}
	if c.not {
		p.rows.andNot(p.set)
	} else {
		p.rows.and(p.set)
	}
	return nil
}

// read adds a term's rows in a span to a set. b is read as it is now, and not in the list's own state of the store:
// what was in memory is in b before it leaves memory.
func (p *plan) read(t term, span uint64, into bitset) error {
	if stored := p.s.index.read(t, span, into); !stored {
		return nil
	}
	return readBits(p.s.db, t, span, into)
}
