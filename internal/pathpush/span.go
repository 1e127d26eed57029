package pathpush

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"carrier/internal/spans"
	"carrier/internal/wechat"
)

// beginSpan begins the span of an attempt, linked to that of the event; nil if the event's was not recorded. Upstream hears
// nothing of it.
func (a *account) beginSpan(f *flight) *spans.Span {
	e := &f.push.Event
	if a.spans == nil || !spans.Sampled(e.Trace) {
		return nil
	}
	_, span := a.spans.After(context.Background(), e.Trace, "updatePath", trace.SpanKindClient,
		spans.DeliveryID(a.id), spans.WaybillID(e.WaybillID), spans.EventID(e.ID), spans.Seq(f.push.Seq),
		spans.ActionType(int(e.Type)), spans.Attempt(f.push.Tries+1), spans.Host(f.host.name))
	if f.push.Replay != 0 {
		span.Set(spans.Replay(f.push.Replay))
	}
	return span
}

// tellAnswer tells the span of an attempt what upstream answered, but for its words.
func tellAnswer(span *spans.Span, ans *answer) {
	if span == nil {
		return
	}
	span.Set(spans.Scope(string(ans.scope)))
	if code := ans.attempt.Errcode; code != nil {
		span.Set(spans.Errcode(*code), spans.RID(ans.attempt.RID))
	}
	if ans.attempt.Unknown {
		span.Set(spans.Unknown())
	}
	if ans.scope != wechat.ScopeOK {
		span.Fail(string(ans.scope))
	}
}
