package pathpush

import (
	"time"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

// answer is what came of one request, as far as the policy looks at it.
type answer struct {
	scope   wechat.Scope
	attempt store.Attempt
	kind    string // What went wrong, in a word or two, for the breaker's story.
	sent    bool   // Upstream may have it, and count it.
	// newToken says that the waybill has another Token by now than the one that was sent.
	newToken bool
	// refusals counts the refusals of access_tokens in a row, this one included.
	refusals int
}

// policy says what an answer means for its push. What it says, by scope:
//
//	ok          delivered
//	upstream    retried with backoff until Retry.MaxAge is used up, then failed
//	credential  retried at once, with a backoff from the second refusal in a row; costs nothing
//	account     stays as it is; the account is paused (gate.go); costs nothing
//	rate        stays as it is; the account waits (gate.go); costs nothing
//	waybill     retried at once if there is a new Token, else with backoff TokenRetries times; then failed, and parked
//	event       failed, unless too many do (guard.go)
type policy struct {
	retry        Retry
	tokenRetries int
	errcodes     map[int]wechat.Scope
	random       func() float64
}

func newPolicy(o *Options) *policy {
	return &policy{retry: o.Retry, tokenRetries: o.TokenRetries, errcodes: o.Errcodes, random: o.Random}
}

// scope is what errcode speaks of.
func (p *policy) scope(errcode int) wechat.Scope {
	if s, ok := p.errcodes[errcode]; ok {
		return s
	}
	return wechat.ScopeOf(errcode)
}

// outcome says what a means for push, at now.
func (p *policy) outcome(push *store.Push, a *answer, now time.Time) store.Outcome {
	o := store.Outcome{
		Seq: push.Seq, Waybill: push.Event.Waybill(), Attempt: &a.attempt,
		Status: store.Pending, Tries: push.Tries, Refusals: push.Refusals, Used: push.Used,
	}
	switch a.scope {
	case wechat.ScopeOK:
		o.Status = store.Delivered
		o.Tries++
	case wechat.ScopeUpstream:
		o.Tries++
		o.Used += a.attempt.Duration
		if o.Used >= p.retry.MaxAge {
			o.Status, o.Reason = store.Failed, store.ReasonExhausted
			return o
		}
		p.backOff(&o, push.Tries, now)
	case wechat.ScopeCredential:
		if a.refusals > 1 {
			o.NextAt = now.Add(p.retry.delay(a.refusals-2, p.random()))
		}
	case wechat.ScopeAccount, wechat.ScopeRate:
		// The gate holds the whole account; the push itself is as ready as before.
	case wechat.ScopeWaybill:
		o.Tries++
		o.Refusals++
		switch {
		case a.newToken:
			o.Refusals = 0
		case o.Refusals >= p.tokenRetries:
			o.Status, o.Reason, o.Park = store.Failed, store.ReasonToken, true
		default:
			p.backOff(&o, push.Refusals, now)
		}
	default:
		o.Tries++
		o.Status, o.Reason = store.Failed, store.ReasonRefused
	}
	return o
}

// backOff sets when retry number n comes, and charges the wait.
func (p *policy) backOff(o *store.Outcome, n int, now time.Time) {
	wait := p.retry.delay(n, p.random())
	o.NextAt = now.Add(wait)
	o.Used += wait
}

// health tells the breaker about an answer: nil is a success, errExcluded doesn't count, a *failure is one.
// An answer about one waybill or event shows a healthy upstream: one bad waybill must not close the door for all.
func (a *answer) health() error {
	switch a.scope {
	case wechat.ScopeUpstream:
		return &failure{a.kind}
	case wechat.ScopeCredential, wechat.ScopeAccount, wechat.ScopeRate:
		return errExcluded
	}
	return nil
}
