package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// refusing are faults by which the next pushes of a waybill are answered an errcode.
func refusing(waybill string, errcode, times int) sandbox.Faults {
	return sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{waybill: {Errcode: errcode, Times: times}}}
}

// wantOutcome is an outcome as far as a test knows it beforehand.
type wantOutcome struct {
	id      string // Nats-Msg-Id.
	status  string
	event   apptest.Event
	seq     uint64
	errcode int
	reason  string
	from    string
	replay  bool
}

// TestNATSOutcomes ends pushes in every way, and some of them twice, all of it within the server's window for
// duplicates: each end is told, with its headers, and nothing that is private is told.
func TestNATSOutcomes(t *testing.T) {
	r := startNATS(t, nil)
	r.up.Faulty(t, refusing("FAILS", 47001, 1))
	told := 0
	var want []wantOutcome
	tell := func(more ...wantOutcome) { // Waits, so that the order is known.
		t.Helper()
		want, told = append(want, more...), told+len(more)
		r.outcomes(told)
	}
	text := func(e apptest.Event) apptest.Event {
		e.ActionMsg, e.Token = "张三【"+canaryPhone+"】"+e.ActionMsg, canaryToken
		return e
	}

	delivered := text(scan("单号-%1+\"ü", 1, 100001))
	seq := r.s.Accept(t, delivered)[0]
	tell(wantOutcome{id: fmt.Sprint(seq), status: "delivered", event: delivered, seq: seq})

	fails := text(scan("FAILS", 1, 100001))
	a := r.submit("sorter-7", asJSON(t, fails), nil)
	tell(wantOutcome{id: fmt.Sprint(a.Seq), status: "failed", event: fails, seq: a.Seq, errcode: 47001})
	r.s.Call(t, http.MethodPost, fmt.Sprintf("/admin/v1/pushes/%d/replay", a.Seq), map[string]string{"reason": "mended"}, http.StatusAccepted, nil)
	tell(wantOutcome{id: fmt.Sprintf("%d-2", a.Seq), status: "delivered", event: fails, seq: a.Seq, replay: true})
	r.s.Call(t, http.MethodPost, fmt.Sprintf("/admin/v1/pushes/%d/replay", a.Seq), map[string]any{"force": true}, http.StatusAccepted, nil)
	tell(wantOutcome{id: fmt.Sprintf("%d-3", a.Seq), status: "delivered", event: fails, seq: a.Seq, replay: true})

	tokenless := text(scan("DISCARDED", 1, 100001))
	tokenless.Token = ""
	seq = r.s.Accept(t, tokenless)[0]
	r.s.Call(t, http.MethodPost, fmt.Sprintf("/admin/v1/pushes/%d/discard", seq), map[string]string{"reason": "scanned by mistake"}, http.StatusOK, nil)
	tell(wantOutcome{id: fmt.Sprint(seq), status: "discarded", event: tokenless, seq: seq, reason: "scanned by mistake"})

	picked, rejected := text(scan("REJECTED", 1, 100001)), text(scan("REJECTED", 2, 100003))
	seq = r.s.Accept(t, picked)[0]
	tell(wantOutcome{id: fmt.Sprint(seq), status: "delivered", event: picked, seq: seq})
	r.publishEvents("sorter-7", rejected)
	tell(wantOutcome{id: fmt.Sprint(seq + 1), status: "rejected", event: rejected, seq: seq + 1, reason: "illegal_transition", from: "picked_up"})
	r.s.Call(t, http.MethodPost, fmt.Sprintf("/admin/v1/events/%d/accept", seq+1), map[string]string{"reason": "it is right"}, http.StatusOK, nil)
	tell(wantOutcome{id: fmt.Sprintf("%d-2", seq+1), status: "delivered", event: rejected, seq: seq + 1})

	got := r.outcomes(told)
	if len(got) != len(want) {
		t.Fatalf("%d outcomes are told, want %d", len(got), len(want))
	}
	number := ""
	for i, w := range want {
		w.check(t, r, &got[i])
		if n := got[i].header("ce-sequence"); n <= number {
			t.Errorf("outcome %d has the number %q after %q", i, n, number)
		} else {
			number = n
		}
	}
}

// outcomeMembers are those of every outcome; rejected ones have more.
var outcomeMembers = []string{"action_time", "action_type", "attempts", "delivery_id", "ended_at", "errcode", "errmsg", "event_id", "reason",
	"received_at", "seq", "source", "status", "waybill_id"}

// sourceOfSF names a store and its account: numbers are unique only within a store.
var sourceOfSF = regexp.MustCompile(`^/carrier/[0-9A-Za-z-]{16,}/accounts/SF$`)

func (w *wantOutcome) check(t *testing.T, r *natsRig, o *outcome) {
	t.Helper()
	name := w.status + " " + w.id
	if want := "carrier.outcomes.SF." + w.status; o.Subject != want {
		t.Errorf("%s is told on %s, want %s", name, o.Subject, want)
	}
	kind := "carrier.push." + w.status
	if w.status == "rejected" {
		kind = "carrier.event.rejected"
	}
	for header, want := range map[string]string{
		nats.MsgIdHdr: w.id, "ce-id": w.id, "ce-specversion": "1.0", "ce-type": kind, "content-type": "application/json",
		"traceparent": "",
	} {
		if got := o.header(header); got != want {
			t.Errorf("%s: %s is %q, want %q", name, header, got, want)
		}
	}
	if source := o.header("ce-source"); !sourceOfSF.MatchString(source) {
		t.Errorf("%s: ce-source is %q, want /carrier/STORE/accounts/SF", name, source)
	}
	if subject := o.header("ce-subject"); strings.ContainsFunc(subject, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' }) {
		t.Errorf("%s: ce-subject %q is not percent-encoded", name, subject)
	} else if back, err := url.PathUnescape(subject); err != nil || back != w.event.WaybillID {
		t.Errorf("%s: ce-subject %q is %q (%v), want %q", name, subject, back, err, w.event.WaybillID)
	}
	if n := o.header("ce-sequence"); len(n) != 20 {
		t.Errorf("%s: ce-sequence is %q, want 20 digits", name, n)
	} else if _, err := strconv.ParseUint(n, 10, 64); err != nil {
		t.Errorf("%s: ce-sequence is %q", name, n)
	}
	at, err := time.Parse(time.RFC3339Nano, o.header("ce-time"))
	if err != nil || !at.Equal(o.EndedAt) || time.Since(at) > later || o.ReceivedAt.After(o.EndedAt) {
		t.Errorf("%s: ce-time is %q (%v), ended_at %v, received_at %v", name, o.header("ce-time"), err, o.EndedAt, o.ReceivedAt)
	}
	w.checkBody(t, name, r, o)
	for _, private := range []string{canaryPhone, canaryToken, "扫描", "action_msg", `"token"`} {
		if strings.Contains(fmt.Sprint(o.Header), private) || strings.Contains(string(o.Raw), private) {
			t.Errorf("%s: %q is told: %v %s", name, private, o.Header, o.Raw)
		}
	}
}

func (w *wantOutcome) checkBody(t *testing.T, name string, r *natsRig, o *outcome) {
	t.Helper()
	e := &w.event
	if o.Seq != w.seq || o.EventID != e.ID || o.DeliveryID != "SF" || o.WaybillID != e.WaybillID || o.ActionType != e.ActionType ||
		o.ActionTime != e.ActionTime || o.Status != w.status || o.Errcode != w.errcode || o.From != w.from {
		t.Errorf("%s: the body is %s, want %+v", name, o.Raw, w)
	}
	if w.reason != "" && o.Reason != w.reason || w.status == "failed" && o.Reason == "" {
		t.Errorf("%s: the reason is %q, want %q", name, o.Reason, w.reason)
	}
	if kept := r.s.EventsOf(t, "waybill_id="+url.QueryEscape(e.WaybillID)); !slices.ContainsFunc(kept, func(k apptest.StoredEvent) bool {
		return k.Seq == o.Seq && k.Source == o.Source && k.EventID == o.EventID
	}) {
		t.Errorf("%s: the source is %q, of %+v", name, o.Source, kept)
	}
	tried := w.status == "delivered" || w.status == "failed"
	if tried != (o.Attempts > 0) {
		t.Errorf("%s: %d attempts", name, o.Attempts)
	}
	if w.status == "rejected" && !slices.Equal(o.Allowed, apptest.Allowed("picked_up")) {
		t.Errorf("%s: allowed are %v", name, o.Allowed)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(o.Raw, &members); err != nil {
		t.Fatal(err)
	}
	if _, replayed := members["replay"]; replayed != w.replay {
		t.Errorf("%s: replay is %s", name, members["replay"])
	}
	for _, optional := range []string{"replay", "from", "allowed", "cause"} {
		delete(members, optional)
	}
	if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, outcomeMembers) {
		t.Errorf("%s: the members are %q, want %q", name, got, outcomeMembers)
	}
}

// TestNATSOutcomesInOrder: outcomes of many waybills are told in the order of their numbers, each once while nothing
// breaks, also over a restart of the service.
func TestNATSOutcomesInOrder(t *testing.T) {
	const waybills = 300
	r := startNATS(t, nil)
	events := fleet("ORDER", waybills, 100001, 200001, 300002)
	half := len(events) / 2
	for _, part := range [][]apptest.Event{events[:half], events[half:]} {
		sendAll(t, r.s, part)
		r.s.stop() // Some are delivered and not told yet.
		r.start()
	}
	r.s.Settled(t, later)
	told := r.outcomes(len(events))
	last := map[string]int64{}
	number := ""
	seen := map[string]bool{}
	for _, o := range told {
		if n := o.header("ce-sequence"); n <= number {
			t.Errorf("the number %q comes after %q", n, number)
		} else {
			number = n
		}
		if o.ActionTime <= last[o.WaybillID] {
			t.Errorf("waybill %s: the scan of %d is told after that of %d", o.WaybillID, o.ActionTime, last[o.WaybillID])
		}
		last[o.WaybillID] = o.ActionTime
		if id := o.header(nats.MsgIdHdr); seen[id] || id != fmt.Sprint(o.Seq) {
			t.Errorf("event %d is told as %q (before: %v)", o.Seq, id, seen[id])
		} else {
			seen[id] = true
		}
	}
	if len(told) != len(events) {
		t.Errorf("%d outcomes, want %d", len(told), len(events))
	}
}

// TestNATSTraces: the trace context that an event comes with, whichever way, goes out with its outcome.
func TestNATSTraces(t *testing.T) {
	r := startNATS(t, nil)
	parent := func(n int) string { return fmt.Sprintf("00-4bf92f3577b34da6a3ce929d0e0e%04x-00f067aa0ba902b7-01", n+1) }
	want := map[string]string{} // By waybill.
	post := func(waybill string, header map[string]string) {
		t.Helper()
		status, _, body, err := r.s.Do(t.Context(), http.MethodPost, r.s.Events+"/v1/events", "application/json", asJSON(t, scan(waybill, 1, 100001)),
			func(req *http.Request, _ []byte) {
				req.Header.Set("Authorization", "Bearer "+r.settings.Key)
				for name, value := range header {
					req.Header.Set(name, value)
				}
			})
		if err != nil || status != http.StatusAccepted {
			t.Fatalf("%s: %d %s, %v", waybill, status, body, err)
		}
	}
	post("HTTP", map[string]string{"traceparent": parent(0)})
	want["HTTP"] = parent(0)
	post("NONE", nil)
	want["NONE"] = ""
	for i, name := range []string{"traceparent", "Traceparent", "TRACEPARENT"} {
		for j, byRequest := range []bool{true, false} {
			waybill, p := fmt.Sprintf("NATS%d%d", i, j), parent(1+2*i+j)
			want[waybill] = p
			if byRequest {
				r.submit("sorter-7", asJSON(t, scan(waybill, 1, 100001)), nats.Header{name: {p}})
			} else {
				r.publish("sorter-7", asJSON(t, scan(waybill, 1, 100001)), nats.Header{name: {p}})
			}
		}
	}
	attributes := nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"ce-trace"}, "ce-source": {"/s"}, "ce-type": {"t"}, "ce-traceparent": {parent(20)}}
	if a := r.submit("sorter-7", withoutID(t, scan("BINARY", 1, 100001)), attributes); a.Verdict != "accepted" {
		t.Errorf("a CloudEvent in binary mode is answered %s", a.Body)
	}
	want["BINARY"] = parent(20)
	for i, bad := range []string{
		"", "x", strings.ToUpper(parent(1)), parent(1) + "-00", "ff" + parent(1)[2:], "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", parent(1)[:54], strings.ReplaceAll(parent(1), "-", "_"),
	} {
		waybill := fmt.Sprint("BAD", i)
		want[waybill] = ""
		if a := r.submit("sorter-7", asJSON(t, scan(waybill, 1, 100001)), nats.Header{"traceparent": {bad}}); a.Verdict != "accepted" {
			t.Errorf("with the traceparent %q: %s; a broken one is no error", bad, a.Body)
		}
	}
	got := map[string]string{}
	for _, o := range r.outcomes(len(want)) {
		got[o.WaybillID] = o.header("traceparent")
	}
	if !maps.Equal(got, want) {
		t.Errorf("the traces are\n%v, want\n%v", got, want)
	}
}
