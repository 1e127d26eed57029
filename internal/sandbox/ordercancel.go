package sandbox

import (
	"cmp"
	"net/http"
	"time"
)

// invalidOrder is the ResultCode of cancel_waybill for an order that is cancelled already.
const invalidOrder = 30003

// cancelMerchantOrder is POST /cgi-bin/express/business/order/cancel (WeChat 物流助手, cancelOrder). The carrier decides;
// it is asked again also for an order that is cancelled.
func (s *Sandbox) cancelMerchantOrder(w http.ResponseWriter, r *http.Request) {
	shop, body, no := s.business(r)
	var f cancelForm
	if no == nil {
		f, no = readCancelForm(body)
	}
	var o *placed
	var known placed
	if no == nil {
		o, known, no = s.orders.beginCancel(shop.AppID, f)
	}
	if no != nil {
		s.answer(w, r, no)
		return
	}
	if s.isTest(known.DeliveryID) {
		s.orders.cancel(o)
		write(w, contentType, encode(cancelAnswer{Errmsg: messages[codeOK]}))
		return
	}
	got, err := s.ask(r.Context(), s.cancelPush(known, f))
	switch no := s.settleCancel(o, got, err); {
	case r.Context().Err() != nil: // The merchant has gone, and is not told what became of it.
	case no == nil:
		write(w, contentType, encode(cancelAnswer{Errmsg: messages[codeOK], ResultMsg: got.message}))
	case no.code == codeCarrierRefused:
		s.answerRefused(w, r, no, got, nil)
	default:
		s.answer(w, r, no)
	}
}

// cancelAnswer is what order/cancel answers for an order that is cancelled.
type cancelAnswer struct {
	Errcode    int    `json:"errcode"`
	Errmsg     string `json:"errmsg"`
	ResultCode int64  `json:"delivery_resultcode"`
	ResultMsg  string `json:"delivery_resultmsg"`
}

// settleCancel is what becomes of an order whose carrier was asked to cancel it. nil: it is cancelled.
func (s *Sandbox) settleCancel(o *placed, got result, err error) *refusal {
	switch {
	case err != nil:
		s.orders.end(o)
		return refuse(codeCarrierFailed, err.Error())
	case got.code != 0:
		s.orders.end(o)
		return refuse(codeCarrierRefused, "")
	}
	s.orders.cancel(o)
	return nil
}

// cancelPush is the event cancel_waybill. It has no Token, and comes from who ordered.
func (s *Sandbox) cancelPush(o placed, f cancelForm) *eventPush {
	c := s.carriers[o.DeliveryID]
	bizPwd, _ := c.bizPwd(o.BizID)
	p := &eventPush{
		to: c, event: "cancel_waybill", orderID: o.OrderID, waybillID: o.WaybillID, mask: maskOf(o.token, bizPwd),
		content: fields{
			{"ToUserName", c.UserName}, {"FromUserName", cmp.Or(f.openID, o.openID, teamOpenID)},
			{"CreateTime", integer(time.Now().Unix())}, {"MsgType", "event"}, {"Event", "cancel_waybill"},
			{"OrderID", o.OrderID}, {"BizID", o.BizID}, {"BizPwd", bizPwd}, {"ShopAppID", o.ShopAppID}, {"WayBillID", o.WaybillID},
		},
		mayFollow: func(a, b result) bool { return a.code == b.code || a.code == 0 && b.code == invalidOrder },
	}
	p.accept = func(t replyText) (result, error) {
		got, err := t.outcome(c.Format)
		return got, cmp.Or(err, t.equal("OrderID", o.OrderID, "the request's"), t.equal("BizID", o.BizID, "the request's"),
			t.equal("WayBillID", o.WaybillID, "the request's"))
	}
	return p
}
