package main

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"carrier/internal/adminclient"
)

// minEnd is from how many characters on the service looks for the ends of numbers.
const minEnd = 4

type waybillFind struct {
	asking
	End string `arg:"" name:"number" help:"The waybill's number, or its last 4 characters or more."`
	paging
}

func (f *waybillFind) Run(ctx context.Context, w *world) error {
	return f.with(ctx, w, func(s *session) error {
		t := s.table(
			column{head: s.say("WAYBILL", "运单")}, column{head: s.say("STAGE", "阶段")}, column{head: s.say("TOKEN", "TOKEN"), below: true},
			column{head: s.say("LAST HEARD OF", "最新事件")}, column{head: s.say("PUSHES", "推送"), below: true},
		)
		if err := list(ctx, s, s.FindWaybills(f.End), f.paging, t, s.foundRow); err != nil || t.headed || s.json || utf8.RuneCountInString(f.End) >= minEnd {
			return err
		}
		return s.note(s.sayf("fewer than the last %d characters are looked for as whole numbers only", "少于末尾 %d 位时，只按完整运单号查找", minEnd))
	})
}

func (s *screen) foundRow(t *table, w *adminclient.WaybillSummary) {
	token := s.say("known", "已登记")
	if !w.TokenSet {
		token = s.say("none", "无")
	}
	t.add(waybillName(w.DeliveryID, w.WaybillID), s.standing(w), token, cell(s.time(w.HeardAt)), s.unsent(w))
}

// standing is a waybill's stage, and what holds it.
func (s *screen) standing(w *adminclient.WaybillSummary) string {
	words := []string{s.stageName(w.StageName, w.Stage)}
	if w.Parked {
		words = append(words, s.say("parked", "已搁置"))
	}
	if w.Frozen {
		words = append(words, s.say("frozen", "已冻结"))
	}
	return strings.Join(words, s.say(", ", "，"))
}

// unsent counts the pushes of which the customer has seen nothing.
func (s *screen) unsent(w *adminclient.WaybillSummary) string {
	var words []string
	if w.Pending > 0 {
		words = append(words, strconv.Itoa(w.Pending)+" "+s.say("pending", "待推送"))
	}
	if w.Failed > 0 {
		words = append(words, strconv.Itoa(w.Failed)+" "+s.say("failed", "失败"))
	}
	return cell(strings.Join(words, s.say(", ", "，")))
}

type waybillSilent struct {
	asking
	Stage      *string `placeholder:"S" help:"At that stage only, such as in_transit."`
	Hours      *string `placeholder:"N" help:"Silent for at least N hours; by default what is usual at each stage."`
	DeliveryID *string `placeholder:"ID" help:"The account."`
	NoToken    bool    `help:"Also waybills without a Token, whose trace no customer sees."`
	paging
}

func (c *waybillSilent) Run(ctx context.Context, w *world) error {
	filter, err := given(map[string]*string{"stage": c.Stage, "hours": c.Hours, "delivery_id": c.DeliveryID})
	if err != nil {
		return err
	}
	if c.NoToken {
		filter["no_token"] = "1"
	}
	return c.with(ctx, w, func(s *session) error {
		t := s.table(
			column{head: s.say("WAYBILL", "运单")}, column{head: s.say("STAGE", "阶段")}, column{head: s.say("SILENT FOR", "停滞"), right: true},
			column{head: s.say("LAST SCAN", "最后扫描"), text: true}, column{head: s.say("RECEIVED", "接收时间"), below: true},
			column{head: s.say("TEXT", "文本"), text: true, below: true}, column{head: s.say("PUSHES", "推送"), below: true},
		)
		return list(ctx, s, s.SilentWaybills(filter), c.paging, t, s.silentRow)
	})
}

func (s *screen) silentRow(t *table, w *adminclient.SilentWaybill) {
	scan, at, text := "-", "-", "-"
	if e := w.Accepted; e != nil {
		scan, at, text = s.action(e.ActionType), s.time(&e.ReceivedAt), s.text(e.ActionMsg)
	}
	t.add(waybillName(w.DeliveryID, w.WaybillID), s.standing(&w.WaybillSummary), s.seconds(w.SilentSeconds), scan, at, text, s.unsent(&w.WaybillSummary))
}
