package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/app/apptest"
)

// TestNATSAwayAndBack takes the server away and gives it back, again and again: /readyz says so, the webhook and the
// pushes don't notice, what was in the stream is taken and what ended meanwhile is told.
func TestNATSAwayAndBack(t *testing.T) {
	r := startNATS(t, nil)
	var all []apptest.Event
	for round := range 3 {
		before := fleet(fmt.Sprintf("BEFORE%d-", round), 20, 100001, 200001)
		r.publishEvents("sorter-7", before...)
		r.srv.Down()
		r.degraded("nats")
		during := fleet(fmt.Sprintf("DURING%d-", round), 20, 100001, 200001)
		began := time.Now()
		sendAll(t, r.s, during)
		r.eventually(func() bool {
			for w := range 20 {
				if len(r.up.Nodes(fmt.Sprintf("DURING%d-%04d", round, w)).Nodes) != 2 {
					return false
				}
			}
			return true
		}, "what came over HTTP is pushed while the server is away")
		t.Logf("round %d: 40 events over HTTP took %v to be pushed without NATS", round, time.Since(began))
		r.srv.Up()
		r.ready()
		after := fleet(fmt.Sprintf("AFTER%d-", round), 20, 100001, 200001)
		r.publishEvents("sorter-7", after...)
		all = append(all, slices.Concat(before, during, after)...)
	}
	r.drained()
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, all)
	told := map[string]int{}
	for _, o := range r.outcomes(len(all)) {
		told[o.EventID]++
	}
	for _, e := range all {
		if told[e.ID] != 1 {
			t.Errorf("the outcome of %s is in the stream %d times", e.ID, told[e.ID])
		}
	}
	if n := r.up.Stats().Repeats; n != 0 {
		t.Errorf("%d pushes arrived twice", n)
	}
}

// TestNATSAwayAtTheStart starts the service without its server: everything else works, it can be stopped, and it
// connects when the server comes.
func TestNATSAwayAtTheStart(t *testing.T) {
	r := prepareNATS(t, nil, nil)
	r.srv.Down()
	r.s = start(t, r.settings)
	r.degraded("nats")
	early := story("EARLY", 100001, 200001)
	r.s.Accept(t, early...)
	r.s.Settled(t, later)
	began := time.Now()
	r.s.stop()
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the stop took %v with the server away", took)
	}
	r.s = start(t, r.settings)
	r.degraded("nats")
	r.srv.Up()
	r.ready()
	late := story("LATE", 100001, 200001)
	r.publishEvents("sorter-7", late...)
	r.drained()
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, slices.Concat(early, late))
	if told := r.outcomes(4); len(told) != 4 || told[0].EventID != early[0].ID {
		t.Errorf("%d outcomes are told, the first is %+v; want 4, that of %s first", len(told), told[0], early[0].ID)
	}
}

// TestNATSStreamsDeleted deletes what the service needs, one after the other, while it runs: it makes it anew and goes on.
func TestNATSStreamsDeleted(t *testing.T) {
	r := startNATS(t, nil)
	for i, c := range []struct {
		name   string
		delete func() error
	}{
		{"the consumer", func() error { return r.js.DeleteConsumer(t.Context(), eventsStream, intakeConsumer) }},
		{"the stream of events", func() error { return r.js.DeleteStream(t.Context(), eventsStream) }},
		{"the stream of outcomes", func() error { return r.js.DeleteStream(t.Context(), outcomesStream) }},
		{"the consumer again", func() error { return r.js.DeleteConsumer(t.Context(), eventsStream, intakeConsumer) }},
		{"everything", func() error {
			if err := r.js.DeleteStream(t.Context(), outcomesStream); err != nil {
				return err
			}
			return r.js.DeleteStream(t.Context(), eventsStream)
		}},
	} {
		if err := c.delete(); err != nil {
			t.Fatalf("deleting %s: %v", c.name, err)
		}
		began := time.Now()
		events := story(fmt.Sprint("DELETED", i), 100001, 200001)
		for _, e := range events {
			r.untilPublished("sorter-7", e)
		}
		r.eventually(func() bool { return len(r.up.Nodes(events[0].WaybillID).Nodes) == len(events) }, "intake goes on without "+c.name)
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("without %s intake went on after %v, want 30 s at most", c.name, took)
		}
		r.untilTold(events[len(events)-1].ID)
		r.ready()
	}
	r.s.Settled(t, later)
}

// untilPublished publishes an event, again and again while there is no stream.
func (r *natsRig) untilPublished(source string, e apptest.Event) {
	r.t.Helper()
	var err error
	apptest.Eventually(r.t, later, func() bool {
		_, err = r.js.PublishMsg(r.t.Context(), &nats.Msg{Subject: "carrier.events." + source, Data: asJSON(r.t, e)})
		return err == nil
	}, func() string { return fmt.Sprintf("%s is published: %v", e.ID, err) })
}

// untilTold waits until the outcome of an event is in the stream.
func (r *natsRig) untilTold(id string) {
	r.t.Helper()
	r.eventually(func() bool {
		stream, err := r.js.Stream(r.t.Context(), outcomesStream)
		return err == nil && slices.ContainsFunc(readOutcomes(r.t, stream), func(o outcome) bool { return o.EventID == id })
	}, "the outcome of "+id+" is told")
}

// TestNATSConsumerChanged: what somebody changed is reported and stays as it is, also over a restart.
func TestNATSConsumerChanged(t *testing.T) {
	r := startNATS(t, nil)
	config := func() jetstream.ConsumerConfig {
		t.Helper()
		c, err := r.js.Consumer(t.Context(), eventsStream, intakeConsumer)
		if err != nil {
			t.Fatal(err)
		}
		return c.CachedInfo().Config
	}
	changed := config()
	changed.MaxAckPending = 77
	if _, err := r.js.UpdateConsumer(t.Context(), eventsStream, changed); err != nil {
		t.Fatal(err)
	}
	first := story("FIRST", 100001, 200001)
	r.publishEvents("sorter-7", first...)
	r.drained()
	r.s.stop()
	r.s = start(t, r.settings)
	second := story("SECOND", 100001, 200001)
	r.publishEvents("sorter-7", second...)
	r.drained()
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, slices.Concat(first, second))
	if got := config().MaxAckPending; got != 77 {
		t.Errorf("max_ack_pending is %d, somebody had made it 77", got)
	}
	r.eventually(func() bool {
		log := r.s.log.String()
		return strings.Contains(log, "carrier nats plan") && strings.Contains(strings.ToLower(strings.ReplaceAll(log, "_", "")), "maxackpending")
	}, "the log names the difference and the command")
}

// TestNATSConsumerUseless: with a consumer that can't bring anything /readyz says what to do; once that is done, intake
// goes on by itself.
func TestNATSConsumerUseless(t *testing.T) {
	r := startNATS(t, nil)
	r.s.stop()
	if err := r.js.DeleteConsumer(t.Context(), eventsStream, intakeConsumer); err != nil {
		t.Fatal(err)
	}
	useless := jetstream.ConsumerConfig{Durable: intakeConsumer, AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "carrier.events.nobody"}
	if _, err := r.js.CreateConsumer(t.Context(), eventsStream, useless); err != nil {
		t.Fatal(err)
	}
	r.s = start(t, r.settings)
	r.degraded("carrier nats plan")
	events := story("USELESS", 100001, 200001)
	r.publishEvents("sorter-7", events...)
	if a := r.s.Send(t, scan("HTTP", 1, 100001)); a.Verdict != "accepted" {
		t.Errorf("over HTTP: %s", a.Body)
	}
	if n := r.waiting(); n != 2 {
		t.Errorf("%d messages wait, want 2", n)
	}
	consumer, err := r.js.Consumer(t.Context(), eventsStream, intakeConsumer)
	if err != nil {
		t.Fatal(err)
	}
	useless = consumer.CachedInfo().Config
	if useless.FilterSubject != "carrier.events.nobody" {
		t.Errorf("the consumer was changed to %+v", useless)
	}
	useless.FilterSubject = "carrier.events.*"
	if _, err := r.js.UpdateConsumer(t.Context(), eventsStream, useless); err != nil {
		t.Fatal(err)
	}
	r.drained()
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, events)
	r.eventually(func() bool {
		_, body := get(t, r.s.Admin+"/readyz")
		return !strings.Contains(body, "consumer")
	}, "/readyz no longer speaks of the consumer")
}

// TestNATSSubjectsTaken: another stream has the service's subjects. /readyz names it, and all goes on once it is gone.
func TestNATSSubjectsTaken(t *testing.T) {
	r := prepareNATS(t, nil, nil)
	if _, err := r.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SOMEBODY", Subjects: []string{"carrier.events.>"}}); err != nil {
		t.Fatal(err)
	}
	r.s = start(t, r.settings)
	r.degraded("SOMEBODY")
	if a := r.submit("sorter-7", asJSON(t, scan("TAKEN", 1, 100001)), nil); a.Verdict != "accepted" {
		t.Errorf("by request: %s", a.Body)
	}
	if err := r.js.DeleteStream(t.Context(), "SOMEBODY"); err != nil {
		t.Fatal(err)
	}
	r.ready()
	r.publishEvents("sorter-7", scan("TAKEN", 2, 200001))
	r.drained()
	r.untilTold("TAKEN-2")
	arrivedInOrder(t, r.up, story("TAKEN", 100001, 200001))
}

// TestNATSWithoutJetStream: requests need no stream.
func TestNATSWithoutJetStream(t *testing.T) {
	r := prepareNATS(t, nil, func(o *server.Options) { o.JetStream = false })
	r.s = start(t, r.settings)
	r.degraded("jetstream")
	events := story("CORE", 100001, 200001)
	for _, e := range events {
		if a := r.submit("sorter-7", asJSON(t, e), nil); a.Verdict != "accepted" {
			t.Errorf("by request: %s", a.Body)
		}
	}
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, events)
}

// TestNATSPasswordChanged: the server refuses the service for a while, which tells nobody its password, and takes it
// back when the password is the old one again.
func TestNATSPasswordChanged(t *testing.T) {
	const password = "canary-nats-password"
	var options *server.Options
	r := prepareNATS(t, func(s *apptest.Settings) {
		s.NATS = strings.TrimSuffix(s.NATS, "}") + fmt.Sprintf(", user: carrier, password: %q}", password)
		s.LogLevel = "debug"
	}, func(o *server.Options) {
		options = o
		o.Users = []*server.User{{Username: "carrier", Password: password}, {Username: "dispatch", Password: "dispatch"}}
	})
	r.dispatch = newDispatch(t, r.srv.Connect(nats.UserInfo("dispatch", "dispatch")))
	r.start()
	passwords := func(p string) {
		r.srv.Down()
		options.Users = []*server.User{{Username: "carrier", Password: p}, {Username: "dispatch", Password: "dispatch"}}
		r.srv.Up()
	}
	passwords("another")
	r.degraded("nats")
	r.publishEvents("sorter-7", story("REFUSED", 100001, 200001)...)
	r.s.Accept(t, scan("HTTP", 1, 100001))
	refusals := func() int { return strings.Count(strings.ToLower(r.s.log.String()), "authoriz") }
	r.eventually(func() bool { return refusals() > 0 }, "the log says that the server refuses the credentials")
	if status, body := get(t, r.s.Admin+"/readyz"); status != http.StatusOK || strings.Contains(body, password) {
		t.Errorf("/readyz says %d %s", status, body)
	}
	passwords(password)
	r.ready()
	r.drained()
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, story("REFUSED", 100001, 200001))
	r.s.stop()
	if strings.Contains(r.s.log.String(), password) {
		t.Error("the password is in the log")
	}
}
