package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"carrier/internal/adminclient"
)

type pushesCommand struct {
	List    pushesList    `cmd:"" help:"List pushes, newest first. 列出推送"`
	Show    pushesShow    `cmd:"" help:"Show everything of one push. 查看单个推送"`
	Replay  pushesReplay  `cmd:"" help:"Send again: single pushes, or all that match filters. 重放推送"`
	Discard pushesDiscard `cmd:"" help:"Decide that a push will not be sent. 作废推送"`
}

// scanFilters select pushes and events. What they may be, the service says.
type scanFilters struct {
	Status     *string `placeholder:"S" help:"pending, delivered, failed or discarded."`
	WaitingFor *string `placeholder:"W" help:"What pending ones wait for: retry, breaker, account, token or waybill."`
	Errcode    *string `placeholder:"N" help:"WeChat's last answer, such as 9300507; --errcode=-1 for -1."`
	Reason     *string `placeholder:"WORD" help:"Why they ended, such as token_refused."`
	DeliveryID *string `placeholder:"ID" help:"The account."`
	WaybillID  *string `placeholder:"ID" help:"The waybill."`
	ActionType *string `placeholder:"CODE" help:"The scan, such as 300003."`
	Source     *string `placeholder:"NAME" help:"Who sent the event."`
	Since      *string `placeholder:"TIME" help:"Received at or after: RFC 3339, or a duration back from now such as 24h."`
	Until      *string `placeholder:"TIME" help:"Received before."`
}

func (f *scanFilters) filter() (adminclient.Filter, error) {
	return given(map[string]*string{
		"status": f.Status, "waiting_for": f.WaitingFor, "errcode": f.Errcode, "reason": f.Reason,
		"delivery_id": f.DeliveryID, "waybill_id": f.WaybillID, "action_type": f.ActionType, "source": f.Source,
		"since": f.Since, "until": f.Until,
	})
}

// given leaves out the filters that are not. One that is there without a value is an error: a variable that a script
// forgot to set must not widen what is listed, let alone replayed.
func given(flags map[string]*string) (adminclient.Filter, error) {
	f := adminclient.Filter{}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		switch value := flags[name]; {
		case value == nil:
		case *value == "":
			return nil, usageError{fmt.Errorf("--%s has no value; give one, or leave it out", strings.ReplaceAll(name, "_", "-"))}
		default:
			f[name] = *value
		}
	}
	return f, nil
}

type pushesList struct {
	asking
	scanFilters
	paging
}

func (p *pushesList) Run(ctx context.Context, w *world) error {
	filter, err := p.filter()
	if err != nil {
		return err
	}
	return p.with(ctx, w, func(s *session) error {
		return list(ctx, s, s.Pushes(filter), p.paging, s.pushTable(), s.pushRow)
	})
}

func (s *screen) pushTable() *table {
	return s.table(
		column{head: "SEQ", right: true}, column{head: s.say("WAYBILL", "运单")}, column{head: s.say("SCAN", "扫描"), text: true},
		column{head: s.say("SCANNED AT", "扫描时间"), below: true}, column{head: s.say("STATUS", "状态")},
		column{head: s.say("TRIES", "尝试"), right: true, below: true}, column{head: "ERRCODE", right: true, below: true},
		column{head: s.say("WHY", "原因"), text: true, below: true},
	)
}

func (s *screen) pushRow(t *table, p *adminclient.Push) {
	t.add(number(p.Seq), waybillName(p.DeliveryID, p.WaybillID), s.action(p.ActionType), s.unix(p.ActionTime),
		s.shortStatus(&p.PushState), strconv.Itoa(p.Attempts), errcode(p.Errcode), s.why(&p.PushState))
}

type pushesShow struct {
	asking
	Seq uint64 `arg:"" help:"The push's number."`
}

func (p *pushesShow) Run(ctx context.Context, w *world) error {
	return p.with(ctx, w, func(s *session) error {
		a, err := s.Push(ctx, p.Seq)
		if err != nil {
			return err
		}
		return show(s, a, s.pushDetail)
	})
}

// pushDetail shows a push: the event, where it stands and why, and each attempt.
func (s *screen) pushDetail(p *adminclient.PushDetail) error {
	var f facts
	f.add(s.say("push", "推送"), number(p.Seq))
	f.add(s.say("waybill", "运单"), waybillName(p.DeliveryID, p.WaybillID))
	f.add(s.say("scan", "扫描"), s.action(p.ActionType)+s.say(", ", "，")+s.unix(p.ActionTime))
	f.add(s.say("text", "文本"), s.text(p.ActionMsg))
	f.add(s.say("event", "事件"), s.sayf("%s of %s, received %s", "%s，来源 %s，收到于 %s", p.EventID, p.Source, s.time(&p.ReceivedAt)))
	f.add(s.say("status", "状态"), s.status(&p.PushState))
	s.addWaiting(&f, p.Waiting)
	f.add(s.say("reason", "原因"), s.join(p.Reason, s.reasonText(p.Reason)))
	f.add(s.say("delivered", "送达时间"), s.time(p.DeliveredAt))
	f.add(s.say("seen at WeChat", "微信已显示"), s.time(p.VerifiedAt))
	f.add(s.say("next attempt", "下次尝试"), s.time(p.NextAttemptAt))
	f.add(s.say("replay", "重放"), p.PushState.Replay)
	if n := len(p.Attempts); n > 0 {
		last := &p.Attempts[n-1]
		f.add(s.say("last answer", "最近返回"), s.join(errcode(last.Errcode), last.Errmsg))
		f.add(s.say("meaning", "含义"), s.in(last.Meaning))
	}
	return errors.Join(f.print(s), s.attempts(p))
}

func (s *screen) addWaiting(f *facts, w *adminclient.Waiting) {
	if w == nil {
		return
	}
	f.add(s.say("waits for", "等待"), s.in(w.Text))
	f.add(s.say("waits since", "等待自"), s.time(w.Since))
	f.add(s.say("waits until", "等待至"), s.time(w.Until))
	f.add(s.say("behind push", "前一推送"), number(w.Behind))
}

type pushesDiscard struct {
	asking
	Seq    uint64 `arg:"" help:"The push's number."`
	Reason string `required:"" aliases:"because" placeholder:"TEXT" help:"Why, for the audit log."`
}

func (p *pushesDiscard) Run(ctx context.Context, w *world) error {
	return p.with(ctx, w, func(s *session) error {
		a, err := s.DiscardPush(ctx, p.Seq, p.Reason)
		if err != nil {
			return err
		}
		return show(s, a, s.pushNow)
	})
}

// pushNow says where a push stands after an act.
func (s *screen) pushNow(p *adminclient.Push) error {
	return s.line(s.sayf("push %d of %s: %s", "推送 %d（%s）：%s", p.Seq, waybillName(p.DeliveryID, p.WaybillID),
		s.join(s.shortStatus(&p.PushState), s.why(&p.PushState))))
}
