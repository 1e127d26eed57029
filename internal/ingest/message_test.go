package ingest

import (
	"encoding/json"
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

	"carrier/internal/orders"
	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// headers are a message's, as their sender wrote them.
type headers = map[string][]string

// message is one of the source that HTTP tests send from too.
func message(body string, h headers) Message {
	return Message{Source: "courier-app", Header: h, Body: []byte(body)}
}

// ceHeaders are the attributes of a CloudEvent in binary mode, in letter case of a sender's own, and more headers.
func ceHeaders(more ...string) headers {
	h := headers{"ce-specversion": {"1.0"}, "CE-ID": {"ce-1"}, "Ce-Source": {"/scanner/7"}, "ce-Type": {"com.example.scan"}}
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == "-" {
			delete(h, more[i])
		} else {
			h[more[i]] = append(h[more[i]], more[i+1])
		}
	}
	return h
}

// take sends messages and checks what holds of every reply.
func (b *bench) take(messages ...Message) []Reply {
	b.t.Helper()
	replies := b.hook.Take(b.t.Context(), messages)
	if len(replies) != len(messages) {
		b.t.Fatalf("%d replies to %d messages", len(replies), len(messages))
	}
	for i := range replies {
		checkReply(b.t, &replies[i])
	}
	b.checkSecrets(fmt.Sprintf("%+v", replies))
	return replies
}

// takeOne is take for one message.
func (b *bench) takeOne(m Message) Reply {
	b.t.Helper()
	return b.take(m)[0]
}

// checkSecrets looks for what no answer and no log may tell.
func (b *bench) checkSecrets(told string) {
	b.t.Helper()
	for _, secret := range []string{secretToken, secretMsg, "18666666666", testKey} {
		if strings.Contains(told, secret) {
			b.t.Errorf("the reply tells %q: %s", secret, told)
		}
		if strings.Contains(b.log.String(), secret) {
			b.t.Errorf("the log tells %q: %s", secret, b.log)
		}
	}
}

// checkReply checks that a reply is one of the three kinds, and whole.
func checkReply(t testing.TB, r *Reply) {
	t.Helper()
	after, again := r.Again()
	never := r.Verdict == state.Invalid || r.Verdict == state.Conflict
	kinds := 0
	for _, is := range []bool{r.Durable(), again, never} {
		if is {
			kinds++
		}
	}
	if kinds != 1 || again != (after > 0) || again != (r.Verdict == 0) {
		t.Errorf("durable %v, again %v after %v, never %v: %+v", r.Durable(), again, after, never, r)
	}
	if (r.Problem == nil) == (r.Answer == nil) {
		t.Errorf("answer %s and problem %v", r.Answer, r.Problem)
		return
	}
	texts := [][]byte{r.Answer}
	if r.Problem != nil {
		texts = [][]byte{r.Problem.JSON(problem.English), r.Problem.JSON(problem.Chinese)}
	}
	for _, text := range texts {
		var doc struct {
			ID      string
			Verdict string
		}
		if err := json.Unmarshal(text, &doc); err != nil || len(text) > 16384 {
			t.Errorf("an answer of %d bytes (%v): %s", len(text), err, text)
		}
		if !again && (doc.ID != r.ID || doc.Verdict != r.Verdict.String()) {
			t.Errorf("the reply says %q %v, its answer %s", r.ID, r.Verdict, text)
		}
	}
}

// outcome is a reply in short: the verdict, else the code, and the fields with what is wrong with them.
func outcome(r *Reply) string {
	if r.Problem == nil {
		return r.Verdict.String()
	}
	var words []string
	for _, e := range r.Problem.Errors {
		words = append(words, e.Field+":"+e.Code)
	}
	return strings.TrimSpace(string(r.Problem.Code) + " " + strings.Join(words, " "))
}

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

// restricted lets the source of the tests send for one of two accounts.
func restricted(o *Options) { twoAccounts(o); o.Sources[0].DeliveryIDs = []string{"SF"} }

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

func TestNatsMsgID(t *testing.T) {
	const required = "invalid_event id:required"
	id := func(values ...string) headers { return headers{"Nats-Msg-Id": values} }
	for _, tt := range []struct {
		name   string
		body   string
		header headers
		want   string
		id     string
	}{
		{"neither", noID(), nil, required, ""},
		{"the header's", noID(), id("scan-7"), "accepted", "scan-7"},
		{"the header's in any letter case", noID(), headers{"nats-MSG-id": {"scan-7"}}, "accepted", "scan-7"},
		{"the header's with space around", noID(), id(" scan-7\t"), "accepted", "scan-7"},
		{"the header's, not decoded", noID(), id("%41"), "accepted", "%41"},
		{"the header's beyond ASCII", noID(), id("单 7"), "accepted", "单 7"},
		{"at the limit", noID(), id(strings.Repeat("单", 128)), "accepted", strings.Repeat("单", 128)},
		{"both", good(), id("scan-7"), "accepted", "scan-0001"},
		{"both, the header's bad", good(), id("\xff", "x"), "accepted", "scan-0001"},
		{"the event's bad", with("id", "7"), id("scan-7"), "invalid_event id:type", ""},
		{"the event's null", with("id", "null"), id("scan-7"), "invalid_event id:type", ""},
		{"the event's empty", with("id", `""`), id("scan-7"), required, ""},
		{"the event's half a character", with("id", `"\ud800"`), id("scan-7"), "invalid_event id:lone_surrogate", ""},
		{"empty", noID(), id(""), "invalid_event Nats-Msg-Id:required", ""},
		{"no value", noID(), id(), required, ""},
		{"twice", noID(), id("a", "a"), "invalid_event Nats-Msg-Id:repeated_field", ""},
		{"twice by letter case", noID(), headers{"Nats-Msg-Id": {"a"}, "nats-msg-id": {"a"}}, "invalid_event Nats-Msg-Id:repeated_field", ""},
		{"too long", noID(), id(strings.Repeat("x", 129)), "invalid_event Nats-Msg-Id:too_long", ""},
		{"unprintable", noID(), id("a\x00b"), "invalid_event Nats-Msg-Id:illegal_character", ""},
		{"not UTF-8", noID(), id("a\xff"), "invalid_event Nats-Msg-Id:illegal_character", ""},
		{"beside another mistake", with("action_type", "1")[:1] + with("action_type", "1")[len(`{"id":"scan-0001",`):], id("scan-7"), "invalid_event action_type:unknown_action_type", "scan-7"},
		{"of something else than an object", "[]", id("scan-7"), "invalid_event :type", ""},
		{"of a structured CloudEvent", envelopeOf("id", "-"), headers{"Nats-Msg-Id": {"x"}, "content-type": {"application/cloudevents+json"}}, required, ""},
		{"of a binary CloudEvent", noID(), ceHeaders("CE-ID", "-", "Nats-Msg-Id", "x"), "invalid_event ce-id:required", ""},
		{"beside a CloudEvent's", noID(), ceHeaders("Nats-Msg-Id", "x"), "accepted", "ce-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			r := b.takeOne(message(tt.body, tt.header))
			if outcome(&r) != tt.want || r.ID != tt.id {
				t.Errorf("got %s of %q, want %s of %q", outcome(&r), r.ID, tt.want, tt.id)
			}
			if stored := b.store.all(); r.Durable() && (len(stored) != 1 || stored[0].ID != tt.id) {
				t.Errorf("stored %v", stored)
			}
		})
	}
	t.Run("means nothing to HTTP", func(t *testing.T) {
		a := newBench(t).post("/v1/events", noID(), header{"Nats-Msg-Id", "scan-7"})
		if a.is(422, problem.InvalidEvent); strings.Join(a.fields(), " ") != "id:required" {
			t.Errorf("got %s", a.text)
		}
	})
	t.Run("means nothing to a batch", func(t *testing.T) {
		answer, p := newBench(t).hook.TakeBatch(t.Context(), message("["+noID()+"]", id("scan-7")))
		if p != nil || !strings.Contains(string(answer), `"field":"id","code":"required"`) {
			t.Errorf("got %s, %v", answer, p)
		}
	})
}

func TestSourcesOfMessages(t *testing.T) {
	const badName = "invalid_request"
	configured := func(o *Options) {
		restricted(o)
		o.Sources = append(o.Sources, Source{Name: "free", APIKey: "key-of-the-free-one"})
	}
	yto := with("delivery_id", `"YTO"`)
	for _, tt := range []struct{ name, source, body, want, label string }{
		{"configured", "courier-app", good(), "accepted", "courier-app"},
		{"configured, another's account", "courier-app", yto, "forbidden_delivery_id delivery_id:forbidden_delivery_id", "courier-app"},
		{"configured for all", "free", yto, "accepted", "free"},
		{"unknown", "dispatch_2", good(), "accepted", "other"},
		{"unknown, any account", "dispatch_2", yto, "accepted", "other"},
		{"unknown, no account", "dispatch_2", with("delivery_id", `"ZTO"`), "invalid_event delivery_id:unknown_delivery_id", "other"},
		{"another by letter case", "Courier-App", yto, "accepted", "other"},
		{"one character", "7", good(), "accepted", "other"},
		{"longest", strings.Repeat("x", 64), good(), "accepted", "other"},
		{"too long", strings.Repeat("x", 65), good(), badName, "other"},
		{"empty", "", good(), badName, "other"},
		{"beginning with -", "-x", good(), badName, "other"},
		{"with a dot", "a.b", good(), badName, "other"},
		{"with a space", "a b", good(), badName, "other"},
		{"Chinese", "调度", good(), badName, "other"},
		{"not UTF-8", "a\xff", good(), badName, "other"},
		{"WeChat's own", orders.Source, good(), badName, "other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, configured)
			m := message(tt.body, nil)
			m.Source = tt.source
			r := b.takeOne(m)
			if outcome(&r) != tt.want {
				t.Errorf("got %s, want %s", outcome(&r), tt.want)
			}
			if want := map[string]int{tt.label + " " + r.Verdict.String(): 1}; !maps.Equal(b.observed, want) {
				t.Errorf("observed %v, want %v", b.observed, want)
			}
			if stored := b.store.all(); r.Durable() && (len(stored) != 1 || stored[0].Source != tt.source) {
				t.Errorf("stored %v", stored)
			}
			m.Body = []byte("[" + tt.body + "]")
			_, p := b.hook.TakeBatch(t.Context(), m)
			if (p != nil) != (tt.want == badName) || p != nil && p.Code != problem.InvalidRequest {
				t.Errorf("as a batch: %v", p)
			}
		})
	}
}

// TestUnknownSourceIsAsGoodAsAny: it may leave the id to the header, and hears of all accounts.
func TestUnknownSourceIsAsGoodAsAny(t *testing.T) {
	b := newBench(t, restricted)
	replies := b.take(
		Message{Source: "dispatch", Header: headers{"Nats-Msg-Id": {"scan-7"}}, Body: []byte(noID())},
		Message{Source: "dispatch", Body: []byte(with("delivery_id", `"ZTO"`))})
	if replies[0].ID != "scan-7" || !replies[0].Durable() {
		t.Errorf("without an id: %s of %q", outcome(&replies[0]), replies[0].ID)
	}
	if !strings.Contains(replies[1].Problem.Detail.En, "SF, YTO") {
		t.Errorf("for an unknown account: %s", replies[1].Problem.Detail.En)
	}
}

// TestNobodySendsAsWeChat: the name is the one under which package orders makes events of WeChat's cancellations.
func TestNobodySendsAsWeChat(t *testing.T) {
	r := newBench(t).takeOne(Message{Source: orders.Source, Body: []byte(good())})
	if r.Durable() || !strings.Contains(r.Problem.Detail.En, "another name") || !strings.Contains(r.Problem.Detail.Zh, "其他名称") {
		t.Errorf("got %+v", r.Problem)
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
