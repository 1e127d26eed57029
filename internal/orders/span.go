package orders

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"carrier/internal/spans"
)

// beginSpan begins the span of a push that is WeChat's. It goes on with nobody's trace: WeChat sends none.
func (s *Service) beginSpan(ctx context.Context, p *push) (context.Context, *spans.Span) {
	if s.spans == nil {
		return ctx, nil
	}
	event := eventLabel(p.message)
	return s.spans.Root(ctx, "callback "+event, trace.SpanKindServer, time.Time{}, spans.DeliveryID(p.account.id), spans.Event(event))
}

// beginQuestion begins the span of a question to the dispatch system, of which only the kind and the id are told.
func (d *desk) beginQuestion(ctx context.Context, q *Question) (context.Context, *spans.Span) {
	if d.spans == nil {
		return ctx, nil
	}
	return d.spans.Child(ctx, "ask dispatch", trace.SpanKindClient, spans.DeliveryID(q.DeliveryID), spans.Event(q.Event), spans.Question(q.ID))
}

// tellAnswer tells the span of a question what came back, but for its words.
func tellAnswer(span *spans.Span, answer Answer, err error) {
	switch {
	case span == nil:
	case errors.Is(err, ErrNobody):
		span.Set(spans.Result("nobody"))
	case errors.Is(err, ErrNotAsked):
		span.Set(spans.Result("not_asked"))
		span.Fail("not_asked")
	case err != nil:
		span.Set(spans.Result("no_answer"))
		span.Fail("no_answer")
	default:
		span.Set(spans.Result("answered"), spans.ResultCode(answer.Code))
	}
}
