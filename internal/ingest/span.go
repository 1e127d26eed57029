package ingest

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"carrier/internal/problem"
	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
)

// What begins spans looks first whether there are any: attributes of a span that is not there would cost every event.

// begin begins the span of a request or message that was let in, as a part of its sender's trace if it names one. It is
// done no earlier: who is not known can't make traces here.
func (d *Desk) begin(q *request) *spans.Span {
	if d.spans == nil {
		return nil
	}
	kind := trace.SpanKindServer
	if q.buf == nil {
		kind = trace.SpanKindConsumer
	}
	_, span := d.spans.Under(context.Background(), q.trace, q.via, kind, q.now, spans.Source(q.source.label))
	return span
}

// beginCommit begins the part of a span in which events are decided and made durable.
func (d *Desk) beginCommit(ctx context.Context, events int) (context.Context, *spans.Span) {
	if d.spans == nil {
		return ctx, nil
	}
	return d.spans.Child(ctx, "store.apply", trace.SpanKindInternal, spans.Events(events))
}

// mark gives an event the trace of the request that brought it, which counts for more than what the event says itself.
// Where the request has a span it is that one, under which what becomes of the event is found.
func (q *request) mark(e *state.Event) {
	if own := q.span.Traceparent(); own != "" {
		if q.trace == "" {
			q.span.Link(e.Trace)
		}
		e.Trace = own
	} else if q.trace != "" {
		e.Trace = q.trace
	}
}

// tellSpan tells the span of a request with one event what became of it.
func (q *request) tellSpan(e *state.Event, r *store.Result) {
	if q.span == nil {
		return
	}
	q.span.Set(spans.Verdict(r.Verdict.String()), spans.Reason(r.Reason.String()), spans.Seq(r.Seq), spans.EventID(e.ID),
		spans.DeliveryID(e.DeliveryID), spans.WaybillID(e.WaybillID), spans.ActionType(int(e.Type)))
}

// failed tells the span of a request what it is answered instead, and returns that.
func (q *request) failed(p *problem.Problem) error {
	q.tellProblem(p)
	return p
}

// tellProblem tells a span of a problem. What is wrong with the request itself is no failure of ours.
func (q *request) tellProblem(p *problem.Problem) {
	if q.span == nil {
		return
	}
	q.span.Set(spans.StatusCode(p.Status()), spans.Result(string(p.Code)))
	if passes(p) {
		q.span.Fail(string(p.Code))
	}
}

// end ends the span of a message; p is nil if there was no problem.
func (q *request) end(p *problem.Problem) {
	if p != nil {
		q.tellProblem(p)
	}
	q.span.End()
}

// trace notes that the event at a place came with a span.
func (t *taking) trace(q *request, place int) {
	if t.traced == nil {
		t.traced = map[int]*request{}
	}
	t.traced[place] = new(*q)
}

// under is ctx with the first span of those that came together in it: the commit that they share is told there.
func (t *taking) under(ctx context.Context) context.Context {
	for place := range t.events {
		if q := t.traced[place]; q != nil {
			return q.span.In(ctx)
		}
	}
	return ctx
}

// end tells the spans what became of their events, and ends them. p is a problem of all of them.
func (t *taking) end(results []store.Result, p *problem.Problem) {
	for place, q := range t.traced {
		if p == nil {
			q.tellSpan(&t.events[place], &results[place])
		}
		q.end(p)
	}
}
