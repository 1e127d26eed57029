package wechat

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// batchGetOrder reads orders. Source: WeChat 物流助手, 商户使用, batchGetOrder.
var batchGetOrder = question{
	op: "batchGetOrder", path: "/cgi-bin/express/business/order/batchget", marks: []string{"order_list"},
	answerBytes: 32 << 20, // A hundred labels.
}

// maxBatch is how many orders one call may ask about (最多不能超过100个).
const maxBatch = 100

// OrderListQuery is batchGetOrder's request.
type OrderListQuery struct {
	OrderList []OrderRef `json:"order_list"`
}

// OrderList is batchGetOrder's answer.
type OrderList struct {
	OrderList []OrderResult `json:"order_list"`
}

// OrderResult is what became of one order of many: a call may be a success, and some of its orders not.
//
// The names in it are upstream's: whoever acts on a result should see that it is of the order that is meant.
type OrderResult struct {
	Errcode int    // 0: Order is there. Otherwise only its names are, if that.
	Errmsg  string // At most 512 bytes.
	Order
}

// PartError says which part of a long list brought no answer.
type PartError struct {
	First, Last int // Counted from 1.
	Of          int // How many orders there are in all.
	Err         error
}

// Error names the part and what happened to it.
func (e *PartError) Error() string {
	return fmt.Sprintf("orders %d to %d of %d: %v", e.First, e.Last, e.Of, e.Err)
}

// Unwrap is the cause, as of any call.
func (e *PartError) Unwrap() error { return e.Err }

// BatchGetOrder reads any number of orders, a hundred in a call, and gives as many results in the same order. No
// orders make no call. When a call fails the error is a *PartError, and the results are those of the parts before.
func (c *Caller) BatchGetOrder(ctx context.Context, orders []OrderRef) ([]OrderResult, error) {
	results := make([]OrderResult, 0, len(orders))
	for part := range slices.Chunk(orders, maxBatch) {
		got, err := c.getOrders(ctx, part)
		if err != nil {
			first := len(results) + 1
			return results, &PartError{first, first + len(part) - 1, len(orders), err}
		}
		results = append(results, got...)
	}
	return results, nil
}

// getOrders is one call.
func (c *Caller) getOrders(ctx context.Context, orders []OrderRef) ([]OrderResult, error) {
	q := OrderListQuery{orders}
	return ask(ctx, c, &batchGetOrder, q.appendJSON(nil), func(o object) []OrderResult {
		results := inOrder(orders, list(o, "order_list", readOrderResult))
		if len(results) != len(orders) && *o.bad == nil {
			*o.bad = fmt.Errorf("%d orders were asked about, and the answer is about %d", len(orders), len(results))
		}
		return results
	})
}

// inOrder puts results into the order of what was asked: that upstream keeps it is said nowhere. What names none of
// the orders takes the places that are left, in turn: a refusal may come without names, and in the document's own
// example an answer has another order_id than its question.
func inOrder(asked []OrderRef, results []OrderResult) []OrderResult {
	if len(asked) != len(results) {
		return results
	}
	left := slices.Clone(results)
	placed := make([]*OrderResult, len(asked))
	for i, want := range asked {
		if at := slices.IndexFunc(left, func(r OrderResult) bool { return r.about(want) }); at >= 0 {
			placed[i] = new(left[at])
			left = slices.Delete(left, at, at+1)
		}
	}
	out := make([]OrderResult, len(asked))
	for i, r := range placed {
		if r == nil {
			r, left = &left[0], left[1:]
		}
		out[i] = *r
	}
	return out
}

// about tells whether r names an order.
func (r *OrderResult) about(want OrderRef) bool {
	return r.OrderID == want.OrderID && r.DeliveryID == want.DeliveryID && (want.WaybillID == "" || r.WaybillID == want.WaybillID)
}

func (q *OrderListQuery) appendJSON(b []byte) []byte {
	b = append(b, `{"order_list":[`...)
	for i, order := range q.OrderList {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(order.appendMembers(append(b, '{')), '}')
	}
	return append(b, "]}"...)
}

// MarshalJSON writes the document's fields; of an order that was not found its names alone, without an order_status
// that would look like a normal one.
func (r OrderResult) MarshalJSON() ([]byte, error) {
	type said struct {
		Errcode int    `json:"errcode"`
		Errmsg  string `json:"errmsg"`
	}
	if r.Errcode != 0 {
		return json.Marshal(struct {
			said
			OrderRef
		}{said{r.Errcode, r.Errmsg}, OrderRef{r.OrderID, r.DeliveryID, r.WaybillID}})
	}
	return json.Marshal(struct {
		said
		Order
	}{said{r.Errcode, r.Errmsg}, r.Order})
}

// UnmarshalJSON reads a result as tolerantly as an answer of upstream.
func (r *OrderResult) UnmarshalJSON(body []byte) error {
	return readJSON(body, func(o object) { *r = readOrderResult(o) })
}

func readOrderResult(o object) OrderResult {
	return OrderResult{Errcode: o.errcode("errcode"), Errmsg: cleanErrmsg(o.text("errmsg")), Order: readOrder(o)}
}
