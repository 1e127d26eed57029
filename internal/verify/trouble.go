package verify

import (
	"context"
	"errors"

	"carrier/internal/wechat"
)

// quotaUsed is upstream's errcode for a day's quota that is used up.
const quotaUsed = 45009

// call is one of the calls that are made for a merchant, by the name in its document.
type call struct{ merchant, name string }

// trouble is why none of a merchant's calls is answered: a result, and upstream's errcode if that is why.
type trouble struct {
	result  Result
	errcode int
}

// upstreams tells whether an error is of a call to upstream, and not of one answer that can't be used.
func upstreams(err error) bool {
	_, refused := errors.AsType[*wechat.RefusedError](err)
	failed, unanswered := errors.AsType[*wechat.CallError](err)
	_, noToken := errors.AsType[*wechat.TokenError](err)
	return refused || unanswered && failed.Kind != wechat.KindBadAnswer || noToken
}

// unanswered says what an error of a merchant's call is. What is not about one waybill or order is told once, until it
// changes or the merchant is answered again.
func (r *Runner) unanswered(c call, err error) Result {
	why := trouble{result: ResultFailed}
	if refused, ok := errors.AsType[*wechat.RefusedError](err); ok {
		why = trouble{ResultRefused, refused.Errcode}
		if refused.Errcode == quotaUsed {
			r.budget.end(c.merchant)
		}
		if scope := wechat.ScopeOf(refused.Errcode); scope == wechat.ScopeWaybill || scope == wechat.ScopeEvent {
			return why.result
		}
	} else if noToken, ok := errors.AsType[*wechat.TokenError](err); ok {
		why.errcode = noToken.Errcode
		r.budget.giveBack(c.merchant)
	}
	if !upstreams(err) || errors.Is(err, context.Canceled) { // The service stops.
		return why.result
	}
	if r.troubles[c] != why {
		r.troubles[c] = why
		r.log.Warn("WeChat does not answer a merchant; until it does none of its waybills can be verified in this way",
			"merchant", c.merchant, "call", c.name, "result", why.result, "err", err)
	}
	return why.result
}

// answered notes that upstream answers a merchant.
func (r *Runner) answered(c call) {
	if _, was := r.troubles[c]; was {
		delete(r.troubles, c)
		r.log.Info("WeChat answers a merchant again", "merchant", c.merchant, "call", c.name)
	}
}
