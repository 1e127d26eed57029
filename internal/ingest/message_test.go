package ingest

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// TestTakeReadsEveryFormat is every format with what is good in it and each kind of bad.
func TestTakeReadsEveryFormat(t *testing.T) {
	const invalid = "invalid_event "
	jsonType := headers{"content-type": {"application/json"}}
	cloud := headers{"CONTENT-TYPE": {"application/cloudevents+json; charset=utf-8"}}
	for _, tt := range []struct {
		name   string
		header headers
		body   string
		want   string
		id     string
	}{
		{"plain", nil, good(), "accepted", "scan-0001"},
		{"plain with an empty header", headers{}, good(), "accepted", "scan-0001"},
		{"plain with other headers", headers{"Nats-Stream": {"X"}, "": {""}}, good(), "accepted", "scan-0001"},
		{"plain, content-type without a value", headers{"Content-Type": {}}, good(), "accepted", "scan-0001"},
		{"plain with space around", nil, " \r\n" + good() + "\n", "accepted", "scan-0001"},
		{"plain, not JSON", nil, good()[1:], "malformed_json", ""},
		{"plain, empty", nil, "", "malformed_json", ""},
		{"plain, not UTF-8", nil, with("id", "\"\xff\""), "not_utf8", ""},
		{"plain, an array", nil, "[" + good() + "]", invalid + ":type", ""},
		{"plain, unknown field", nil, and(`"x":1`), invalid + "x:unknown_field", "scan-0001"},
		{"plain, wrong type", nil, with("action_type", `"300002"`), invalid + "action_type:type", "scan-0001"},
		{"plain, broken rule", nil, with("action_time", "1533052800000"), invalid + "action_time:action_time_milliseconds", "scan-0001"},
		{"plain, no id", nil, noID(), invalid + "id:required", ""},
		{"plain, another account", nil, with("delivery_id", `"ZTO"`), invalid + "delivery_id:unknown_delivery_id", "scan-0001"},
		{"plain, forbidden account", nil, with("delivery_id", `"YTO"`), "forbidden_delivery_id delivery_id:forbidden_delivery_id", "scan-0001"},

		{"JSON", jsonType, good(), "accepted", "scan-0001"},
		{"JSON in capitals", headers{"CONTENT-TYPE": {"Application/JSON; charset=UTF-8"}}, good(), "accepted", "scan-0001"},
		{"JSON with space", headers{"content-type": {" application/json\t"}}, good(), "accepted", "scan-0001"},
		{"JSON, not encoded", headers{"Content-Encoding": {"identity"}}, good(), "accepted", "scan-0001"},
		{"another type", headers{"content-type": {"text/plain"}}, good(), "unsupported_media_type", ""},
		{"empty type", headers{"content-type": {""}}, good(), "unsupported_media_type", ""},
		{"type twice", headers{"content-type": {"application/json", "application/json"}}, good(), "unsupported_media_type", ""},
		{"type twice by letter case", headers{"content-type": {"application/json"}, "Content-Type": {"application/json"}}, good(), "unsupported_media_type", ""},
		{"a batch's type", headers{"content-type": {"application/x-ndjson"}}, good(), "unsupported_media_type", ""},
		{"another charset", headers{"content-type": {"application/json; charset=gbk"}}, good(), "unsupported_charset", ""},
		{"compressed", headers{"content-encoding": {"gzip"}}, good(), "unsupported_encoding", ""},

		{"structured", cloud, envelopeOf(), "accepted", "ce-1"},
		{"structured, base64", cloud, envelopeOf("data", "-", "data_base64", `"e30="`),
			invalid + "data.delivery_id:required data.waybill_id:required data.action_type:required data.action_time:required data.action_msg:required", "ce-1"},
		{"structured, not JSON", cloud, envelopeOf()[1:], "malformed_json", ""},
		{"structured, not UTF-8", cloud, envelopeOf("subject", "\"\xff\""), "not_utf8", ""},
		{"structured, a bare number", cloud, "7", invalid + ":type", ""},
		{"structured, no id", cloud, envelopeOf("id", "-"), invalid + "id:required", ""},
		{"structured, another version", cloud, envelopeOf("specversion", `"0.3"`), invalid + "specversion:unsupported_specversion", "ce-1"},
		{"structured, broken rule", cloud, envelopeOf("data", with("id", `"other"`)), invalid + "data.id:id_mismatch", "ce-1"},
		{"structured, forbidden account", cloud, envelopeOf("data", strings.Replace(noID(), `"SF"`, `"YTO"`, 1)), "forbidden_delivery_id data.delivery_id:forbidden_delivery_id", "ce-1"},

		{"binary", ceHeaders(), noID(), "accepted", "ce-1"},
		{"binary with its type", ceHeaders("content-TYPE", "application/json"), noID(), "accepted", "ce-1"},
		{"binary, percent-encoded", ceHeaders("CE-ID", "-", "ce-id", "%E5%8D%95 1"), noID(), "accepted", "单 1"},
		{"binary, the same id in the body", ceHeaders(), with("id", `"ce-1"`), "accepted", "ce-1"},
		{"binary, not JSON", ceHeaders(), noID()[1:], "malformed_json", ""},
		{"binary, not UTF-8", ceHeaders(), "\xff", "not_utf8", ""},
		{"binary, bad percent", ceHeaders("CE-ID", "-", "ce-id", "a%2"), noID(), invalid + "ce-id:header_encoding", ""},
		{"binary, not UTF-8 in the id", ceHeaders("CE-ID", "-", "ce-id", "a\xff"), good(), invalid + "ce-id:header_encoding", ""},
		{"binary, encoded bytes in the id", ceHeaders("CE-ID", "-", "ce-id", "a%ff"), good(), invalid + "ce-id:header_encoding", ""},
		{"binary, no source", ceHeaders("Ce-Source", "-"), noID(), invalid + "ce-source:required", "ce-1"},
		{"binary, id twice", ceHeaders("CE-ID", "ce-1"), noID(), invalid + "ce-id:repeated_field", ""},
		{"binary, id twice by letter case", ceHeaders("ce-id", "ce-1"), noID(), invalid + "ce-id:repeated_field", ""},
		{"binary, other id in the body", ceHeaders(), good(), invalid + "id:id_mismatch", "ce-1"},
		{"binary, forbidden account", ceHeaders(), strings.Replace(noID(), `"SF"`, `"YTO"`, 1), "forbidden_delivery_id delivery_id:forbidden_delivery_id", "ce-1"},
		{"structured counts for more than binary", ceHeaders("content-type", "application/cloudevents+json", "CE-ID", "-", "ce-id", "other"), envelopeOf(), "accepted", "ce-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, restricted)
			sent := message(tt.body, tt.header)
			r := b.takeOne(sent)
			if outcome(&r) != strings.TrimSpace(tt.want) || r.ID != tt.id {
				t.Errorf("got %s of %q, want %s of %q", outcome(&r), r.ID, tt.want, tt.id)
			}
			if !maps.EqualFunc(sent.Header, tt.header, slices.Equal) || string(sent.Body) != tt.body {
				t.Errorf("the message was changed to %v", sent)
			}
			verdict := "accepted"
			if r.Problem != nil {
				verdict = "invalid"
			}
			if want := map[string]int{"courier-app " + verdict: 1}; !maps.Equal(b.observed, want) {
				t.Errorf("observed %v, want %v", b.observed, want)
			}
			if stored := b.store.all(); (len(stored) == 1) != (r.Problem == nil) {
				t.Errorf("stored %v", stored)
			}
		})
	}
}

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

func TestRateDoesNotApplyToMessages(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Sources[0].Rate = 1 })
	for i := range 20 {
		if r := b.takeOne(message(with("id", fmt.Sprintf(`"e%d"`, i)), nil)); !r.Durable() {
			t.Fatalf("message %d: %s", i, outcome(&r))
		}
	}
}

func TestSizeOfMessages(t *testing.T) {
	const limit = 1000
	small := func(o *Options) { o.MaxBody = limit }
	padded := func(body string, n int) string { return body + strings.Repeat(" ", n-len(body)) }
	b := newBench(t, small)
	replies := b.take(message(padded(goodEvent, limit), nil), message(padded(goodEvent, limit+1), nil))
	if outcome(&replies[0]) != "accepted" || outcome(&replies[1]) != "body_too_large" {
		t.Errorf("got %s and %s", outcome(&replies[0]), outcome(&replies[1]))
	}
	if !strings.Contains(string(replies[1].Problem.JSON(problem.English)), `"max_bytes":1000`) {
		t.Errorf("got %s", replies[1].Problem.JSON(problem.English))
	}
	for size, tooLarge := range map[int]bool{limit: false, limit + 1: true} {
		_, p := b.hook.TakeBatch(t.Context(), message(padded("["+goodEvent+"]", size), nil))
		if (p != nil) != tooLarge || p != nil && p.Code != problem.BodyTooLarge {
			t.Errorf("a batch of %d bytes: %v", size, p)
		}
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

// TestUnreadableMessagesAreCalm: of a flood one line a minute and source, with the number of the others.
func TestUnreadableMessagesAreCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		lines := func() int { return strings.Count(b.log.String(), `"msg":"event refused"`) }
		flood := slices.Repeat([]Message{message("{", nil)}, 500)
		b.take(flood...)
		if lines() != 1 {
			t.Errorf("%d lines of 500 messages, want 1", lines())
		}
		other := message("{", nil)
		other.Source = "dispatch"
		if b.take(other); lines() != 2 {
			t.Errorf("%d lines after another source's, want 2", lines())
		}
		time.Sleep(quiet - 1)
		if b.take(flood...); lines() != 2 {
			t.Errorf("%d lines within a minute, want 2", lines())
		}
		time.Sleep(time.Nanosecond)
		if b.take(flood...); lines() != 3 || !strings.Contains(b.log.String(), `"times_not_logged":999`) {
			t.Errorf("%d lines after a minute, want 3 and the number of the others:\n%s", lines(), b.log)
		}
		if b.observed["courier-app invalid"] != 1500 {
			t.Errorf("observed %v", b.observed)
		}
	})
}

func TestNothingToTake(t *testing.T) {
	b := newBench(t)
	b.take()
	b.take(message("{", nil), message("", nil))
	if len(b.store.applied) != 0 {
		t.Errorf("Apply was called with %v", b.store.applied)
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

// TestMessagesTellNoSecrets sends an event with a Token and a text in every way that goes wrong; take and checkSecrets
// look for both.
func TestMessagesTellNoSecrets(t *testing.T) {
	bodies := []string{
		goodEvent, goodEvent + "}", goodEvent[:len(goodEvent)-1], "[" + goodEvent + "]", goodEvent + "\xff",
		strings.Replace(goodEvent, "300002", "1", 1), strings.Replace(goodEvent, `"id"`, `"id2"`, 1),
		strings.Replace(goodEvent, `"token":`, `"Token":`, 1), strings.Replace(goodEvent, `"action_msg":`, `"token":`, 1),
		strings.Replace(goodEvent, secretToken, strings.Repeat(secretToken, 20), 1),
		strings.Replace(goodEvent, secretMsg, strings.Repeat(secretMsg, 50), 1),
		strings.Replace(goodEvent, `"SF"`, `"YTO"`, 1), envelopeOf("data", goodEvent),
	}
	for _, h := range []headers{nil, {"content-type": {"application/cloudevents+json"}}, {"content-type": {"text/plain"}}, ceHeaders(), {"Nats-Msg-Id": {"x"}}} {
		for _, verdict := range []state.Verdict{state.Accepted, state.Rejected, state.Conflict, 0} {
			b := newBench(t, restricted)
			b.store.decide = func(events []state.Event) ([]store.Result, error) {
				if verdict == 0 {
					return nil, errors.New("lost")
				}
				return slices.Repeat([]store.Result{{Seq: 3, Verdict: verdict, Allowed: []state.ActionType{}}}, len(events)), nil
			}
			var messages []Message
			for _, body := range bodies {
				messages = append(messages, message(body, h))
			}
			for _, r := range b.take(messages...) {
				if r.Problem != nil {
					b.checkSecrets(string(r.Problem.JSON(problem.English)) + r.Problem.Error() + string(r.Problem.JSON(problem.Chinese)))
				}
				b.checkSecrets(string(r.Answer))
			}
			for _, body := range bodies {
				answer, p := b.hook.TakeBatch(t.Context(), message("["+body+"]", h))
				b.checkSecrets(fmt.Sprintf("%s %v", answer, p))
			}
		}
	}
}

func TestCanonical(t *testing.T) {
	sent := headers{"ce-id": {" a ", "b"}, "CE-ID": {"c"}, "x y": {"kept as it is"}, "content-TYPE": {"text/plain"}, "Empty": nil}
	want := map[string][]string{"Ce-Id": {"a", "b", "c"}, "x y": {"kept as it is"}, "Content-Type": {"text/plain"}}
	if got := canonical(sent); !reflect.DeepEqual(map[string][]string(got), want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := canonical(headers{"a": {"b"}}); got.Get("Content-Type") != "application/json" || len(plainHeader) != 1 {
		t.Errorf("got %v beside %v", got, plainHeader)
	}
}

// TestHeaderInManySpellings: a megabyte of them, which a stranger may send, must not keep the others waiting.
func TestHeaderInManySpellings(t *testing.T) {
	const name, n = "abcdefghijklmnop", 60_000
	sent := make(map[string][]string, n)
	for i := range n {
		spelling := []byte(name)
		for at := range spelling {
			if i>>at&1 == 1 {
				spelling[at] -= 'a' - 'A'
			}
		}
		sent[string(spelling)] = []string{strconv.Itoa(i * 7919 % n)}
	}
	began := time.Now()
	values := canonical(sent)[http.CanonicalHeaderKey(name)]
	if took := time.Since(began); took > 5*time.Second { // It takes a twentieth of a second; a sort for each takes 20 s.
		t.Errorf("it took %s", took)
	}
	if len(values) != n || !slices.IsSorted(values) {
		t.Errorf("%d values, sorted: %v", len(values), slices.IsSorted(values))
	}
}
