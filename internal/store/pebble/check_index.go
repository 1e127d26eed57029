package pebble

import cdb "github.com/cockroachdb/pebble/v2"

// indexCheck compares i and b with the rows.
type indexCheck struct {
	rows   uint64 // Of a span.
	stored uint64 // The first span that b need not have.
	span   *tail  // The span at hand, as its rows are.
}

func newIndexCheck(db cdb.Reader, rows uint64) (*indexCheck, error) {
	stored, err := readNumber(db, metaSpans, 0)
	return &indexCheck{rows: rows, stored: stored}, err
}

// listedUnder checks that i has a row for each term of an event or a push. That it has no others is seen by their number.
func (c *checker) listedUnder(seq uint64, terms []term) {
	if c.index == nil {
		return
	}
	for _, t := range terms {
		if t.kind == 0 {
			continue
		}
		c.wanted[tableIndex]++
		found, err := read(c.db, termKey(nil, t, seq), func([]byte) error { return nil })
		if err != nil || !found {
			c.problem("event %d is missing from the list %s: filters don't find it (%v)", seq, t, err)
		}
	}
}

// birth takes in what an event was born with. Events come in order.
func (c *checker) birth(seq uint64, rec *eventRecord) {
	x := c.index
	if x == nil || seq/x.rows >= x.stored {
		return
	}
	if x.span == nil || x.span.number != seq/x.rows {
		c.spanBits()
		x.span = newTail(seq/x.rows, x.rows)
	}
	a := arrivalOf(&row{seq: seq, event: *rec})
	x.span.add(seq%x.rows, &a)
}

// spanBits checks that b has every bit of the span at hand. Bits of events that retention deleted may be left over.
func (c *checker) spanBits() {
	x := c.index
	if x == nil || x.span == nil {
		return
	}
	x.span.each(func(t term, set bitset) {
		kept := newBitset(x.rows)
		if err := readBits(c.db, t, x.span.number, kept); err != nil {
			c.problem("the list %s of span %d can't be read: %v", t, x.span.number, err)
			return
		}
		set.andNot(kept)
		set.each(false, func(place uint64) bool {
			c.problem("event %d is missing from the list %s: filters don't find it", x.span.number*x.rows+place, t)
			return true
		})
	})
	x.span = nil
}
