package spans

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Header is the name of the header in which a traceparent travels (W3C Trace Context, section 3.2), over HTTP as over
// NATS.
const Header = "traceparent"

// The parts of a traceparent of version 00: 00-TRACE_ID-PARENT_ID-FLAGS.
const (
	traceFrom, traceTo   = 3, 35
	parentFrom, parentTo = 36, 52
	flagsFrom            = 53
	traceparentLen       = 55
)

// Parse reads a traceparent of version 00. What is none gives a context that is not valid.
func Parse(traceparent string) trace.SpanContext {
	if len(traceparent) != traceparentLen || traceparent[:traceFrom] != "00-" || traceparent[traceTo] != '-' || traceparent[parentTo] != '-' {
		return trace.SpanContext{}
	}
	id, err := trace.TraceIDFromHex(traceparent[traceFrom:traceTo])
	if err != nil {
		return trace.SpanContext{}
	}
	parent, err := trace.SpanIDFromHex(traceparent[parentFrom:parentTo])
	if err != nil {
		return trace.SpanContext{}
	}
	var flags trace.TraceFlags
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: parent, TraceFlags: flags.WithSampled(Sampled(traceparent)), Remote: true,
	})
}

// Sampled tells whether whoever sent a traceparent records its trace: the last bit of the flags. Nothing else of it is
// looked at.
func Sampled(traceparent string) bool {
	if len(traceparent) != traceparentLen {
		return false
	}
	switch last := traceparent[traceparentLen-1]; {
	case '0' <= last && last <= '9':
		return last&1 == 1
	case 'a' <= last && last <= 'f':
		return last&1 == 0 // 'a' is even, and stands for ten.
	}
	return false
}

// traceID is the id of a traceparent's trace, for logs; "" if it is not sampled.
func traceID(traceparent string) string {
	if !Sampled(traceparent) {
		return ""
	}
	return traceparent[traceFrom:traceTo]
}

// Traceparent names the span in ctx, for whoever is asked on its behalf; "" if none is recorded there.
func Traceparent(ctx context.Context) string { return format(trace.SpanContextFromContext(ctx)) }

func format(sc trace.SpanContext) string {
	if !sc.IsValid() || !sc.IsSampled() {
		return ""
	}
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01"
}

// Log appends trace_id to the attributes of a log line, if the traceparent is sampled.
func Log(attrs []any, traceparent string) []any {
	if id := traceID(traceparent); id != "" {
		attrs = append(attrs, "trace_id", id)
	}
	return attrs
}
