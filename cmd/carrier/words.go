package main

import (
	"cmp"
	"strconv"
	"strings"

	"carrier/internal/adminclient"
	"carrier/internal/state"
)

// A word of the API in the user's language. One that is not here is shown as it came: a newer service may have more.
type dictionary map[string]adminclient.Text

func (s *screen) word(d dictionary, word string) string {
	if t, ok := d[word]; ok {
		return s.in(t)
	}
	return word
}

var (
	statusWords = dictionary{
		"pending":   {En: "pending", Zh: "待推送"},
		"delivered": {En: "delivered", Zh: "已送达"},
		"failed":    {En: "failed", Zh: "失败"},
		"discarded": {En: "discarded", Zh: "已作废"},
	}
	waitingWords = dictionary{
		"retry":   {En: "its next attempt", Zh: "下次重试"},
		"breaker": {En: "the breaker", Zh: "熔断恢复"},
		"account": {En: "the account", Zh: "账户恢复"},
		"token":   {En: "a Token", Zh: "运单 Token"},
		"waybill": {En: "its waybill", Zh: "同一运单"},
	}
	// shortWaitingWords are the words of --waiting-for, for tables.
	shortWaitingWords = dictionary{
		"retry": {En: "retry", Zh: "重试"}, "breaker": {En: "breaker", Zh: "熔断"}, "account": {En: "account", Zh: "账户"},
		"token": {En: "token", Zh: "Token"}, "waybill": {En: "waybill", Zh: "运单"},
	}
	verdictWords = dictionary{
		"accepted": {En: "accepted", Zh: "已接受"},
		"held":     {En: "held", Zh: "暂存"},
		"ignored":  {En: "ignored", Zh: "已忽略"},
		"rejected": {En: "rejected", Zh: "已拒绝"},
	}
	reasonWords = dictionary{
		"no_token":           {En: "no Token came in time", Zh: "未等到运单 Token"},
		"token_refused":      {En: "WeChat went on refusing the Token or the waybill", Zh: "微信持续拒绝运单或其 Token"},
		"refused":            {En: "WeChat refused this scan for good", Zh: "微信永久拒绝该扫描"},
		"retries_ended":      {En: "WeChat stayed unavailable", Zh: "微信长时间不可用"},
		"operator":           {En: "by an operator", Zh: "运维人员操作"},
		"unknown_waybill":    {En: "WeChat never ordered the waybill", Zh: "该运单不是微信下单"},
		"cancelled":          {En: "the order was cancelled before the pickup", Zh: "订单在揽件前已取消"},
		"cancelled_upstream": {En: "WeChat says that the order was cancelled", Zh: "微信表示订单已取消"},
		"expunged":           {En: "the waybill's personal data were forgotten", Zh: "该运单的个人数据已清除"},
	}
	breakerWords = dictionary{
		"closed":    {En: "closed", Zh: "关闭"},
		"open":      {En: "open", Zh: "打开"},
		"half_open": {En: "probing", Zh: "试探中"},
	}
	replayWords = dictionary{
		"running":   {En: "running", Zh: "进行中"},
		"paused":    {En: "paused", Zh: "已暂停"},
		"cancelled": {En: "cancelled", Zh: "已取消"},
		"done":      {En: "done", Zh: "已完成"},
	}
	// planWords say what a replay would do with a push, in the order in which totals are listed.
	planWords = dictionary{
		"send":                {En: "sent at once", Zh: "立即发送"},
		"waits_behind":        {En: "sent after an earlier push of the waybill", Zh: "在同一运单较早的推送之后发送"},
		"waits_for_token":     {En: "sent when the waybill has a Token", Zh: "运单有 Token 后发送"},
		"waits_for_thaw":      {En: "sent when the waybill is thawed", Zh: "运单解冻后发送"},
		"superseded_by_stage": {En: "a later stage of the waybill was delivered already", Zh: "该运单更晚的阶段已送达"},
		"pending":             {En: "left alone: on its way already", Zh: "不处理：已在推送中"},
		"already_delivered":   {En: "left alone: delivered already", Zh: "不处理：已送达"},
		"discarded":           {En: "left alone: discarded", Zh: "不处理：已作废"},
		"no_account":          {En: "left alone: its account is not configured any more", Zh: "不处理：账户已不在配置中"},
	}
	// upstreamWords say how a push and what WeChat shows of it stand to each other, in the order of upstreamOrder.
	upstreamWords = dictionary{
		"same":    {En: "same", Zh: "一致"},
		"moved":   {En: "moved", Zh: "位置不同"},
		"changed": {En: "changed", Zh: "文本不同"},
		"missing": {En: "missing", Zh: "缺失"},
		"pending": {En: "not yet", Zh: "稍后显示"},
		"extra":   {En: "extra", Zh: "多出"},
		"own":     {En: "WeChat's own", Zh: "微信自有"},
	}
	upstreamOrder = []string{"same", "moved", "changed", "missing", "pending", "extra", "own"}
	planOrder     = []string{"send", "waits_behind", "waits_for_token", "waits_for_thaw", "superseded_by_stage",
		"pending", "already_delivered", "discarded", "no_account"}
)

// status is where a push stands, and what it waits for.
func (s *screen) status(p *adminclient.PushState) string {
	status := s.word(statusWords, p.Status)
	if p.Status == "pending" && p.WaitingFor != "" {
		return s.sayf("%s, waits for %s", "%s，等待%s", status, s.word(waitingWords, p.WaitingFor))
	}
	return status
}

// shortStatus is the same for a table.
func (s *screen) shortStatus(p *adminclient.PushState) string {
	status := s.word(statusWords, p.Status)
	if p.Status == "pending" && p.WaitingFor != "" {
		return s.sayf("%s (%s)", "%s（%s）", status, s.word(shortWaitingWords, p.WaitingFor))
	}
	return status
}

// why says why a push is where it is: what it waits for, or why it ended.
func (s *screen) why(p *adminclient.PushState) string {
	switch p.Status {
	case "pending":
		text := ""
		if p.Waiting != nil {
			text = s.in(p.Waiting.Text)
		}
		if text == "" && p.WaitingFor != "" {
			text = s.sayf("waits for %s", "等待%s", s.word(waitingWords, p.WaitingFor))
		}
		return text
	case "delivered":
		return ""
	case "discarded": // What upstream said to an attempt before that is not why.
		return p.Reason
	}
	return s.join(p.Reason, p.Errmsg)
}

// reasonText explains the word for why a push ended; empty for an operator's own words.
func (s *screen) reasonText(word string) string { return s.in(reasonWords[word]) }

// action is a scan's code with its meaning.
func (s *screen) action(code int32) string {
	return strings.TrimSpace(strconv.Itoa(int(code)) + " " + state.ActionType(code).Name(s.zh))
}

// anyAction is action for a code of WeChat's, which may be any number.
func (s *screen) anyAction(code int64) string {
	if code != int64(int32(code)) {
		return strconv.FormatInt(code, 10)
	}
	return s.action(int32(code))
}

// stage is a stage's meaning; one that is not known as it came.
func (s *screen) stage(word string) string {
	var stage state.Stage
	if stage.UnmarshalText([]byte(word)) != nil {
		return word
	}
	return stage.Name(s.zh)
}

// stageName is a stage as the service calls it, or else its meaning.
func (s *screen) stageName(name adminclient.Text, word string) string {
	if text := s.in(name); text != "" {
		return text
	}
	return s.stage(word)
}

// verdict is what became of an event, with what is special about it.
func (s *screen) verdict(d *adminclient.Decision) string {
	words := []string{s.word(verdictWords, d.Verdict)}
	for _, special := range []struct {
		is     bool
		en, zh string
	}{
		{d.Override, "by an operator", "人工放行"},
		{d.Late, "late", "迟到"},
		{d.Gap, "with a gap", "缺少扫描"},
	} {
		if special.is {
			words = append(words, s.say(special.en, special.zh))
		}
	}
	return strings.Join(words, s.say(", ", "，"))
}

// because says why an event has its verdict: in the service's words where it has some, else the reason's word.
func (s *screen) because(d *adminclient.Decision) string {
	if text := s.in(d.Explanation); text != "" {
		return text
	}
	return d.Reason
}

// text is what a scan says to the customer. Only one that was forgotten says nothing.
func (s *screen) text(msg string) string {
	return cmp.Or(msg, s.say("(forgotten for good)", "（已永久清除）"))
}

func waybillName(delivery, waybill string) string {
	if waybill == "" {
		return delivery
	}
	return delivery + "/" + waybill
}

// errcode is an answer's code; empty if there is none.
func errcode(code *int) string {
	if code == nil {
		return ""
	}
	return strconv.Itoa(*code)
}

// number is n, empty for 0.
func number(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// join puts the texts that there are into one, each explaining the one before.
func (s *screen) join(texts ...string) string {
	var there []string
	for _, t := range texts {
		if t != "" {
			there = append(there, t)
		}
	}
	return strings.Join(there, s.say(": ", "："))
}

// cell is a text for a table where nothing would look like a mistake.
func cell(text string) string { return cmp.Or(text, "-") }
