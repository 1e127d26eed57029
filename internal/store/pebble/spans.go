package pebble

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// encodeBits is a value of b: a bitmap in the portable format of Roaring.
func encodeBits(set bitset) ([]byte, error) {
	b := roaring.FromDense(set, true)
	b.RunOptimize()
	return b.ToBytes()
}

// decodeBits adds a value of b to a set.
func decodeBits(value []byte, into bitset) error {
	b := roaring.New()
	if _, err := b.FromBuffer(value); err != nil {
		return fmt.Errorf("%w: %w", codec.ErrRecord, err)
	}
	// What FromBuffer lets pass can still make Maximum panic: a container with no runs, for one.
	if err := b.Validate(); err != nil {
		return fmt.Errorf("%w: %w", codec.ErrRecord, err)
	}
	if !b.IsEmpty() && int(b.Maximum()) >= 64*len(into) {
		return codec.ErrRecord
	}
	addTo(into, b)
	return nil
}

// readBits adds the rows of a term to a set, as b has them.
func readBits(db cdb.Reader, t term, span uint64, into bitset) error {
	_, err := read(db, termKey(nil, t, span), func(v []byte) error { return decodeBits(v, into) })
	return err
}

// spanOp writes a span's rows of b; a set that is nil deletes one.
type spanOp struct {
	engine.Waiter
	span   uint64
	sets   map[term]bitset
	stored bool // All spans up to this one are in b now.
}

func (o *spanOp) rows() int { return len(o.sets) }

func (o *spanOp) run(x *tx) {
	for t, set := range o.sets {
		x.key = termKey(x.key[:0], t, o.span)
		if set == nil {
			x.del(x.key)
			continue
		}
		value, err := encodeBits(set)
		if err != nil {
			o.Err = err
			return
		}
		x.set(x.key, value)
	}
	if o.stored {
		x.set(metaSpans, binary.BigEndian.AppendUint64(nil, o.span+1))
	}
}

// saveSpans moves spans of which all events came from memory to b. A crash in between costs nothing but reading their
// events again at the next start.
func (s *Store) saveSpans(ctx context.Context) error {
	for {
		t, span, full := s.index.fullTail(s.durable.Load())
		if !full {
			return nil
		}
		op := &spanOp{span: span, sets: map[term]bitset{}, stored: true}
		if t != nil { // All events of the span are durable, so nothing changes it any more.
			t.each(func(name term, set bitset) { op.sets[name] = set })
		}
		if err := s.write(ctx, op, &op.Waiter); err != nil {
			return fmt.Errorf("write the index of events %d to %d: %w", span*s.index.rows, (span+1)*s.index.rows-1, err)
		}
		s.index.store(span)
	}
}

// touch notes events that retention deleted.
func (s *Store) touch(seqs []uint64) {
	for _, seq := range seqs {
		s.keeper.touched[seq/s.index.rows] = true
	}
}

// tidyPause is the time between two spans that are written anew: reading one takes about 0.1 s.
const tidyPause = 20 * time.Millisecond

// tidySpans writes spans anew of which retention deleted events, once all their events are older than the horizon
// (Unix ms), and forgets those before the oldest event. Until then, lists look at rows that are not there: that costs
// time, and is never wrong.
func (s *Store) tidySpans(ctx context.Context, horizon int64) error {
	if len(s.keeper.touched) == 0 {
		return nil
	}
	var terms []term
	var first, young uint64 // The numbers of the oldest event, and of the oldest that is not older than the horizon.
	err := s.view(func(db cdb.Reader) (err error) {
		if terms, err = bitTerms(db); err != nil {
			return err
		}
		if first, err = firstNumber(db, 0); err != nil {
			return err
		}
		young, err = firstNumber(db, receivedFrom(db, horizon))
		return err
	})
	if err != nil {
		return err
	}
	for _, span := range slices.Sorted(maps.Keys(s.keeper.touched)) {
		if (span+1)*s.index.rows > young && young != 0 || span >= s.index.firstUnstored() {
			continue
		}
		if err := s.tidySpan(ctx, span, terms); err != nil {
			return err
		}
		delete(s.keeper.touched, span)
		if !s.pause(tidyPause) {
			return errStopped
		}
	}
	op := &dropSpansOp{terms: terms, below: min(first/s.index.rows, s.index.firstUnstored())}
	return s.write(ctx, op, &op.Waiter)
}

// tidySpan writes a span anew from the events that are left.
func (s *Store) tidySpan(ctx context.Context, span uint64, terms []term) error {
	op := &spanOp{span: span, sets: map[term]bitset{}}
	for _, t := range terms {
		op.sets[t] = nil
	}
	err := s.view(func(db cdb.Reader) error {
		left, some, err := readTail(db, span, s.index.rows)
		if some {
			left.each(func(t term, set bitset) { op.sets[t] = set })
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.write(ctx, op, &op.Waiter)
}

// readTail makes a span's terms from its events.
func readTail(db cdb.Reader, span, rows uint64) (t *tail, some bool, err error) {
	t = newTail(span, rows)
	err = walk(db, span*rows, (span+1)*rows, func(r *row) (bool, error) {
		if r.damage == nil {
			some = true
			a := arrivalOf(r)
			t.add(r.seq%rows, &a)
		}
		return true, nil
	})
	return t, some, err
}

// bitTerms lists the terms that b knows. It steps from one to the next, so it costs a seek a term.
func bitTerms(db cdb.Reader) (terms []term, err error) {
	lower := []byte{tableBits}
	for more := true; more; {
		more = false
		err = scanRange(db, lower, []byte{tableBits + 1}, func(key, _ []byte) (bool, error) {
			t, ok := parseTerm(key)
			if !ok {
				return false, damaged(key, codec.ErrRecord)
			}
			terms = append(terms, t)
			lower, more = after(termPrefix(nil, t)), true
			return false, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return terms, nil
}

// dropSpansOp deletes the spans before one.
type dropSpansOp struct {
	engine.Waiter
	terms []term
	below uint64
}

func (o *dropSpansOp) rows() int { return 1 }

func (o *dropSpansOp) run(x *tx) {
	for _, t := range o.terms {
		lower, upper := termKey(nil, t, 0), termKey(nil, t, o.below)
		if hasRows(x.s.db, lower, upper) {
			x.must(x.b.DeleteRange(lower, upper, nil))
		}
	}
}
