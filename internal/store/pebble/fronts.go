package pebble

import (
	"maps"
	"slices"
	"sync"

	"carrier/internal/state"
)

// front is where a waybill stands that may fall silent. The zero one is that of a waybill of which nothing was accepted,
// or which is at its end.
type front struct {
	seq   uint64 // Of its accepted events, the one that came last.
	stage state.Stage
	token bool // It has a Token.
}

// frontOf is the front of a waybill with a timeline.
func frontOf(t state.Timeline, token bool) front {
	f := front{stage: t.Stage(), token: token}
	for i := range t {
		if t[i].Verdict == state.Accepted {
			f.seq = max(f.seq, t[i].Seq)
		}
	}
	return f.orNone()
}

// orNone is the zero front for what can't fall silent.
func (f front) orNone() front {
	if f.seq == 0 || f.stage == state.Created || f.stage.Final() {
		return front{}
	}
	return f
}

// with is the same front of a waybill that has a Token now, or none any more.
func (f front) with(token bool) front {
	f.token = token
	return f.orNone()
}

// frontChange is a waybill that moved.
type frontChange struct {
	account string
	was, is front
}

// moveFront notes where a waybill stands now.
func (x *tx) moveFront(w *waybill, to front) {
	if to = to.orNone(); to != w.front {
		x.index.fronts = append(x.index.fronts, frontChange{w.name.DeliveryID, w.front, to})
		w.front = to
	}
}

// line is the waybills of an account that stand at the same stage, with a Token or without.
type line struct {
	account string
	stage   state.Stage
	token   bool
}

// fronts are the fronts of all waybills, as bitmaps of their numbers: what fell silent before a moment has a number below
// the first of that moment. They are in memory only: on disk, each event would cost the writing of two rows in random
// places. A million take 2 to 8 MB. They are read from w and k after the start, beside the traffic.
//
// What they say may be ahead of, or behind, the state in which a list reads the waybill itself, so that is checked.
type fronts struct {
	rows uint64 // Of a span.

	mu    sync.RWMutex // Guards all below.
	lines map[line]marks
	// left are fronts that waybills left while they were being read: what is read is older. nil once all were.
	left        marks
	read, total uint64 // Rows of w, until all were read.
	err         error  // Why they can't be read.
}

func newFronts(rows uint64) *fronts {
	return &fronts{rows: rows, lines: map[line]marks{}, left: marks{}}
}

// apply takes in a commit that is durable.
func (f *fronts) apply(list []frontChange) {
	if len(list) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range list {
		c := &list[i]
		if c.was.seq != 0 {
			f.remove(c.account, c.was)
			if f.left != nil {
				f.left.add(c.was.seq/f.rows, c.was.seq%f.rows)
			}
		}
		if c.is.seq != 0 {
			f.add(c.account, c.is)
		}
	}
}

// found takes in a front as it was at the start. The caller holds the lock.
func (f *fronts) found(account string, at front) {
	if b := f.left[at.seq/f.rows]; b == nil || !b.Contains(uint32(at.seq%f.rows)) {
		f.add(account, at)
	}
}

func (f *fronts) add(account string, at front) {
	key := line{account, at.stage, at.token}
	m := f.lines[key]
	if m == nil {
		m = marks{}
		f.lines[key] = m
	}
	m.add(at.seq/f.rows, at.seq%f.rows)
}

func (f *fronts) remove(account string, at front) {
	key := line{account, at.stage, at.token}
	m := f.lines[key]
	if m.remove(at.seq/f.rows, at.seq%f.rows); len(m) == 0 {
		delete(f.lines, key)
	}
}

// oldest lists up to limit numbers of fronts in order, from a number on. below is the number of each line where it ends;
// 0: nothing of it is wanted.
func (f *fronts) oldest(from uint64, limit int, below func(line) uint64) []uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var list []uint64
	for key, m := range f.lines {
		list = m.appendRange(list, f.rows, from, below(key), limit)
	}
	slices.Sort(list)
	return list[:min(len(list), limit)]
}

// appendRange appends up to limit rows, from a number on and below another, in order.
func (m marks) appendRange(list []uint64, rows, from, below uint64, limit int) []uint64 {
	if from >= below {
		return list
	}
	for _, span := range slices.Sorted(maps.Keys(m)) {
		if span < from/rows {
			continue
		}
		it := m[span].Iterator()
		if first := span * rows; from > first {
			it.AdvanceIfNeeded(uint32(from - first))
		}
		for it.HasNext() {
			seq := span*rows + uint64(it.Next())
			if seq >= below || limit == 0 {
				return list
			}
			list = append(list, seq)
			limit--
		}
	}
	return list
}

// progress tells how far the reading is; total is 0 once it is through.
func (f *fronts) progress() (read, total uint64, err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.read, f.total, f.err
}
