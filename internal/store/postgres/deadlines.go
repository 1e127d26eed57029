package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/engine"
)

// maxSleep bounds how late a deadline is noticed that another node set.
const maxSleep = 5 * time.Second

// due is a deadline that has passed.
type due struct {
	token   bool  // Of a push that waits for a Token; else of an event that is held.
	at      int64 // Unix ms
	seq     uint64
	waybill state.Waybill
}

// watchDeadlines carries out deadlines as they pass, until the store closes.
func (s *Store) watchDeadlines() {
	var trouble trouble
	for {
		trouble.note(s, "deadlines can't be carried out", s.carryOutDeadlines(s.stop))
		if !s.alarm.Wait(s.stop.Done(), s.opts.Now, maxSleep) {
			return
		}
	}
}

// carryOutDeadlines does what deadlines ask for that have passed: held events whose time is up are accepted, pushes that
// waited in vain for a Token fail. Those that can't be carried out hold up no others.
func (s *Store) carryOutDeadlines(ctx context.Context) error {
	failed := map[due]error{}
	for {
		// Before the look at the tables: a deadline that is set while we look wakes us again.
		s.alarm.Set(math.MaxInt64)
		list, next, err := s.dueNow(ctx, len(failed))
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(d due) bool { return failed[d] != nil })
		if len(list) == 0 {
			s.alarm.Set(next)
			return joinErrors(failed)
		}
		if err := s.expire(ctx, list, failed); err != nil {
			return err
		}
	}
}

func joinErrors(failed map[due]error) error {
	var list []error
	for d, err := range failed {
		list = append(list, fmt.Errorf("the deadline of event %d of %s: %w", d.seq, d.waybill, err))
	}
	return errors.Join(list...)
}

// dueSQL lists deadlines of both kinds in some slots, and one more of each kind that has not passed.
const dueSQL = `(SELECT false, held_until, seq, delivery_id, waybill_id FROM events WHERE verdict = 2
	AND slot = ANY($2::smallint[]) ORDER BY held_until LIMIT $1)
	UNION ALL (SELECT true, token_until, seq, delivery_id, waybill_id FROM events WHERE token_until IS NOT NULL
	AND slot = ANY($2::smallint[]) ORDER BY token_until LIMIT $1)`

// dueNow lists deadlines that have passed, and the earliest that has not passed (Unix ms; MaxInt64: there is none).
// failed is how many it is to look past.
func (s *Store) dueNow(ctx context.Context, failed int) (list []due, next int64, err error) {
	now := s.opts.Now().UnixMilli()
	next = math.MaxInt64
	rows, err := s.pool.Query(ctx, dueSQL, engine.MaxDue+failed, s.leases.owned())
	if err != nil {
		return nil, 0, err
	}
	var d due
	var at pgtype.Timestamptz
	_, err = pgx.ForEachRow(rows, []any{&d.token, &at, (*numberDest)(&d.seq), &d.waybill.DeliveryID, &d.waybill.WaybillID}, func() error {
		if d.at = stampOf(at); d.at > now {
			next = min(next, d.at)
		} else {
			list = append(list, d)
		}
		return nil
	})
	return list, next, err
}

// expire carries out deadlines, each waybill's in one operation, and waits for all of them.
func (s *Store) expire(ctx context.Context, list []due, failed map[due]error) error {
	slices.SortStableFunc(list, func(a, b due) int { return compareWaybills(a.waybill, b.waybill) })
	var ops []*expireOp
	for _, d := range list {
		if n := len(ops); n > 0 && ops[n-1].list[0].waybill == d.waybill {
			ops[n-1].list = append(ops[n-1].list, d)
			continue
		}
		ops = append(ops, &expireOp{list: []due{d}})
	}
	for i, op := range ops {
		op.Begin()
		if err := s.enqueue(ctx, slotOf(op.list[0].waybill), op); err != nil {
			ops = ops[:i]
			_ = s.wait(ctx, ops, failed)
			return err
		}
	}
	return s.wait(ctx, ops, failed)
}

func (s *Store) wait(ctx context.Context, ops []*expireOp, failed map[due]error) error {
	for _, op := range ops {
		if err := op.Wait(ctx); err != nil {
			return err
		}
		for d, err := range op.failed {
			failed[d] = err
		}
	}
	return nil
}

// expireOp carries out deadlines of one waybill.
type expireOp struct {
	engine.Waiter
	list   []due
	failed map[due]error
}

func (o *expireOp) rows() int { return len(o.list) }

func (o *expireOp) needs(n *needs) {
	n.waybills[o.list[0].waybill] = true
	for _, d := range o.list {
		n.seqs[d.seq] = true
	}
	n.numbers += len(o.list)
}

func (o *expireOp) run(x *tx) {
	o.failed = map[due]error{}
	for _, d := range o.list {
		expire := x.expireHeld
		if d.token {
			expire = x.expireNoToken
		}
		if err := expire(d); err != nil {
			o.failed[d] = err
		}
	}
}

// expireHeld accepts what a waybill has held for long enough.
func (x *tx) expireHeld(d due) error {
	w, err := x.waybill(d.waybill)
	if err != nil {
		return err
	}
	if e := w.timeline.Find(d.seq); e == nil || e.Verdict != state.Held || e.Until != d.at {
		return nil // Another one was faster.
	}
	v := verdict{after: slices.Clone(w.timeline)}
	v.Changed = x.s.Terms().Machine.Expire(v.after, max(x.now, d.at))
	if v.released, err = x.release(v.Changed); err != nil {
		return err
	}
	open := len(w.open)
	x.feedOpened(w, open, x.settleTimeline(w, &v, nil))
	return nil
}

// expireNoToken gives up a push whose waybill got no Token.
func (x *tx) expireNoToken(d due) error {
	w, err := x.waybill(d.waybill)
	if err != nil {
		return err
	}
	r, err := x.existing(d.waybill, d.seq)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrState):
		return nil
	case err != nil:
		return err
	case r.push.Status != store.Pending || r.push.TokenUntil != d.at:
		return nil
	}
	x.end(w, r, store.Failed, store.ReasonNoToken)
	return nil
}
