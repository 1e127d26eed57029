package admin

import (
	"cmp"
	"strings"
	"time"

	"carrier/internal/pathpush"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// WaitItem says what a pending push waits for, and since when.
type WaitItem struct {
	For    store.WaitingFor `json:"for"`
	Since  *time.Time       `json:"since"`
	Until  *time.Time       `json:"until"`  // When it ends, or is looked at again, by itself.
	Behind uint64           `json:"behind"` // The push of the same waybill that goes first; 0: none.
	Parked bool             `json:"parked"` // Upstream refuses the waybill's Token.
	Frozen bool             `json:"frozen"` // An operator holds the waybill.
	Text   Text             `json:"text"`
}

// waiting explains what a push waits for; nil if it is on its way, or has ended. hold is the waybill's freeze, as far
// as that is known.
func (v *view) waiting(p *store.Push, hold store.Hold) *WaitItem {
	if p.Status != store.Pending || p.WaitingFor == store.WaitNothing {
		return nil
	}
	w := &WaitItem{For: p.WaitingFor}
	switch p.WaitingFor {
	case store.WaitRetry:
		w.retry(p)
	case store.WaitBreaker:
		w.breaker(v.account(p.Event.DeliveryID))
	case store.WaitAccount:
		w.account(p.Event.DeliveryID, v.account(p.Event.DeliveryID))
	case store.WaitToken:
		w.token(p)
	case store.WaitWaybill:
		w.waybill(p, hold)
	default:
		w.Text = textf("It waits: %s.", "等待中：%s。", p.WaitingFor)
	}
	w.Text = w.Text.shown(v.by)
	return w
}

// retry: the last attempt says what went wrong.
func (w *WaitItem) retry(p *store.Push) {
	last, since := p.Last(), p.Waiting.Since
	if !last.At.IsZero() {
		since = last.At.Add(last.Duration)
	}
	w.Since, w.Until = instant(since), instant(p.NextAt)
	w.Text = Text{"Its last attempt failed", "上次尝试失败"}
	if what := outcomeText(&last); what != (Text{}) {
		w.Text = Text{w.Text.En + " (" + what.En + ")", w.Text.Zh + "（" + what.Zh + "）"}
	}
	if p.NextAt.IsZero() {
		w.Text = Text{w.Text.En + "; the next one follows at once.", w.Text.Zh + "，即将再次尝试。"}
		return
	}
	next := moment(p.NextAt)
	w.Text = Text{w.Text.En + "; the next one goes out at " + next + ".", w.Text.Zh + "，将于 " + next + " 再次尝试。"}
}

// outcomeText is what an attempt came to, in a few words.
func outcomeText(a *store.Attempt) Text {
	if a.Errcode == nil {
		return Text{a.Errmsg, a.Errmsg}
	}
	return textf("errcode %[1]d: %[2]s", "errcode %[1]d：%[2]s", *a.Errcode, cmp.Or(a.Errmsg, "-"))
}

// Meaning is what an errcode means and what to do; empty for one that is not known.
func Meaning(errcode *int) Text {
	if errcode == nil {
		return Text{}
	}
	return Text{wechat.Meaning(*errcode, false), wechat.Meaning(*errcode, true)}
}

// breaker: all hosts' breakers are open; the one that is tried again first says when.
func (w *WaitItem) breaker(s *pathpush.Snapshot) {
	w.Text = Text{"The account's breaker is open: upstream fails too often. Nothing is sent and nothing is used up until a probe succeeds.",
		"账户的熔断器已打开：上游失败过于频繁。在试探成功之前不发送、不消耗。"}
	b := firstProbed(s)
	if b == nil {
		return
	}
	w.Since, w.Until = instant(b.Since), instant(b.NextProbeAt)
	w.Text = textf("The breaker of %[1]s is open since %[2]s; what opened it: %[3]s. Nothing is sent and nothing is used up; the next probe goes out at %[5]s.",
		"%[1]s 的熔断器自 %[2]s 起打开，触发原因：%[4]s。期间不发送、不消耗；下一次试探在 %[5]s。",
		b.Host, moment(b.Since), cmp.Or(b.OpenedBy, "-"), cmp.Or(b.OpenedByZh, "-"), moment(b.NextProbeAt))
}

// firstProbed is the open breaker whose next probe comes first; nil if none is open by now.
func firstProbed(s *pathpush.Snapshot) *pathpush.BreakerSnapshot {
	if s == nil {
		return nil
	}
	var first *pathpush.BreakerSnapshot
	for i := range s.Breakers {
		b := &s.Breakers[i]
		if !b.NextProbeAt.IsZero() && (first == nil || b.NextProbeAt.Before(first.NextProbeAt)) {
			first = b
		}
	}
	return first
}

// account: the pause says why, and how it ends.
func (w *WaitItem) account(deliveryID string, s *pathpush.Snapshot) {
	switch {
	case s == nil:
		w.Text = textf("The account %[1]s is not configured any more. Add it under accounts again, or discard the push.",
			"账户 %[1]s 已不在配置中。请重新添加到 accounts，或作废该推送。", deliveryID)
		return
	case !s.Paused && !s.Quota.HeldSince.IsZero():
		w.quota(s)
		return
	case !s.Paused:
		w.Text = textf("The account %[1]s is held for a moment (rate or access_token); it goes on by itself.",
			"账户 %[1]s 暂时受限（速率或 access_token），会自动继续。", deliveryID)
		return
	}
	w.Since, w.Until = instant(s.PausedSince), instant(s.PausedUntil)
	w.Text = textf("The account %[1]s waits", "账户 %[1]s 正在等待", deliveryID)
	if !s.PausedSince.IsZero() {
		w.Text = textf("The account %[1]s waits since %[2]s", "账户 %[1]s 自 %[2]s 起等待", deliveryID, moment(s.PausedSince))
	}
	if why := pauseText(s); why.En != "" {
		w.Text = Text{w.Text.En + ": " + strings.TrimRight(why.En, ".。"), w.Text.Zh + "：" + strings.TrimRight(why.Zh, ".。")}
	}
	w.Text = Text{w.Text.En + ".", w.Text.Zh + "。"}
	switch {
	case !s.PausedUntil.IsZero():
		w.Text = w.Text.and(textf("It goes on by itself at %[1]s, or earlier with a resume.", "将于 %[1]s 自动继续，也可提前恢复。", moment(s.PausedUntil)))
	case !s.NextProbeAt.IsZero():
		w.Until = instant(s.NextProbeAt)
		w.Text = w.Text.and(textf("A push tries at %[1]s whether the reason is gone; a probe or a resume tries at once.",
			"将于 %[1]s 用一个推送试探原因是否消除；试探（probe）或恢复（resume）会立即尝试。", moment(s.NextProbeAt)))
	default:
		w.Text = w.Text.and(Text{"It goes on with a resume.", "恢复（resume）后继续。"})
	}
}

// token: the push fails when none comes in time.
func (w *WaitItem) token(p *store.Push) {
	w.Since, w.Until = instant(p.Waiting.Since), instant(p.Waiting.Until)
	w.Text = Text{"The waybill has no Token yet. Register the Token of its add_waybill, and its pushes go out in order.",
		"该运单还没有 Token。请登记其 add_waybill 事件中的 Token，推送会按序发出。"}
	if p.Waiting.Until.IsZero() {
		return
	}
	w.Text = w.Text.and(textf("Without one the push fails at %s (push.no_token_wait).", "若到 %s 仍没有，推送将失败（push.no_token_wait）。", moment(p.Waiting.Until)))
}

// waybill: another push of it goes first, or nothing of it goes.
func (w *WaitItem) waybill(p *store.Push, hold store.Hold) {
	w.Since = instant(p.Waiting.Since)
	w.Behind, w.Parked, w.Frozen = p.Waiting.Behind, p.Waiting.Parked, p.Waiting.Frozen
	parked := Text{"The waybill is parked: upstream refuses its Token. Register the Token of its newest add_waybill, or replay its failed push.",
		"该运单已搁置：上游拒绝其 Token。请登记最近一次 add_waybill 事件中的 Token，或重放其失败的推送。"}
	switch {
	case w.Frozen:
		w.freeze(&p.Waiting, hold)
		if w.Parked {
			w.Text = w.Text.and(parked)
		}
	case w.Parked:
		w.Text = parked
	case w.Behind != 0:
		w.Text = textf("Push %d of the same waybill goes first: one waybill's pushes go out in order.",
			"同一运单的推送 %d 尚未完成：同一运单按序推送。", w.Behind)
	default:
		w.Text = Text{"An earlier push of the same waybill is not through.", "同一运单较早的推送尚未完成。"}
	}
}

// freeze says who holds the waybill, since when and why.
func (w *WaitItem) freeze(p *store.Waiting, hold store.Hold) {
	since := hold.Since
	if since.IsZero() {
		since = p.Since
	}
	w.Since = instant(since)
	en, zh := "An operator", "运维人员"
	if hold.By != "" {
		en, zh = hold.By, hold.By+" "
	}
	when := Text{}
	if !since.IsZero() {
		when = Text{" since " + moment(since), "自 " + moment(since) + " 起"}
	}
	w.Text = Text{en + " holds the waybill" + when.En, zh + when.Zh + "冻结了该运单"}
	if why := cmp.Or(hold.Reason, p.Reason); why != "" {
		w.Text = textf("%[1]s: %[3]s.", "%[2]s：%[3]s。", w.Text.En, w.Text.Zh, why)
	} else {
		w.Text = Text{w.Text.En + ".", w.Text.Zh + "。"}
	}
	w.Text = w.Text.and(Text{"Its pushes go on when it is thawed.", "解冻（thaw）后继续推送。"})
}
