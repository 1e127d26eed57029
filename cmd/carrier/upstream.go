package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"carrier/internal/adminclient"
)

// orderFlags are what the user knows of a waybill's order that the service may not.
type orderFlags struct {
	Merchant string `placeholder:"NAME" help:"Ask as this merchant; default the one of the order's shop."`
	OrderID  string `name:"order-id" placeholder:"ID" help:"The order, if the service does not know it."`
	OpenID   string `name:"openid" placeholder:"OPENID" help:"The customer's, if WeChat wants it."`
}

func (o *orderFlags) hint() adminclient.OrderHint {
	return adminclient.OrderHint{Merchant: o.Merchant, OrderID: o.OrderID, OpenID: o.OpenID}
}

type waybillUpstream struct {
	theWaybill
	orderFlags
}

func (v *waybillUpstream) Run(ctx context.Context, w *world) error {
	return v.on(ctx, w, func(s *session, delivery, waybill string) error {
		a, err := s.Compare(ctx, delivery, waybill, v.hint())
		if err != nil {
			return err
		}
		return show(s, a, s.upstream)
	})
}

type waybillHeal struct {
	theWaybill
	orderFlags
	Reason string `aliases:"because" placeholder:"TEXT" help:"Why, for the audit log."`
	DryRun bool   `help:"Only show what would be pushed again."`
	Yes    bool   `help:"Do not ask; needed where there is no terminal."`
}

func (v *waybillHeal) Run(ctx context.Context, w *world) error {
	switch {
	case v.DryRun || v.Yes:
	case v.JSON:
		return usageError{errors.New("--json leaves nothing to look at before it is pushed; add --dry-run, or --yes to push without asking")}
	case !canAsk(w):
		return usageError{errors.New("there is no terminal to ask whether to push again; --dry-run shows what that would be, --yes does it")}
	}
	return v.on(ctx, w, func(s *session, delivery, waybill string) error { return v.heal(ctx, s, delivery, waybill) })
}

func (v *waybillHeal) heal(ctx context.Context, s *session, delivery, waybill string) error {
	asks := !v.DryRun && !v.Yes
	if asks {
		if goOn, err := v.askFirst(ctx, s, delivery, waybill); err != nil || !goOn {
			return err
		}
	}
	a, err := s.Heal(ctx, delivery, waybill, v.hint(), v.DryRun, v.Reason)
	if err != nil {
		return err
	}
	if asks {
		return s.healing(&a.Value) // The rest was shown.
	}
	return show(s, a, s.healed)
}

// askFirst shows what is missing and asks whether to push it again; goOn is false if nothing is.
func (v *waybillHeal) askFirst(ctx context.Context, s *session, delivery, waybill string) (goOn bool, err error) {
	plan, err := s.Heal(ctx, delivery, waybill, v.hint(), true, "")
	if err != nil {
		return false, err
	}
	if err := s.healed(&plan.Value); err != nil || len(plan.Value.Seqs) == 0 {
		return false, err
	}
	return true, s.confirm(ctx, s.say("Push them again? [y/N] ", "是否补推？[y/N] "))
}

// upstream shows what WeChat shows beside what was delivered.
func (s *screen) upstream(u *adminclient.Comparison) error {
	if err := s.upstreamFacts(u); err != nil {
		return err
	}
	if len(u.Lines) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(s.w); err != nil {
		return err
	}
	t := s.table(
		column{head: s.say("WECHAT", "微信")}, column{head: "SEQ", right: true}, column{head: s.say("AT", "时间")}, column{head: s.say("WHAT", "动作"), text: true},
		column{head: s.say("DELIVERED", "已送达文本"), text: true, below: true}, column{head: s.say("SHOWN", "微信所示文本"), text: true, below: true},
	)
	for i := range u.Lines {
		s.upstreamRow(t, &u.Lines[i])
	}
	return t.flush()
}

func (s *screen) upstreamRow(t *table, l *adminclient.ComparedLine) {
	node := l.Delivered
	if node == nil {
		node = l.Upstream
	}
	if node == nil {
		return // No line has neither.
	}
	delivered, seen := "", ""
	if l.Delivered != nil {
		delivered = l.Delivered.ActionMsg
	}
	if l.Upstream != nil && (l.Delivered == nil || l.Upstream.ActionMsg != delivered) {
		seen = l.Upstream.ActionMsg // Elsewhere it would say the same again.
	}
	t.add(s.word(upstreamWords, l.Kind), number(l.Seq), s.unix(node.ActionTime), s.anyAction(node.ActionType), delivered, seen)
}

func (s *screen) upstreamFacts(u *adminclient.Comparison) error {
	var f facts
	f.add(s.say("waybill", "运单"), waybillName(u.DeliveryID, u.WaybillID))
	f.add(s.say("stage", "阶段"), s.stageName(u.StageName, u.Stage))
	f.add(s.say("asked", "查询"), s.sayf("%s as %s", "%s，商家 %s", s.time(&u.AskedAt), u.Merchant))
	if o := u.Order; o != nil {
		f.add(s.say("order", "订单"), s.join(o.OrderID, s.orderState(o)))
	}
	f.add(s.say("result", "结果"), s.upstreamTotals(u))
	for _, note := range u.Notes {
		f.add(s.say("note", "说明"), s.in(note))
	}
	return f.print(s)
}

func (s *screen) orderState(o *adminclient.ComparedOrder) string {
	switch {
	case o.Cancelled:
		return s.say("cancelled", "已取消")
	case o.OrderStatus != nil && *o.OrderStatus == 0:
		return s.say("normal", "正常")
	case o.OrderStatus != nil:
		return strconv.FormatInt(*o.OrderStatus, 10)
	}
	return s.join(errcode(o.Errcode), o.Errmsg)
}

// upstreamTotals counts the lines of each kind that there is.
func (s *screen) upstreamTotals(u *adminclient.Comparison) string {
	var parts []string
	for _, kind := range upstreamOrder {
		if n := u.Totals[kind]; n > 0 {
			parts = append(parts, s.sayf("%d %s", "%d 个%s", n, s.word(upstreamWords, kind)))
		}
	}
	if len(parts) == 0 {
		return s.say("nothing was delivered, and WeChat shows nothing", "没有已送达的推送，微信也没有轨迹")
	}
	return strings.Join(parts, s.say(", ", "，"))
}

// healed shows what WeChat shows, and what is pushed again for it.
func (s *screen) healed(h *adminclient.Heal) error {
	if err := s.upstream(&h.Upstream); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(s.w); err != nil {
		return err
	}
	if err := s.line(s.in(h.Text)); err != nil || h.Replay == nil {
		return err
	}
	return s.healing(h)
}

// healing says what was begun.
func (s *screen) healing(h *adminclient.Heal) error {
	if h.Replay == nil {
		return s.line(s.in(h.Text))
	}
	return s.line(s.sayf("Replay %s sends %d of them; carrier replays follow %s shows how far it is.", "重放 %s 正在发送其中 %d 个；可用 carrier replays follow %s 查看进度。",
		h.Replay.ID, h.Replay.Requeued, h.Replay.ID))
}
