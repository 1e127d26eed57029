package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"carrier/internal/app/apptest"
)

// quickServer leaves out what costs a test minutes: the server is shut down in these tests, not cut off.
func quickServer(o *server.Options) { o.SyncAlways = false }

// TestNATSDuplicateFlood sends one event 10,000 times over each way, all at once: it is kept once, pushed once, told once,
// and counted.
func TestNATSDuplicateFlood(t *testing.T) {
	const times, senders = 10_000, 16
	r := prepareNATS(t, nil, quickServer)
	r.start()
	e := scan("FLOOD", 1, 100001)
	body := asJSON(t, e)
	answers := make(chan apptest.Answer, 2*times)
	var flood sync.WaitGroup
	t.Cleanup(flood.Wait)
	send := func(one func() (apptest.Answer, error)) {
		for range times / senders {
			a, err := one()
			if err != nil {
				t.Error(err)
				return
			}
			answers <- a
		}
	}
	for range senders {
		flood.Go(func() { send(func() (apptest.Answer, error) { return r.s.Post(t.Context(), e) }) })
		flood.Go(func() {
			send(func() (apptest.Answer, error) { return request(r.nc, "carrier.submit."+apptest.Scanner, body, nil) })
		})
	}
	for range times / asyncPending {
		for _, ack := range r.publishAsync(apptest.Scanner, slices.Repeat([]apptest.Event{e}, asyncPending)) {
			keptByServer(t, ack)
		}
	}
	flood.Wait()
	close(answers)
	verdicts, seqs := map[string]int{}, map[uint64]bool{}
	for a := range answers {
		verdicts[a.Verdict]++
		seqs[a.Seq] = true
	}
	r.drained()
	r.s.Settled(t, later)
	if kept := r.s.EventsOf(t, ""); len(kept) != 1 {
		t.Errorf("%d events are kept, want one", len(kept))
	}
	if n := verdicts["accepted"] + verdicts["duplicate"]; n != 2*times || verdicts["accepted"] > 1 || len(seqs) != 1 {
		t.Errorf("the answers were %v, the numbers %v", verdicts, seqs)
	}
	_, metrics := get(t, r.s.Admin+"/metrics")
	for verdict, want := range map[string]int{"accepted": 1, "duplicate": 3*times - 1} {
		if line := fmt.Sprintf(`carrier_events_total{source="%s",verdict="%s"} %d`, apptest.Scanner, verdict, want); !strings.Contains(metrics, line) {
			t.Errorf("/metrics has no %s; it has %s", line, grep(metrics, "carrier_events_total{"))
		}
	}
	if n := r.up.Stats().Applied; n != 1 {
		t.Errorf("%d pushes arrived", n)
	}
	if told := r.outcomes(1); len(told) != 1 {
		t.Errorf("%d outcomes are told", len(told))
	}
}

// keptByServer waits for the server's acknowledgement.
func keptByServer(t *testing.T, ack jetstream.PubAckFuture) {
	t.Helper()
	select {
	case <-ack.Ok():
	case err := <-ack.Err():
		t.Fatalf("the server does not keep what is published: %v", err)
	case <-time.After(later):
		t.Fatal("the server does not answer a publication")
	}
}

func grep(text, start string) (found []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, start) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// TestNATSStopInAFlood stops the service, as SIGTERM does, in the midst of a flood from both sides, and starts it again:
// what the server had, and what was answered, is kept once, pushed in order and told.
func TestNATSStopInAFlood(t *testing.T) {
	const rounds, lanes, waybills = 3, 4, 240
	r := prepareNATS(t, nil, quickServer)
	r.start()
	var all []apptest.Event
	left := uint64(0) // Messages that waited in the stream after a stop.
	for round := range rounds {
		streamed := fleet(fmt.Sprintf("STREAM%d-", round), waybills, 100001, 200001, 300002)
		all = append(all, streamed...)
		var answered atomic.Int64
		var asking sync.WaitGroup
		for lane := range lanes {
			asked := fleet(fmt.Sprintf("ASKED%d%d-", round, lane), waybills/lanes, 100001, 200001, 300002)
			all = append(all, asked...)
			asking.Go(func() { askUntilAnswered(t, r.nc, asked, &answered) })
		}
		var published atomic.Int64
		asking.Go(func() { publishInParts(t, r.js, streamed, &published) })
		r.eventually(func() bool { return answered.Load() >= lanes && published.Load() >= waybills/2 }, "the flood has begun")
		r.s.stop() // In the midst of it.
		waiting := r.waiting()
		left += waiting
		t.Logf("round %d: by the end of the stop there were %d answers and %d messages, %d of which were not taken", round, answered.Load(), published.Load(), waiting)
		r.start()
		asking.Wait()
	}
	if left == 0 {
		t.Error("the run is void: nothing was left in the stream by any stop")
	}
	r.drained()
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, all)
	if kept := r.s.EventsOf(t, ""); len(kept) != len(all) {
		t.Errorf("%d events are kept, want %d", len(kept), len(all))
	}
	if dead := r.deadLetters(); len(dead) != 0 {
		t.Errorf("%d dead letters, the first is %+v", len(dead), dead[0])
	}
	if n := r.up.Stats().Repeats; n != 0 {
		t.Errorf("%d pushes arrived twice; each stop waits for those in flight", n)
	}
	told := map[uint64]bool{}
	for _, o := range r.outcomes(len(all)) {
		told[o.Seq] = true
	}
	if len(told) != len(all) {
		t.Errorf("the outcomes of %d events are told, want %d", len(told), len(all))
	}
}

// publishAsync publishes events in order, without waiting for the server's answers.
func (d *dispatch) publishAsync(source string, events []apptest.Event) []jetstream.PubAckFuture {
	d.t.Helper()
	acks := make([]jetstream.PubAckFuture, len(events))
	for i, e := range events {
		ack, err := d.js.PublishAsync("carrier.events."+source, asJSON(d.t, e))
		if err != nil {
			d.t.Fatal(err)
		}
		acks[i] = ack
	}
	return acks
}

// publishInParts publishes events in order, many at a time.
func publishInParts(t *testing.T, js jetstream.JetStream, events []apptest.Event, published *atomic.Int64) {
	for part := range slices.Chunk(events, 60) {
		var acks []jetstream.PubAckFuture
		for _, e := range part {
			body, err := json.Marshal(e)
			if err != nil {
				t.Error(err)
				return
			}
			ack, err := js.PublishAsync("carrier.events.sorter-7", body)
			if err != nil {
				t.Error(err)
				return
			}
			acks = append(acks, ack)
		}
		for _, ack := range acks {
			select {
			case <-ack.Ok():
				published.Add(1)
			case err := <-ack.Err():
				t.Errorf("the server does not keep what is published: %v", err)
				return
			case <-time.After(later):
				t.Error("the server does not answer a publication")
				return
			}
		}
	}
}

// askUntilAnswered submits events one by one, each until it is answered: while the service is away there is nobody to
// answer, and what comes in the moment of its stop may have no answer.
func askUntilAnswered(t *testing.T, nc *nats.Conn, events []apptest.Event, answered *atomic.Int64) {
	for _, e := range events {
		body, err := json.Marshal(e)
		if err != nil {
			t.Error(err)
			return
		}
		for deadline := time.Now().Add(later); ; {
			m, err := nc.Request("carrier.submit.asker", body, 5*time.Second)
			if err == nil && (bytes.Contains(m.Data, []byte(`"verdict":"accepted"`)) || bytes.Contains(m.Data, []byte(`"original":"accepted"`))) {
				answered.Add(1)
				break
			}
			away := errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) || err == nil && m.Header.Get(micro.ErrorCodeHeader) == "503"
			if !away || time.Now().After(deadline) {
				t.Errorf("submitting %s: %v, %v", e.ID, err, m)
				return
			}
		}
	}
}
