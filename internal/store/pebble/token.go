package pebble

import (
	"context"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// PutToken keeps the newest Token of a waybill and lets go what waited for it. Lanes hear of it (Change.Reload) if the
// waybill has open pushes then.
func (s *Store) PutToken(ctx context.Context, w state.Waybill, token string, act store.Act) (changed bool, err error) {
	if err := s.disk.refusal(); err != nil {
		return false, err
	}
	op := &tokenOp{waybill: w, token: token, act: act}
	err = s.write(ctx, op, &op.Waiter)
	return op.changed && err == nil, err
}

type tokenOp struct {
	engine.Waiter
	waybill state.Waybill
	token   string
	act     store.Act
	changed bool
}

func (o *tokenOp) rows() int { return 1 }

func (o *tokenOp) run(x *tx) {
	w, err := x.waybill(o.waybill)
	if err != nil {
		o.Err = err
		return
	}
	plan, err := x.planToken(w, o.token)
	if err != nil {
		o.Err = err
		return
	}
	o.changed = plan != nil
	x.registerToken(w, plan)
	if o.changed {
		x.audit(o.act, store.AuditEntry{DeliveryID: w.name.DeliveryID, WaybillID: w.name.WaybillID})
	}
}

// tokenPlan is what a new Token changes.
type tokenPlan struct {
	history []store.TokenRecord // With the new one.
	affects []numbered
}

// numbered is a push with its number.
type numbered struct {
	seq uint64
	rec pushRecord
}

// planToken reads what registerToken needs; nil if the Token is the newest already, or none.
func (x *tx) planToken(w *waybill, value string) (*tokenPlan, error) {
	if value == "" || value == w.token {
		return nil, nil
	}
	history, err := x.tokenHistory(w)
	if err != nil {
		return nil, err
	}
	plan := &tokenPlan{history: codec.RememberToken(store.TokenRecord{At: x.now, Value: value}, history)}
	if w.head.Type == 0 { // Nothing was ever accepted.
		return plan, nil
	}
	plan.affects, err = x.affectedByToken(w)
	return plan, err
}

func (x *tx) tokenHistory(w *waybill) ([]store.TokenRecord, error) {
	if w.token == "" { // What can't be opened is of no use any more, now that there is a newer one.
		return nil, nil
	}
	if history, ok := x.tokens[w.name]; ok {
		return history, nil
	}
	return readTokens(x.s.db, x.s.keys, w.name)
}

// affectedByToken lists a waybill's pushes that wait for a Token, that ended for want of a good one, or whose Token was
// refused before.
func (x *tx) affectedByToken(w *waybill) ([]numbered, error) {
	t, err := x.timeline(w)
	if err != nil {
		return nil, err
	}
	return x.pushesOf(w, t, (*store.PushRecord).LacksToken)
}

// pushesOf reads the pushes of a timeline as they are within this commit, and lists those that are wanted.
func (x *tx) pushesOf(w *waybill, t state.Timeline, wanted func(*store.PushRecord) bool) (list []numbered, err error) {
	for i := range t {
		if t[i].Ord == 0 {
			continue
		}
		rec, err := x.push(w.name, t[i].Seq, t[i].Ord)
		if err != nil {
			return nil, err
		}
		if wanted(&rec.PushRecord) {
			list = append(list, numbered{t[i].Seq, rec})
		}
	}
	return list, nil
}

// registerToken carries a plan out; nil does nothing.
func (x *tx) registerToken(w *waybill, plan *tokenPlan) {
	if plan == nil {
		return
	}
	w.token, w.tokenAt, w.sealed = plan.history[0].Value, plan.history[0].At, false
	x.listName(w)
	x.moveFront(w, w.front.with(true))
	x.tokens[w.name] = plan.history
	x.key = waybillKey(x.key[:0], tableTokens, w.name)
	x.value = sealTokens(x.s.keys, x.value, x.key, plan.history)
	x.set(x.key, x.value)
	x.unpark(w)

	for _, p := range plan.affects {
		x.wakePush(w, p)
	}
	if w.open > 0 {
		x.feedReload(w)
	}
}

// wakePush lets a push go that a new Token concerns.
func (x *tx) wakePush(w *waybill, p numbered) {
	switch {
	case p.rec.Status != store.Pending:
		x.reopen(w, p.seq, p.rec, 0, false)
	case p.rec.TokenUntil != 0:
		x.unlist(p.seq, &p.rec)
		x.list(w, p.seq, p.rec, p.rec.OpenedAt)
	default:
		p.rec.Refusals, p.rec.NextAt = 0, 0
		x.savePush(p.seq, p.rec)
	}
}
