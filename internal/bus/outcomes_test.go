package bus

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"carrier/internal/state"
	"carrier/internal/store"
)

func fullNotice() store.Notice {
	at := time.Date(2026, 1, 2, 15, 30, 0, 250_000_000, time.FixedZone("CST", 8*3600))
	return store.Notice{
		Number: 77, Seq: 1234, Nth: 2, At: at, Status: store.Failed, ReceivedAt: at.Add(-time.Minute), Tries: 5,
		Event: state.Event{
			ID: "scan-0001", Source: "courier-app", DeliveryID: "SF", WaybillID: "SF 运\"1%", Type: state.Signed, Time: 1767339000,
			Msg: secretText, Token: secretToken, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		},
		Errcode: -1, Errmsg: "system error <busy>", Reason: store.ReasonExhausted, Replay: 3,
	}
}

// TestOutcomeOnTheWire: the subject, every header and every member, to the letter.
func TestOutcomeOnTheWire(t *testing.T) {
	n := fullNotice()
	got, err := outcomeMsg(&n, instanceName)
	if err != nil {
		t.Fatal(err)
	}
	wantBody := `{"seq":1234,"event_id":"scan-0001","source":"courier-app","delivery_id":"SF","waybill_id":"SF 运\"1%","action_type":300003,` +
		`"action_time":1767339000,"status":"failed","attempts":5,"errcode":-1,"errmsg":"system error <busy>","reason":"retries_ended",` +
		`"received_at":"2026-01-02T07:29:00.25Z","ended_at":"2026-01-02T07:30:00.25Z","replay":"3"}`
	if got.Subject != "carrier.outcomes.SF.failed" || string(got.Data) != wantBody {
		t.Errorf("on %s:\n%s, want\n%s", got.Subject, got.Data, wantBody)
	}
	want := map[string]string{
		"Nats-Msg-Id": "1234-2", "content-type": "application/json", "traceparent": n.Event.Trace,
		"ce-specversion": "1.0", "ce-id": "1234-2", "ce-source": "/carrier/" + instanceName + "/accounts/SF", "ce-type": "carrier.push.failed",
		"ce-subject": "SF%20%E8%BF%90%221%25", "ce-time": "2026-01-02T07:30:00.25Z", "ce-sequence": "00000000000000000077",
	}
	if got := flat(got.Header); !maps.Equal(got, want) {
		t.Errorf("the headers are\n%v, want\n%v", got, want)
	}
}

// fullDifference is a notice of a waybill with all kinds of differences.
func fullDifference() store.Notice {
	at := time.Date(2026, 1, 2, 15, 30, 0, 0, time.FixedZone("CST", 8*3600))
	w := state.Waybill{DeliveryID: "SF", WaybillID: "运1"}
	return store.Notice{
		Number: 78, At: at, Event: state.Event{DeliveryID: w.DeliveryID, WaybillID: w.WaybillID},
		Difference: &store.Difference{
			Waybill: w, Merchant: "shop", FoundAt: at.Add(-time.Hour), CheckedAt: at, Missing: []uint64{7, 9}, Changed: []uint64{8}, Extra: 2,
		},
	}
}

// TestDifferenceOnTheWire: the subject, every header and every member, to the letter, of a waybill that differs and of one
// that does not any more.
func TestDifferenceOnTheWire(t *testing.T) {
	n := fullDifference()
	const found = `,"merchant":"shop","found_at":"2026-01-02T06:30:00Z","checked_at":"2026-01-02T07:30:00Z"`
	for _, tt := range []struct{ status, names string }{
		{"differs", `,"missing":[7,9],"changed":[8],"moved":[],"extra":2`},
		{"agrees", ""},
	} {
		t.Run(tt.status, func(t *testing.T) {
			got, err := outcomeMsg(&n, instanceName)
			if err != nil {
				t.Fatal(err)
			}
			wantBody := `{"delivery_id":"SF","waybill_id":"运1","status":"` + tt.status + `"` + found + tt.names + `}`
			if got.Subject != "carrier.outcomes.SF."+tt.status || string(got.Data) != wantBody {
				t.Errorf("on %s:\n%s, want\n%s", got.Subject, got.Data, wantBody)
			}
			want := map[string]string{
				"Nats-Msg-Id": "w78", "content-type": "application/json", "ce-specversion": "1.0", "ce-id": "w78",
				"ce-source": "/carrier/" + instanceName + "/accounts/SF", "ce-type": "carrier.waybill." + tt.status,
				"ce-subject": "%E8%BF%901", "ce-time": "2026-01-02T07:30:00Z", "ce-sequence": "00000000000000000078",
			}
			if got := flat(got.Header); !maps.Equal(got, want) {
				t.Errorf("the headers are\n%v, want\n%v", got, want)
			}
		})
		n.Difference.Missing, n.Difference.Changed, n.Difference.Extra = nil, nil, 0
	}
}

func flat(h nats.Header) map[string]string {
	m := map[string]string{}
	for name, values := range h {
		m[name] = values[0]
	}
	return m
}

// TestEveryStatusHasItsOutcome: its word and its type, and what only a rejected event has.
func TestEveryStatusHasItsOutcome(t *testing.T) {
	tests := []struct {
		status       store.Status
		word, ceType string
	}{
		{store.Delivered, "delivered", "carrier.push.delivered"},
		{store.Failed, "failed", "carrier.push.failed"},
		{store.Discarded, "discarded", "carrier.push.discarded"},
		{store.NoPush, "rejected", "carrier.event.rejected"},
	}
	for _, tt := range tests {
		t.Run(tt.word, func(t *testing.T) {
			n := store.Notice{Number: 1, Seq: 1, Nth: 1, Status: tt.status, Event: state.Event{DeliveryID: "顺丰", WaybillID: "W1"}, Cause: 7}
			got, err := outcomeMsg(&n, instanceName)
			if err != nil {
				t.Fatal(err)
			}
			if got.Subject != "carrier.outcomes.顺丰."+tt.word || got.Header["ce-type"][0] != tt.ceType || got.Header["ce-id"][0] != "1" {
				t.Errorf("on %s with %v", got.Subject, got.Header)
			}
			if want := "/carrier/" + instanceName + "/accounts/%25E9%25A1%25BA%25E4%25B8%25B0"; got.Header["ce-source"][0] != want {
				t.Errorf("the source is %s", got.Header["ce-source"])
			}
			var members map[string]any
			if err := json.Unmarshal(got.Data, &members); err != nil {
				t.Fatal(err)
			}
			if members["status"] != tt.word {
				t.Errorf("the status is %v", members["status"])
			}
			for _, name := range []string{"replay", "from", "allowed"} {
				if _, has := members[name]; has {
					t.Errorf("%s is there: %v", name, members)
				}
			}
			if _, cause := members["cause"]; cause != (tt.word == "rejected") {
				t.Errorf("the cause is %v", members["cause"])
			}
		})
	}
	for _, n := range []store.Notice{
		{Status: store.Pending, Event: state.Event{DeliveryID: "SF"}}, {Status: store.Delivered}, {Status: store.Failed, Event: state.Event{DeliveryID: "a.b"}},
	} {
		if m, err := outcomeMsg(&n, instanceName); err == nil {
			t.Errorf("%+v is told on %s", n, m.Subject)
		}
	}
}

// TestRejectedOutcome: a stage and a list that are empty are there, and only where they are known.
func TestRejectedOutcome(t *testing.T) {
	n := store.Notice{Number: 1, Seq: 1, Nth: 1, Event: state.Event{DeliveryID: "SF"}, From: state.Created, Allowed: []state.ActionType{}}
	if m, err := outcomeMsg(&n, instanceName); err != nil || !strings.Contains(string(m.Data), `"from":"created","allowed":[]}`) {
		t.Errorf("rejected as it came: %v", err)
	}
	n.Allowed = nil
	if m, err := outcomeMsg(&n, instanceName); err != nil || strings.Contains(string(m.Data), "from") {
		t.Errorf("held first: %v", err)
	}
}

func TestSubjectTokens(t *testing.T) {
	for token, want := range map[string]bool{
		"SF": true, "顺丰": true, "a-b_c": true, "": false, "a.b": false, "a b": false, "*": false, "a>": false, "a\n": false, "\xff": false, "\u00a0": false,
	} {
		if got := isSubjectToken(token); got != want {
			t.Errorf("%q: %t", token, got)
		}
	}
}
