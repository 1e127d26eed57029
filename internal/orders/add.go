package orders

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"carrier/internal/state"
	"carrier/internal/store"
)

// order is an add_waybill as far as it is decided here.
type order struct {
	store.OrderKey
	token     string // A secret.
	waybillID string // Given by WeChat; "0", or nothing: the delivery company numbers it.
	shopAppID string
	question  Question
	bizPwd    string // A secret: only so that it is taken out of what the dispatch system says.
}

// numbered tells whether WeChat gives the waybill's number ("0" asks the delivery company for one).
func (o *order) numbered() bool { return o.waybillID != "" && o.waybillID != "0" }

// taken is what became of an order.
type taken struct {
	refusal *reply      // nil: it was taken.
	order   store.Order // As it is kept.
	token   string      // That was kept with it.
	fresh   bool
}

// add takes an order, or repeats what was answered when it was taken. An error means that nothing may be answered.
func (d *desk) add(ctx context.Context, a *account, o order) (reply, error) {
	if r := o.unfit(); r != nil {
		return *r, nil
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
		code: t.order.ResultCode, msg: t.order.ResultMsg, waybillID: t.order.WaybillID, data: t.order.WaybillData, repeated: !t.fresh,
	}, nil
}

// unfit refuses an order that can't be kept or pushed for, whoever would carry it.
func (o *order) unfit() *reply {
	switch {
	case o.OrderID == "" || o.BizID == "" || len(o.OrderID) > maxID || len(o.BizID) > maxID:
		return new(refuse(codeOther, textUnfit))
	case o.token == "" || len(o.token) > state.MaxTokenBytes:
		return new(refuse(codeOther, textUnfit))
	case o.numbered() && !isWaybillID(o.waybillID):
		return new(refuse(codeBadWaybill, textBadWaybill))
	}
	return nil
}

// maxID bounds the ids of an order, in bytes. WeChat's own limit is 512 for OrderID (addOrder, order_id).
const maxID = 512

// isWaybillID tells whether an id is one that scans can have too (contract, section 3).
func isWaybillID(id string) bool {
	n := utf8.RuneCountInString(id)
	return n >= 1 && n <= state.MaxWaybillChars && utf8.ValidString(id) &&
		!strings.ContainsFunc(id, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

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
		OrderKey: o.OrderKey, WaybillID: o.waybillID, ShopAppID: o.shopAppID, ResultMsg: successText, ReceivedAt: time.Now(),
	}
	answer, ok := d.ask(ctx, a, o.question, o.bizPwd)
	switch {
	case !ok && o.numbered():
		return kept, nil
	case !ok:
		return store.Order{}, new(refuse(codeOther, textNoNumber))
	case answer.Code != codeOK:
		return store.Order{}, new(refuse(answer.Code, answer.Msg))
	}
	if !o.numbered() {
		kept.WaybillID = answer.WaybillID
	}
	data, err := label(answer.WaybillData, o.bizPwd)
	switch {
	case !isWaybillID(kept.WaybillID) || kept.WaybillID == "0":
		err = errors.New("its waybill_id is empty, or longer than 64 characters, or holds spaces")
	case answer.WaybillID != "" && answer.WaybillID != kept.WaybillID:
		err = errors.New("its waybill_id is not the one that WeChat gave; leave it out, or refuse with 20001")
	}
	if err != nil {
		d.log.Error("the dispatch system takes an order with an answer that can't be used; WeChat is told no",
			"delivery_id", o.DeliveryID, "event", AddWaybill, "question", o.question.ID, "err", err)
		return store.Order{}, new(refuse(codeOther, textDispatch))
	}
	kept.WaybillData = data
	return kept, nil
}
