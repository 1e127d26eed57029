package postgres

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
	op := &tokenOp{waybill: w, token: token, act: act}
	err = s.write(ctx, slotOf(w), op, &op.Waiter)
	return op.changed && err == nil, err
}

type tokenOp struct {
	engine.Waiter
	waybill state.Waybill
	token   string
	act     store.Act
	changed bool
}

func (o *tokenOp) rows() int      { return 1 }
func (o *tokenOp) needs(n *needs) { n.waybills[o.waybill] = true }

func (o *tokenOp) run(x *tx) {
	var w *waybill
	var plan *tokenPlan
	if w, o.Err = x.waybill(o.waybill); o.Err != nil {
		return
	}
	if plan, o.Err = x.planToken(w, o.token); o.Err != nil {
		return
	}
	o.changed = plan != nil
	x.registerToken(w, plan)
	if o.changed {
		x.audit(o.act, onWaybill(w.name))
	}
}

// tokenPlan is what a new Token changes.
type tokenPlan struct {
	history []store.TokenRecord // With the new one.
	affects []*row
}

// planToken reads what registerToken needs; nil if the Token is the newest already, or none.
func (x *tx) planToken(w *waybill, value string) (*tokenPlan, error) {
	if value == "" || value == w.token {
		return nil, nil
	}
	// What can't be opened is of no use any more, now that there is a newer one.
	plan := &tokenPlan{history: codec.RememberToken(store.TokenRecord{At: x.now, Value: value}, w.history)}
	rows, err := x.pushesOf(w)
	for _, r := range rows {
		if r.push.LacksToken() {
			plan.affects = append(plan.affects, r)
		}
	}
	return plan, err
}

// pushesOf reads the events of a waybill that have a push, in the order of the timeline. Those that retention has deleted
// are left out.
func (x *tx) pushesOf(w *waybill) (rows []*row, err error) {
	seqs := w.accepted()
	if err := x.want(seqs); err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		if r := x.rows[seq]; r != nil {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// registerToken carries a plan out; nil does nothing.
func (x *tx) registerToken(w *waybill, plan *tokenPlan) {
	if plan == nil {
		return
	}
	w.history, w.token, w.tokenAt = plan.history, plan.history[0].Value, plan.history[0].At
	w.tokens, w.dirty = x.s.sealTokens(w.name, w.history), true
	w.parkedAt = 0
	for _, r := range plan.affects {
		x.wakePush(w, r)
	}
	if len(w.open) > 0 {
		x.touch(w)
		x.feedReload(w)
	}
}

// wakePush lets a push go that a new Token concerns.
func (x *tx) wakePush(w *waybill, r *row) {
	switch p := &r.push; {
	case p.Status != store.Pending:
		x.reopen(w, r, 0, false)
	case p.TokenUntil != 0:
		p.TokenUntil = 0
		x.change(r)
	default:
		p.Refusals, p.NextAt = 0, 0
		x.change(r)
	}
}
