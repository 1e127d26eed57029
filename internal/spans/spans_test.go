package spans

import (
	"context"
	"slices"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const (
	sampled   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

func recorder() (*Tracer, *tracetest.SpanRecorder) {
	r := tracetest.NewSpanRecorder()
	return New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r))), r
}

func TestSampled(t *testing.T) {
	for flags, want := range map[string]bool{"00": false, "01": true, "02": false, "0b": true, "0a": false, "ff": true, "f0": false} {
		if got := Sampled(sampled[:53] + flags); got != want {
			t.Errorf("flags %s: %v", flags, got)
		}
	}
	for _, text := range []string{"", "01", sampled + "1"} {
		if Sampled(text) || traceID(text) != "" {
			t.Errorf("%q is sampled", text)
		}
	}
	if got := traceID(sampled); got != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("the trace is %s", got)
	}
	if got := Log([]any{"a", 1}, sampled); !slices.Equal(got, []any{"a", 1, "trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"}) {
		t.Errorf("logged is %v", got)
	}
	if got := Log([]any{"a", 1}, unsampled); len(got) != 2 {
		t.Errorf("logged is %v", got)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		valid      bool
	}{
		{"sampled", sampled, true}, {"not sampled", unsampled, true}, {"none", "", false}, {"of another version", "01" + sampled[2:], false},
		{"no hexadecimal digits", "00-xbf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
		{"no trace", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
		{"no parent", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
		{"other separators", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sc := Parse(tt.text)
			if sc.IsValid() != tt.valid || sc.IsSampled() != (tt.text == sampled) {
				t.Errorf("%q is read as %+v", tt.text, sc)
			}
			if tt.text == sampled && format(sc) != sampled {
				t.Errorf("it is written as %q", format(sc))
			}
		})
	}
}

func TestTraces(t *testing.T) {
	tracer, ended := recorder()
	began := time.Unix(1_700_000_000, 0)
	ctx, request := tracer.Under(t.Context(), sampled, "POST /v1/events", trace.SpanKindServer, began, Source("app"))
	inner, commit := tracer.Child(ctx, "store.apply", trace.SpanKindInternal)
	if Traceparent(inner) != commit.Traceparent() || Traceparent(ctx) != request.Traceparent() || FromContext(ctx) == nil {
		t.Error("a context has another span than the one that was begun with it")
	}
	commit.End()
	request.End()
	_, attempt := tracer.After(ctx, request.Traceparent(), "updatePath", trace.SpanKindClient)
	attempt.Fail("upstream")
	attempt.End()
	_, root := tracer.Root(ctx, "callback add_waybill", trace.SpanKindServer, time.Time{})
	root.End()

	var got []sdktrace.ReadOnlySpan = ended.Ended()
	if len(got) != 4 {
		t.Fatalf("%d spans have ended", len(got))
	}
	sender := Parse(sampled)
	if p := got[1].Parent(); p.SpanID() != sender.SpanID() || got[1].SpanContext().TraceID() != sender.TraceID() || !got[1].StartTime().Equal(began) {
		t.Errorf("the request's parent is %v, and it began at %v", p, got[1].StartTime())
	}
	if p := got[0].Parent(); p.SpanID() != got[1].SpanContext().SpanID() {
		t.Errorf("the commit's parent is %v", p)
	}
	if links := got[2].Links(); got[2].Parent().IsValid() || len(links) != 1 || links[0].SpanContext.SpanID() != got[1].SpanContext().SpanID() {
		t.Errorf("the attempt has parent %v and links %v", got[2].Parent(), links)
	}
	if got[2].SpanContext().TraceID() == sender.TraceID() || got[3].Parent().IsValid() {
		t.Error("what begins a trace goes on with one")
	}
}

// TestNothingIsRecorded: without a tracer, and of what was not sampled.
func TestNothingIsRecorded(t *testing.T) {
	var off *Tracer
	on, ended := recorder()
	for _, tracer := range []*Tracer{off, on} {
		ctx, a := tracer.Child(t.Context(), "x", trace.SpanKindInternal)
		_, b := tracer.After(t.Context(), unsampled, "x", trace.SpanKindClient)
		_, c := tracer.Under(t.Context(), unsampled, "x", trace.SpanKindServer, time.Time{})
		for _, s := range []*Span{a, b, c} {
			if s != nil {
				t.Errorf("a span is recorded: %+v", s)
			}
			s.Set(Seq(1))
			s.Link(sampled)
			s.Fail("x")
			s.End()
			if s.In(ctx) != ctx || s.Traceparent() != "" {
				t.Error("a span that is not recorded is in a context")
			}
		}
	}
	if _, s := off.Root(t.Context(), "x", trace.SpanKindServer, time.Time{}); s != nil || New(nil) != nil {
		t.Error("without a provider there are spans")
	}
	if n := len(ended.Ended()); n != 0 {
		t.Errorf("%d spans have ended", n)
	}
}

// BenchmarkOff is what all calls on the way of one event cost together where traces are off.
func BenchmarkOff(b *testing.B) {
	var tracer *Tracer
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_, request := tracer.Under(ctx, sampled, "POST /v1/events", trace.SpanKindServer, time.Time{})
		_, commit := tracer.Child(request.In(ctx), "store.apply", trace.SpanKindInternal)
		_, attempt := tracer.After(ctx, sampled, "updatePath", trace.SpanKindClient)
		attempt.End()
		commit.End()
		request.End()
	}
}
