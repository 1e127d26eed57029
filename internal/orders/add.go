package orders

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"carrier/internal/callback"
	"carrier/internal/state"
	"carrier/internal/store"
)

// unnumbered is the WayBillID by which WeChat asks the delivery company to number the waybill.
const unnumbered = "0"

// order is an add_waybill as far as it is decided here.
type order struct {
	store.OrderKey
	token     string // A secret.
	waybillID string // Given by WeChat, or unnumbered.
	shopAppID string
	question  Question
	bizPwd    string // A secret: only so that it is taken out of what the dispatch system says.
}

func (o *order) numbered() bool { return o.waybillID != unnumbered }

// taken is what became of an order.
type taken struct {
	refusal *reply      // nil: it was taken.
	order   store.Order // As it is kept.
	token   string      // That was kept with it.
	fresh   bool
}

// add takes an order, or repeats what was answered when it was taken. An error means that nothing may be answered.
func (d *desk) add(ctx context.Context, a *account, o order) (reply, error) {
	if !isName(o.OrderID) || !isName(o.BizID) {
		return refuse(callback.Failed, textUnfit), nil
	}
	key := strings.Join([]string{AddWaybill, o.DeliveryID, o.BizID, o.OrderID}, "\x00")
	t, err := together(ctx, d, key, func(ctx context.Context) (taken, error) { return d.take(ctx, a, o) })
	if err != nil {
		return reply{}, err
	}
	if t.refusal != nil {
		return *t.refusal, nil
	}
	if t.token != o.token { // Another sending of the same order was taken meanwhile, and this one has a newer Token.
		if t.order, _, err = d.store.PutOrder(ctx, t.order, o.token); err != nil {
			return reply{}, err
		}
	}
	return reply{
		code: callback.ResultCode(t.order.ResultCode), msg: t.order.ResultMsg, waybillID: t.order.WaybillID, data: t.order.WaybillData, repeated: !t.fresh,
	}, nil
}

// isName tells whether an id can be part of a key: what merchants type has no control characters.
func isName(id string) bool { return !strings.ContainsFunc(id, unicode.IsControl) }

// take decides an order that is not being decided by anybody else, and keeps it.
func (d *desk) take(ctx context.Context, a *account, o order) (taken, error) {
	kept, err := d.store.ReadOrder(ctx, o.OrderKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return taken{}, err
	}
	if err != nil {
		var no *reply
		if kept, no = d.decide(ctx, a, &o); no != nil {
			return taken{refusal: no}, nil
		}
	}
	// A crash before this line leaves nothing: WeChat sends again, and the dispatch system is asked again, with the
	// same Question.ID. After it, the answer is there for good.
	kept, fresh, err := d.store.PutOrder(ctx, kept, o.token)
	if err != nil {
		return taken{}, err
	}
	return taken{order: kept, token: o.token, fresh: fresh}, nil
}

// decide makes an order of what the dispatch system says, or by the default rule: a number that WeChat gave is fine,
// and there is nobody to give another.
func (d *desk) decide(ctx context.Context, a *account, o *order) (store.Order, *reply) {
	kept := store.Order{
		OrderKey: o.OrderKey, WaybillID: o.waybillID, ShopAppID: o.shopAppID, ResultMsg: textDone, ReceivedAt: time.Now(),
	}
	answer, ok := d.ask(ctx, a, o.question, o.bizPwd)
	switch {
	case !ok && o.numbered():
		return kept, nil
	case !ok:
		return store.Order{}, new(refuse(callback.Failed, textNoNumber))
	case answer.Code != 0:
		return store.Order{}, new(refuse(callback.ResultCode(answer.Code), answer.Msg))
	}
	if !o.numbered() {
		kept.WaybillID = answer.WaybillID
	}
	data, err := label(answer.WaybillData, o.bizPwd)
	switch {
	case kept.WaybillID == unnumbered || !state.IsWaybillID(kept.WaybillID):
		err = errors.New("its waybill_id is empty, or longer than 64 characters, or holds spaces")
	case answer.WaybillID != "" && answer.WaybillID != kept.WaybillID:
		err = errors.New("its waybill_id is not the one that WeChat gave; leave it out, or refuse with 20001")
	}
	if err != nil {
		d.log.Error("the dispatch system takes an order with an answer that can't be used; WeChat is told no",
			"delivery_id", o.DeliveryID, "event", AddWaybill, "question", o.question.ID, "err", err)
		return store.Order{}, new(refuse(callback.Failed, textDispatch))
	}
	kept.WaybillData = data
	return kept, nil
}
