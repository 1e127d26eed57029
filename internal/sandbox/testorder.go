package sandbox

import (
	"maps"
	"net/http"
	"time"
)

// WeChat has a delivery company for merchants' tests: an order with these two reaches no carrier, and the merchant
// makes its nodes with testUpdateOrder.
const (
	testDeliveryID = "TEST"
	testBizID      = "test_biz_id"
	// testPickedUp is a code of no list that testUpdateOrder takes: it was seen in traces made by it.
	testPickedUp = 300001
)

// testActionTypes are what testUpdateOrder takes.
var testActionTypes = func() map[int64]bool {
	types := maps.Clone(actionTypes)
	types[testPickedUp] = true
	return types
}()

// isTest tells whether an order is one for tests, unless a carrier of that name is set up.
func (s *Sandbox) isTest(deliveryID string) bool {
	return deliveryID == testDeliveryID && s.carriers[deliveryID] == nil
}

// addTestOrder places an order that asks no carrier. Its number is as WeChat makes it.
func (s *Sandbox) addTestOrder(w http.ResponseWriter, r *http.Request, f orderForm, shop string) {
	if f.bizID != testBizID {
		s.answer(w, r, refuse(codeNotBound, "the delivery_id TEST wants the biz_id "+testBizID))
		return
	}
	o, known, no := s.orders.begin(placed{
		MerchantOrder: MerchantOrder{
			OrderID: f.orderID, DeliveryID: testDeliveryID, BizID: testBizID, ShopAppID: shop, WaybillID: f.orderID + "_waybill_id",
		},
		openID: f.openID, token: s.chance.text(pushedTokenSize),
	})
	if no != nil {
		s.answer(w, r, no)
		return
	}
	data := []labelPart{{"TEST_bagAddr", "广州"}, {"TEST_mark", "888-666"}}
	s.ledger.addOrder(Order{DeliveryID: testDeliveryID, WaybillID: known.WaybillID, Token: known.token})
	s.orders.take(o, result{waybillID: known.WaybillID, data: data})
	write(w, contentType, encode(addAnswer{f.orderID, known.WaybillID, data}))
}

// testUpdateOrder is POST /cgi-bin/express/business/test_update_order (WeChat 物流助手, testUpdateOrder): a node of an
// order for tests. It has no Token.
func (s *Sandbox) testUpdateOrder(app App, p part) (any, *refusal) {
	f := readOrderRef(p, required, required)
	bizID := p.text("biz_id", 128, required)
	var up update
	p.member("action_time", &up.at, required)
	p.member("action_type", &up.action, required)
	up.waybillID, up.message = f.waybillID, p.text("action_msg", s.opts.MaxMessageBytes, required)
	switch {
	case p.no != nil:
		return nil, p.no
	case bizID != testBizID || f.deliveryID != testDeliveryID:
		return nil, refuse(codeArgs, "biz_id test_biz_id and delivery_id TEST are wanted")
	case up.at <= 0 || up.at >= milliseconds:
		return nil, refuse(codeArgs, "action_time is in Unix seconds")
	case !testActionTypes[up.action]:
		return nil, refuse(codeArgs, "action_type is none of the codes")
	}
	o, no := s.orders.find(app.AppID, f)
	if no == nil {
		up.token = o.token
		_, no = s.ledger.apply(App{AppID: app.AppID, DeliveryID: testDeliveryID}, &up, time.Now())
	}
	return plainAnswer{Errmsg: messages[codeOK]}, no
}
