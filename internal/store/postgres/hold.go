package postgres

import (
	"context"
	"fmt"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/engine"
)

// Freeze holds a waybill's pushes, or releases them.
func (s *Store) Freeze(ctx context.Context, w state.Waybill, frozen bool, act store.Act) (changed bool, err error) {
	op := &freezeOp{waybill: w, frozen: frozen, act: act}
	if err := s.write(ctx, slotOf(w), op, &op.Waiter); err != nil {
		return false, fmt.Errorf("waybill %s: %w", w, err)
	}
	return op.changed, nil
}

type freezeOp struct {
	engine.Waiter
	waybill state.Waybill
	frozen  bool
	act     store.Act
	changed bool
}

func (o *freezeOp) rows() int      { return 1 }
func (o *freezeOp) needs(n *needs) { n.waybills[o.waybill] = true }
func (o *freezeOp) run(x *tx)      { o.changed, o.Err = x.freeze(o.waybill, o.frozen, o.act) }

func (x *tx) freeze(name state.Waybill, frozen bool, act store.Act) (changed bool, err error) {
	w, err := x.waybill(name)
	switch {
	case err != nil:
		return false, err
	case !w.known():
		return false, store.ErrNotFound
	case frozen == (w.frozenAt != 0):
		return false, nil
	case frozen:
		w.frozenAt, w.frozenBy, w.frozen = x.now, text(act.By), text(act.Reason)
	default:
		w.frozenAt, w.frozenBy, w.frozen = 0, "", ""
	}
	x.touch(w)
	x.audit(act, onWaybill(name))
	x.feedReload(w)
	return true, nil
}
