package bus

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"carrier/internal/bus/natstest"
	"carrier/internal/spans"
	"carrier/internal/store"
)

const tracedParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"

// TestTellingSpans: each telling of an event that was traced has a span, which is linked to the event's and says whether the
// stream took it. What was told in vain has one more when it is told again.
func TestTellingSpans(t *testing.T) {
	server := natstest.Start(t, unsynced)
	js := jetStream(t, server)
	recorder := tracetest.NewSpanRecorder()
	kept := &fakeStore{t: t, notices: noticesOf(3)}
	for i, sampled := range []string{"1", "0", "1"} {
		kept.notices[i].Event.Trace = tracedParent + sampled
		kept.notices[i].Event.Msg, kept.notices[i].Event.Token = "canary text", "canary-Token"
		kept.notices[i].Errmsg, kept.notices[i].Reason = "canary answer", "canary reason"
	}
	kept.notices[2].Status = store.NoPush
	o := options(t, nil, kept)
	o.Spans = spans.New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	_, _, stop := startTeller(t, js, o)

	until(t, func() string { return "no span of a telling in vain has ended" }, func() bool { return len(recorder.Ended()) > 0 })
	makeStream(t, js, nil)
	until(t, func() string { return fmt.Sprintf("told up to %d", kept.toldUpTo()) }, func() bool { return kept.toldUpTo() == 3 })
	stop()

	var told []string
	for i, s := range recorder.Ended() {
		text := fmt.Sprint(s.Name(), s.Attributes(), s.Status())
		if links := s.Links(); len(links) != 1 || links[0].SpanContext.SpanID().String() != "00f067aa0ba902b7" || s.Parent().IsValid() || strings.Contains(text, "canary") {
			t.Errorf("span %d is %s, linked to %v, below %v", i, text, links, s.Parent())
		}
		switch status := s.Status(); {
		case status.Code != codes.Error:
			for _, a := range s.Attributes() {
				if a.Key == "messaging.destination.name" || a.Key == "carrier.seq" {
					told = append(told, a.Value.String())
				}
			}
		case i > 0 && status.Description != "not_acknowledged":
			t.Errorf("span %d says %s", i, text)
		}
	}
	if want := []string{"carrier.outcomes.SF.delivered", "1000", "carrier.outcomes.SF.rejected", "1002"}; !slices.Equal(told, want) {
		t.Errorf("told are %v, want %v", told, want)
	}
	if first := recorder.Ended()[0].Status(); first.Code != codes.Error {
		t.Errorf("what no stream took says %v", first)
	}
	if started, ended := len(recorder.Started()), len(recorder.Ended()); started != ended {
		t.Errorf("%d spans were begun, %d ended", started, ended)
	}
	if n := len(storedWithTrace(t, js)); n != 3 {
		t.Errorf("%d of 3 outcomes go on with their event's trace", n)
	}
}

// storedWithTrace are the messages of the stream that have a traceparent.
func storedWithTrace(t *testing.T, js jetstream.JetStream) []jetstream.Msg {
	t.Helper()
	return slices.DeleteFunc(stored(t, js), func(m jetstream.Msg) bool { return m.Headers()[spans.Header] == nil })
}
