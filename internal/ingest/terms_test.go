package ingest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"carrier/internal/problem"
)

// prepared puts other terms in force.
func (b *bench) prepared(o Options) {
	b.t.Helper()
	take, err := b.hook.Prepare(o)
	if err != nil {
		b.t.Fatal(err)
	}
	take()
}

func TestOtherTerms(t *testing.T) {
	b := newBench(t)
	const second = "another-key-0123456789"
	own := Source{Name: "courier-app", APIKey: testKey}
	b.post("/v1/events", good()).is(http.StatusAccepted, "")

	take, err := b.hook.Prepare(Options{Sources: []Source{{Name: "depot", APIKey: second}}, DeliveryIDs: []string{"YTO"}})
	if err != nil {
		t.Fatal(err)
	}
	b.post("/v1/events", good()).is(http.StatusAccepted, "") // Nothing is in force before take.
	take()
	b.post("/v1/events", good()).is(http.StatusUnauthorized, problem.Unauthorized)
	b.post("/v1/events", good(), header{"Authorization", "Bearer " + second}).is(http.StatusUnprocessableEntity, problem.InvalidEvent)
	if replies := b.hook.Take(t.Context(), []Message{{Source: "courier-app", Body: []byte(good())}}); replies[0].Problem == nil {
		t.Error("a message for an account that went is taken")
	}

	b.prepared(Options{Sources: []Source{own}, DeliveryIDs: []string{"SF"}, MaxActionMsg: 3})
	if a := b.post("/v1/events", good()); strings.Join(a.fields(), " ") != "action_msg:too_long" {
		t.Errorf("with a shorter action_msg: %v", a.fields())
	}
	b.prepared(Options{Sources: []Source{own}, DeliveryIDs: []string{"SF"}, MaxAge: time.Hour})
	if a := b.post("/v1/events", good()); strings.Join(a.fields(), " ") != "action_time:action_time_too_old" {
		t.Errorf("with a shorter max_age: %v", a.fields())
	}
}

func TestTermsThatCanNotBe(t *testing.T) {
	b := newBench(t)
	for name, o := range map[string]Options{
		"a source without a key":    {Sources: []Source{{Name: "courier-app"}}, DeliveryIDs: []string{"SF"}},
		"an account that is not":    {Sources: []Source{{Name: "courier-app", APIKey: testKey, DeliveryIDs: []string{"YTO"}}}, DeliveryIDs: []string{"SF"}},
		"a limit that is below 0":   {DeliveryIDs: []string{"SF"}, MaxAge: -1},
		"one key for two sources":   {Sources: []Source{{Name: "a", APIKey: testKey}, {Name: "b", APIKey: testKey}}},
		"two sources with one name": {Sources: []Source{{Name: "a", APIKey: testKey}, {Name: "a", APIKey: testKey + "2"}}},
	} {
		if take, err := b.hook.Prepare(o); err == nil || take != nil {
			t.Errorf("%s is taken", name)
		}
	}
	b.post("/v1/events", good()).is(http.StatusAccepted, "")
}

// TestRatesGoOn: what a source has used of its rate is not given back by other terms, unless its rate is another one.
func TestRatesGoOn(t *testing.T) {
	source := func(perSecond float64) []Source {
		return []Source{{Name: "courier-app", APIKey: testKey, Rate: perSecond}}
	}
	const slow = 1.0 / 3600
	b := newBench(t, func(o *Options) { o.Sources = source(slow) })
	b.post("/v1/events", good()).is(http.StatusAccepted, "")
	b.prepared(Options{Sources: append(source(slow), Source{Name: "x", APIKey: testKey + "x"}), DeliveryIDs: []string{"SF"}})
	b.post("/v1/events", good()).is(http.StatusTooManyRequests, problem.RateLimited)
	b.prepared(Options{Sources: source(0), DeliveryIDs: []string{"SF"}})
	b.post("/v1/events", good()).is(http.StatusAccepted, "")
}
