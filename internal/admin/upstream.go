package admin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"carrier/internal/merchant"
	"carrier/internal/problem"
	"carrier/internal/store"
	"carrier/internal/telemetry"
	"carrier/internal/wechat"
)

// Merchants knows the merchants with whose credentials upstream is asked (see merchant.Registry).
type Merchants interface {
	// Find gives the one with a name, or the only one for "". Its errors are merchant.ErrNone, ErrAmbiguous, ErrUnknown.
	Find(name string) (*merchant.Merchant, error)
	Names() []string
}

// MaxUpstreamOrders is how many orders one request may ask about.
const MaxUpstreamOrders = 500

// UpstreamPath reads what WeChat shows of a waybill, for a merchant (getPath). Viewers see no phone numbers in it.
//
// As with the two below an error may be a *wechat.RefusedError: upstream's answer, to be passed on as its document has it.
func (s *Service) UpstreamPath(ctx context.Context, by Actor, name string, q wechat.PathQuery) (wechat.Path, error) {
	m, err := s.merchant(name)
	if err == nil {
		err = required(field{"delivery_id", q.DeliveryID}, field{"waybill_id", q.WaybillID})
	}
	if err != nil {
		return wechat.Path{}, err
	}
	path, err := m.GetPath(ctx, q)
	if refused, ok := errors.AsType[*wechat.RefusedError](err); ok {
		refused.Errmsg = shown(refused.Errmsg, by)
	}
	if err != nil {
		return wechat.Path{}, upstreamProblem(err)
	}
	for i := range path.PathItemList {
		path.PathItemList[i].ActionMsg = shown(path.PathItemList[i].ActionMsg, by)
	}
	return path, nil
}

// UpstreamOrder reads an order for a merchant (getOrder). It holds names and addresses, so that is in the audit log.
func (s *Service) UpstreamOrder(ctx context.Context, by Actor, name string, q wechat.OrderQuery) (wechat.Order, error) {
	m, err := s.merchant(name)
	if err == nil {
		err = required(field{"order_id", q.OrderID}, field{"delivery_id", q.DeliveryID})
	}
	if err == nil {
		err = s.recordReading(ctx, by, m, []wechat.OrderRef{q.OrderRef})
	}
	if err != nil {
		return wechat.Order{}, err
	}
	order, err := m.GetOrder(ctx, q)
	return order, upstreamProblem(err)
}

// UpstreamOrders reads orders for a merchant (batchGetOrder), a hundred in a call; likewise in the audit log. One call
// that brings no answer spoils all of it.
func (s *Service) UpstreamOrders(ctx context.Context, by Actor, name string, orders []wechat.OrderRef) (wechat.OrderList, error) {
	m, err := s.merchant(name)
	if err == nil {
		err = checkOrders(orders)
	}
	if err == nil {
		err = s.recordReading(ctx, by, m, orders)
	}
	if err != nil {
		return wechat.OrderList{}, err
	}
	results, err := m.BatchGetOrder(ctx, orders)
	return wechat.OrderList{OrderList: results}, upstreamProblem(err)
}

func (s *Service) merchant(name string) (*merchant.Merchant, error) {
	if s.Merchants == nil {
		return nil, noMerchant(merchant.ErrNone, name, nil)
	}
	m, err := s.Merchants.Find(name)
	if err != nil {
		return nil, noMerchant(err, name, s.Merchants.Names())
	}
	return m, nil
}

// noMerchant says why no merchant is meant, and what to do.
func noMerchant(err error, name string, names []string) error {
	known := strings.Join(names, ", ")
	switch {
	case errors.Is(err, merchant.ErrNone):
		return invalidField("merchant", "not_configured", problem.Text{
			En: "No merchant is configured: add its appid and secret under merchants, and reload (SIGHUP) or restart.",
			Zh: "未配置商家：请在 merchants 中添加其 appid 与 secret，再重新加载（SIGHUP）或重启。"})
	case errors.Is(err, merchant.ErrAmbiguous):
		return invalidField("merchant", "required", problem.Textf("merchant must say which one: %s.", "须用 merchant 指明商家：%s。", known))
	}
	return invalidField("merchant", "unknown", problem.Textf("There is no merchant %q; there are: %s.", "没有商家 %q；现有：%s。", name, known))
}

// field is a document's field and its value.
type field struct{ name, value string }

// required refuses a request that lacks a field without which upstream would refuse it.
func required(fields ...field) error {
	p := problem.New(problem.InvalidRequest)
	for _, f := range fields {
		if f.value == "" {
			p.Errors = append(p.Errors, problem.FieldError{Field: f.name, Code: "required", Message: problem.Textf("%s is missing.", "缺少 %s。", f.name)})
		}
	}
	if len(p.Errors) == 0 {
		return nil
	}
	return p
}

func checkOrders(orders []wechat.OrderRef) error {
	switch {
	case len(orders) == 0:
		return invalidField("order_list", "required", problem.Text{En: "order_list must name at least one order.", Zh: "order_list 至少要有一个订单。"})
	case len(orders) > MaxUpstreamOrders:
		return invalidField("order_list", "length", problem.Textf("order_list has %d {1:order|orders}; one request may ask about %d. Split it.",
			"order_list 有 %d 个订单，每次请求最多 %d 个，请拆分。", len(orders), MaxUpstreamOrders))
	case slices.ContainsFunc(orders, func(o wechat.OrderRef) bool { return o.OrderID == "" || o.DeliveryID == "" }):
		return invalidField("order_list", "required", problem.Text{En: "Each order needs order_id and delivery_id.", Zh: "每个订单都须有 order_id 与 delivery_id。"})
	}
	return nil
}

// recordReading keeps who reads which orders. It comes before the reading: what can't be recorded is not done.
func (s *Service) recordReading(ctx context.Context, by Actor, m *merchant.Merchant, orders []wechat.OrderRef) error {
	e := store.AuditEntry{Act: by.act(store.ActReadOrder, "")}
	detail := struct {
		Merchant string   `json:"merchant"`
		OrderIDs []string `json:"order_ids"`
	}{Merchant: m.Name}
	for _, o := range orders {
		detail.OrderIDs = append(detail.OrderIDs, o.OrderID)
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	e.Detail = string(text)
	if len(orders) == 1 {
		e.DeliveryID, e.WaybillID = orders[0].DeliveryID, orders[0].WaybillID
	}
	return s.record(ctx, e)
}

// upstreamProblem makes a problem of a call without an answer; a refusal is one, and stays as it is.
func upstreamProblem(err error) error {
	if _, refused := errors.AsType[*wechat.RefusedError](err); refused || err == nil {
		return err
	}
	if e, ok := errors.AsType[*wechat.TokenError](err); ok {
		p := problem.New(problem.UpstreamFailed).Because(err)
		if e.Errcode != 0 {
			p = p.With("errcode", e.Errcode)
		}
		return p.Sayf("WeChat was not asked: %[1]s.", "未能查询微信，没有 access_token：%[2]s", sentence(err.Error()), tokenAdvice(e))
	}
	code, what := problem.UpstreamFailed, err.Error()
	if e, ok := errors.AsType[*wechat.CallError](err); ok {
		what = e.What()
		if e.Kind == wechat.KindTimeout {
			code = problem.UpstreamTimeout
		}
	}
	return problem.New(code).Because(err).Sayf("WeChat gave no answer that can be used: %s. Ask again; if that goes on, check base_url and the network.",
		"微信未返回可用的应答（%s）。请重试；若反复出现，请检查 base_url 与网络。", sentence(what))
}

// tokenAdvice is, in Chinese, why there is no access_token.
func tokenAdvice(e *wechat.TokenError) string {
	if meaning := e.Meaning(true); meaning != "" {
		return meaning
	}
	return sentence(e.Error()) + "。"
}

// sentence is an error's text within a sentence. Upstream's words may repeat what they answer: no number is shown.
func sentence(text string) string { return telemetry.MaskPhones(strings.TrimRight(text, ".")) }
