package ingest

import "net/http"

// Trace context is taken along so that what becomes of an event can be found from the trace that it came with. It is
// nobody's duty: what is no traceparent is as good as none, and never an error (W3C Trace Context, section 4.3).
// CloudEvents have it as an extension too, under the same name: https://github.com/cloudevents/spec,
// cloudevents/extensions/distributed-tracing.md.

const (
	traceHeader    = "Traceparent"
	traceAttribute = "traceparent"
	// traceLen is the length of 00-TRACE_ID-PARENT_ID-FLAGS, in bytes.
	traceLen = 2 + 1 + 32 + 1 + 16 + 1 + 2
)

// headerTrace is the traceparent in a header; empty if there is none that is valid, or more than one.
func headerTrace(h http.Header) string {
	if values := h[traceHeader]; len(values) == 1 && isTraceparent(values[0]) {
		return values[0]
	}
	return ""
}

// attributeTrace is the traceparent that a CloudEvent's attribute holds; empty if it is none.
func attributeTrace(value []byte) string {
	if len(value) != traceLen || !isTraceparent(string(value)) {
		return ""
	}
	return string(value)
}

// isTraceparent tells whether text is a traceparent of version 00 (W3C Trace Context, section 3.2.2).
func isTraceparent(text string) bool {
	return len(text) == traceLen && text[:3] == "00-" && isTraceID(text[3:35]) && text[35] == '-' &&
		isTraceID(text[36:52]) && text[52] == '-' && isLowerHex(text[53:])
}

// isTraceID tells whether text is an id: lower-case hex, and not all zeros.
func isTraceID(text string) bool {
	if !isLowerHex(text) {
		return false
	}
	for i := range len(text) {
		if text[i] != '0' {
			return true
		}
	}
	return false
}

func isLowerHex(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
