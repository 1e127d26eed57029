package admin

import (
	"context"
	"errors"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/verify"
)

// HealItem is what a heal pushes again, or would.
type HealItem struct {
	DryRun   bool         `json:"dry_run"`
	Seqs     []uint64     `json:"seqs"`   // Pushes that WeChat does not show, in the order in which they are sent.
	Replay   *ReplayItem  `json:"replay"` // null if nothing was begun.
	Text     Text         `json:"text"`
	Upstream UpstreamItem `json:"upstream"` // As it was asked for this.
}

// PlanHeal tells what Heal would push again, and does nothing.
func (s *Service) PlanHeal(ctx context.Context, by Actor, w state.Waybill, hint verify.Hint) (HealItem, error) {
	c, err := s.compare(ctx, by, w, hint)
	if err != nil {
		return HealItem{}, err
	}
	item := c.heal(by)
	item.DryRun = true
	return item, nil
}

// Heal pushes again what WeChat answered with success and does not show: in order of acceptance, as one replay. What was
// delivered a moment ago may show yet and is left alone; so are other differences, which pushing can't mend. With
// nothing to push it begins nothing.
func (s *Service) Heal(ctx context.Context, by Actor, w state.Waybill, hint verify.Hint, reason string) (HealItem, error) {
	if err := errors.Join(s.known(w.DeliveryID), checkReason(reason, false)); err != nil {
		return HealItem{}, err
	}
	c, err := s.compare(ctx, by, w, hint)
	if err != nil {
		return HealItem{}, err
	}
	item := c.heal(by)
	if len(item.Seqs) == 0 {
		return item, nil
	}
	if c.cancelled() {
		return HealItem{}, problem.New(problem.ConflictState).With("seqs", item.Seqs).With("order_status", c.shown.Order.OrderStatus).Say(
			"The order was cancelled at WeChat, so nothing is pushed again.", "该订单已在微信侧取消，不再重新推送。")
	}
	kept, err := s.Store.Resend(ctx, w, item.Seqs, by.act(store.ActHeal, reason))
	switch {
	case errors.Is(err, store.ErrState):
		return HealItem{}, problem.New(problem.ConflictState).With("seqs", item.Seqs).Say(
			"None of the missing pushes can be sent again: they are on their way by now, or their texts were expunged. Look at the waybill.",
			"缺失的推送都无法重发：它们已在发送中，或文本已清除。请查看该运单。")
	case err != nil:
		return HealItem{}, missingWaybill(err, w)
	}
	s.acted(by, store.ActHeal, "delivery_id", w.DeliveryID, "waybill_id", w.WaybillID, "replay", kept.ID, "pushes", kept.Requeued, "reason", reason)
	replay := s.replayItem(&kept, by)
	item.Replay = &replay
	return item, nil
}

func (c *compared) heal(by Actor) HealItem {
	item := HealItem{Seqs: numbers(c.report.Seqs(verify.Missing)), Upstream: c.item(by)}
	if len(item.Seqs) == 0 {
		item.Text = Text{"Nothing is missing at WeChat.", "微信侧没有缺失。"}
		if verify.OnTheWay(&c.report, verify.PushesOf(&c.story)) {
			item.Text = Text{"There is nothing to push again now: what was delivered a moment ago, or is being sent again, may show yet: look again later.",
				"目前没有需要补推的：刚刚送达或正在重发的可能稍后显示，请稍后再查。"}
		}
		return item
	}
	item.Text = textf("Missing pushes that go out again, in order of acceptance: %d.", "将按接受顺序补推 %d 个缺失的推送。", len(item.Seqs))
	if c.inTheMiddle() {
		item.Text = item.Text.and(Text{
			"Each keeps its own action_time. WeChat does not say whether it sorts by that: where it keeps the order of arrival, they stand last.",
			"每个推送保留自己的 action_time。微信未说明是否按其排序：若按到达顺序显示，它们将排在最后。"})
	}
	return item
}

// inTheMiddle tells whether WeChat shows a push that was accepted after one that is missing.
func (c *compared) inTheMiddle() bool {
	missing := false
	for i := range c.report.Lines {
		l := &c.report.Lines[i]
		if missing && l.Seq != 0 && l.Upstream != nil {
			return true
		}
		missing = missing || l.Kind == verify.Missing
	}
	return false
}
