package app_test

import (
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/bus"
	"carrier/internal/ingest"
	"carrier/internal/orders"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/telemetry"
	"carrier/internal/verify"
	"carrier/internal/wechat"
)

// TestWordsOfLabels: each word that a part tells the metrics is one that they know; any other would count as "other".
func TestWordsOfLabels(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.Build{})
	m.Know(telemetry.Names{Errcodes: wechat.Errcodes()})
	want := map[string][]string{"result": {}}
	for _, v := range state.Verdicts() {
		want["verdict"] = append(want["verdict"], v.String())
	}
	want["verdict"] = append(want["verdict"], ingest.Unauthorized, ingest.Limited, ingest.Unavailable)
	for _, v := range want["verdict"] {
		m.Events("", v, 1)
	}
	scopes := []wechat.Scope{wechat.ScopeOK, wechat.ScopeUpstream, wechat.ScopeCredential, wechat.ScopeAccount, wechat.ScopeRate, wechat.ScopeWaybill, wechat.ScopeEvent}
	for _, s := range scopes {
		want["scope"] = append(want["scope"], string(s))
		m.Attempt("", string(s), nil, time.Second)
	}
	for _, code := range wechat.Errcodes() {
		want["errcode"] = append(want["errcode"], fmt.Sprint(code))
		m.Attempt("", "ok", &code, time.Second)
	}
	for _, s := range store.Statuses() {
		want["status"] = append(want["status"], s.String())
		m.Ended("", s.String(), time.Second)
	}
	want["event"] = []string{orders.AddWaybill, orders.CancelWaybill, orders.CheckBiz, orders.GetQuota, "add_express_path", "other", ""}
	for _, e := range want["event"] {
		m.Callback("", e, orders.Accepted)
	}
	for _, r := range []string{orders.Accepted, orders.Repeated, orders.Refused, orders.Verified, orders.Forged, orders.Stale, orders.Replayed, orders.Unreadable, orders.Unknown, orders.Failed} {
		want["result"] = append(want["result"], r)
		m.Callback("", "", r)
	}
	for _, r := range []verify.Result{verify.ResultSame, verify.ResultDifferent, verify.ResultNoOne, verify.ResultRefused, verify.ResultFailed, verify.ResultLimited, verify.ResultCancelled} {
		want["result"] = append(want["result"], string(r))
		m.Verified(string(r))
	}
	for _, o := range []bus.Outcome{bus.Acked, bus.Returned, bus.Dead} {
		want["outcome"] = append(want["outcome"], string(o))
		m.NATSMessages(string(o), 1)
	}
	page := scrape(t, m.Handler())
	for label, words := range want {
		for _, w := range words {
			if !strings.Contains(page, fmt.Sprintf("%s=%q", label, w)) {
				t.Errorf("%s=%q is not known", label, w)
			}
		}
	}
	for _, s := range state.Stages() {
		m.Collect(telemetry.Sources{Stages: func() []telemetry.StageAge { return []telemetry.StageAge{{Stage: s.String(), OldestAt: time.Now()}} }})
		if page := scrape(t, m.Handler()); !s.Final() && !strings.Contains(page, fmt.Sprintf("stage=%q", s)) {
			t.Errorf("the stage %s is not known", s)
		}
	}
}

func scrape(t *testing.T, h http.Handler) string {
	t.Helper()
	_, text := get(t, apptest.Serve(t, h))
	return text
}

// conditional are metrics that a service shows only when there is something to tell.
var conditional = map[string]string{
	"carrier_quota_limit":                       "WeChat has not said",
	"carrier_quota_ends_timestamp_seconds":      "it lasts the day",
	"carrier_verify_total":                      "there are no merchants",
	"carrier_callbacks_total":                   "WeChat has pushed nothing",
	"carrier_store_free_bytes":                  "it is not known on every system",
	"carrier_store_round_trips_total":           "the store is embedded",
	"carrier_nodes":                             "the store is embedded",
	"carrier_node_slots":                        "the store is embedded",
	"carrier_node_takeovers_total":              "the store is embedded",
	"carrier_node_lease_age_seconds":            "the store is embedded",
	"carrier_trace_spans_total":                 "traces are off",
	"carrier_nats_last_taken_timestamp_seconds": "no message was taken",
}

// TestMetricsOfAService: a service at work shows what is documented, all that an alert waits for among it, and each label
// is a word of the configuration or of a table.
func TestMetricsOfAService(t *testing.T) {
	r := startNATS(t, nil)
	r.s.Accept(t, story("METRIC", 100001, 200001)...)
	r.publishEvents("app", scan("METRIC", 3, 300002))
	r.publishEvents("strange-source", scan("STRANGE", 1, 100001))
	if status, _ := get(t, r.s.Admin+"/no/such/route"); status != http.StatusNotFound {
		t.Errorf("a route that is none answers %d", status)
	}
	r.eventually(func() bool { return len(r.s.Pushes(t, "status=delivered")) == 4 }, "all is pushed")
	var page string
	shown := func(name string) bool {
		return strings.Contains(page, "\n"+name+"{") || strings.Contains(page, "\n"+name+" ") || strings.Contains(page, "\n"+name+"_bucket{")
	}
	r.eventually(func() bool {
		_, page = get(t, r.s.Admin+"/metrics")
		return shown("carrier_nats_waiting_messages") && shown("carrier_waybill_stage_oldest_seconds")
	},
		"the backlog of the stream, and how long waybills stand still, are known")
	for _, name := range documented() {
		if _, may := conditional[name]; !may && !shown(name) {
			t.Errorf("%s is not shown", name)
		}
	}
	for name := range maps.Keys(conditional) {
		if !slices.Contains(documented(), name) {
			t.Errorf("there is no metric %s", name)
		}
	}
	for _, stranger := range []string{"METRIC", "STRANGE", "strange-source", "/no/such"} {
		if i := strings.Index(page, stranger); i >= 0 {
			t.Errorf("%s is in a label: %s", stranger, page[max(0, i-80):i+80])
		}
	}
	if want := `carrier_events_total{source="other",verdict="accepted"} `; !strings.Contains(page, want) {
		t.Errorf("there is no %s", want)
	}
	for _, name := range []string{"go_goroutines", "process_start_time_seconds", "process_cpu_seconds_total"} {
		if runtime.GOOS != "linux" && strings.HasPrefix(name, "process_") {
			continue // Other systems tell less.
		}
		if !shown(name) {
			t.Errorf("%s is not shown", name)
		}
	}
}

// documented are the names of all metrics.
func documented() (names []string) {
	for line := range strings.Lines(telemetry.Reference(false)) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "`"); ok && strings.HasPrefix(line, "| `carrier_") {
			names = append(names, name)
		}
	}
	return names
}
