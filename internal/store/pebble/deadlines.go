package pebble

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// maxSleep bounds how late a deadline can be noticed after the machine's clock was set forward.
const maxSleep = time.Minute

// due is a deadline that has passed.
type due struct {
	table    byte
	deadline int64 // Unix ms
	seq      uint64
	waybill  state.Waybill
}

// watchDeadlines carries out deadlines as they pass, until the store closes.
func (s *Store) watchDeadlines() {
	for {
		s.deadlineTrouble.note(s, "deadlines can't be carried out; trying again", s.expire(context.Background()))
		if !s.alarm.Wait(s.stop, s.opts.Now, maxSleep) {
			return
		}
	}
}

func (s *Store) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return s.failed.Load() != nil
	}
}

// expire carries out what is due: held events whose time is up, pushes that waited in vain for a Token. It returns
// when all is durable.
func (s *Store) expire(ctx context.Context) error {
	var failed map[due]error
	for {
		// Before the look at the tables: a deadline that is set while we look wakes us again.
		s.alarm.Set(math.MaxInt64)
		list, next, err := s.dueNow(failed)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			s.alarm.Set(next)
			return errors.Join(slices.Collect(maps.Values(failed))...)
		}
		op := &expireOp{list: list, failed: failed}
		if err := s.write(ctx, op, &op.Waiter); err != nil {
			return err
		}
		failed = op.failed
	}
}

// dueNow lists deadlines that have passed, but for those that failed, and the earliest that has not passed (Unix ms;
// MaxInt64: there is none). A held event that would wait for longer than it may was dated by a clock that ran ahead and
// was put right: its time has passed, too.
func (s *Store) dueNow(failed map[due]error) (list []due, next int64, err error) {
	now := s.opts.Now().UnixMilli()
	tooFar := now + s.LongestReorder().Milliseconds() + 1
	next = math.MaxInt64
	err = s.view(func(db cdb.Reader) error {
		look := func(table byte, from, upTo int64) error {
			lower, upper := deadlineKey(nil, table, from, 0), after([]byte{table})
			return scanRange(db, lower, upper, func(key, value []byte) (bool, error) {
				at := keyDeadline(key)
				if at > upTo {
					next = min(next, at)
					return false, nil
				}
				w, ok := parseWaybill(value)
				if !ok {
					return false, damaged(key, codec.ErrRecord)
				}
				if d := (due{table, at, keySeq(key), w}); failed[d] == nil {
					list = append(list, d)
				}
				return len(list) < engine.MaxDue, nil
			})
		}
		return errors.Join(look(tableHeld, 0, now), look(tableHeld, tooFar, math.MaxInt64), look(tableNoToken, 0, now))
	})
	return list, next, err
}

type expireOp struct {
	engine.Waiter
	list []due
	// failed are those that can't be carried out. They wait for the next round, and hold up no others.
	failed map[due]error
}

func (o *expireOp) rows() int { return len(o.list) }

func (o *expireOp) run(x *tx) {
	for _, d := range o.list {
		expire := x.expireHeld
		if d.table == tableNoToken {
			expire = x.expireNoToken
		}
		if err := expire(d); err != nil {
			if o.failed == nil {
				o.failed = map[due]error{}
			}
			o.failed[d] = fmt.Errorf("the deadline of event %d of %s: %w", d.seq, d.waybill, err)
		}
	}
}

// expireHeld accepts what a waybill has held for long enough.
func (x *tx) expireHeld(d due) error {
	w, err := x.waybill(d.waybill)
	if err != nil {
		return err
	}
	before, err := x.timeline(w)
	if err != nil {
		return err
	}
	if e := before.Find(d.seq); e == nil || e.Verdict != state.Held || e.Until != d.deadline {
		x.forget(d)
		return nil
	}
	after := slices.Clone(before)
	changed := x.s.Terms().Machine.Expire(after, max(x.now, d.deadline))
	events, err := x.eventsOf(changed)
	if err != nil {
		return err
	}
	open := w.open
	x.feedOpened(w, open, x.settleTimeline(w, before, after, changed, events))
	return nil
}

// forget deletes a deadline that means nothing any more. Most often its row is gone since the look at the table; if not,
// it would be looked at for ever.
func (x *tx) forget(d due) {
	x.key = deadlineKey(x.key[:0], d.table, d.deadline, d.seq)
	x.del(x.key)
}

// expireNoToken gives up a push whose waybill got no Token.
func (x *tx) expireNoToken(d due) error {
	rec, err := x.existing(d.waybill, d.seq)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrState):
		x.forget(d)
		return nil
	case err != nil:
		return err
	case rec.Status != store.Pending || rec.TokenUntil != d.deadline:
		x.forget(d)
		return nil
	}
	x.end(d.waybill, d.seq, &rec, store.Failed, store.ReasonNoToken)
	return nil
}
