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
