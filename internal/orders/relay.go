package orders

import (
	"context"

	"carrier/internal/callback"
)

// relay passes a question on that only the dispatch system can answer: check_biz and get_quota. They change nothing
// here, so each is asked for itself.
func (d *desk) relay(ctx context.Context, a *account, q Question, bizPwd string) reply {
	answer, ok := d.ask(ctx, a, q, bizPwd)
	if !ok {
		return refuse(callback.Failed, textNobody)
	}
	return reply{code: callback.ResultCode(answer.Code), msg: answer.Msg, quota: max(0, answer.Quota)}
}
