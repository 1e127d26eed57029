package ingest

import (
	"maps"
	"strings"
	"testing"

	"carrier/internal/orders"
	"carrier/internal/problem"
)

// restricted lets the source of the tests send for one of two accounts.
func restricted(o *Options) { twoAccounts(o); o.Sources[0].DeliveryIDs = []string{"SF"} }

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
