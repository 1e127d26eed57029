package main

import (
	"context"
	"maps"
	"strings"

	"carrier/internal/adminclient"
)

type eventsCommand struct {
	List   eventsList   `cmd:"" help:"List events of every verdict, newest first. 列出事件"`
	Accept eventsAccept `cmd:"" help:"Accept a rejected event against the rules. 人工放行被拒绝的事件"`
}

type eventsList struct {
	asking
	scanFilters
	Verdict *string `placeholder:"V" help:"accepted, held, ignored or rejected."`
	paging
}

func (e *eventsList) Run(ctx context.Context, w *world) error {
	filter, err := e.filter()
	if err != nil {
		return err
	}
	verdict, err := given(map[string]*string{"verdict": e.Verdict})
	if err != nil {
		return err
	}
	maps.Copy(filter, verdict)
	return e.with(ctx, w, func(s *session) error {
		t := s.table(
			column{head: "SEQ", right: true}, column{head: s.say("WAYBILL", "运单")}, column{head: s.say("EVENT", "事件"), below: true},
			column{head: s.say("SOURCE", "来源"), below: true}, column{head: s.say("SCAN", "扫描"), text: true}, column{head: s.say("SCANNED AT", "扫描时间"), below: true},
			column{head: s.say("VERDICT", "判定")}, column{head: s.say("PUSH", "推送"), below: true}, column{head: s.say("WHY", "原因"), text: true, below: true},
		)
		return list(ctx, s, s.Events(filter), e.paging, t, s.eventRow)
	})
}

func (s *screen) eventRow(t *table, e *adminclient.Event) {
	why := s.because(&e.Decision)
	if e.Expunged {
		why = strings.TrimSpace(why + " " + s.say("Its text was forgotten; it can't be sent any more.", "文本已清除，不能再发送。"))
	}
	t.add(number(e.Seq), waybillName(e.DeliveryID, e.WaybillID), e.EventID, e.Source, s.action(e.ActionType), s.unix(e.ActionTime),
		s.verdict(&e.Decision), cell(s.word(statusWords, e.Status)), why)
}

type eventsAccept struct {
	asking
	Seq    uint64 `arg:"" help:"The event's number."`
	Reason string `required:"" aliases:"because" placeholder:"TEXT" help:"Why, for the audit log and the waybill's story."`
}

func (e *eventsAccept) Run(ctx context.Context, w *world) error {
	return e.with(ctx, w, func(s *session) error {
		a, err := s.AcceptEvent(ctx, e.Seq, e.Reason)
		if err != nil {
			return err
		}
		return show(s, a, func(e *adminclient.Event) error {
			return s.line(s.sayf("event %d of %s: %s; its push is %s", "事件 %d（%s）：%s；推送状态：%s", e.Seq, waybillName(e.DeliveryID, e.WaybillID),
				s.verdict(&e.Decision), s.word(statusWords, e.Status)))
		})
	})
}
