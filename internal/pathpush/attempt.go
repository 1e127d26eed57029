package pathpush

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"carrier/internal/spans"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// fly sends the head of a lane, tells breaker, gate and credentials what the answer says of them, and has the outcome
// made durable. The lane goes on when that is done. The end of run ends the wait for an access_token; what is sent by
// then goes its whole way with work, which does not end, unless the waybill becomes another node's meanwhile.
func (a *account) fly(run, work context.Context, f *flight) {
	push, token := f.push, f.token
	accessToken, accessTokenAt, err := f.link.creds.Dated(run)
	if err != nil {
		f.done(errExcluded)
		a.noAccessToken(run, f, err)
		return
	}
	if f.lease.Err() != nil {
		a.lostBefore(f)
		return
	}
	span := a.beginSpan(f)
	defer span.End()
	ans := a.send(f.lease, f.link.upstream(f.host), push, token, accessToken)
	tellAnswer(span, &ans)
	if ans.attempt.Errcode == nil && f.lease.Err() != nil {
		a.lostAway(f)
		return
	}

	a.tellHow(&ans.attempt, f, accessTokenAt)
	f.done(ans.health())
	a.observer.Attempt(a.id, &ans.attempt)

	switch ans.scope {
	case wechat.ScopeCredential:
		f.link.creds.Refused(accessToken)
		f.lane.refusals++
		ans.refusals = f.lane.refusals
	case wechat.ScopeWaybill:
		f.lane.refusals = 0
		ans.newToken = a.newToken(work, f.lane, token)
	default:
		f.lane.refusals = 0
	}
	a.pass(work, f, &ans)
	a.tellQuota(f, &ans)
	o := a.policy.Load().outcome(push, &ans, time.Now())
	a.guardEnd(work, push, &o)
	o.Token = token
	if span != nil { // Else what is set would be made for nothing, with every push.
		span.Set(spans.PushStatus(o.Status.String()))
	}
	if o.Status != store.Pending {
		a.logEnd(push, &o)
	}
	a.settle(run, f, o)
}

// noAnswer is what a request failed of that brought no answer, where nothing more precise is known.
const noAnswer = "no answer"

// send makes one request.
func (a *account) send(ctx context.Context, up Upstream, push *store.Push, token, accessToken string) answer {
	start := time.Now()
	got, err := up.UpdatePath(ctx, accessToken, wechat.PathUpdate{
		Token:      token,
		WaybillID:  push.Event.WaybillID,
		ActionTime: push.Event.Time,
		ActionType: int32(push.Event.Type),
		ActionMsg:  push.Event.Msg,
	})
	ans := answer{attempt: store.Attempt{At: start, Duration: time.Since(start)}, sent: true}
	if err != nil {
		ans.scope = wechat.ScopeUpstream
		ans.attempt.Errmsg, ans.kind = err.Error(), noAnswer
		if call, ok := errors.AsType[*wechat.CallError](err); ok {
			ans.attempt.Unknown, ans.kind, ans.sent = call.Sent, call.Kind, call.Sent
		}
	} else {
		ans.scope = a.policy.Load().scope(got.Errcode)
		ans.attempt.Errcode, ans.attempt.Errmsg, ans.attempt.RID = new(got.Errcode), got.Errmsg, got.RID
		if got.Errcode != 0 {
			ans.kind = "errcode " + strconv.Itoa(got.Errcode)
		}
	}
	ans.attempt.Scope = string(ans.scope)
	return ans
}

// tellHow notes how an attempt was sent.
func (a *account) tellHow(at *store.Attempt, f *flight, accessTokenAt time.Time) {
	at.Breaker, at.AccessTokenAt, at.TokenAt = f.stood, accessTokenAt, f.tokenAt
	if f.host != f.link.breakers[0] {
		at.Fallback = f.host.name
	}
}

// newToken reads the waybill's Token again and tells whether it is another than the one that was sent.
func (a *account) newToken(ctx context.Context, l *lane, sent string) bool {
	kept, err := a.store.Lane(ctx, l.waybill)
	if err != nil {
		a.log.Error("reading a waybill's Token again", "waybill_id", l.waybill.WaybillID, "err", err)
		return false
	}
	if kept.Token == sent || kept.Token == "" {
		return false
	}
	a.mu.Lock()
	l.token, l.tokenAt = kept.Token, kept.TokenAt
	a.mu.Unlock()
	return true
}

// pass tells the gate and the ramp what an answer says of the account.
func (a *account) pass(ctx context.Context, f *flight, ans *answer) {
	var err error
	switch {
	case ans.scope == wechat.ScopeAccount || ans.scope == wechat.ScopeRate:
		a.endProbe(f)
		err = a.pauseAfter(ctx, f, pauseFor(ans.scope, *ans.attempt.Errcode, inBoth(ans.attempt.Errmsg), ans.attempt.At))
	case f.probe && (ans.scope == wechat.ScopeUpstream || ans.scope == wechat.ScopeCredential):
		a.endProbe(f)
	case f.probe:
		err = a.resumeAfter(ctx, f)
	}
	if err != nil {
		a.log.Error("keeping the account's pause", "err", err)
	}
}

// tellQuota takes back what was counted of a call that did not reach upstream, and asks upstream how it counts when the
// quota is said to be used up.
func (a *account) tellQuota(f *flight, ans *answer) {
	if !ans.sent {
		a.mu.Lock()
		a.quota.uncount(f.at)
		a.mu.Unlock()
	}
	if code := ans.attempt.Errcode; code != nil && *code == dayQuotaEnded {
		a.askSoon()
	}
}

// endProbe lets another probe go, later.
func (a *account) endProbe(f *flight) {
	if !f.probe {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.opens == a.gate.opens {
		a.gate.probed(f.asked, time.Now())
	}
}

// noAccessToken puts a lane back that could not be sent for want of an access_token, and holds the account: the other
// pushes would fare no better. It costs the push nothing. If we are stopping, that is all there is to the error.
func (a *account) noAccessToken(ctx context.Context, f *flight, err error) {
	a.endProbe(f)
	if ctx.Err() == nil {
		a.holdFor(ctx, f, err)
	}
	a.notSent(f)
}

// notSent puts back the lane of a flight that came to nothing.
func (a *account) notSent(f *flight) {
	defer f.end()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arrive(f)
	a.quota.uncount(f.at)
	f.lane.again = true
	a.requeue(f.lane, time.Now())
	a.poke()
}

// holdFor pauses or holds the account as a failed fetch of an access_token asks.
func (a *account) holdFor(ctx context.Context, f *flight, err error) {
	now := time.Now()
	te, ok := errors.AsType[*wechat.TokenError](err)
	if ok && (te.Scope == wechat.ScopeAccount || te.Scope == wechat.ScopeRate) {
		p := pauseFor(te.Scope, te.Errcode, words{te.Error(), te.Chinese()}, now)
		if err := a.pauseAfter(context.WithoutCancel(ctx), f, p); err != nil {
			a.log.Error("keeping the account's pause", "err", err)
		}
		return
	}
	until := now.Add(time.Second)
	if ok && te.RetryAt.After(now) {
		until = te.RetryAt
	}
	a.holdUntil(until, err)
}

// holdUntil holds the account for want of an access_token; it logs when that begins or the reason changes.
func (a *account) holdUntil(until time.Time, err error) {
	kind, reason := "", inBoth(err.Error()) // The kind is without what differs each time, such as a port.
	if te, ok := errors.AsType[*wechat.TokenError](err); ok {
		kind, reason.zh = fmt.Sprint(te.Scope, te.Errcode), te.Chinese()
	}
	a.mu.Lock()
	tell := a.gate.holdReason == (words{}) || a.gate.holdKind != kind
	a.gate.holdUntil, a.gate.holdReason, a.gate.holdKind = until, reason, kind
	a.mu.Unlock()
	if tell {
		a.log.Warn("pushes wait", "reason", err)
	}
}

// settle has an outcome made durable and then lets the lane go on. run is as in fly.
func (a *account) settle(run context.Context, f *flight, o store.Outcome) {
	a.mu.Lock()
	a.arrive(f)
	if a.gate.holdReason != (words{}) && !time.Now().Before(a.gate.holdUntil) {
		a.gate.holdReason = words{} // There was an access_token, after the one that could not be had.
	}
	a.mu.Unlock()
	a.poke()
	a.settling.Add(1)
	a.record(run, f, o)
}

func (a *account) record(run context.Context, f *flight, o store.Outcome) {
	a.store.Settle(o, func(err error) {
		if err != nil && f.lease.Err() != nil {
			err = store.ErrNotOwner
		}
		if a.recordsAgain(run, f, err) {
			o.Again = true
			time.AfterFunc(recordAgain, func() { a.record(run, f, o) })
			return
		}
		defer a.settling.Done()
		defer f.end()
		a.settled(f.lane, o, err)
	})
}

// settled lets a lane go on whose head's outcome is durable. It runs in the store's goroutine.
func (a *account) settled(l *lane, o store.Outcome, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.poke()
	if errors.Is(err, store.ErrNotOwner) {
		l.stale = true // What is open of it by now is in the store, for whoever owns it.
		a.requeue(l, time.Now())
		return
	}
	if err != nil {
		// What is not recorded must not be passed over, so the lane stays where it is and everything ends.
		if a.failed == nil {
			a.failed = fmt.Errorf("recording the outcome of push %d: %w", o.Seq, err)
		}
		return
	}
	head := &l.pushes[0]
	if o.Status == store.Pending {
		head.Tries, head.Refusals, head.Used, head.NextAt = o.Tries, o.Refusals, o.Used, o.NextAt
		l.again = o.NextAt.IsZero()
	} else {
		a.observer.Ended(a.id, o.Status, time.Since(head.ReceivedAt))
		a.lanes.shift(l)
	}
	if o.Park && !l.stale {
		a.lanes.drop(l)
		return
	}
	a.requeue(l, time.Now())
}

// requeue lets a lane that was in flight go on: to be read again, to its next push, or out of memory.
func (a *account) requeue(l *lane, now time.Time) {
	switch {
	case l.stale:
		a.want(l)
	case len(l.pushes) == 0:
		a.lanes.drop(l)
	default:
		a.lanes.enqueue(l, now)
	}
}

// logEnd tells of a push that failed; what is delivered is only worth a line when one looks closely. It is called before
// the outcome is durable: afterwards it would hold up the store's goroutine.
func (a *account) logEnd(p *store.Push, o *store.Outcome) {
	level := slog.LevelDebug
	if o.Status == store.Failed {
		level = slog.LevelWarn
	}
	if !a.log.Enabled(context.Background(), level) {
		return
	}
	args := []any{"seq", o.Seq, "waybill_id", o.Waybill.WaybillID, "event_id", p.Event.ID, "status", o.Status.String(),
		"reason", o.Reason, "tries", o.Tries, "parked", o.Park}
	if at := o.Attempt; at != nil {
		if at.Errcode != nil {
			args = append(args, "errcode", *at.Errcode)
		}
		args = append(args, "errmsg", at.Errmsg, "rid", at.RID, "ms", at.Duration.Milliseconds())
	}
	a.log.Log(context.Background(), level, "push ended", spans.Log(args, p.Event.Trace)...)
}
