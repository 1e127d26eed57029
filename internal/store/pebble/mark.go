package pebble

import (
	"context"
	"encoding/binary"
	"errors"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

const (
	// maxNatural is how many numbers behind the newest a natural push may be open before it is moved to q.
	maxNatural = 1_000_000
	// markRows bounds the rows that one move of the mark reads, and markMoves the pushes it moves to q.
	markRows  = 200_000
	markMoves = 1024
)

// moveMark moves the low-water mark up to the first natural push that is open, after moving very old ones to q.
func (s *Store) moveMark(ctx context.Context) error {
	for {
		low, stragglers, err := s.settledUpTo(s.low.Load())
		if err != nil {
			return err
		}
		if len(stragglers) > 0 {
			op := &queueOp{pushes: stragglers}
			if err := s.write(ctx, op, &op.Waiter); err != nil {
				return err
			}
		}
		// Only now: what is below the mark must be found in q.
		s.low.Store(low)
		if len(stragglers) < markMoves {
			return nil
		}
	}
}

// straggler is a natural push that has been open for too long.
type straggler struct {
	seq     uint64
	waybill state.Waybill
}

// settledUpTo walks from the mark to the first natural push that is open and not a straggler, or as far as one round
// may go.
func (s *Store) settledUpTo(low uint64) (uint64, []straggler, error) {
	durable := s.durable.Load()
	m := marker{s: s, low: low}
	if durable > s.maxNatural() {
		m.old = durable - s.maxNatural()
	}
	err := s.view(func(db cdb.Reader) error {
		j, err := newJoin(db, low, durable+1, false)
		if err != nil {
			return err
		}
		more := true
		for more && err == nil && j.next() {
			more, err = m.pass(j)
		}
		if more {
			m.low = durable + 1
		}
		return errors.Join(err, j.close())
	})
	return m.low, m.stragglers, err
}

// marker is the mark while it moves.
type marker struct {
	s          *Store
	low        uint64
	old        uint64 // Natural pushes with smaller numbers are stragglers.
	stragglers []straggler
	rows       int
}

// pass tells whether the mark may move past the event at hand.
func (m *marker) pass(j *join) (bool, error) {
	m.low = keySeq(j.events.Key())
	if m.rows++; m.rows > markRows || len(m.stragglers) == markMoves {
		return false, nil
	}
	open, err := j.openNatural(m.low)
	switch {
	case err != nil || !open:
		return true, err
	case m.low >= m.old:
		return false, nil
	}
	if r := j.row(); r.damage == nil {
		m.stragglers = append(m.stragglers, straggler{m.low, r.event.event.Waybill()})
	} else {
		m.s.reportDamage(r.damage) // It can't be sent, and must not hold the mark.
	}
	return true, nil
}

func (s *Store) maxNatural() uint64 {
	if s.opts.maxNatural != 0 {
		return s.opts.maxNatural
	}
	return maxNatural
}

// openNatural tells whether the event at hand has a push that is open and that only l lists. It reads as little as it can.
func (j *join) openNatural(seq uint64) (bool, error) {
	value, err := j.events.ValueAndErr()
	if err != nil || len(value) < 4 {
		return false, damaged(j.events.Key(), errors.Join(err, codec.ErrRecord))
	}
	if value[3]&flagNatural == 0 {
		return false, nil
	}
	value, err = j.pushOf(seq)
	if err != nil || value == nil {
		return true, err
	}
	status, queued, _, err := pushState(value)
	return status == store.Pending && !queued, err
}

// queueOp moves natural pushes to q.
type queueOp struct {
	engine.Waiter
	pushes []straggler
}

func (o *queueOp) rows() int { return len(o.pushes) }

func (o *queueOp) run(x *tx) {
	for _, p := range o.pushes {
		rec, err := x.existing(p.waybill, p.seq)
		if err != nil {
			o.Err = err
			return
		}
		if rec.Status != store.Pending || rec.queued {
			continue
		}
		rec.queued = true
		x.key = seqKey(x.key[:0], tableQueued, p.seq)
		x.value = putWaybill(x.value[:0], p.waybill)
		x.set(x.key, x.value)
		x.savePush(p.seq, rec)
	}
}

// saveMark writes the mark, so that the next start need not look for it. A mark that is behind is as good, only slower.
func (s *Store) saveMark(ctx context.Context) error {
	low := s.low.Load()
	if low == s.keeper.saved {
		return nil
	}
	op := &markOp{low: low}
	err := s.write(ctx, op, &op.Waiter)
	if err == nil {
		s.keeper.saved = low
	}
	return err
}

type markOp struct {
	engine.Waiter
	low uint64
}

func (o *markOp) rows() int { return 1 }
func (o *markOp) run(x *tx) { x.set(metaLow, binary.BigEndian.AppendUint64(nil, o.low)) }
