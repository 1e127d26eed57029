package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// teamOpenID is who sends order events: the WeChat team's OpenID, the same for all of them.
	teamOpenID = "oWeChatTeam0000000000000000"
	// cloudAppID stands for the merchant where requests bring no access_token.
	cloudAppID = "wx0000000000c10d"
	// pushedTokenSize is how long the Tokens are: within the 256 characters to reserve, beyond what fits a short column.
	pushedTokenSize = 136
	// carrierMakesIt is the WayBillID of an order whose number the carrier makes.
	carrierMakesIt = "0"
)

// addMerchantOrder is POST /cgi-bin/express/business/order/add (WeChat 物流助手, addOrder).
func (s *Sandbox) addMerchantOrder(w http.ResponseWriter, r *http.Request) {
	shop, body, no := s.business(r)
	var f orderForm
	if no == nil {
		f, no = readOrderForm(body)
	}
	if no != nil {
		s.answer(w, r, no)
		return
	}
	if s.isTest(f.deliveryID) {
		s.addTestOrder(w, r, f, shop.AppID)
		return
	}
	c, bizPwd, no := s.bound(f)
	if no != nil {
		s.answer(w, r, no)
		return
	}
	o, known, no := s.orders.begin(s.freshOrder(c, f, shop.AppID))
	if no != nil {
		s.answer(w, r, no)
		return
	}
	if given := known.WaybillID != carrierMakesIt; given {
		// The number and the Token are upstream's own: a carrier may push as soon as it has them.
		s.ledger.addOrder(Order{DeliveryID: c.DeliveryID, WaybillID: known.WaybillID, Token: known.token})
	}
	got, err := s.ask(r.Context(), s.addPush(c, known, f, bizPwd))
	switch no := s.settleOrder(o, known, got, err); {
	case r.Context().Err() != nil: // The merchant has gone, and is not told what became of it.
	case no == nil:
		write(w, contentType, encode(addAnswer{f.orderID, got.waybillID, parts(got.data)}))
	case no.code == codeCarrierRefused:
		s.answerRefused(w, r, no, got, parts(nil))
	default:
		s.answer(w, r, no)
	}
}

// addAnswer is what order/add answers for an order that is taken: as in the document's example, without errcode.
type addAnswer struct {
	OrderID     string      `json:"order_id"`
	WaybillID   string      `json:"waybill_id"`
	WaybillData []labelPart `json:"waybill_data"`
}

// parts is a list that JSON shows as [] when it is empty.
func parts(data []labelPart) []labelPart { return append([]labelPart{}, data...) }

// answerRefused passes the carrier's own words on. data is what order/add adds; nil for order/cancel.
func (s *Sandbox) answerRefused(w http.ResponseWriter, r *http.Request, no *refusal, got result, data []labelPart) {
	s.writeRefusal(w, r, func(rid string) []byte {
		return encode(struct {
			Errcode     int         `json:"errcode"`
			Errmsg      string      `json:"errmsg"`
			ResultCode  int64       `json:"delivery_resultcode"`
			ResultMsg   string      `json:"delivery_resultmsg"`
			WaybillData []labelPart `json:"waybill_data,omitzero"`
		}{no.code, no.errmsg(rid), got.code, got.message, data})
	})
}

// business checks what is common to the merchants' calls.
func (s *Sandbox) business(r *http.Request) (shop App, body []byte, no *refusal) {
	if s.faults.outage() {
		panic(http.ErrAbortHandler)
	}
	now := time.Now()
	if shop, no = s.identify(r, now); no != nil {
		return App{}, nil, no
	}
	if shop.AppID == "" {
		shop.AppID = cloudAppID
	}
	s.usage.count(shop.AppID, r.URL.Path, now)
	body, no = readPost(r)
	return shop, body, no
}

// bound finds the carrier of an order, and the merchant's password with it.
func (s *Sandbox) bound(f orderForm) (*carrier, string, *refusal) {
	c, ok := s.carriers[f.deliveryID]
	if !ok {
		names := strings.Join(slices.Sorted(maps.Keys(s.carriers)), ", ")
		return nil, "", refuse(codeNoCarrier, fmt.Sprintf("the sandbox has the carriers [%s]", names))
	}
	pwd, ok := c.bizPwd(f.bizID)
	if !ok {
		return nil, "", refuse(codeNotBound, "")
	}
	return c, pwd, nil
}

// freshOrder is an order that is asked about for the first time: with a Token, and a number from WeChat's range
// unless the carrier makes its own.
func (s *Sandbox) freshOrder(c *carrier, f orderForm, shop string) placed {
	id := carrierMakesIt
	for !c.OwnWaybillIDs {
		if id = c.DeliveryID + s.chance.digits(13); !s.ledger.knows(c.DeliveryID, id) {
			break
		}
	}
	return placed{
		MerchantOrder: MerchantOrder{
			OrderID: f.orderID, DeliveryID: c.DeliveryID, BizID: f.bizID, ShopAppID: shop, WaybillID: id, WaybillData: []labelPart{},
		},
		openID: f.openID, token: s.chance.text(pushedTokenSize),
	}
}

// addPush is the event add_waybill.
func (s *Sandbox) addPush(c *carrier, o placed, f orderForm, bizPwd string) *eventPush {
	p := &eventPush{
		to: c, event: "add_waybill", orderID: o.OrderID, waybillID: o.WaybillID, token: o.token, mask: maskOf(o.token, bizPwd),
		content: fields{
			{"ToUserName", c.UserName}, {"FromUserName", teamOpenID}, {"CreateTime", integer(time.Now().Unix())},
			{"MsgType", "event"}, {"Event", "add_waybill"}, {"Token", o.token}, {"OrderID", o.OrderID}, {"BizID", o.BizID},
			{"BizPwd", bizPwd}, {"ShopAppID", o.ShopAppID}, {"WayBillID", o.WaybillID}, {"Remark", f.remark},
			{"Sender", f.sender}, {"Receiver", f.receiver}, {"Cargo", f.cargo}, {"Insured", f.insured}, {"Service", f.service},
		},
		mayFollow: func(a, b result) bool {
			return a.code == b.code && a.waybillID == b.waybillID && slices.Equal(a.data, b.data)
		},
	}
	p.accept = func(t replyText) (result, error) { return s.acceptAdded(p, o, t) }
	return p
}

// acceptAdded checks the answer to add_waybill.
func (s *Sandbox) acceptAdded(p *eventPush, o placed, t replyText) (got result, err error) {
	got, err = t.outcome(p.to.Format)
	err = cmp.Or(err, t.equal("Token", o.token, "the request's"),
		t.equal("OrderID", o.OrderID, "the request's"), t.equal("BizID", o.BizID, "the request's"))
	if err != nil || got.code != 0 {
		return got, err
	}
	if got.waybillID, err = t.str("WayBillID"); err != nil {
		return result{}, err
	}
	switch {
	case o.WaybillID != carrierMakesIt:
		if got.waybillID != o.WaybillID {
			return result{}, errors.New("WayBillID is not the request's")
		}
	case got.waybillID == carrierMakesIt:
		return result{}, errors.New(`WayBillID is "0": the carrier is to make one`)
	default:
		order := Order{WaybillID: got.waybillID}
		if err := order.validate(); err != nil {
			return result{}, fmt.Errorf("WayBillID: %w", err)
		}
		if s.orders.numberTaken(o, got.waybillID) {
			return result{}, errors.New("WayBillID is another order's")
		}
	}
	label, err := t.str("WaybillData")
	if err == nil {
		got.data, err = parseLabel(label)
	}
	return got, err
}

// outcome is the ResultCode and ResultMsg that every answer has.
func (t replyText) outcome(format string) (result, error) {
	code, err := t.integer(format, "ResultCode")
	message, err2 := t.str("ResultMsg")
	return result{code: code, message: message}, cmp.Or(err, err2)
}

// parseLabel reads a WaybillData, ##key##value##key##value##. Empty: nothing to print.
func parseLabel(label string) ([]labelPart, error) {
	if label == "" {
		return nil, nil
	}
	const sep = "##"
	if len(label) < 2*len(sep) || !strings.HasPrefix(label, sep) || !strings.HasSuffix(label, sep) {
		return nil, errors.New("WaybillData begins and ends with ##")
	}
	words := strings.Split(label[len(sep):len(label)-len(sep)], sep)
	if len(words)%2 != 0 {
		return nil, errors.New("WaybillData is ##key##value##key##value##: a key is without its value")
	}
	var parts []labelPart
	seen := map[string]bool{}
	for pair := range slices.Chunk(words, 2) {
		if pair[0] == "" || seen[pair[0]] {
			return nil, fmt.Errorf("WaybillData has the key %.64q twice, or an empty one", pair[0])
		}
		seen[pair[0]] = true
		parts = append(parts, labelPart{pair[0], pair[1]})
	}
	return parts, nil
}

// settleOrder is what becomes of an order after its carrier was asked. nil: it is taken.
func (s *Sandbox) settleOrder(o *placed, known placed, got result, err error) *refusal {
	switch {
	case err != nil: // The carrier may have taken it: asked again, it is to say the same.
		s.orders.end(o)
		return refuse(codeCarrierFailed, err.Error())
	case got.code != 0:
		s.orders.forget(o)
		s.ledger.forgetOrder(known.DeliveryID, known.WaybillID)
		return refuse(codeCarrierRefused, "")
	}
	s.ledger.addOrder(Order{DeliveryID: known.DeliveryID, WaybillID: got.waybillID, Token: known.token})
	s.orders.take(o, got)
	return nil
}
