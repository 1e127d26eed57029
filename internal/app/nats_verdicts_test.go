package app_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"carrier/internal/app/apptest"
)

// natsCase is one message and what becomes of it, whichever way it comes.
type natsCase struct {
	name     string
	body     string
	header   nats.Header
	verdict  string
	original string // Of a duplicate.
	reason   string // Of the verdict; empty: none.
	status   int    // Of the problem; 0: none.
	code     string
	field    string // That must be among the problem's errors; empty: any.
}

// verdictCases give every verdict there is, for waybills that begin with prefix. They build on one another.
func verdictCases(t *testing.T, prefix string) []natsCase {
	t.Helper()
	body := func(waybill string, n, action int, change func(*apptest.Event)) string {
		e := scan(prefix+waybill, n, action)
		if change != nil {
			change(&e)
		}
		return string(asJSON(t, e))
	}
	first, illegal := body("A", 1, 100001, nil), body("A", 9, 100003, nil)
	other := func(change func(*apptest.Event)) string { return body("A", 1, 100001, change) }
	return []natsCase{
		{name: "accepted", body: first, verdict: "accepted"},
		{name: "held", body: body("B", 3, 300003, nil), verdict: "held", reason: "missing_scan"},
		{name: "the same content under another id", body: other(func(e *apptest.Event) { e.ID += "b" }), verdict: "ignored", reason: "repeats_event"},
		{name: "the same stage again", body: other(func(e *apptest.Event) { e.ID += "c"; e.ActionTime += 30 }), verdict: "ignored", reason: "repeats_stage"},
		{name: "the same event again", body: first, verdict: "duplicate", original: "accepted"},
		{name: "rejected", body: illegal, verdict: "rejected", reason: "illegal_transition", status: 409, code: "rejected"},
		{name: "the rejected event again", body: illegal, verdict: "duplicate", original: "rejected", reason: "illegal_transition"},
		{name: "its id with another text", body: other(func(e *apptest.Event) { e.ActionMsg += "!" }), verdict: "conflict", status: 409, code: "conflict"},
		{name: "its id with another waybill", body: other(func(e *apptest.Event) { e.WaybillID += "2" }), verdict: "conflict", status: 409, code: "conflict"},
		{name: "cut short", body: first[:40], verdict: "invalid", status: 400, code: "malformed_json"},
		{name: "nothing", body: "", verdict: "invalid", status: 400, code: "malformed_json"},
		{name: "not UTF-8", body: strings.Replace(first, "扫描", "\xff\xfe", 1), verdict: "invalid", status: 400, code: "not_utf8"},
		{name: "without a waybill", body: other(func(e *apptest.Event) { e.ID += "d"; e.WaybillID = "" }), verdict: "invalid", status: 422, code: "invalid_event", field: "waybill_id"},
		{name: "in milliseconds", body: other(func(e *apptest.Event) { e.ID += "e"; e.ActionTime *= 1000 }), verdict: "invalid", status: 422, code: "invalid_event", field: "action_time"},
		{name: "of an account that is none", body: other(func(e *apptest.Event) { e.ID += "f"; e.DeliveryID = "JD" }), verdict: "invalid", status: 422, code: "invalid_event", field: "delivery_id"},
		{name: "as text", body: first, header: nats.Header{"Content-Type": {"text/plain"}}, verdict: "invalid", status: 415, code: "unsupported_media_type"},
		{name: "compressed", body: first, header: nats.Header{"Content-Encoding": {"gzip"}}, verdict: "invalid", status: 415, code: "unsupported_encoding"},
		{name: "in another charset", body: first, header: nats.Header{"content-type": {"application/json; charset=gbk"}}, verdict: "invalid", status: 415, code: "unsupported_charset"},
	}
}

// TestNATSVerdicts sends the same messages over HTTP, by request and through JetStream. The answers of the first two
// are equal; of the third, what became of each shows in what is kept, acknowledged, terminated and told.
func TestNATSVerdicts(t *testing.T) {
	r := startNATS(t, nil)
	overHTTP := func(c *natsCase) apptest.Answer {
		status, head, body, err := r.s.Do(t.Context(), http.MethodPost, r.s.Events+"/v1/events", "application/json", []byte(c.body), func(req *http.Request, _ []byte) {
			for name, values := range c.header {
				req.Header[http.CanonicalHeaderKey(name)] = values
			}
			req.Header.Set("Authorization", "Bearer "+r.settings.Key)
		})
		a := apptest.Answer{HTTP: status, Head: head, Body: body}
		if err != nil || json.Unmarshal(body, &a) != nil {
			t.Fatalf("%s: %d %s, %v", c.name, status, body, err)
		}
		if a.Code == "" {
			a.HTTP = 0 // As requests over NATS have it.
		}
		return a
	}
	byRequest := func(c *natsCase) apptest.Answer { return r.submit("sorter-7", []byte(c.body), c.header) }
	answers := map[string][]apptest.Answer{}
	for name, way := range map[string]func(*natsCase) apptest.Answer{"HTTP": overHTTP, "REQ": byRequest} {
		t.Run(name, func(t *testing.T) {
			for _, c := range verdictCases(t, name) {
				a := way(&c)
				c.check(t, &a)
				answers[name] = append(answers[name], a)
			}
		})
	}
	sameAnswers(t, answers["HTTP"], answers["REQ"])
	t.Run("JetStream", func(t *testing.T) { throughJetStream(t, r) })
	for n, action := range []int{100001, 300002} { // What was held goes on.
		r.s.Send(t, scan("HTTPB", n+1, action))
		r.submit("sorter-7", asJSON(t, scan("REQB", n+1, action)), nil)
		r.publishEvents("sorter-7", scan("JSB", n+1, action))
	}
	r.drained()
	r.s.Settled(t, later)
	for _, prefix := range []string{"HTTP", "REQ", "JS"} {
		want := trace(story(prefix+"B", 100001, 300002, 300003)...)
		if got := r.up.Nodes(prefix + "B").Nodes; !slices.Equal(got, want) {
			t.Errorf("upstream has %+v of the held scan, want %+v", got, want)
		}
		if got := r.up.Nodes(prefix + "A").Nodes; len(got) != 1 {
			t.Errorf("upstream has %+v, want the one accepted scan", got)
		}
	}
}

// check compares an answer with what is wanted.
func (c *natsCase) check(t *testing.T, a *apptest.Answer) {
	t.Helper()
	if a.Verdict != c.verdict || a.Original != c.original || a.HTTP != c.status || a.Code != c.code {
		t.Errorf("%s: answered %q (%q), %d %q; want %q (%q), %d %q: %s", c.name, a.Verdict, a.Original, a.HTTP, a.Code,
			c.verdict, c.original, c.status, c.code, a.Body)
	}
	if a.Reason != c.reason {
		t.Errorf("%s: the reason is %q, want %q", c.name, a.Reason, c.reason)
	}
	if known := c.verdict != "invalid"; known != (a.Seq != 0) {
		t.Errorf("%s: the number is %d: %s", c.name, a.Seq, a.Body)
	}
	if c.verdict == "rejected" && (a.From != "picked_up" || !slices.Equal(a.Allowed, apptest.Allowed("picked_up"))) {
		t.Errorf("rejected from %q, allowed %v", a.From, a.Allowed)
	}
	if c.field == "" {
		return
	}
	for _, e := range a.Errors {
		if e.Field == c.field && e.Code != "" {
			return
		}
	}
	t.Errorf("%s: the errors don't name %s: %s", c.name, c.field, a.Body)
}

// sameAnswers fails if the two ways answer the same messages otherwise, but for numbers and names.
func sameAnswers(t *testing.T, overHTTP, byRequest []apptest.Answer) {
	t.Helper()
	for i, a := range overHTTP {
		b := byRequest[i]
		var one, other map[string]json.RawMessage
		if err := json.Unmarshal(a.Body, &one); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b.Body, &other); err != nil {
			t.Fatal(err)
		}
		if got, want := slices.Sorted(maps.Keys(other)), slices.Sorted(maps.Keys(one)); !slices.Equal(got, want) {
			t.Errorf("over NATS the answer is %s, over HTTP %s", b.Body, a.Body)
		}
		for _, member := range []string{"type", "title", "status", "verdict", "stage", "errors"} {
			if string(one[member]) != string(other[member]) {
				t.Errorf("%s is %s over NATS, and %s over HTTP", member, other[member], one[member])
			}
		}
	}
}

// throughJetStream publishes every case, and accounts for each.
func throughJetStream(t *testing.T, r *natsRig) {
	terminated, err := r.nc.SubscribeSync("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED." + eventsStream + "." + intakeConsumer)
	if err != nil {
		t.Fatal(err)
	}
	var wantDead []natsCase
	var wantTerminated []uint64
	want := map[string]int{} // Events by verdict.
	for _, c := range verdictCases(t, "JS") {
		seq := r.publish("sorter-7", []byte(c.body), c.header)
		switch c.verdict {
		case "invalid", "conflict":
			wantDead, wantTerminated = append(wantDead, c), append(wantTerminated, seq)
		case "duplicate":
		default:
			want[c.verdict]++
		}
	}
	r.drained()
	got := map[string]int{}
	for _, e := range r.s.EventsOf(t, "source=sorter-7") {
		if strings.HasPrefix(e.WaybillID, "JS") {
			got[e.Verdict]++
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	r.wantDead(t, "sorter-7", wantDead)
	var told []uint64
	for range wantTerminated {
		m, err := terminated.NextMsg(soon)
		if err != nil {
			t.Fatalf("%d messages were terminated, want %d: %v", len(told), len(wantTerminated), err)
		}
		var advisory server.JSConsumerDeliveryTerminatedAdvisory
		if err := json.Unmarshal(m.Data, &advisory); err != nil || advisory.Reason == "" || advisory.Deliveries != 1 {
			t.Errorf("terminated with %s (%v), want a reason, at the first delivery", m.Data, err)
		}
		told = append(told, advisory.StreamSeq)
	}
	slices.Sort(told)
	if !slices.Equal(told, wantTerminated) {
		t.Errorf("the messages %v were terminated, want %v", told, wantTerminated)
	}
	if pending, _, err := terminated.Pending(); err != nil || pending != 0 {
		t.Errorf("%d more messages were terminated (%v)", pending, err)
	}
}

// wantDead checks that the dead letters are those of the cases, in any order.
func (r *natsRig) wantDead(t *testing.T, source string, cases []natsCase) {
	t.Helper()
	missing := map[string]natsCase{}
	for _, c := range cases {
		// The admin API shows no Token, not even that of a message that could not be read.
		missing[c.code+" "+strings.ReplaceAll(c.body, `"token-JSA"`, `"***"`)] = c
	}
	for _, d := range r.deadLetters() {
		if d.Source != source || d.Subject != "carrier.events."+source || d.Reason == "" {
			t.Errorf("a dead letter is %+v", d)
		}
		letter := d.Code + " " + d.bytes(t)
		if _, ok := missing[letter]; !ok {
			t.Errorf("a dead letter is %.300q", letter)
		}
		delete(missing, letter)
	}
	for letter, c := range missing {
		t.Errorf("%s: there is no dead letter %.300q", c.name, letter)
	}
}
