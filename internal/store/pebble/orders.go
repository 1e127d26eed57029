package pebble

import (
	"context"
	"fmt"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// PutOrder keeps an order and its waybill's Token in one commit.
func (s *Store) PutOrder(ctx context.Context, o store.Order, token string) (kept store.Order, fresh bool, err error) {
	if err := fitOrder(&o); err != nil {
		return kept, false, err
	}
	if err := s.disk.refusal(); err != nil {
		return kept, false, err
	}
	op := &orderOp{order: o, token: token}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return kept, false, fmt.Errorf("order %s of %s: %w", o.OrderID, o.Waybill(), err)
	}
	return op.order, op.fresh, nil
}

type orderOp struct {
	engine.Waiter
	order store.Order // In the end, as it is kept.
	token string
	fresh bool
}

func (o *orderOp) rows() int { return 1 }
func (o *orderOp) run(x *tx) { o.Err = x.putOrder(o) }

// putOrder reads all that it takes first, as only that can fail, and then makes all changes.
func (x *tx) putOrder(o *orderOp) error {
	rec, found, err := x.order(o.order.OrderKey)
	if err != nil {
		return err
	}
	if !found {
		rec.Order = o.order
	}
	w, err := x.waybill(rec.Waybill())
	if err != nil {
		return err
	}
	tokens, err := x.planToken(w, o.token)
	if err != nil {
		return err
	}
	if !found {
		rec.number, rec.ReceivedAt, rec.CancelledAt = x.take(), codec.FromMillis(x.now), codec.FromMillis(0)
		x.saveOrder(rec)
		x.key = orderedKey(x.key[:0], w.name, rec.number)
		x.value = orderKey(x.value[:0], rec.OrderKey)[1:]
		x.set(x.key, x.value)
	}
	x.registerToken(w, tokens)
	o.order, o.fresh = rec.Order, !found
	return nil
}

func (x *tx) saveOrder(rec orderRecord) {
	x.orders[rec.OrderKey] = rec
	x.key = orderKey(x.key[:0], rec.OrderKey)
	x.value = encodeOrder(x.value[:0], &rec)
	x.set(x.key, x.value)
}

// order reads an order as it is within this commit.
func (x *tx) order(key store.OrderKey) (rec orderRecord, found bool, err error) {
	if rec, ok := x.orders[key]; ok {
		return rec, true, nil
	}
	return readOrder(x.s.db, key)
}

func readOrder(db cdb.Reader, k store.OrderKey) (rec orderRecord, found bool, err error) {
	key := orderKey(nil, k)
	found, err = read(db, key, func(v []byte) error {
		rec, err = decodeOrder(key, v)
		return err
	})
	return rec, found, err
}

// readOrders reads a waybill's orders, oldest first.
func readOrders(db cdb.Reader, w state.Waybill) (orders []orderRecord, err error) {
	err = scan(db, orderedPrefix(nil, w), func(key, value []byte) (bool, error) {
		k, ok := parseOrderKey(append([]byte{tableOrders}, value...))
		if !ok {
			return false, damaged(key, codec.ErrRecord)
		}
		rec, found, err := readOrder(db, k)
		if err == nil && !found {
			err = damaged(key, codec.ErrRecord)
		}
		orders = append(orders, rec)
		return true, err
	})
	return orders, err
}

// ReadOrder finds an order.
func (s *Store) ReadOrder(_ context.Context, key store.OrderKey) (o store.Order, err error) {
	err = s.view(func(db cdb.Reader) error {
		rec, found, err := readOrder(db, key)
		if err == nil && !found {
			err = fmt.Errorf("order %s: %w", key.OrderID, store.ErrNotFound)
		}
		o = rec.Order
		return err
	})
	return o, err
}

// OrderOf finds a waybill's newest order.
func (s *Store) OrderOf(_ context.Context, w state.Waybill) (o store.Order, err error) {
	err = s.view(func(db cdb.Reader) error {
		orders, err := readOrders(db, w)
		if err != nil {
			return err
		}
		if len(orders) == 0 {
			return fmt.Errorf("an order of waybill %s: %w", w, store.ErrNotFound)
		}
		o = orders[len(orders)-1].Order
		return nil
	})
	return o, err
}
