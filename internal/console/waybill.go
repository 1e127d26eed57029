package console

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/verify"
)

// Waybills is what the page about a waybill needs of package admin.
type Waybills interface {
	Waybill(ctx context.Context, by admin.Actor, w state.Waybill) (admin.WaybillItem, error)
	Upstream(ctx context.Context, by admin.Actor, w state.Waybill, hint verify.Hint) (admin.UpstreamItem, error)
	PutToken(ctx context.Context, by admin.Actor, w state.Waybill, token, reason string) (changed bool, err error)
	Freeze(ctx context.Context, by admin.Actor, w state.Waybill, reason string) (admin.WaybillItem, error)
	Thaw(ctx context.Context, by admin.Actor, w state.Waybill, reason string) (admin.WaybillItem, error)
	Skip(ctx context.Context, by admin.Actor, w state.Waybill, reason string) (admin.WaybillItem, error)
	RetryWaybill(ctx context.Context, by admin.Actor, w state.Waybill, reason string) (admin.WaybillItem, error)
	PlanHeal(ctx context.Context, by admin.Actor, w state.Waybill, hint verify.Hint) (admin.HealItem, error)
	Heal(ctx context.Context, by admin.Actor, w state.Waybill, hint verify.Hint, reason string) (admin.HealItem, error)
	Expunge(ctx context.Context, by admin.Actor, w state.Waybill, reason string) (admin.ExpungedItem, error)
}

// waybillView is a waybill's story beside what its customer sees.
type waybillView struct {
	admin.WaybillItem
	Path     string
	Open     int // Pushes that are pending.
	Trace    trace
	Hint     verify.Hint
	Upstream *admin.UpstreamItem // nil: WeChat was not asked.
	Problem  *problem.Problem    // Why it did not say.
}

// trace is what a customer sees, newest first, and how that is known.
type trace struct {
	Source string // "upstream", "shown" or "sent"
	Nodes  []admin.ShownActionItem
}

func newWaybillView(w admin.WaybillItem) *waybillView {
	view := &waybillView{WaybillItem: w, Path: waybillPath(w.DeliveryID, w.WaybillID)}
	for i := range w.Timeline {
		if p := w.Timeline[i].Push; p != nil && p.Status == store.Pending {
			view.Open++
		}
	}
	view.Trace = sentTrace(w.Timeline)
	if w.Shown != nil {
		view.Trace = newestFirst("shown", slices.Clone(w.Shown.Actions))
	}
	return view
}

// sentTrace is what was delivered from here: what the customer should see, where nobody has said what that is.
func sentTrace(timeline []admin.StepItem) trace {
	var nodes []admin.ShownActionItem
	for i := range timeline {
		s := &timeline[i]
		if s.Push != nil && s.Push.Status == store.Delivered {
			nodes = append(nodes, admin.ShownActionItem{ActionTime: s.ActionTime, ActionType: int64(s.ActionType), ActionMsg: s.ActionMsg})
		}
	}
	return newestFirst("sent", nodes)
}

// newestFirst turns a trace, which begins with its oldest node, into what mini programs show. WeChat does not say in
// which order it tells traces, so times decide, and its order only among equal ones.
func newestFirst(source string, nodes []admin.ShownActionItem) trace {
	slices.Reverse(nodes)
	slices.SortStableFunc(nodes, func(a, b admin.ShownActionItem) int { return cmp.Compare(b.ActionTime, a.ActionTime) })
	return trace{source, nodes}
}

// Waybill shows one waybill.
func (c *Console) Waybill(v *Visit) error {
	_, view, err := c.story(v)
	if err != nil {
		return err
	}
	return v.Show("waybill", view)
}

// story reads the waybill in the path.
func (c *Console) story(v *Visit) (state.Waybill, *waybillView, error) {
	w, err := v.ofPath()
	if err != nil {
		return w, nil, err
	}
	story, err := c.admin.Waybill(v.Context(), v.By, w)
	if err != nil {
		return w, nil, err
	}
	return w, newWaybillView(story), nil
}

// AskUpstream shows a waybill with what WeChat says of it. It is a form that is sent, and not a link, as it costs of the
// merchant's quota: no browser asks ahead.
func (c *Console) AskUpstream(v *Visit) error {
	w, view, err := c.story(v)
	if err != nil {
		return err
	}
	view.Hint = v.hint()
	shown, err := c.admin.Upstream(v.Context(), v.By, w, view.Hint)
	if p, isProblem := errors.AsType[*problem.Problem](err); isProblem {
		view.Problem = p
		return v.page(p.Status(), "waybill", view)
	}
	if err != nil {
		return err
	}
	view.Upstream, view.Trace = &shown, upstreamTrace(&shown)
	return v.Show("waybill", view)
}

// hint is what a form says of a waybill's order.
func (v *Visit) hint() verify.Hint {
	return verify.Hint{Merchant: v.Field("merchant"), OrderID: v.Field("order_id"), OpenID: v.Field("openid")}
}

// upstreamTrace is the trace as WeChat answered it.
func upstreamTrace(shown *admin.UpstreamItem) trace {
	var nodes []admin.ShownActionItem
	for i := range shown.Lines {
		if node := shown.Lines[i].Upstream; node != nil {
			nodes = append(nodes, *node)
		}
	}
	return newestFirst("upstream", nodes)
}
