package app_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"carrier/internal/app/apptest"
	"carrier/internal/telemetry"
)

// spanKeeper is a collector in this process. It is safe for concurrent use.
type spanKeeper struct {
	mu   sync.Mutex
	kept tracetest.SpanStubs
}

// ExportSpans implements sdktrace.SpanExporter.
func (k *spanKeeper) ExportSpans(_ context.Context, all []sdktrace.ReadOnlySpan) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range all {
		k.kept = append(k.kept, tracetest.SpanStub{
			Name: s.Name(), SpanContext: s.SpanContext(), Parent: s.Parent(), SpanKind: s.SpanKind(), Attributes: s.Attributes(),
			Links: s.Links(), Events: s.Events(), Status: s.Status(), Resource: s.Resource(),
		})
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (k *spanKeeper) Shutdown(context.Context) error { return nil }

func newTracing(t *testing.T, to sdktrace.SpanExporter) *telemetry.Tracing {
	t.Helper()
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER"} {
		t.Setenv(name, "")
	}
	tracing, err := telemetry.NewTracing(t.Context(), telemetry.TracingOptions{Exporter: to, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return tracing
}

// named are the spans with a name, the oldest first.
func (k *spanKeeper) named(name string) (found tracetest.SpanStubs) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.kept {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// of is the one span with a name that is about a waybill.
func (k *spanKeeper) of(t *testing.T, name, waybill string) tracetest.SpanStub {
	t.Helper()
	var found tracetest.SpanStubs
	for _, s := range k.named(name) {
		if value(s, "carrier.waybill_id") == waybill {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans %q are about %s; there are %v", len(found), name, waybill, k.text())
	}
	return found[0]
}

// value is an attribute as text; "" if there is none.
func value(s tracetest.SpanStub, key attribute.Key) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

// text is all that was exported.
func (k *spanKeeper) text() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var b strings.Builder
	for _, s := range k.kept {
		fmt.Fprintf(&b, "%s %v", s.Name, s.Status)
		for _, a := range slices.Concat(s.Attributes, s.Resource.Attributes()) {
			fmt.Fprintf(&b, " %s=%s", a.Key, a.Value.String())
		}
		fmt.Fprintln(&b, "", s.Events)
	}
	return b.String()
}

const (
	sendersTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	sendersParent = "00f067aa0ba902b7"
	sendersHeader = "00-" + sendersTrace + "-" + sendersParent + "-01"
)

// TestTraces follows events from each way in to the push, and an order to the dispatch system.
func TestTraces(t *testing.T) {
	keeper := &spanKeeper{}
	r := prepareNATS(t, withCallback, nil)
	r.s = startTraced(t, r.settings, newTracing(t, keeper))
	r.ready()
	desk := &orderDesk{}
	desk.answers(yes, nil)
	desk.serve(r, "SF")

	postTraced(t, r.s, r.settings, scan("HTTP", 1, 100001), sendersHeader)
	postTraced(t, r.s, r.settings, scan("QUIET", 1, 100001), strings.TrimSuffix(sendersHeader, "1")+"0")
	r.submit("app", asJSON(t, scan("SUBMIT", 1, 100001)), nil)
	r.publishEvents("app", scan("STREAM", 1, 100001))
	pushOrder(t, r.s, "SF", orderMessage("add_waybill", "1", "ORDER", "token-ORDER"), 0)
	asked := desk.questions()
	r.eventually(func() bool { return len(r.s.Pushes(t, "status=delivered")) == 4 }, "all is pushed")
	for _, waybill := range []string{"HTTP", "SUBMIT", "STREAM"} {
		r.untilTold(waybill + "-1")
	}
	r.s.stop()
	keysAreNamedOnce(t, r.s.log.String())

	request := keeper.of(t, "POST /v1/events", "HTTP")
	if request.SpanContext.TraceID().String() != sendersTrace || request.Parent.SpanID().String() != sendersParent {
		t.Errorf("the request is not part of its sender's trace: %+v", request.Parent)
	}
	for key, want := range map[attribute.Key]string{"carrier.verdict": "accepted", "carrier.event_id": "HTTP-1", "carrier.delivery_id": "SF", "carrier.action_type": "100001"} {
		if got := value(request, key); got != want {
			t.Errorf("the request's %s is %q, want %q", key, got, want)
		}
	}
	if commits := keeper.named("store.apply"); !slices.ContainsFunc(commits, func(s tracetest.SpanStub) bool { return s.Parent.SpanID() == request.SpanContext.SpanID() }) {
		t.Errorf("no commit is part of the request: %v", commits)
	}
	for waybill, name := range map[string]string{"HTTP": "POST /v1/events", "SUBMIT": "take carrier.submit", "STREAM": "take carrier.events"} {
		taken, attempt := keeper.of(t, name, waybill), keeper.of(t, "updatePath", waybill)
		if len(attempt.Links) != 1 || attempt.Links[0].SpanContext.SpanID() != taken.SpanContext.SpanID() || attempt.Parent.IsValid() {
			t.Errorf("the push of %s has parent %v and links %v", waybill, attempt.Parent, attempt.Links)
		}
		for key, want := range map[attribute.Key]string{"wechat.errcode": "0", "wechat.scope": "ok", "carrier.attempt": "1", "carrier.push_status": "delivered"} {
			if got := value(attempt, key); got != want {
				t.Errorf("%s of the push of %s is %q, want %q", key, waybill, got, want)
			}
		}
	}
	told := keeper.of(t, "tell carrier.outcomes", "HTTP")
	if len(told.Links) != 1 || told.Links[0].SpanContext.SpanID() != request.SpanContext.SpanID() || told.Parent.IsValid() ||
		value(told, "messaging.destination.name") != "carrier.outcomes.SF.delivered" {
		t.Errorf("the telling has parent %v, links %v and attributes %v", told.Parent, told.Links, told.Attributes)
	}
	wantFetchSpan(t, keeper)
	if text := keeper.text(); strings.Contains(text, "QUIET") {
		t.Errorf("what its sender does not sample is recorded: %s", text)
	}
	callback, question := keeper.of(t, "callback add_waybill", "ORDER"), keeper.named("ask dispatch")
	if len(question) != 1 || question[0].Parent.SpanID() != callback.SpanContext.SpanID() || value(callback, "carrier.result") != "accepted" {
		t.Fatalf("the callback is %+v, the questions %+v", callback, question)
	}
	want := fmt.Sprintf("00-%s-%s-01", question[0].SpanContext.TraceID(), question[0].SpanContext.SpanID())
	if len(asked) != 1 || asked[0].header.Get("traceparent") != want {
		t.Errorf("the dispatch system was asked %+v, want the traceparent %s", asked, want)
	}
}

// wantFetchSpan fails unless the first fetch of the account's access_token has a trace of its own.
func wantFetchSpan(t *testing.T, keeper *spanKeeper) {
	t.Helper()
	fetches := keeper.named("fetch access_token")
	if len(fetches) == 0 {
		t.Fatalf("no fetch of an access_token has a span; there are %s", keeper.text())
	}
	fetch := fetches[0]
	for key, want := range map[attribute.Key]string{"carrier.delivery_id": "SF", "wechat.scope": "ok", "wechat.appid": "wx", "server.address": "127.0.0.1"} {
		if got := value(fetch, key); !strings.HasPrefix(got, want) {
			t.Errorf("the fetch's %s is %q, want %q", key, got, want)
		}
	}
	if fetch.Parent.IsValid() || len(fetch.Links) != 0 {
		t.Errorf("the fetch has parent %v and links %v", fetch.Parent, fetch.Links)
	}
}

// postTraced sends an event as part of a trace.
func postTraced(t *testing.T, s *service, settings *apptest.Settings, e apptest.Event, traceparent string) {
	t.Helper()
	status, _, body, err := s.Do(t.Context(), http.MethodPost, s.Events+"/v1/events", "application/json", asJSON(t, e), func(req *http.Request, _ []byte) {
		req.Header.Set("Authorization", "Bearer "+settings.Key)
		req.Header.Set("traceparent", traceparent)
	})
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("sending answers %d %s, %v", status, body, err)
	}
}
