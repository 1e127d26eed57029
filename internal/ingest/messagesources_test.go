package ingest

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"carrier/internal/orders"
	"carrier/internal/problem"
)

// restricted lets the source of the tests send for one of two accounts.
func restricted(o *Options) { twoAccounts(o); o.Sources[0].DeliveryIDs = []string{"SF"} }

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
