package main

import (
	"fmt"
	"strconv"
	"strings"

	"carrier/internal/adminclient"
)

func (s *screen) attempts(p *adminclient.PushDetail) error {
	if len(p.Attempts) == 0 {
		return s.line(s.say("no attempts yet", "尚未尝试"))
	}
	if _, err := fmt.Fprintln(s.w); err != nil {
		return err
	}
	if err := s.line(s.sayf("latest attempts: %d; %d counted in all", "最近的尝试：%d 次；累计计入 %d 次", len(p.Attempts), p.Tries)); err != nil {
		return err
	}
	t := s.table(s.attemptColumns()...)
	for i := range p.Attempts {
		t.add(s.attemptCells(&p.Attempts[i])...)
	}
	return t.flush()
}

// waybillAttempts shows the attempts of all pushes of a waybill, push by push; nothing if there was none.
func (s *screen) waybillAttempts(w *adminclient.Waybill) error {
	t := s.table(append([]column{{head: "SEQ", right: true}}, s.attemptColumns()...)...)
	some := false
	for i := range w.Timeline {
		p := w.Timeline[i].Push
		for j := 0; p != nil && j < len(p.Log); j++ {
			t.add(append([]string{number(w.Timeline[i].Seq)}, s.attemptCells(&p.Log[j])...)...)
			some = true
		}
	}
	if !some {
		return nil
	}
	if _, err := fmt.Fprintln(s.w); err != nil {
		return err
	}
	if err := s.line(s.say("Each push's latest attempts:", "各推送最近的尝试：")); err != nil {
		return err
	}
	return t.flush()
}

func (s *screen) attemptColumns() []column {
	return []column{
		{head: s.say("AT", "时间")}, {head: "MS", right: true}, {head: "ERRCODE", right: true},
		{head: s.say("SCOPE", "范围")}, {head: "RID", below: true}, {head: s.say("REPLAY", "重放"), right: true, below: true},
		{head: s.say("ANSWER", "返回"), text: true, below: true}, {head: s.say("MEANING", "含义"), text: true, below: true},
		{head: s.say("SENT WITH", "发送条件"), text: true, below: true},
	}
}

func (s *screen) attemptCells(a *adminclient.Attempt) []string {
	answer := a.Errmsg
	if a.Unknown {
		answer = s.join(s.say("outcome unknown", "结果未知"), answer)
	}
	return []string{
		s.time(&a.At), strconv.FormatFloat(a.DurationMS, 'f', 1, 64), cell(errcode(a.Errcode)), a.Scope, cell(a.RID),
		cell(a.Replay), cell(answer), s.in(a.Meaning), s.sentWith(a),
	}
}

// sentWith says how an attempt was sent; empty where that was not kept.
func (s *screen) sentWith(a *adminclient.Attempt) string {
	if a.Breaker == "" {
		return ""
	}
	parts := []string{s.sayf("breaker %s", "熔断%s", s.word(breakerWords, a.Breaker))}
	if a.FallbackHost != "" {
		parts[0] += s.sayf(" (fallback %s)", "（备用域名 %s）", a.FallbackHost)
	}
	if at := s.time(a.TokenAt); at != "" {
		parts = append(parts, s.sayf("Token of %s", "Token 登记于 %s", at))
		if newer := s.time(a.NewerTokenAt); newer != "" {
			parts = append(parts, s.sayf("a newer one came at %s", "新 Token 登记于 %s", newer))
		}
	}
	if at := s.time(a.AccessTokenAt); at != "" {
		parts = append(parts, s.sayf("access_token fetched at %s", "access_token 获取于 %s", at))
		if again := s.time(a.RefetchedAt); again != "" {
			parts = append(parts, s.sayf("and again at %s", "此后重新获取于 %s", again))
		}
	}
	return strings.Join(parts, s.say(", ", "，"))
}
