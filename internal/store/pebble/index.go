package pebble

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"carrier/internal/state"
)

// spanRows is how many numbers in a row make up a span: lists are worked out span by span.
const spanRows = 1 << 16

// index is the part of what lists need that is in memory: the rows of i, the sets of open pushes, which nothing on disk
// lists, and the terms of the newest events, up to a span, which b does not have yet.
//
// What it says of a row may be ahead of, or behind, the state in which a list reads the row itself. A row that stays as
// it is while the list is read is found all the same; whatever is found is checked against its row.
type index struct {
	rows  uint64        // Of a span.
	ready chan struct{} // Closed when it is built, or can't be.

	mu    sync.RWMutex // Guards all below.
	err   error        // Why it can't be built.
	built bool
	terms map[term]marks
	open  [4]marks // By the bit's number in openSets.
	tails map[uint64]*tail
	last  *tail // The newest of tails.
	// stored is the first span that is not in b; those before it are not in tails.
	stored uint64
	// Changes that came before it was built. They are newer than what it is built from.
	laterTerms []termChange
	laterOpen  []openChange
}

func newIndex(rows uint64) *index {
	return &index{rows: rows, ready: make(chan struct{}), terms: map[term]marks{}, tails: map[uint64]*tail{}}
}

// marks are rows, by span: the values of a bitmap are places in the span.
type marks map[uint64]*roaring.Bitmap

func (m marks) add(span, place uint64) {
	b := m[span]
	if b == nil {
		b = roaring.New()
		m[span] = b
	}
	b.Add(uint32(place))
}

func (m marks) remove(span, place uint64) {
	b := m[span]
	if b == nil {
		return
	}
	if b.Remove(uint32(place)); b.IsEmpty() {
		delete(m, span)
	}
}

// tail is a span whose terms are collected in memory.
type tail struct {
	number   uint64
	all      bitset
	accounts map[string]bitset
	sources  map[string]bitset
	types    map[state.ActionType]bitset
}

func newTail(number, rows uint64) *tail {
	return &tail{
		number: number, all: newBitset(rows), accounts: map[string]bitset{}, sources: map[string]bitset{},
		types: map[state.ActionType]bitset{},
	}
}

func (t *tail) add(place uint64, a *arrival) {
	t.all.add(place)
	mark(t.accounts, a.account, place, len(t.all))
	mark(t.sources, a.source, place, len(t.all))
	mark(t.types, a.action, place, len(t.all))
}

func mark[K comparable](sets map[K]bitset, key K, place uint64, words int) {
	set := sets[key]
	if set == nil {
		set = make(bitset, words)
		sets[key] = set
	}
	set.add(place)
}

// each calls use with all terms of the span.
func (t *tail) each(use func(term, bitset)) {
	use(term{kind: termAll}, t.all)
	for name, set := range t.accounts {
		use(term{termAccount, name}, set)
	}
	for name, set := range t.sources {
		use(term{termSource, name}, set)
	}
	for action, set := range t.types {
		use(typeTerm(action), set)
	}
}

// find gives the rows of a term; nil if there are none.
func (t *tail) find(wanted term) bitset {
	switch wanted.kind {
	case termAccount:
		return t.accounts[wanted.value]
	case termSource:
		return t.sources[wanted.value]
	case termType:
		action, _ := strconv.Atoi(wanted.value)
		return t.types[state.ActionType(action)]
	}
	return t.all
}

// apply takes in a commit that is durable.
func (x *index) apply(c *changes) {
	if len(c.arrivals)+len(c.terms)+len(c.open) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.arrive(c.arrivals)
	if !x.built {
		x.laterTerms = append(x.laterTerms, c.terms...)
		x.laterOpen = append(x.laterOpen, c.open...)
		return
	}
	x.change(c.terms, c.open)
}

// arrive takes in new events. The caller holds the lock.
func (x *index) arrive(events []arrival) {
	for i := range events {
		span, place := events[i].seq/x.rows, events[i].seq%x.rows
		if x.last == nil || x.last.number != span {
			x.last = x.tails[span]
			if x.last == nil {
				x.last = newTail(span, x.rows)
				x.tails[span] = x.last
			}
		}
		x.last.add(place, &events[i])
	}
}

// change takes in what changed of pushes and verdicts. The caller holds the lock.
func (x *index) change(terms []termChange, open []openChange) {
	for i := range terms {
		c := &terms[i]
		if c.on {
			x.mark(c.term, c.seq)
		} else if m := x.terms[c.term]; m != nil {
			m.remove(c.seq/x.rows, c.seq%x.rows)
			if len(m) == 0 {
				delete(x.terms, c.term)
			}
		}
	}
	for _, c := range open {
		span, place := c.seq/x.rows, c.seq%x.rows
		for i := range x.open {
			switch bit := openSets(1) << i; {
			case c.in&bit != 0:
				x.openMarks(i).add(span, place)
			case c.out&bit != 0:
				x.open[i].remove(span, place)
			}
		}
	}
}

func (x *index) mark(t term, seq uint64) {
	m := x.terms[t]
	if m == nil {
		m = marks{}
		x.terms[t] = m
	}
	m.add(seq/x.rows, seq%x.rows)
}

func (x *index) openMarks(i int) marks {
	if x.open[i] == nil {
		x.open[i] = marks{}
	}
	return x.open[i]
}

// finish says that the index is built, but for what was noted meanwhile, or why it can't be.
func (x *index) finish(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.change(x.laterTerms, x.laterOpen)
	x.laterTerms, x.laterOpen = nil, nil
	x.built, x.err = true, err
	close(x.ready)
}

// wait returns once the index is built.
func (x *index) wait(ctx context.Context) error {
	select {
	case <-x.ready:
	case <-ctx.Done():
		return fmt.Errorf("the store has just been opened, and lists wait until its index is built: %w", context.Cause(ctx))
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.err != nil {
		return fmt.Errorf("the index of open pushes could not be built, so nothing can be listed until a restart: %w", x.err)
	}
	return nil
}

// read adds to into the rows of a span that are in memory: those of a term that has rows in i or is in a tail.
// stored says that the span's are in b.
func (x *index) read(t term, span uint64, into bitset) (stored bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if !t.inBits() {
		addTo(into, x.terms[t][span])
		return false
	}
	if span < x.stored {
		return true
	}
	if tail := x.tails[span]; tail != nil {
		if set := tail.find(t); set != nil {
			into.or(set)
		}
	}
	return false
}

// readOpen adds to into the rows of a span that are in any of some sets of open pushes.
func (x *index) readOpen(sets openSets, span uint64, into bitset) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for i := range x.open {
		if sets&(1<<i) != 0 {
			addTo(into, x.open[i][span])
		}
	}
}

// addTo adds a bitmap to a set. WriteDenseTo would overwrite what the set has already.
func addTo(into bitset, b *roaring.Bitmap) {
	if b == nil {
		return
	}
	dense := b.ToDense()
	for i, word := range dense[:min(len(dense), len(into))] {
		into[i] |= word
	}
}

// firstUnstored is the first span that is not in b.
func (x *index) firstUnstored() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.stored
}

// fullTail gives the first span that is not in b, if it is known that no event of it will come any more. t is nil if it
// has none.
func (x *index) fullTail(durable uint64) (t *tail, span uint64, full bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if !x.built || x.err != nil || (x.stored+1)*x.rows > durable+1 {
		return nil, 0, false
	}
	return x.tails[x.stored], x.stored, true
}

// store says that a span is in b now.
func (x *index) store(span uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stored = span + 1
	if x.last == x.tails[span] {
		x.last = nil
	}
	delete(x.tails, span)
}
