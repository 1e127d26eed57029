package wechat

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// getOrder reads an order. Source: WeChat 物流助手, 商户使用, getOrder.
var getOrder = question{
	op: "getOrder", path: "/cgi-bin/express/business/order/get", marks: []string{"order_status", "print_html", "waybill_data"},
	answerBytes: 4 << 20, // A label may hold pictures.
}

// statusCancelled is the order_status of an order that was cancelled.
const statusCancelled = 1

// OrderRef names an order.
type OrderRef struct {
	OrderID    string `json:"order_id"`
	DeliveryID string `json:"delivery_id"`
	WaybillID  string `json:"waybill_id,omitzero"`
}

// OrderQuery is getOrder's request.
type OrderQuery struct {
	OrderRef
	OpenID    string `json:"openid,omitzero"`     // The customer's; not with add_source 2.
	PrintType int    `json:"print_type,omitzero"` // The label's form: 0 two parts (二联), 1 one part (一联).
}

// Order is getOrder's answer.
type Order struct {
	PrintHTML   string        `json:"print_html"` // The label, in base64; see HTML.
	WaybillData []WaybillData `json:"waybill_data"`
	DeliveryID  string        `json:"delivery_id"`
	WaybillID   string        `json:"waybill_id"`
	OrderID     string        `json:"order_id"`
	OrderStatus int64         `json:"order_status"` // 0 normal, 1 cancelled.
}

// WaybillData is a line of what the delivery company prints on the label.
type WaybillData struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Cancelled tells whether the order was cancelled upstream.
func (o *Order) Cancelled() bool { return o.OrderStatus == statusCancelled }

// HTML is the label. It holds the addresses and phone numbers of sender and receiver.
func (o *Order) HTML() ([]byte, error) {
	// The document's example is not padded; some encoders break lines, or use the alphabet of URLs.
	plain := strings.NewReplacer("\r", "", "\n", "", " ", "", "=", "", "-", "+", "_", "/").Replace(o.PrintHTML)
	label, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return nil, errors.New("print_html is no base64: upstream's answer was cut or changed on its way")
	}
	return label, nil
}

// GetOrder reads an order.
func (c *Caller) GetOrder(ctx context.Context, q OrderQuery) (Order, error) {
	return ask(ctx, c, &getOrder, q.appendJSON(nil), readOrder)
}

func (q *OrderQuery) appendJSON(b []byte) []byte {
	b = q.appendMembers(append(b, '{'))
	b = appendMember(b, "openid", q.OpenID)
	if q.PrintType != 0 {
		b = strconv.AppendInt(appendName(b, "print_type"), int64(q.PrintType), 10)
	}
	return append(b, '}')
}

func (r *OrderRef) appendMembers(b []byte) []byte {
	b = appendMember(b, "order_id", r.OrderID)
	b = appendMember(b, "delivery_id", r.DeliveryID)
	return appendMember(b, "waybill_id", r.WaybillID)
}

// UnmarshalJSON reads an order as tolerantly as an answer of upstream.
func (o *Order) UnmarshalJSON(body []byte) error {
	return readJSON(body, func(in object) { *o = readOrder(in) })
}

func readOrder(o object) Order {
	return Order{
		PrintHTML: o.text("print_html"), WaybillData: list(o, "waybill_data", readWaybillData),
		DeliveryID: o.text("delivery_id"), WaybillID: o.text("waybill_id"), OrderID: o.text("order_id"),
		OrderStatus: o.integer("order_status"),
	}
}

func readWaybillData(o object) WaybillData { return WaybillData{o.text("key"), o.text("value")} }
