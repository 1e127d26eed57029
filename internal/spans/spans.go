// Package spans makes the spans of the service's traces (OpenTelemetry), and says what may be in them.
//
// One event is followed in at least two traces, since its push may come hours later:
//
//	POST /v1/events            server    child of the sender's span (traceparent), if it sent one
//	└ store.apply              internal  until the event is durable
//	updatePath                 client    a trace of its own for every attempt, linked to the event's span
//	tell carrier.outcomes      producer  likewise for each telling of what became of the event
//
// What links them is the traceparent that is stored with the event (state.Event, Trace). Messages over NATS begin with
// "take carrier.events" or "take carrier.submit" instead. WeChat's own pushes and the questions about them:
//
//	callback add_waybill       server    a trace of its own: nobody may choose one from outside
//	└ ask dispatch             client    its traceparent goes along with the question
//	verify                     client    a waybill that is checked at WeChat
//	fetch access_token         client    a trace of its own: all pushes that wait share one fetch
//
// Nothing is ever sent to WeChat, neither a traceparent nor baggage. Attributes are the ones that this package makes: no
// secret, no Token, no text of an event. Phone numbers that hide in ids are masked where spans leave the process (package
// telemetry).
//
// A nil *Tracer makes no spans, and a nil *Span is one that is not recorded; all their methods may be called and cost
// next to nothing.
package spans

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Tracer makes spans. It is safe for concurrent use.
type Tracer struct{ tracer trace.Tracer }

// New makes a Tracer whose spans go to a provider. Without one it is nil.
func New(p trace.TracerProvider) *Tracer {
	if p == nil {
		return nil
	}
	return &Tracer{p.Tracer("carrier")}
}

// Span is one that is recorded; nil is one that is not.
type Span struct{ span trace.Span }

// Root begins a trace, at a time in the past if began is not zero.
func (t *Tracer) Root(ctx context.Context, name string, kind trace.SpanKind, began time.Time, attrs ...attribute.KeyValue) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	return t.start(ctx, name, kind, attrs, append(at(began), trace.WithNewRoot())...)
}

// Under goes on with the trace of a traceparent, or begins one if it is none. began is as of Root.
func (t *Tracer) Under(ctx context.Context, traceparent, name string, kind trace.SpanKind, began time.Time, attrs ...attribute.KeyValue) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	ctx = trace.ContextWithRemoteSpanContext(ctx, Parse(traceparent))
	return t.start(ctx, name, kind, attrs, at(began)...)
}

// After begins a trace that is linked to the span of a traceparent, if that one was sampled: it is to be told together
// with it, but neither waits for the other.
func (t *Tracer) After(ctx context.Context, traceparent, name string, kind trace.SpanKind, attrs ...attribute.KeyValue) (context.Context, *Span) {
	if t == nil || !Sampled(traceparent) {
		return ctx, nil
	}
	link := trace.Link{SpanContext: Parse(traceparent)}
	return t.start(ctx, name, kind, attrs, trace.WithNewRoot(), trace.WithLinks(link))
}

// Child begins a part of the span in ctx; of one that is not recorded there are none.
func (t *Tracer) Child(ctx context.Context, name string, kind trace.SpanKind, attrs ...attribute.KeyValue) (context.Context, *Span) {
	if t == nil || !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, nil
	}
	return t.start(ctx, name, kind, attrs)
}

func (t *Tracer) start(ctx context.Context, name string, kind trace.SpanKind, attrs []attribute.KeyValue, more ...trace.SpanStartOption) (context.Context, *Span) {
	more = append(more, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	with, span := t.tracer.Start(ctx, name, more...)
	if !span.SpanContext().IsSampled() {
		return ctx, nil
	}
	return with, &Span{span}
}

func at(began time.Time) []trace.SpanStartOption {
	if began.IsZero() {
		return nil
	}
	return []trace.SpanStartOption{trace.WithTimestamp(began)}
}

// FromContext is the span in ctx; nil if none is recorded there.
func FromContext(ctx context.Context) *Span {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		return &Span{span}
	}
	return nil
}

// In is ctx with the span in it.
func (s *Span) In(ctx context.Context) context.Context {
	if s == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.span)
}

// Set adds attributes.
func (s *Span) Set(attrs ...attribute.KeyValue) {
	if s != nil {
		s.span.SetAttributes(attrs...)
	}
}

// Link links the span to that of a traceparent, if it is one.
func (s *Span) Link(traceparent string) {
	if s == nil {
		return
	}
	if sc := Parse(traceparent); sc.IsValid() {
		s.span.AddLink(trace.Link{SpanContext: sc})
	}
}

// Fail says that it came to nothing, in a fixed word or a code: never in words from outside.
func (s *Span) Fail(word string) {
	if s != nil {
		s.span.SetStatus(codes.Error, word)
	}
}

// End ends the span. It must be called, once.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}

// Traceparent names the span for others; "" if it is not recorded.
func (s *Span) Traceparent() string {
	if s == nil {
		return ""
	}
	return format(s.span.SpanContext())
}
