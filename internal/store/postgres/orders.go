package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

const (
	orderFields = `delivery_id, biz_id, order_id, waybill_id, shop_app_id, result_code, result_msg, waybill_data, received_at, cancelled_at`
	readOrder   = `SELECT ` + orderFields + ` FROM orders WHERE delivery_id = $1 AND biz_id = $2 AND order_id = $3`
	newestOrder = `SELECT ` + orderFields + ` FROM orders WHERE delivery_id = $1 AND waybill_id = $2 ORDER BY number DESC LIMIT 1`
	keepOrder   = `INSERT INTO orders (` + orderFields + `, number) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	cancelOrder = `UPDATE orders SET cancelled_at = $4 WHERE delivery_id = $1 AND biz_id = $2 AND order_id = $3`
	// expungeOrders leaves what a repeat is answered with, but for what may tell of a person.
	expungeOrders = `UPDATE orders SET shop_app_id = '', waybill_data = ''
		WHERE delivery_id = $1 AND waybill_id = $2 AND (shop_app_id <> '' OR waybill_data <> '')`
)

// errMoved: an order turned out to be of another waybill than it was when the transaction was planned.
var errMoved = errors.New("the order is of another waybill by now")

// PutOrder keeps an order and its waybill's Token in one transaction.
func (s *Store) PutOrder(ctx context.Context, o store.Order, token string) (kept store.Order, fresh bool, err error) {
	if err := fitOrder(&o); err != nil {
		return kept, false, err
	}
	for {
		op := &orderOp{order: o, token: token, waybill: o.Waybill()}
		switch known, err := s.ReadOrder(ctx, o.OrderKey); {
		case err == nil:
			op.waybill = known.Waybill()
		case !errors.Is(err, store.ErrNotFound):
			return kept, false, notKept(err)
		}
		err := s.write(ctx, slotOf(op.waybill), op, &op.Waiter)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return kept, false, fmt.Errorf("order %s of %s: %w", o.OrderID, o.Waybill(), err)
		}
		return op.kept, op.fresh, nil
	}
}

type orderOp struct {
	engine.Waiter
	order   store.Order
	token   string
	waybill state.Waybill // Of the order that is known already, or of this one.
	kept    store.Order
	fresh   bool
}

func (o *orderOp) rows() int { return 1 }

func (o *orderOp) needs(n *needs) {
	n.waybills[o.waybill] = true
	n.numbers++
}

func (o *orderOp) run(x *tx) { o.Err = x.putOrder(o) }

// putOrder reads all that it takes first, as only that can fail, and then makes all changes.
func (x *tx) putOrder(o *orderOp) error {
	known, found, err := x.order(o.order.OrderKey)
	if err != nil {
		return err
	}
	if found && known.Waybill() != o.waybill {
		return errMoved
	}
	w, err := x.waybill(o.waybill)
	if err != nil {
		return err
	}
	plan, err := x.planToken(w, o.token)
	if err != nil {
		return err
	}
	if !found {
		known = o.order
		known.ReceivedAt, known.CancelledAt = codec.FromMillis(x.now), codec.FromMillis(0)
		if err := x.keepOrder(&known); err != nil {
			return err
		}
	}
	w.dirty = true // An order's waybill always has a row: retention goes by that.
	x.registerToken(w, plan)
	o.kept, o.fresh = known, !found
	return nil
}

// keepOrder writes a new order at once, as what follows in this transaction may be about it. Another transaction may have
// made it meanwhile: this one fails then, and is made anew.
func (x *tx) keepOrder(o *store.Order) error {
	number, err := x.take()
	if err != nil {
		return err
	}
	_, err = x.exec(keepOrder, orderArgs(o, number)...)
	return err
}

// orderArgs are the arguments of keepOrder.
func orderArgs(o *store.Order, number uint64) []any {
	return []any{
		o.DeliveryID, o.BizID, o.OrderID, o.WaybillID, []byte(o.ShopAppID), o.ResultCode, []byte(o.ResultMsg), []byte(o.WaybillData),
		timestamp(codec.Millis(o.ReceivedAt)), timestamp(codec.Millis(o.CancelledAt)), int64(number),
	}
}

// order reads an order as it is within this transaction, and locks it.
func (x *tx) order(key store.OrderKey) (o store.Order, found bool, err error) {
	x.trips++
	o, err = scanOrder(x.conn.QueryRow(x.ctx, readOrder+" FOR UPDATE", key.DeliveryID, key.BizID, key.OrderID))
	if errors.Is(err, store.ErrNotFound) {
		return o, false, nil
	}
	if err != nil {
		return o, false, x.fail(x.lost(err))
	}
	return o, true, nil
}

// scanOrder reads a row of orderFields, and of what comes behind them; store.ErrNotFound if there is none.
func scanOrder(row pgx.Row, more ...any) (o store.Order, err error) {
	var app, msg, data []byte
	var received, cancelled int64
	err = row.Scan(append([]any{&o.DeliveryID, &o.BizID, &o.OrderID, &o.WaybillID, &app, &o.ResultCode, &msg, &data,
		(*stampDest)(&received), (*stampDest)(&cancelled)}, more...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		err = store.ErrNotFound
	}
	o.ShopAppID, o.ResultMsg, o.WaybillData = string(app), string(msg), string(data)
	o.ReceivedAt, o.CancelledAt = codec.FromMillis(received), codec.FromMillis(cancelled)
	return o, err
}

// ReadOrder finds an order.
func (s *Store) ReadOrder(ctx context.Context, key store.OrderKey) (o store.Order, err error) {
	err = s.view(ctx, func(t pgx.Tx) error {
		o, err = scanOrder(t.QueryRow(ctx, readOrder, text(key.DeliveryID), text(key.BizID), text(key.OrderID)))
		return err
	})
	if err != nil {
		return store.Order{}, fmt.Errorf("order %s: %w", key.OrderID, s.readError(err))
	}
	return o, nil
}

// OrderOf finds a waybill's newest order.
func (s *Store) OrderOf(ctx context.Context, w state.Waybill) (o store.Order, err error) {
	err = s.view(ctx, func(t pgx.Tx) error {
		o, err = scanOrder(t.QueryRow(ctx, newestOrder, text(w.DeliveryID), text(w.WaybillID)))
		return err
	})
	if err != nil {
		return store.Order{}, fmt.Errorf("an order of waybill %s: %w", w, s.readError(err))
	}
	return o, nil
}

// fitOrder refuses names that keys can't hold.
func fitOrder(o *store.Order) error {
	for name, value := range map[string]string{
		"delivery id": o.DeliveryID, "biz id": o.BizID, "order id": o.OrderID, "waybill id": o.WaybillID,
	} {
		if value == "" || strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
			return fmt.Errorf("an order's %s is empty, holds a zero byte, or is no UTF-8", name)
		}
	}
	return nil
}
