package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/app/apptest"
	"carrier/internal/bus/natstest"
	"carrier/internal/sandbox"
)

// natsEvents is how many events TestNATSStorm publishes; a release is tested with more.
var natsEvents = flag.Int("nats-events", 20_000, "how many events TestNATSStorm publishes")

// sorter is a dispatch system that publishes scans through JetStream. The scans of one waybill follow one another: the
// next is published when the server has the one before. Those of different waybills are shuffled.
type sorter struct {
	t         *testing.T
	js        jetstream.JetStream
	up        *apptest.Upstream
	seed      uint64
	base      int64        // Unix seconds of the first scans.
	published atomic.Int64 // Acknowledged by the server.
	again     atomic.Int64 // Publications without an answer, made again.
}

const (
	sorterName    = "sorter"
	sorterAccount = "YTO"
	groupSize     = 500 // Waybills whose scans are shuffled among each other.
)

// way is what each of the sorter's parcels goes through.
var way = []int{100001, 200001, 200001, 300002, 300003}

func (s *sorter) waybill(n int) string { return fmt.Sprintf("N%d-%06d", s.seed%1000, n) }

func (s *sorter) event(n, step int) apptest.Event {
	w := s.waybill(n)
	return apptest.Event{
		ID: fmt.Sprintf("%s-%d", w, step), DeliveryID: sorterAccount, WaybillID: w, ActionType: way[step],
		ActionTime: s.base + int64(step), ActionMsg: fmt.Sprintf("第%d步", step),
		Token: "token-" + w,
	}
}

// publish publishes the scans of many waybills, group by group, and returns when the server has all of them.
func (s *sorter) publish(ctx context.Context, waybills int) {
	rng := rand.New(rand.NewPCG(s.seed, 7))
	for from := 0; from < waybills; from += groupSize {
		size := min(groupSize, waybills-from)
		for n := from; n < from+size; n++ {
			if _, err := s.up.AddOrder(sandbox.Order{WaybillID: s.waybill(n), Token: "token-" + s.waybill(n)}); err != nil {
				s.t.Error(err)
			}
		}
		for step := range way {
			order := rng.Perm(size)
			messages := make([]*nats.Msg, size)
			for i, n := range order {
				messages[i] = s.message(from+n, step)
			}
			s.untilKept(ctx, messages)
		}
	}
}

func (s *sorter) message(n, step int) *nats.Msg {
	e := s.event(n, step)
	body, err := json.Marshal(e)
	if err != nil {
		s.t.Error(err)
	}
	m := nats.NewMsg("carrier.events." + sorterName)
	m.Data = body
	m.Header.Set(nats.MsgIdHdr, e.ID)
	return m
}

// untilKept publishes messages until the server has each of them.
func (s *sorter) untilKept(ctx context.Context, messages []*nats.Msg) {
	for len(messages) > 0 && ctx.Err() == nil {
		var missing []*nats.Msg
		acks := make([]jetstream.PubAckFuture, len(messages))
		for i, m := range messages {
			ack, err := s.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
			if err == nil {
				acks[i] = ack
			}
		}
		for i, ack := range acks {
			if s.kept(ctx, ack) {
				s.published.Add(1)
				continue
			}
			s.again.Add(1)
			missing = append(missing, messages[i])
		}
		messages = missing
		if len(messages) > 0 {
			select { // The server is away.
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func (s *sorter) kept(ctx context.Context, ack jetstream.PubAckFuture) bool {
	if ack == nil {
		return false
	}
	select {
	case <-ack.Ok():
		return true
	case <-ack.Err():
	case <-time.After(3 * time.Second):
	case <-ctx.Done():
	}
	return false
}

// natsTrouble is what happens while the events of TestNATSStorm are under way, in any order.
func natsTrouble(rng *rand.Rand) []string {
	trouble := append(slices.Repeat([]string{"restart"}, 10), slices.Repeat([]string{"kill"}, 5)...)
	trouble = append(trouble, "delete")
	rng.Shuffle(len(trouble), func(i, j int) { trouble[i], trouble[j] = trouble[j], trouble[i] })
	return trouble
}

// TestNATSStorm publishes events through JetStream while the NATS server restarts, the consumer is deleted and the
// service is killed, and finds each of them upstream, in order per waybill. Meanwhile other events come in over HTTP,
// for which all of that but the kills must make no difference: the oracle judges them.
func TestNATSStorm(t *testing.T) {
	seed := rand.Uint64N(1 << 32)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 5))
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	// What is tested is this service: a server that syncs each message costs minutes, and is shut down here, not cut off.
	srv := natstest.Start(t, func(o *server.Options) { o.SyncAlways = false })
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL, Timeout: 2 * time.Second},
		apptest.Account{DeliveryID: sorterAccount, BaseURL: up.URL, Timeout: 2 * time.Second, Concurrency: 256})
	settings.NATS = fmt.Sprintf("{url: %q}", srv.URL())
	file := settings.File(t)
	p, c := serveCarrier(t, settings, file)
	l := startLoad(t, seed, up, c, 100)

	js, err := jetstream.New(srv.Connect(nats.ReconnectBufSize(-1)), jetstream.WithPublishAsyncMaxPending(groupSize))
	if err != nil {
		t.Fatal(err)
	}
	s := &sorter{t: t, js: js, up: up, seed: seed, base: time.Now().Add(-24 * time.Hour).Unix()}
	waybills := *natsEvents / len(way)
	var publishing sync.WaitGroup
	publishing.Go(func() { s.publish(t.Context(), waybills) })
	t.Cleanup(publishing.Wait)

	var outages []apptest.Outage
	trouble := natsTrouble(rng)
	for i, what := range trouble {
		due := int64(waybills*len(way)*(i+1)) / int64(len(trouble)+1)
		apptest.Eventually(t, later, func() bool { return s.published.Load() >= due }, func() string {
			return fmt.Sprintf("%d of %d events are published before trouble %d (%s); the log ends with\n%s",
				s.published.Load(), due, i+1, what, p.tail(20))
		})
		switch what {
		case "restart":
			srv.Restart()
		case "delete":
			// Just after a restart the client is not connected yet, and the service may not have made the consumer anew.
			var err error
			apptest.Eventually(t, later, func() bool {
				err = js.DeleteConsumer(t.Context(), "CARRIER_EVENTS", "carrier-ingest")
				return err == nil
			}, func() string { return fmt.Sprintf("the consumer can't be deleted: %v", err) })
		case "kill":
			out := apptest.Outage{Killed: time.Now()}
			p.kill()
			p, c = serveCarrier(t, settings, file)
			out.Up = time.Now()
			outages = append(outages, out)
			l.client.Store(c)
		}
	}
	publishing.Wait()
	untilDelivered(t, c, waybills*len(way))
	run := l.finish(t, outages)
	t.Logf("over HTTP meanwhile: %d events, %d requests cut by the kills", len(run.Sent), l.Cut.Load())
	s.check(c, waybills)
	s.checkOutcomes(c, waybills*len(way))
}

// untilDelivered waits until n events from NATS are upstream. What a killed process had fetched comes again only after
// the consumer's ack deadline.
func untilDelivered(t *testing.T, c *apptest.Client, n int) {
	t.Helper()
	delivered := func() int64 { return c.Account(t, sorterAccount).Counts["delivered"] }
	apptest.Eventually(t, later, func() bool { return delivered() >= int64(n) },
		func() string { return fmt.Sprintf("%d of %d events are delivered", delivered(), n) })
}

// check finds every event upstream, in order.
func (s *sorter) check(c *apptest.Client, waybills int) {
	t := s.t
	kept := map[string]map[string]apptest.StoredEvent{} // waybill -> id
	late := 0
	for _, e := range c.EventsOf(t, "delivery_id="+sorterAccount) {
		if kept[e.WaybillID] == nil {
			kept[e.WaybillID] = map[string]apptest.StoredEvent{}
		}
		if _, twice := kept[e.WaybillID][e.EventID]; twice {
			t.Errorf("%s is kept twice", e.EventID)
		}
		kept[e.WaybillID][e.EventID] = e
		if e.Late {
			late++
		}
		if e.Verdict != "accepted" || e.Status != "delivered" {
			t.Errorf("%s is %s, its push is %q", e.EventID, e.Verdict, e.Status)
		}
	}
	repeats := 0
	arrived := map[string][]apptest.StoredEvent{}
	for _, a := range s.up.All() {
		if !strings.HasPrefix(a.WaybillID, "N") {
			continue
		}
		if a.Repeat {
			repeats++
			continue
		}
		step := slices.IndexFunc([]int{0, 1, 2, 3, 4}, func(i int) bool { return a.ActionMsg == fmt.Sprintf("第%d步", i) })
		arrived[a.WaybillID] = append(arrived[a.WaybillID], kept[a.WaybillID][fmt.Sprintf("%s-%d", a.WaybillID, step)])
	}
	for n := range waybills {
		w := s.waybill(n)
		if got := len(arrived[w]); got != len(way) || !inTime(arrived[w]) {
			t.Errorf("waybill %s: %d of %d scans arrived, in this order: %+v", w, got, len(way), arrived[w])
		}
	}
	t.Logf("%d events over %d waybills: %d publications made again, %d scans late by redelivery, %d pushes arrived twice",
		waybills*len(way), waybills, s.again.Load(), late, repeats)
}

// inTime tells whether the scans of a waybill arrived upstream in order of time, but for those that came late: their
// places were taken.
func inTime(arrived []apptest.StoredEvent) bool {
	punctual := slices.DeleteFunc(slices.Clone(arrived), func(e apptest.StoredEvent) bool { return e.Late })
	return slices.IsSortedFunc(punctual, func(a, b apptest.StoredEvent) int { return cmp.Compare(a.ActionTime, b.ActionTime) })
}

// checkOutcomes finds an outcome of every event in the stream.
func (s *sorter) checkOutcomes(c *apptest.Client, n int) {
	t := s.t
	told, twice := map[string]int{}, 0
	apptest.Eventually(t, later, func() bool {
		stream, err := s.js.Stream(t.Context(), "CARRIER_OUTCOMES")
		if err != nil {
			return false
		}
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter("carrier.outcomes."+sorterAccount+".delivered"))
		return err == nil && info.State.Subjects["carrier.outcomes."+sorterAccount+".delivered"] >= uint64(n)
	}, apptest.Text("an outcome of every event is in the stream"))
	consumer, err := s.js.OrderedConsumer(t.Context(), "CARRIER_OUTCOMES", jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"carrier.outcomes." + sorterAccount + ".*"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		batch, err := consumer.Fetch(1000, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for m := range batch.Messages() {
			got++
			var body struct {
				EventID string `json:"event_id"`
				Status  string `json:"status"`
			}
			if err := json.Unmarshal(m.Data(), &body); err != nil {
				t.Fatalf("an outcome that is no JSON: %v", err)
			}
			if body.Status != "delivered" {
				t.Errorf("%s is told to be %s", body.EventID, body.Status)
			}
			if told[body.EventID]++; told[body.EventID] > 1 {
				twice++
			}
		}
		if got == 0 {
			break
		}
	}
	if len(told) != n {
		t.Errorf("outcomes of %d events were told, want %d", len(told), n)
	}
	t.Logf("%d outcomes, %d of them told twice", len(told), twice)
}
