package bus

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"carrier/internal/spans"
	"carrier/internal/store"
)

// beginSpan begins the span of a notice that is told on a subject, linked to that of its event; nil if the event's was not
// recorded. What is told goes on with the event's own trace: that is what its readers have to do with.
func (t *teller) beginSpan(n *store.Notice, subject string) *spans.Span {
	e := &n.Event
	if t.spans == nil || !spans.Sampled(e.Trace) {
		return nil
	}
	_, span := t.spans.After(context.Background(), e.Trace, "tell carrier.outcomes", trace.SpanKindProducer,
		spans.Subject(subject), spans.DeliveryID(e.DeliveryID), spans.WaybillID(e.WaybillID), spans.EventID(e.ID), spans.Seq(n.Seq))
	return span
}

// endUntold ends the spans of notices that the stream has not acknowledged, or not in their place: they are told again.
func endUntold(sent []telling) {
	for i := range sent {
		sent[i].span.Fail("not_acknowledged")
		sent[i].span.End()
	}
}
