package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

func TestTakeReachesTheStore(t *testing.T) {
	b := newBench(t)
	r := b.takeOne(message(goodEvent, nil))
	want := state.Event{
		ID: "scan-0001", Source: "courier-app", DeliveryID: "SF", WaybillID: "12345678901234567890",
		Type: state.DeliveryBegun, Time: 1533052800, Msg: secretMsg, Token: secretToken,
	}
	if got := b.store.all(); !slices.Equal(got, []state.Event{want}) {
		t.Errorf("stored\n%+v, want\n%+v", got, want)
	}
	const answer = `{"id":"scan-0001","waybill_id":"12345678901234567890","verdict":"accepted","stage":"out_for_delivery","seq":1}`
	if string(r.Answer) != answer {
		t.Errorf("answered %s, want %s", r.Answer, answer)
	}
}

// TestOneApplyInOrder mixes readable and unreadable messages of several sources, an id twice among them.
func TestOneApplyInOrder(t *testing.T) {
	b := newBench(t)
	b.store.decide = func(events []state.Event) ([]store.Result, error) {
		results := make([]store.Result, len(events))
		for i := range results {
			results[i] = store.Result{Seq: uint64(i + 1), Verdict: state.Accepted, Stage: state.OutForDelivery}
		}
		results[2] = store.Result{Seq: 1, Verdict: state.Duplicate, Original: state.Accepted}
		results[4] = store.Result{Seq: 9, Verdict: state.Rejected, Reason: state.IllegalStep, Allowed: []state.ActionType{}}
		results[5] = store.Result{Seq: 2, Verdict: state.Conflict}
		return results, nil
	}
	other := Message{Source: "dispatch", Header: ceHeaders(), Body: []byte(noID())}
	replies := b.take(
		message(with("id", `"a"`), nil), message("{", nil), message(with("id", `"b"`), nil), message(with("id", `"a"`), nil),
		Message{Source: "wechat", Body: []byte(good())}, other, message(with("id", `"c"`), headers{"content-type": {"text/xml"}}),
		message(with("id", `"d"`), nil), message(with("id", `"e"`), nil))
	var got []string
	for i := range replies {
		got = append(got, strings.TrimSpace(replies[i].ID+" "+outcome(&replies[i])))
	}
	want := []string{"a accepted", "malformed_json", "b accepted", "a duplicate", "invalid_request", "ce-1 accepted",
		"unsupported_media_type", "d rejected", "e conflict"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	var ids []string
	for _, e := range b.store.all() {
		ids = append(ids, e.Source+" "+e.ID)
	}
	wantIDs := []string{"courier-app a", "courier-app b", "courier-app a", "dispatch ce-1", "courier-app d", "courier-app e"}
	if len(b.store.applied) != 1 || !slices.Equal(ids, wantIDs) {
		t.Errorf("%d calls of Apply with %q, want one with %q", len(b.store.applied), ids, wantIDs)
	}
	observed := map[string]int{"courier-app accepted": 2, "courier-app duplicate": 1, "courier-app rejected": 1, "courier-app conflict": 1,
		"courier-app invalid": 2, "other accepted": 1, "other invalid": 1}
	if !maps.Equal(b.observed, observed) {
		t.Errorf("observed %v, want %v", b.observed, observed)
	}
	if lines := strings.Count(b.log.String(), `"msg":"event refused"`); lines != 3 {
		t.Errorf("%d lines of refused events, want 3 (malformed, rejected, conflict):\n%s", lines, b.log)
	}
}

func TestVerdictsOfMessages(t *testing.T) {
	for _, v := range state.Verdicts() {
		if v == state.Invalid {
			continue // The store gives none.
		}
		t.Run(v.String(), func(t *testing.T) {
			b := newBench(t)
			b.store.decide = func([]state.Event) ([]store.Result, error) {
				return []store.Result{{Seq: 7, Verdict: v, Allowed: []state.ActionType{}}}, nil
			}
			r := b.takeOne(message(good(), nil))
			if r.Verdict != v || r.ID != "scan-0001" || r.Durable() != (v != state.Conflict) {
				t.Errorf("got %v of %q, durable %v", r.Verdict, r.ID, r.Durable())
			}
			if refused := v == state.Rejected || v == state.Conflict; refused != (r.Problem != nil) {
				t.Errorf("problem %v", r.Problem)
			}
		})
	}
}

func TestStoreTroubleOfMessages(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		code  problem.Code
		after time.Duration
	}{
		{"disk low", fmt.Errorf("/var/lib/carrier: %w", store.ErrDiskLow), problem.StoreUnavailable, 30 * time.Second},
		{"closing", store.ErrClosing, problem.StoreUnavailable, 5 * time.Second},
		{"unavailable", fmt.Errorf("%w: dial tcp 10.0.0.1", store.ErrUnavailable), problem.StoreUnavailable, 2 * time.Second},
		{"unknown", errors.New("connection lost in COMMIT"), problem.OutcomeUnknown, time.Second},
		{"miscounted", nil, problem.OutcomeUnknown, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.store.decide = func([]state.Event) ([]store.Result, error) { return nil, tt.err }
			replies := b.take(message(good(), nil), message("{", nil), Message{Source: "dispatch", Body: []byte(good())})
			for _, i := range []int{0, 2} {
				after, again := replies[i].Again()
				if !again || after != tt.after || replies[i].Problem.Code != tt.code || replies[i].ID != "scan-0001" {
					t.Errorf("reply %d: again %v after %v, %s", i, again, after, outcome(&replies[i]))
				}
				if text := string(replies[i].Problem.JSON(problem.English)); strings.Contains(text, "/var") || strings.Contains(text, "10.0") {
					t.Errorf("the reply tells what is inside: %s", text)
				}
			}
			if outcome(&replies[1]) != "malformed_json" {
				t.Errorf("the unreadable one: %s", outcome(&replies[1]))
			}
			want := map[string]int{"courier-app unavailable": 1, "courier-app invalid": 1, "other unavailable": 1}
			if !maps.Equal(b.observed, want) {
				t.Errorf("observed %v, want %v", b.observed, want)
			}
			_, p := b.hook.TakeBatch(t.Context(), message("["+good()+","+good()+",7]", nil))
			if p == nil || p.Code != tt.code || p.RetryAfter != tt.after || b.observed["courier-app unavailable"] != 3 {
				t.Errorf("as a batch: %v, observed %v", p, b.observed)
			}
		})
	}
}

// TestNotReadyTakesNothing: while the store takes nothing, nothing is said of what a message holds; but one in a form
// that is never read need not come again.
func TestNotReadyTakesNothing(t *testing.T) {
	b := newBench(t)
	b.store.ready = store.ErrClosing
	replies := b.take(message(good(), nil), message("{", nil), message(good(), headers{"content-type": {"text/xml"}}), Message{Source: "a.b"})
	want := []string{"store_unavailable", "store_unavailable", "unsupported_media_type", "invalid_request"}
	for i := range replies {
		if outcome(&replies[i]) != want[i] {
			t.Errorf("reply %d: %s, want %s", i, outcome(&replies[i]), want[i])
		}
	}
	if after, again := replies[0].Again(); !again || after != 5*time.Second {
		t.Errorf("again %v after %v", again, after)
	}
	if _, p := b.hook.TakeBatch(t.Context(), message("[]", nil)); p == nil || p.Code != problem.StoreUnavailable {
		t.Errorf("as a batch: %v", p)
	}
	if len(b.store.applied) != 0 {
		t.Error("Apply was called")
	}
}

func TestTakeBatch(t *testing.T) {
	lines := headers{"content-type": {"application/x-ndjson"}}
	clouds := headers{"CONTENT-TYPE": {"application/cloudevents-batch+json"}}
	for _, tt := range []struct {
		name   string
		header headers
		body   string
		want   string // The verdicts, or the problem's code.
	}{
		{"array without a type", nil, "[" + good() + ",7]", "accepted invalid"},
		{"array", headers{"content-type": {"application/json"}}, "[" + good() + "]", "accepted"},
		{"empty array", nil, "[]", ""},
		{"lines", lines, good() + "\n\n{\n" + noID(), "accepted invalid invalid"},
		{"CloudEvents", clouds, "[" + envelopeOf() + "," + good() + "]", "accepted invalid"},
		{"one event", nil, good(), "invalid_event"},
		{"not JSON", nil, "[" + good(), "malformed_json"},
		{"too many", lines, strings.Repeat("0\n", MaxBatch+1), "batch_too_large"},
		{"one CloudEvent", headers{"content-type": {"application/cloudevents+json"}}, envelopeOf(), "unsupported_media_type"},
		{"compressed", headers{"content-encoding": {"gzip"}}, "[]", "unsupported_encoding"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			answer, p := b.hook.TakeBatch(t.Context(), message(tt.body, tt.header))
			if p != nil {
				if string(p.Code) != tt.want || answer != nil || b.observed["courier-app invalid"] != 1 {
					t.Errorf("got %v beside %s, observed %v; want %s", p, answer, b.observed, tt.want)
				}
				return
			}
			var doc struct {
				Results []struct{ Verdict string }
			}
			if err := json.Unmarshal(answer, &doc); err != nil {
				t.Fatalf("%v: %s", err, answer)
			}
			var got []string
			for _, r := range doc.Results {
				got = append(got, r.Verdict)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTakeBatchInChinese(t *testing.T) {
	answer, p := newBench(t).hook.TakeBatch(t.Context(), message("[7]", headers{"ACCEPT-language": {"zh-CN"}}))
	if p != nil || !strings.Contains(string(answer), "事件无效") {
		t.Errorf("got %s, %v", answer, p)
	}
}
