package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"carrier/internal/adminclient"
	"carrier/internal/store"
)

// pushesReplay replays single pushes by number, or all that match filters as a job of the service's.
type pushesReplay struct {
	asking
	Seqs []uint64 `arg:"" optional:"" name:"seq" help:"Numbers of single pushes; else filters say which."`
	scanFilters
	Because string `placeholder:"TEXT" help:"Why you do it, for the audit log. With numbers, --reason says it too."`
	Force   bool   `help:"With numbers: also what was delivered already."`

	DryRun         bool    `help:"With filters: only tell what each would do."`
	Rate           float64 `placeholder:"N" help:"With filters: pushes a second at most; default: 500, which live traffic does not feel."`
	SkipSuperseded bool    `help:"With filters: leave out those of which a later stage was delivered already."`
	NoFollow       bool    `help:"With filters: don't wait for the end."`
}

func (p *pushesReplay) Run(ctx context.Context, w *world) error {
	if len(p.Seqs) > 0 {
		return p.single(ctx, w)
	}
	return p.bulk(ctx, w)
}

// single replays pushes one by one. One that is refused does not keep the others.
func (p *pushesReplay) single(ctx context.Context, w *world) error {
	why := p.Because
	if p.Reason != nil && why == "" {
		why, p.Reason = *p.Reason, nil
	}
	filter, err := p.filter()
	if err != nil {
		return err
	}
	if len(filter) > 0 || p.DryRun || p.Rate != 0 || p.SkipSuperseded || p.NoFollow {
		return usageError{errors.New("give numbers of pushes or filters, not both; --dry-run, --rate, --skip-superseded and --no-follow go with filters")}
	}
	return p.with(ctx, w, func(s *session) error {
		var failed []error
		for _, seq := range p.Seqs {
			a, err := s.ReplayPush(ctx, seq, p.Force, why)
			if err == nil {
				err = show(s, a, s.pushNow)
			}
			refusal, refused := errors.AsType[*adminclient.Refusal](err)
			switch {
			case err == nil:
			case refused && (refusal.Status == http.StatusConflict || refusal.Status == http.StatusNotFound):
				failed = append(failed, said{s.refusedReplay(seq, p.Force, refusal), err})
			default: // The next one would fare no better.
				return errors.Join(append(failed, s.explain(ctx, err))...)
			}
		}
		return errors.Join(failed...)
	})
}

// refusedReplay says why a push can't be replayed, and which one it is.
func (s *screen) refusedReplay(seq uint64, forced bool, r *adminclient.Refusal) string {
	switch {
	case r.PushStatus == "delivered" && !forced:
		return s.sayf("push %d is delivered already, and sending it again shows the customer the same scan twice; --force does that all the same",
			"推送 %d 已送达，再次发送会使客户看到重复的轨迹；如确需发送请加 --force", seq)
	case r.Status == http.StatusNotFound:
		return s.sayf("push %d: there is none of that number", "推送 %d：没有该编号的推送", seq)
	case strings.Contains(r.Error(), number(seq)):
		return visible(r.Error())
	}
	return visible(s.sayf("push %d: %v", "推送 %d：%v", seq, r))
}

// bulk starts a replay of all that match, or tells what it would do.
func (p *pushesReplay) bulk(ctx context.Context, w *world) error {
	request, err := p.request()
	if err != nil {
		return usageError{err}
	}
	return p.with(ctx, w, func(s *session) error {
		if p.DryRun {
			a, err := s.DryRun(ctx, request)
			if err != nil {
				return err
			}
			return show(s, a, func(plan *adminclient.Plan) error { return s.plan(plan, request.Rate) })
		}
		a, err := s.StartReplay(ctx, request)
		if err != nil {
			return err
		}
		if p.NoFollow {
			return show(s, a, s.started)
		}
		return s.follow(ctx, a)
	})
}

// minRate and maxRate are the slowest and the highest rate that the service takes, in pushes a second.
const (
	minRate = 0.01
	maxRate = 10_000
)

// request is the job that the flags ask for.
func (p *pushesReplay) request() (r adminclient.ReplayRequest, err error) {
	filter, err := p.filter()
	switch {
	case err != nil:
		return r, err
	case p.Force:
		return r, errors.New("--force goes with the numbers of single pushes; a replay by filters never sends again what was delivered")
	case len(filter) == 0:
		return r, errors.New("say which pushes: their numbers, or filters such as --status failed, which replays all that failed")
	case p.Rate != 0 && !(p.Rate >= minRate && p.Rate <= maxRate): // Also what is no number.
		return r, fmt.Errorf("--rate must be %v to %d pushes a second, or 0 for the usual rate", minRate, maxRate)
	case p.Reason != nil && filter["status"] != "discarded" && !slices.Contains(pushReasons, *p.Reason):
		// Somebody who means to say why would otherwise replay nothing, and wonder.
		return r, fmt.Errorf("--reason selects pushes by why they failed, and %q is no such word; say why you replay with --because", *p.Reason)
	}
	return adminclient.ReplayRequest{Filter: filter, Rate: p.Rate, Reason: p.Because, SkipSuperseded: p.SkipSuperseded}, nil
}

// pushReasons are the words that --reason selects by. Pushes that an operator discarded have that person's words.
var pushReasons = []string{
	store.ReasonNoToken, store.ReasonToken, store.ReasonRefused, store.ReasonExhausted, store.ReasonOperator, store.ReasonUnknown,
}

// plan says what a replay would do: totals in words, and some of the pushes.
func (s *screen) plan(p *adminclient.Plan, rate float64) error {
	if p.Matched == 0 {
		return s.line(s.say("No push matches; nothing would be sent.", "没有符合条件的推送，不会发送任何内容。"))
	}
	text := s.sayf("Pushes that match: %d. Calls to WeChat: %d, in %s", "符合条件的推送 %d 个。重放将调用微信 %d 次，预计耗时：%s",
		p.Matched, p.Calls, s.minutes(p.Minutes))
	if rate > 0 {
		text += s.sayf(" at %v a second", "（每秒 %v 次）", rate)
	}
	if err := s.line(text + s.say(".", "。")); err != nil {
		return err
	}
	if !p.Complete {
		if err := s.line(s.sayf("Only %d of them were looked at: the totals are of those.", "仅评估了其中 %d 个，以下合计仅针对这些。", p.Evaluated)); err != nil {
			return err
		}
	}
	if err := s.totals(p.Totals); err != nil {
		return err
	}
	if err := s.sample(p.Sample); err != nil {
		return err
	}
	return s.line(s.say("Nothing was changed. Without --dry-run, it is done.", "未做任何更改。去掉 --dry-run 即执行。"))
}

func (s *screen) totals(totals map[string]int64) error {
	t := s.table(column{head: s.say("PUSHES", "推送数"), right: true}, column{head: s.say("VERDICT", "判定")}, column{head: s.say("MEANING", "含义")})
	known := slices.DeleteFunc(slices.Clone(planOrder), func(v string) bool { return totals[v] == 0 })
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(totals)), func(v string) bool { return slices.Contains(planOrder, v) })
	for _, verdict := range append(known, others...) {
		t.add(strconv.FormatInt(totals[verdict], 10), verdict, s.word(planWords, verdict))
	}
	return s.apart(t)
}

func (s *screen) sample(items []adminclient.PlanItem) error {
	if len(items) == 0 {
		return nil
	}
	t := s.table(
		column{head: "SEQ", right: true}, column{head: s.say("WAYBILL", "运单")}, column{head: s.say("SCAN", "扫描"), text: true},
		column{head: s.say("SCANNED AT", "扫描时间"), below: true}, column{head: s.say("STATUS", "状态"), below: true}, column{head: "ERRCODE", right: true, below: true},
		column{head: s.say("REASON", "原因"), below: true}, column{head: s.say("VERDICT", "判定")}, column{head: s.say("WHAT WOULD HAPPEN", "将会如何"), text: true, below: true},
	)
	for i := range items {
		p := &items[i]
		what := s.in(p.Text)
		if what == "" {
			what = s.word(planWords, p.Verdict)
		}
		verdict := p.Verdict
		if p.Behind != 0 {
			verdict += " " + number(p.Behind)
		}
		t.add(number(p.Seq), waybillName(p.DeliveryID, p.WaybillID), s.action(p.ActionType), s.unix(p.ActionTime),
			s.word(statusWords, p.Status), errcode(p.Errcode), p.Reason, verdict, what)
	}
	if err := s.line(s.say("Some of them:", "部分示例：")); err != nil {
		return err
	}
	return s.apart(t)
}

// apart writes a table with an empty line below it.
func (s *screen) apart(t *table) error {
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.w)
	return err
}

// started says how to go on with a replay that nobody waits for.
func (s *screen) started(r *adminclient.Replay) error {
	return s.line(s.sayf("replay %[1]s of %[2]d {2:push|pushes} is %[3]s; carrier replays follow %[1]s shows how it goes",
		"重放 %[1]s（%[2]d 个推送）%[3]s；carrier replays follow %[1]s 可查看进度", r.ID, r.Matched, s.word(replayWords, r.Status)))
}
