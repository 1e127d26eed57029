package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"carrier/internal/adminclient"
	"carrier/internal/wechat"
)

// upstream answers the calls of merchants that read.
type upstream interface {
	GetPath(context.Context, wechat.PathQuery) (wechat.Path, error)
	GetOrder(context.Context, wechat.OrderQuery) (wechat.Order, error)
	BatchGetOrder(context.Context, []wechat.OrderRef) ([]wechat.OrderResult, error)
}

// reading is a call that reads for a merchant: with its credentials, or through the running service.
type reading struct {
	byHand
	merchantFlag
	requestFlag
	Service bool `help:"Ask through the running service: for merchants of a third-party platform, whose access_tokens it keeps."`
	adminFlags
}

// with finds out who answers, and has f ask.
func (r *reading) with(ctx context.Context, w *world, f func(h *hand, up upstream) error) error {
	if r.Service {
		s, err := (&asking{adminFlags: r.adminFlags, Config: r.File}).open(w)
		if err != nil {
			return err
		}
		return f(&hand{session: s, cloud: r.Cloud}, throughService{s, r.Merchant})
	}
	c, err := r.load(w)
	if err != nil {
		return err
	}
	m, err := r.chosen(c)
	if err != nil {
		return usageError{err}
	}
	h := r.hand(w)
	who, shut, err := h.openMerchant(m)
	if errors.Is(err, errByService) {
		err = fmt.Errorf("%w; ask through it with --service", err)
	}
	if err != nil {
		return usageError{err}
	}
	defer shut()
	return f(h, who)
}

// throughService asks the running service, which has the merchants' credentials.
type throughService struct {
	*session
	merchant string
}

func (s throughService) GetPath(ctx context.Context, q wechat.PathQuery) (wechat.Path, error) {
	return askService[wechat.Path](ctx, s, "getPath", adminclient.UpstreamPath, struct {
		Merchant string `json:"merchant,omitzero"`
		wechat.PathQuery
	}{s.merchant, q})
}

func (s throughService) GetOrder(ctx context.Context, q wechat.OrderQuery) (wechat.Order, error) {
	return askService[wechat.Order](ctx, s, "getOrder", adminclient.UpstreamOrder, struct {
		Merchant string `json:"merchant,omitzero"`
		wechat.OrderQuery
	}{s.merchant, q})
}

// ordersPerRequest is how many orders the service is asked about at a time: as many as it asks WeChat about in a call, so
// that one call without an answer spoils no more than that.
const ordersPerRequest = 100

func (s throughService) BatchGetOrder(ctx context.Context, orders []wechat.OrderRef) ([]wechat.OrderResult, error) {
	results := make([]wechat.OrderResult, 0, len(orders))
	for part := range slices.Chunk(orders, ordersPerRequest) {
		list, err := askService[wechat.OrderList](ctx, s, "batchGetOrder", adminclient.UpstreamOrders, struct {
			Merchant string `json:"merchant,omitzero"`
			wechat.OrderListQuery
		}{s.merchant, wechat.OrderListQuery{OrderList: part}})
		if err != nil {
			first := len(results) + 1
			return results, &wechat.PartError{First: first, Last: first + len(part) - 1, Of: len(orders), Err: err}
		}
		results = append(results, list.OrderList...)
	}
	return results, nil
}

// askService asks, and tells WeChat's refusal from its answer.
func askService[T any](ctx context.Context, s throughService, call, what string, request any) (answer T, err error) {
	raw, err := s.Upstream(ctx, what, request)
	if err != nil {
		return answer, err
	}
	var no wechat.Answer
	if err := json.Unmarshal(raw, &no); err != nil {
		return answer, err
	}
	if no.Errcode != 0 {
		return answer, &wechat.RefusedError{Op: call, Answer: no}
	}
	return answer, json.Unmarshal(raw, &answer)
}

type wechatGetPath struct {
	reading
	OrderID    string `placeholder:"ID" help:"order_id: the merchant's order; give it where it is known."`
	OpenID     string `name:"openid" placeholder:"ID" help:"openid: the customer's; not with add_source 2."`
	DeliveryID string `placeholder:"ID" help:"delivery_id: the delivery company, such as SF."`
	WaybillID  string `placeholder:"ID" help:"waybill_id."`
}

func (c *wechatGetPath) Run(ctx context.Context, w *world) error {
	q := wechat.PathQuery{OrderID: c.OrderID, OpenID: c.OpenID, DeliveryID: c.DeliveryID, WaybillID: c.WaybillID}
	err := c.read(w, map[string]any{
		"order_id": &q.OrderID, "openid": &q.OpenID, "delivery_id": &q.DeliveryID, "waybill_id": &q.WaybillID,
	}, q != wechat.PathQuery{})
	if err == nil {
		err = needed([2]string{"delivery_id", q.DeliveryID}, [2]string{"waybill_id", q.WaybillID})
	}
	if err != nil {
		return err
	}
	return c.with(ctx, w, func(h *hand, up upstream) error {
		path, err := up.GetPath(ctx, q)
		return h.finish(ctx, "getPath", path, err)
	})
}

type wechatGetOrder struct {
	reading
	OrderID    string `placeholder:"ID" help:"order_id: the merchant's order."`
	OpenID     string `name:"openid" placeholder:"ID" help:"openid: the customer's; not with add_source 2."`
	DeliveryID string `placeholder:"ID" help:"delivery_id: the delivery company, such as SF."`
	WaybillID  string `placeholder:"ID" help:"waybill_id; may be left out."`
	PrintType  int    `placeholder:"N" help:"print_type, of the label: 0 in two parts (二联), 1 in one (一联)."`
	PrintHTML  string `name:"print-html" placeholder:"FILE" help:"Write the label to this file. It holds names and addresses."`
}

func (c *wechatGetOrder) Run(ctx context.Context, w *world) error {
	q := wechat.OrderQuery{
		OrderRef: wechat.OrderRef{OrderID: c.OrderID, DeliveryID: c.DeliveryID, WaybillID: c.WaybillID}, OpenID: c.OpenID, PrintType: c.PrintType,
	}
	err := c.read(w, map[string]any{
		"order_id": &q.OrderID, "openid": &q.OpenID, "delivery_id": &q.DeliveryID, "waybill_id": &q.WaybillID, "print_type": &q.PrintType,
	}, q != wechat.OrderQuery{})
	if err == nil {
		err = needed([2]string{"order_id", q.OrderID}, [2]string{"delivery_id", q.DeliveryID})
	}
	if err == nil && q.PrintType != 0 && q.PrintType != 1 {
		err = usageError{fmt.Errorf("print_type is 0 (二联) or 1 (一联), not %d", q.PrintType)}
	}
	if err != nil {
		return err
	}
	return c.with(ctx, w, func(h *hand, up upstream) error {
		order, err := up.GetOrder(ctx, q)
		if err := h.finish(ctx, "getOrder", order, err); err != nil || c.PrintHTML == "" {
			return err
		}
		return writeLabel(&order, c.PrintHTML)
	})
}

// writeLabel writes an order's label for its owner's eyes alone.
func writeLabel(order *wechat.Order, name string) error {
	label, err := order.HTML()
	if err == nil && len(label) == 0 {
		err = errors.New("the answer has no label")
	}
	if err == nil {
		err = os.WriteFile(name, label, 0o600)
	}
	if err != nil {
		return fmt.Errorf("--print-html: %w", err)
	}
	return nil
}

type wechatBatchGetOrder struct {
	reading
	OrderID    []string `sep:"none" placeholder:"ID" help:"order_id: an order; may be repeated."`
	DeliveryID string   `placeholder:"ID" help:"delivery_id: the delivery company of all of them, such as SF."`
	WaybillID  []string `sep:"none" placeholder:"ID" help:"waybill_id: of each order in turn, or of none."`
}

func (c *wechatBatchGetOrder) Run(ctx context.Context, w *world) error {
	orders, err := c.orders(w)
	if err != nil {
		return err
	}
	return c.with(ctx, w, func(h *hand, up upstream) error {
		results, err := up.BatchGetOrder(ctx, orders)
		if len(results) == 0 {
			return h.finish(ctx, "batchGetOrder", wechat.OrderList{OrderList: results}, err)
		}
		if err := h.finish(ctx, "batchGetOrder", wechat.OrderList{OrderList: results}, nil); err != nil {
			return err
		}
		if err != nil { // The rest.
			return h.explainCall(ctx, err)
		}
		return h.refusedOf(results)
	})
}

// refusedOf says how many of the orders have an errcode of their own.
func (h *hand) refusedOf(results []wechat.OrderResult) error {
	refused := 0
	for i := range results {
		if results[i].Errcode != 0 {
			refused++
		}
	}
	if refused == 0 {
		return nil
	}
	return said{h.sayf("%d of %d {2:order|orders} {1:has|have} an errcode of their own, which is beside them", "%[2]d 个订单中有 %[1]d 个返回了各自的错误码，见对应条目", refused, len(results)),
		errors.New("orders were refused")}
}

// orders are those that the flags or the request name.
func (c *wechatBatchGetOrder) orders(w *world) ([]wechat.OrderRef, error) {
	var items []json.RawMessage
	if err := c.read(w, map[string]any{"order_list": &items}, len(c.OrderID)+len(c.WaybillID) > 0 || c.DeliveryID != ""); err != nil {
		return nil, err
	}
	if c.Request != "" {
		return readOrders(items, c.Request)
	}
	if n := len(c.WaybillID); n != 0 && n != len(c.OrderID) {
		return nil, usageError{fmt.Errorf("%d orders and %d waybills; give --waybill-id for each --order-id in turn, or for none", len(c.OrderID), n)}
	}
	orders := make([]wechat.OrderRef, len(c.OrderID))
	for i, id := range c.OrderID {
		orders[i] = wechat.OrderRef{OrderID: id, DeliveryID: c.DeliveryID}
		if len(c.WaybillID) > 0 {
			orders[i].WaybillID = c.WaybillID[i]
		}
	}
	if len(orders) == 0 {
		return nil, needed([2]string{"order_id", ""})
	}
	return orders, needed([2]string{"delivery_id", c.DeliveryID})
}

// readOrders reads the list of a request.
func readOrders(items []json.RawMessage, file string) ([]wechat.OrderRef, error) {
	if len(items) == 0 {
		return nil, usageError{fmt.Errorf("-f %s: order_list must name at least one order", file)}
	}
	orders := make([]wechat.OrderRef, len(items))
	for i, item := range items {
		o := &orders[i]
		err := readFields(item, map[string]any{"order_id": &o.OrderID, "delivery_id": &o.DeliveryID, "waybill_id": &o.WaybillID})
		if err == nil && (o.OrderID == "" || o.DeliveryID == "") {
			err = errors.New("order_id and delivery_id are both needed")
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("-f %s: order_list[%d]: %w", file, i, err)}
		}
	}
	return orders, nil
}
