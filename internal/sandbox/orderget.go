package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
)

// maxBatch is how many orders batchGetOrder takes (最多不能超过100个).
const maxBatch = 100

// getOrder is POST /cgi-bin/express/business/order/get (WeChat 物流助手, getOrder).
func (s *Sandbox) getOrder(app App, p part) (any, *refusal) {
	f := readOrderRef(p, required, optional)
	parts := p.whole("print_type", optional)
	if parts > 1 {
		p.fail(codeOrderArgs, "print_type is %d, 0 or 1 is wanted", parts)
	}
	if p.no != nil {
		return nil, p.no
	}
	o, no := s.orders.find(app.AppID, f)
	if no != nil {
		return nil, no
	}
	return o.details(parts == 1), nil
}

// orderDetails are as in the document's example, without errcode.
type orderDetails struct {
	PrintHTML   string      `json:"print_html"`
	WaybillData []labelPart `json:"waybill_data"`
	DeliveryID  string      `json:"delivery_id"`
	WaybillID   string      `json:"waybill_id"`
	OrderID     string      `json:"order_id"`
	OrderStatus int         `json:"order_status"`
}

func (o *placed) details(onePart bool) orderDetails {
	return orderDetails{
		PrintHTML: base64.StdEncoding.EncodeToString(o.label(onePart)), WaybillData: parts(o.WaybillData),
		DeliveryID: o.DeliveryID, WaybillID: o.WaybillID, OrderID: o.OrderID, OrderStatus: o.OrderStatus,
	}
}

// label is the page to print: once for one part (一联), twice for two.
func (o *placed) label(onePart bool) []byte {
	var lines strings.Builder
	for _, d := range o.WaybillData {
		fmt.Fprintf(&lines, "<dt>%s</dt><dd>%s</dd>", template.HTMLEscapeString(d.Key), template.HTMLEscapeString(d.Value))
	}
	sheet := fmt.Sprintf("<section><h1>%s %s</h1><dl>%s</dl></section>",
		template.HTMLEscapeString(o.DeliveryID), template.HTMLEscapeString(o.WaybillID), &lines)
	if !onePart {
		sheet += sheet
	}
	return []byte(`<!DOCTYPE html><html lang="zh"><head><meta charset="utf-8"></head><body>` + sheet + "</body></html>")
}

// batchGetOrder is POST /cgi-bin/express/business/order/batchget (WeChat 物流助手, batchGetOrder): a success, with an
// errcode for each order.
func (s *Sandbox) batchGetOrder(app App, p part) (any, *refusal) {
	var raw []json.RawMessage
	p.member("order_list", &raw, required)
	switch {
	case len(raw) > maxBatch:
		p.fail(codeTooLong, "order_list has %d orders, at most %d", len(raw), maxBatch)
	case len(raw) == 0:
		p.fail(codeOrderArgs, "order_list is empty")
	}
	if p.no != nil {
		return nil, p.no
	}
	list := make([]any, len(raw))
	for i, item := range raw {
		in := part{form: p.form, path: fmt.Sprintf("order_list[%d].", i)}
		if json.Unmarshal(item, &in.members) != nil || in.members == nil {
			p.fail(codeFormat, "order_list[%d] is no object", i)
		}
		f := readOrderRef(in, required, optional)
		o, no := s.orders.find(app.AppID, f)
		if no != nil {
			list[i] = refusedItem{no.code, no.text(), f.orderID, f.deliveryID, f.waybillID}
			continue
		}
		list[i] = listedOrder{Errmsg: messages[codeOK], orderDetails: o.details(false)}
	}
	return map[string]any{"order_list": list}, p.no
}

type (
	listedOrder struct {
		Errcode int    `json:"errcode"`
		Errmsg  string `json:"errmsg"`
		orderDetails
	}
	refusedItem struct {
		Errcode    int    `json:"errcode"`
		Errmsg     string `json:"errmsg"`
		OrderID    string `json:"order_id"`
		DeliveryID string `json:"delivery_id"`
		WaybillID  string `json:"waybill_id,omitzero"`
	}
)
