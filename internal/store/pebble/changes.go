package pebble

import (
	"carrier/internal/state"
	"carrier/internal/store"
)

// changes are what a commit changes in the index. The writer collects them, and writes what is kept on disk; the acker
// hands them to the index once the commit is durable.
type changes struct {
	arrivals []arrival
	terms    []termChange
	open     []openChange
	fronts   []frontChange
	// known are the terms under which pushes that this commit read or wrote are listed; absent: none.
	known map[uint64]pushTerms
	// crowded are waybills of which more than the newest push may have come to wait for an earlier one.
	crowded map[state.Waybill]bool
}

// arrival is a new event with what never changes of it.
type arrival struct {
	seq             uint64
	account, source string
	action          state.ActionType
}

type termChange struct {
	seq  uint64
	term term
	on   bool
}

// openChange moves a push into and out of sets of open pushes.
type openChange struct {
	seq     uint64
	in, out openSets
}

// openSets names sets of open pushes, which are in memory only.
type openSets uint8

const (
	setOpen    openSets = 1 << iota // Pending.
	setNoToken                      // Waiting for the waybill's Token.
	setRetry                        // With a moment before which they are not tried again, perhaps past.
	setBehind                       // All that wait for an earlier push or a blocked waybill, and some more.

	allOpenSets = setOpen | setNoToken | setRetry | setBehind
)

// sets are those that a push belongs to by its record alone.
func (r *pushRecord) sets() openSets {
	if r.Status != store.Pending {
		return 0
	}
	in := setOpen
	if r.TokenUntil != 0 {
		in |= setNoToken
	}
	if r.NextAt != 0 {
		in |= setRetry
	}
	return in
}

func newChanges() changes {
	return changes{known: map[uint64]pushTerms{}, crowded: map[state.Waybill]bool{}}
}

// reset makes c as new, and keeps its room.
func (c *changes) reset() {
	clear(c.arrivals)
	clear(c.terms)
	clear(c.crowded)
	clear(c.known)
	clear(c.fronts)
	c.arrivals, c.terms, c.open = c.arrivals[:0], c.terms[:0], c.open[:0]
	c.fronts = c.fronts[:0]
}

// indexEvent notes a new event.
func (x *tx) indexEvent(seq uint64, e *state.Event) {
	x.index.arrivals = append(x.index.arrivals, arrival{seq, e.DeliveryID, e.Source, e.Type})
}

// indexEntry lists an event under what its place in the timeline says; old is that place before, nil for a new event.
func (x *tx) indexEntry(old, e *state.Entry) {
	if was, is := termsOfEntry(old), termsOfEntry(e); was != is {
		x.relist(e.Seq, was[:], is[:])
	}
}

// noteIndexed remembers what a push is listed under that was read from disk.
func (x *tx) noteIndexed(seq uint64, rec *pushRecord) {
	if t := rec.terms(); t != (pushTerms{}) {
		x.index.known[seq] = t
	}
}

// indexPush lists a push under what its new record says.
func (x *tx) indexPush(seq uint64, rec *pushRecord) {
	if was, is := x.index.known[seq], rec.terms(); was != is {
		x.relist(seq, was[:], is[:])
		x.index.known[seq] = is
	}
	in := rec.sets()
	out := (allOpenSets &^ setBehind) &^ in
	if in == 0 {
		out = allOpenSets
	}
	x.index.open = append(x.index.open, openChange{seq, in, out})
}

// relist writes the difference between two lists of terms of the same kinds.
func (x *tx) relist(seq uint64, was, is []term) {
	for i := range was {
		if was[i] == is[i] {
			continue
		}
		if was[i].kind != 0 {
			x.key = termKey(x.key[:0], was[i], seq)
			x.del(x.key)
			x.index.terms = append(x.index.terms, termChange{seq, was[i], false})
		}
		if is[i].kind != 0 {
			x.key = termKey(x.key[:0], is[i], seq)
			x.set(x.key, nil)
			x.index.terms = append(x.index.terms, termChange{seq, is[i], true})
		}
	}
}

// indexOpened notes a push that is about to become open at the end of its waybill's line.
func (x *tx) indexOpened(w *waybill, seq uint64) {
	in := setOpen
	if w.open > 0 || w.block != nil {
		in |= setBehind
	}
	w.newest = seq
	x.index.open = append(x.index.open, openChange{seq: seq, in: in})
}

// indexEnded notes that one of a waybill's open pushes is one no more. If only the newest is left, it waits for none.
func (x *tx) indexEnded(w *waybill) {
	if w.open == 1 && w.block == nil && w.newest != 0 {
		x.index.open = append(x.index.open, openChange{seq: w.newest, out: setBehind})
	}
}

// indexCrowd notes that pushes of a waybill that were open before may wait for another now: it was parked or frozen, or
// an earlier push was put back before them. It is looked into once a commit.
func (x *tx) indexCrowd(name state.Waybill) { x.index.crowded[name] = true }

// resolveCrowds lists the open pushes of the waybills that indexCrowd noted. What it can't read waits unlisted until the
// next start; the damage is reported, and the commit does not depend on it.
func (x *tx) resolveCrowds() {
	for name := range x.index.crowded {
		if err := x.resolveCrowd(name); err != nil {
			x.s.reportDamage(err)
		}
	}
}

func (x *tx) resolveCrowd(name state.Waybill) error {
	w, err := x.waybill(name)
	if err != nil || w.open == 0 || w.open == 1 && w.block == nil {
		return err
	}
	t, err := x.timeline(w)
	if err != nil {
		return err
	}
	for i := range t {
		if t[i].Ord == 0 {
			continue
		}
		rec, err := x.push(name, t[i].Seq, t[i].Ord)
		if err != nil {
			return err
		}
		if rec.Status == store.Pending {
			x.index.open = append(x.index.open, openChange{seq: t[i].Seq, in: setBehind})
		}
	}
	return nil
}

// unindex takes an event that is deleted out of all lists.
func (x *tx) unindex(e *state.Entry, r *row) {
	was := termsOfEntry(e)
	x.relist(r.seq, was[:], make([]term, len(was)))
	if r.hasPush {
		was := r.push.terms()
		x.relist(r.seq, was[:], make([]term, len(was)))
	}
	delete(x.index.known, r.seq)
}
