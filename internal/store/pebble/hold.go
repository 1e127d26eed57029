package pebble

import (
	"context"
	"fmt"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// Freeze holds a waybill's pushes, or releases them.
func (s *Store) Freeze(ctx context.Context, w state.Waybill, frozen bool, act store.Act) (changed bool, err error) {
	op := &freezeOp{waybill: w, frozen: frozen, act: act}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
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

func (o *freezeOp) rows() int { return 1 }

func (o *freezeOp) run(x *tx) { o.changed, o.Err = x.freeze(o.waybill, o.frozen, o.act) }

func (x *tx) freeze(name state.Waybill, frozen bool, act store.Act) (changed bool, err error) {
	w, err := x.waybill(name)
	if err != nil {
		return false, err
	}
	t, err := x.timeline(w)
	switch {
	case err != nil:
		return false, err
	case len(t) == 0 && w.token == "":
		return false, store.ErrNotFound
	case w.block.is(flagFrozen) == frozen:
		return false, nil
	case frozen:
		x.setBlock(w, flagFrozen, func(k *block) {
			k.hold = store.Hold{Since: codec.FromMillis(x.now), By: act.By, Reason: act.Reason}
		})
	default:
		x.clearBlock(w, flagFrozen)
	}
	x.audit(act, store.AuditEntry{DeliveryID: name.DeliveryID, WaybillID: name.WaybillID})
	x.feedReload(w)
	return true, nil
}

// park keeps a waybill's pushes until a new Token or a replay comes.
func (x *tx) park(w *waybill) {
	x.setBlock(w, flagParked, func(k *block) { k.parked = x.now })
}

func (x *tx) unpark(w *waybill) {
	if w.block.is(flagParked) {
		x.clearBlock(w, flagParked)
	}
}

// setBlock sets a flag, and what set says of it.
func (x *tx) setBlock(w *waybill, flag byte, set func(*block)) {
	k := &block{}
	if w.block != nil {
		*k = *w.block
	}
	k.flags |= flag
	set(k)
	x.putBlock(w, k)
}

// clearBlock takes a flag away, which must be set, and what was said of it.
func (x *tx) clearBlock(w *waybill, flag byte) {
	k := *w.block
	k.flags &^= flag
	switch {
	case k.flags == 0:
		x.putBlock(w, nil)
		return
	case flag == flagFrozen:
		k.hold = store.Hold{}
	default:
		k.parked = 0
	}
	x.putBlock(w, &k)
}

func (x *tx) putBlock(w *waybill, k *block) {
	w.block = k
	x.key = waybillKey(x.key[:0], tableFlags, w.name)
	if k == nil {
		x.del(x.key)
		return
	}
	x.value = encodeBlock(x.value[:0], k)
	x.set(x.key, x.value)
	x.indexCrowd(w.name)
}
