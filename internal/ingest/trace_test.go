package ingest

import (
	"slices"
	"strings"
	"testing"

	"carrier/internal/state"
)

const (
	goodTrace  = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	otherTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

func TestIsTraceparent(t *testing.T) {
	zeros := func(n int) string { return strings.Repeat("0", n) }
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"good", goodTrace, true},
		{"not sampled", otherTrace, true},
		{"unknown flags", goodTrace[:53] + "ff", true},
		{"smallest ids", "00-" + zeros(31) + "1-" + zeros(15) + "1-00", true},

		{"empty", "", false},
		{"cut off", goodTrace[:54], false},
		{"longer", goodTrace + "0", false},
		{"with a member of a later version", goodTrace + "-01", false},
		{"version 01", "01" + goodTrace[2:], false},
		{"version ff", "ff" + goodTrace[2:], false},
		{"in capitals", strings.ToUpper(goodTrace), false},
		{"one capital", strings.Replace(goodTrace, "b", "B", 1), false},
		{"no trace id", "00-" + zeros(32) + goodTrace[35:], false},
		{"no parent id", goodTrace[:36] + zeros(16) + goodTrace[52:], false},
		{"first dash", strings.Replace(goodTrace, "-", "_", 1), false},
		{"second dash", goodTrace[:35] + "0" + goodTrace[36:], false},
		{"third dash", goodTrace[:52] + "0" + goodTrace[53:], false},
		{"not hex in the trace id", goodTrace[:10] + "g" + goodTrace[11:], false},
		{"not hex in the parent id", goodTrace[:40] + "g" + goodTrace[41:], false},
		{"not hex in the flags", goodTrace[:53] + "0x", false},
		{"space before", " " + goodTrace[:54], false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := isTraceparent(tt.text); got != tt.want {
				t.Errorf("isTraceparent(%q) = %v", tt.text, got)
			}
			if got := attributeTrace([]byte(tt.text)); (got == tt.text && got != "") != tt.want {
				t.Errorf("attributeTrace(%q) = %q", tt.text, got)
			}
		})
	}
}

// TestTrace sends events with a trace both ways. A broken one is never an error.
func TestTrace(t *testing.T) {
	cloud := headers{"Content-Type": {"application/cloudevents+json"}}
	binary := headers{"Ce-Specversion": {"1.0"}, "Ce-Id": {"ce-1"}, "Ce-Source": {"/s"}, "Ce-Type": {"t"}}
	// and is a header with one more name.
	and := func(h headers, name string, values ...string) headers {
		more := headers{name: values}
		for k, v := range h {
			more[k] = v
		}
		return more
	}
	for _, tt := range []struct {
		name   string
		header headers
		body   string
		want   string
	}{
		{"none", nil, good(), ""},
		{"header", headers{"Traceparent": {goodTrace}}, good(), goodTrace},
		{"broken header", headers{"Traceparent": {goodTrace[1:]}}, good(), ""},
		{"header twice", headers{"Traceparent": {goodTrace, goodTrace}}, good(), ""},
		{"structured, attribute", cloud, envelopeOf("traceparent", quoted(goodTrace)), goodTrace},
		{"structured, attribute by escape", cloud, envelopeOf("traceparent", quoted(`\u0030`+goodTrace[1:])), goodTrace},
		{"structured, broken attribute", cloud, envelopeOf("traceparent", `"00-x"`), ""},
		{"structured, half a character", cloud, envelopeOf("traceparent", `"\ud800"`), ""},
		{"structured, number", cloud, envelopeOf("traceparent", "7"), ""},
		{"structured, null", cloud, envelopeOf("traceparent", "null"), ""},
		{"structured, header counts", and(cloud, "Traceparent", goodTrace), envelopeOf("traceparent", quoted(otherTrace)), goodTrace},
		{"structured, broken header does not", and(cloud, "Traceparent", "x"), envelopeOf("traceparent", quoted(otherTrace)), otherTrace},
		{"binary, attribute", and(binary, "Ce-Traceparent", goodTrace), noID(), goodTrace},
		{"binary, encoded attribute", and(binary, "Ce-Traceparent", strings.ReplaceAll(goodTrace, "-", "%2D")), noID(), goodTrace},
		{"binary, broken attribute", and(binary, "Ce-Traceparent", "%"), noID(), ""},
		{"binary, attribute twice", and(binary, "Ce-Traceparent", goodTrace, goodTrace), noID(), ""},
		{"binary, header counts", and(and(binary, "Traceparent", goodTrace), "Ce-Traceparent", otherTrace), noID(), goodTrace},
		{"attribute of what is no CloudEvent", headers{"Ce-Traceparent": {goodTrace}}, good(), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			r := newPost("/v1/events", tt.body)
			for name, values := range tt.header {
				r.Header[name] = values
			}
			if a := b.do(r); a.Code != 202 {
				t.Fatalf("got %d: %s", a.Code, a.text)
			}
			lower := make(headers)
			for name, values := range tt.header {
				lower[strings.ToLower(name)] = values
			}
			b.takeOne(message(tt.body, lower))
			if got := traces(b.store.all()); !slices.Equal(got, []string{tt.want, tt.want}) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestTraceOfABatch: the header is of all its events, but an event of which only the attribute tells keeps that.
func TestTraceOfABatch(t *testing.T) {
	clouds := header{"Content-Type", "application/cloudevents-batch+json"}
	items := "[" + envelopeOf("traceparent", quoted(otherTrace)) + "," + envelopeOf("id", `"ce-2"`) + "]"
	b := newBench(t)
	b.post("/v1/events/batch", items, clouds)
	b.post("/v1/events/batch", items, clouds, header{"Traceparent", goodTrace})
	b.post("/v1/events/batch", good()+"\n"+good(), ndjson, header{"Traceparent", goodTrace})
	if _, p := b.hook.TakeBatch(t.Context(), message("["+good()+"]", headers{"TRACEPARENT": {goodTrace}})); p != nil {
		t.Error(p)
	}
	want := []string{otherTrace, "", goodTrace, goodTrace, goodTrace, goodTrace, goodTrace}
	if got := traces(b.store.all()); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func traces(events []state.Event) []string {
	var all []string
	for _, e := range events {
		all = append(all, e.Trace)
	}
	return all
}
