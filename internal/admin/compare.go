package admin

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/verify"
	"carrier/internal/wechat"
)

// Upstream tells what WeChat shows of a waybill (see verify.Upstream).
type Upstream interface {
	Ask(ctx context.Context, w state.Waybill, hint verify.Hint) (verify.Shown, error)
}

// UpstreamItem is what WeChat shows of a waybill beside what was delivered.
type UpstreamItem struct {
	DeliveryID string              `json:"delivery_id"`
	WaybillID  string              `json:"waybill_id"`
	Stage      state.Stage         `json:"stage"`
	StageName  Text                `json:"stage_name"`
	Merchant   string              `json:"merchant"` // Whose credentials asked, by name.
	AskedAt    time.Time           `json:"asked_at"`
	Order      *UpstreamOrder      `json:"order"` // null if the order is not known here.
	Same       bool                `json:"same"`  // No line is a difference.
	Totals     map[verify.Kind]int `json:"totals"`
	Lines      []UpstreamLine      `json:"lines"`
	Notes      []Text              `json:"notes"` // What else there is to know.
}

// UpstreamOrder is what getOrder answered. An errcode other than 0 says that the rest is not known.
type UpstreamOrder struct {
	OrderID     string `json:"order_id"`
	Errcode     *int   `json:"errcode"` // null if no answer came.
	Errmsg      string `json:"errmsg"`
	OrderStatus *int64 `json:"order_status"` // WeChat's: 0 normal, 1 cancelled.
	Cancelled   bool   `json:"cancelled"`
}

// UpstreamLine is a push, or a node that WeChat shows, or both.
type UpstreamLine struct {
	Kind      verify.Kind      `json:"kind"`
	Seq       uint64           `json:"seq"`    // The push's; 0: there is none.
	Status    store.Status     `json:"status"` // The push's; empty: there is none.
	Delivered *ShownActionItem `json:"delivered"`
	Upstream  *ShownActionItem `json:"upstream"`
	Text      Text             `json:"text"`
}

var hintFilters = []filter[verify.Hint]{
	{"merchant", readString(func(h *verify.Hint) *string { return &h.Merchant }), anything},
	{"order_id", readString(func(h *verify.Hint) *string { return &h.OrderID }), anything},
	{"openid", readString(func(h *verify.Hint) *string { return &h.OpenID }), anything},
}

// HintFilters lists the parameters of UpstreamQuery.
func HintFilters() []string { return namesOf(hintFilters) }

// UpstreamQuery reads what the caller knows of a waybill's order.
func UpstreamQuery(values url.Values, now time.Time) (verify.Hint, error) {
	return parse(values, hintFilters, verify.Hint{}, now)
}

// askTimeout bounds what is asked of WeChat for one answer: two calls at a time, each on an access_token.
const askTimeout = 40 * time.Second

// Upstream lays what WeChat shows of a waybill beside what was delivered.
func (s *Service) Upstream(ctx context.Context, by Actor, w state.Waybill, hint verify.Hint) (UpstreamItem, error) {
	c, err := s.compare(ctx, by, w, hint)
	if err != nil {
		return UpstreamItem{}, err
	}
	return c.item(by), nil
}

// compared is a waybill's story, and what WeChat shows of it.
type compared struct {
	story  store.Waybill
	shown  verify.Shown
	report verify.Report
}

func (s *Service) compare(ctx context.Context, by Actor, w state.Waybill, hint verify.Hint) (*compared, error) {
	story, err := s.Store.Waybill(ctx, w)
	if err != nil {
		return nil, missingWaybill(err, w)
	}
	ask, cancel := context.WithTimeoutCause(ctx, askTimeout, errSlowUpstream)
	defer cancel()
	shown, err := s.WeChat.Ask(ask, w, hint)
	if err != nil {
		return nil, compareProblem(err, by, shown.OrderID == "")
	}
	return &compared{story, shown, verify.Compare(verify.PushesOf(&story), shown.Path, shown.Settled)}, nil
}

var errSlowUpstream = errors.New("WeChat took longer than " + askTimeout.String())

func (c *compared) item(by Actor) UpstreamItem {
	item := UpstreamItem{
		DeliveryID: c.story.Waybill.DeliveryID, WaybillID: c.story.Waybill.WaybillID,
		Stage: c.story.Stage, StageName: stageText(c.story.Stage),
		Merchant: c.shown.Merchant, AskedAt: c.shown.AskedAt.UTC(), Order: c.order(by), Same: c.report.Same(),
		Totals: map[verify.Kind]int{}, Lines: make([]UpstreamLine, len(c.report.Lines)), Notes: c.notes(),
	}
	for _, k := range verify.Kinds() {
		item.Totals[k] = c.report.Count(k)
	}
	for i := range c.report.Lines {
		l := &c.report.Lines[i]
		item.Lines[i] = UpstreamLine{
			Kind: l.Kind, Seq: l.Seq, Status: l.Status,
			Delivered: nodeItem(l.Delivered, by), Upstream: nodeItem(l.Upstream, by), Text: lineText(l),
		}
	}
	return item
}

func nodeItem(n *wechat.PathItem, by Actor) *ShownActionItem {
	if n == nil {
		return nil
	}
	return &ShownActionItem{ActionTime: n.ActionTime, ActionType: n.ActionType, ActionMsg: shown(n.ActionMsg, by)}
}

func (c *compared) order(by Actor) *UpstreamOrder {
	if c.shown.OrderID == "" {
		return nil
	}
	item := &UpstreamOrder{OrderID: c.shown.OrderID}
	refused, _ := errors.AsType[*wechat.RefusedError](c.shown.OrderErr)
	switch {
	case c.shown.Order != nil:
		item.Errcode, item.OrderStatus, item.Cancelled = new(0), &c.shown.Order.OrderStatus, c.shown.Order.Cancelled()
	case refused != nil:
		item.Errcode, item.Errmsg = &refused.Errcode, shown(refused.Errmsg, by)
	default:
		item.Errmsg = shown(c.shown.OrderErr.Error(), by)
	}
	return item
}

// cancelled tells whether WeChat says that the order was cancelled.
func (c *compared) cancelled() bool { return c.shown.Order != nil && c.shown.Order.Cancelled() }

// notes say what the lines alone don't.
func (c *compared) notes() []Text {
	notes := []Text{}
	if c.shown.OrderID == "" {
		notes = append(notes, Text{"The waybill's order is not known here, so whether it was cancelled was not asked; order_id names it.",
			"本服务不知道该运单的订单，未查询其是否已取消；可用 order_id 指定。"})
	}
	if c.cancelled() {
		notes = append(notes, Text{"The order was cancelled at WeChat.", "该订单已在微信侧取消。"})
	}
	if c.shown.OrderErr != nil {
		notes = append(notes, Text{"The order could not be read; order.errmsg says why.", "订单读取失败，原因见 order.errmsg。"})
	}
	if c.report.Order == verify.ByTime {
		notes = append(notes, Text{"WeChat shows this trace in order of action_time; it was sent in another, as scans came late.",
			"微信按 action_time 显示该轨迹；因扫描迟到，推送顺序与此不同。"})
	}
	return notes
}

// lineText says in words what a line's kind means.
func lineText(l *verify.Line) Text {
	switch l.Kind {
	case verify.Same:
		if l.Status != store.Delivered {
			return Text{"WeChat shows it, though no answer said so: the push may have been applied and its answer lost.",
				"微信已显示，但推送未得到成功答复：可能已生效而答复丢失。"}
		}
		return Text{}
	case verify.Moved:
		return Text{"WeChat shows it at another place.", "微信显示的位置不同。"}
	case verify.Changed:
		return Text{"WeChat shows it with another text.", "微信显示的文本不同。"}
	case verify.Missing:
		return Text{"WeChat answered with success and does not show it; heal pushes it again.", "微信曾答复成功，但未显示；可用 heal 重新推送。"}
	case verify.Pending:
		return Text{"It was delivered so lately that it may show yet.", "刚刚送达，可能稍后显示。"}
	case verify.Extra:
		return Text{"WeChat shows it, and it was not delivered from here, or not as often.", "微信显示了它，但本服务未推送过，或未推送这么多次。"}
	}
	return Text{"It is WeChat's own: no push has its type.", "微信自有的节点：没有推送使用该类型。"}
}

// compareProblem makes a problem of why WeChat's side of a waybill can't be told.
func compareProblem(err error, by Actor, orderUnknown bool) error {
	if who, ok := errors.AsType[*verify.MerchantError](err); ok {
		return merchantProblem(who)
	}
	if refused, ok := errors.AsType[*wechat.RefusedError](err); ok {
		return refusedProblem(refused, by, orderUnknown)
	}
	_, unanswered := errors.AsType[*wechat.CallError](err)
	_, noToken := errors.AsType[*wechat.TokenError](err)
	switch {
	case unanswered || noToken:
		return upstreamProblem(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errSlowUpstream):
		return problem.New(problem.UpstreamTimeout).Because(err)
	}
	return storeProblem(err)
}

func refusedProblem(refused *wechat.RefusedError, by Actor, orderUnknown bool) error {
	out := problem.New(problem.UpstreamFailed).Because(refused).With("call", refused.Op).With("errcode", refused.Errcode).
		With("errmsg", shown(refused.Errmsg, by)).With("rid", refused.RID)
	text := textf("WeChat refused %s with errcode %d.", "微信拒绝了 %s，errcode %d。", refused.Op, refused.Errcode).and(Meaning(&refused.Errcode))
	if orderUnknown {
		text = text.and(Text{"The waybill's order is not known here: give its order_id, and the customer's openid if WeChat asks for it.",
			"本服务不知道该运单的订单：请给出 order_id，如微信要求，还需客户的 openid。"})
	}
	return out.Say(text.En, text.Zh)
}

func merchantProblem(e *verify.MerchantError) error {
	names := strings.Join(e.Names, ", ")
	switch {
	case len(e.Names) == 0:
		return problem.New(problem.ConflictState).Because(e).Say(
			"Only a merchant may read what WeChat shows, and none is configured: add one under merchants, with its name, appid and secret.",
			"只有商家可以读取微信显示的内容，而尚未配置商家：请在 merchants 下添加，给出 name、appid 与 secret。")
	case e.Name != "":
		return invalidField("merchant", "value", problem.Textf("There is no merchant %q; there are %s.", "没有商家 %q；可用的有：%s。", e.Name, names))
	case e.ShopAppID != "":
		return problem.New(problem.ConflictState).Because(e).With("shop_appid", e.ShopAppID).With("merchants", e.Names).Sayf(
			"The order is of the mini program %[1]s, and no merchant answers for it: add it to shop_appids of one under merchants, or name one with merchant (%[2]s).",
			"该订单属于小程序 %[1]s，没有商家对应它：请将其加入 merchants 中某个商家的 shop_appids，或用 merchant 指定一个（%[2]s）。", e.ShopAppID, names)
	}
	return invalidField("merchant", "required", problem.Textf("The waybill's order is not known here: say with merchant whose it is; there are %s.",
		"本服务不知道该运单的订单：请用 merchant 指定所属商家；可用的有：%s。", names))
}
