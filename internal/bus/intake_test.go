package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/bus/natstest"
	"carrier/internal/store"
)

func TestIntake(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	r := start(t, newDesk(t), Options{URL: s.URL()})
	p := newPublisher(t, s.Connect())
	r.made(p.js)
	p.publish(t.Context(), 300)
	r.empty(p.js)
	r.desk.wantAll(p.published(), true)
	if n := r.desk.repeats(); n != 0 {
		t.Errorf("%d messages were taken twice", n)
	}
	r.steady()
	if got := r.seen.count(Acked); got != 300 {
		t.Errorf("%d messages were counted as acked, want 300", got)
	}
}

// TestIntakeCommitsTogether fails if messages that wait go to the store one by one, or too many at once.
func TestIntakeCommitsTogether(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	d := newDesk(t)
	d.hold = make(chan struct{})
	r := start(t, d, Options{URL: s.URL()})
	p := newPublisher(t, s.Connect())
	r.made(p.js)
	const n = 3000
	for i := range n {
		if _, err := p.js.PublishAsync(eventsPrefix+"s", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 {
			<-p.js.PublishAsyncComplete()
		}
	}
	until(t, "enough is fetched ahead", func() bool {
		c, err := p.js.Consumer(t.Context(), eventsStream, eventsConsumer)
		return err == nil && c.CachedInfo().NumAckPending >= maxBatch+maxBatch/2
	})
	close(d.hold)
	r.empty(p.js)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sizes[1] < maxBatch/2 {
		t.Errorf("while %d messages were with the store, only %d gathered", d.sizes[0], d.sizes[1])
	}
	if largest := slices.Max(d.sizes); largest > maxBatch {
		t.Errorf("%d messages at once, want at most %d", largest, maxBatch)
	}
	if len(d.times) != n {
		t.Errorf("%d of %d were taken", len(d.times), n)
	}
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	d := newDesk(t)
	d.lettersFail = 2
	r := start(t, d, Options{URL: s.URL()})
	js := streams(t, s.Connect())
	r.made(js)
	bodies := [][]byte{[]byte("bad\x00\xff bytes"), []byte("good 1"), append([]byte("bad"), bytes.Repeat([]byte{0xfe}, 500_000)...), []byte("good 2")}
	for _, body := range bodies {
		if _, err := js.Publish(t.Context(), eventsPrefix+"app", body); err != nil {
			t.Fatal(err)
		}
	}
	r.empty(js)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.times) != 2 {
		t.Errorf("%d good messages were taken, want 2", len(d.times))
	}
	if len(d.letters) != 2 {
		t.Fatalf("%d dead letters, want 2", len(d.letters))
	}
	for _, letter := range d.letters {
		if !bytes.Equal(letter.Body, bodies[0]) && !bytes.Equal(letter.Body, bodies[2]) {
			t.Errorf("a dead letter holds other bytes: %.40q", letter.Body)
		}
		if letter.Source != "app" || letter.Subject != "carrier.events.app" || letter.Code != "malformed_json" || letter.Reason == "" {
			t.Errorf("dead letter %+v", letter)
		}
	}
	if got := r.seen.count(Dead); got != 2 {
		t.Errorf("%d messages were counted as dead, want 2", got)
	}
	if got := r.seen.count(Returned); got < 1 {
		t.Error("what could not be kept was not given back")
	}
}

// TestStoreAway fails if an outage of the store loses messages, changes their order, or makes the intake spin.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	d := newDesk(t)
	r := start(t, d, Options{URL: s.URL()})
	p := newPublisher(t, s.Connect())
	r.made(p.js)
	p.publish(t.Context(), 100)
	r.empty(p.js)
	for range 3 {
		d.set(func() { d.closed = store.ErrDiskLow })
		p.publish(t.Context(), 500)
		began := time.Now()
		until(t, "an outage of two seconds", func() bool { return time.Since(began) > 2*time.Second })
		d.set(func() { d.closed = nil })
		r.empty(p.js)
	}
	d.wantAll(p.published(), true)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refused > 12 {
		t.Errorf("the store was asked %d times while it took nothing", d.refused)
	}
	if len(r.bus.Degraded()) != 0 {
		t.Errorf("NATS is degraded for the store's sake: %q", r.bus.Degraded())
	}
}

// TestOneSpoilsAll fails if a message that the store can't decide keeps others out, or is lost.
func TestOneSpoilsAll(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	d := newDesk(t)
	d.cursed = "cursed"
	r := start(t, d, Options{URL: s.URL()})
	p := newPublisher(t, s.Connect())
	r.made(p.js)
	p.publish(t.Context(), 50)
	if _, err := p.js.Publish(t.Context(), eventsPrefix+"s0", []byte(d.cursed)); err != nil {
		t.Fatal(err)
	}
	p.publish(t.Context(), 50)
	until(t, "all others are taken", func() bool { return d.total() == 100 })
	d.set(func() { d.cursed = "" })
	r.empty(p.js)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.times["cursed"] != 1 {
		t.Errorf("it was taken %d times once it could be", d.times["cursed"])
	}
}

// TestFaults does to the server what happens to servers, while a publisher goes on.
func TestFaults(t *testing.T) {
	const each = 60
	for _, test := range []struct {
		name    string
		fault   func(t *testing.T, s *natstest.Server, p *publisher)
		inOrder bool
		lossy   bool // What was published before is deleted on purpose.
	}{
		{"nothing", func(*testing.T, *natstest.Server, *publisher) {}, true, false},
		{"the consumer is deleted", func(t *testing.T, _ *natstest.Server, p *publisher) {
			if err := p.js.DeleteConsumer(t.Context(), eventsStream, eventsConsumer); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				t.Error(err)
			}
		}, false, false},
		{"the stream is deleted", func(t *testing.T, _ *natstest.Server, p *publisher) {
			if err := p.js.DeleteStream(t.Context(), eventsStream); err != nil {
				t.Error(err)
			}
		}, false, true},
		{"the stream is made anew", func(t *testing.T, _ *natstest.Server, p *publisher) {
			if err := p.js.DeleteStream(t.Context(), eventsStream); err != nil {
				t.Error(err)
			}
			if _, err := p.js.CreateStream(t.Context(), wantedEvents(&Options{})); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				t.Error(err)
			}
		}, false, true},
		{"the stream is purged", func(t *testing.T, _ *natstest.Server, p *publisher) {
			stream, err := p.js.Stream(t.Context(), eventsStream)
			if err == nil {
				err = stream.Purge(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		}, false, true},
		{"the server restarts", func(_ *testing.T, s *natstest.Server, _ *publisher) { s.Restart() }, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := natsServer(t)
			p := newPublisher(t, s.Connect())
			// What was on its way in a connection that breaks comes again after ack_wait: half a minute would be long for a test.
			consumer := wantedConsumer()
			consumer.AckWait = 3 * time.Second
			if _, err := p.js.CreateStream(t.Context(), wantedEvents(&Options{})); err != nil {
				t.Fatal(err)
			}
			if _, err := p.js.CreateConsumer(t.Context(), eventsStream, consumer); err != nil {
				t.Fatal(err)
			}
			r := start(t, newDesk(t), Options{URL: s.URL()})
			for range 5 {
				if test.lossy { // What is not taken by then is lost on purpose.
					p.publish(t.Context(), each)
					test.fault(t, s, p)
					p.forget()
					p.publish(t.Context(), each)
					continue
				}
				var publishing sync.WaitGroup
				publishing.Go(func() { p.publish(t.Context(), each) })
				test.fault(t, s, p)
				publishing.Wait()
			}
			want := p.published()
			until(t, "all is taken", func() bool {
				for _, bodies := range want {
					for _, body := range bodies {
						r.desk.mu.Lock()
						taken := r.desk.times[body] > 0
						r.desk.mu.Unlock()
						if !taken {
							return false
						}
					}
				}
				return true
			})
			r.acknowledged(p.js)
			r.desk.wantAll(want, test.inOrder)
			r.steady()
			t.Logf("%d taken, %d of them more than once", r.desk.total(), r.desk.repeats())
		})
	}
}

// TestClusterWithoutLeader fails if the intake does not go on when the leader of its stream is gone.
func TestClusterWithoutLeader(t *testing.T) {
	t.Parallel()
	c := natstest.StartCluster(t)
	r := start(t, newDesk(t), Options{URL: c.URLs(), Replicas: 3})
	p := newPublisher(t, c.Connect())
	until(t, "streams and consumer are made", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		left, err := Plan(ctx, p.js, Options{Replicas: 3})
		return err == nil && len(left) == 0
	})
	p.publish(t.Context(), 50)
	leader := c.StreamLeader(eventsStream)
	leader.Down()
	stopped := time.Now()
	p.publish(t.Context(), 50)
	until(t, "all is taken", func() bool { return r.desk.total() == 100 })
	took := time.Since(stopped)
	t.Logf("the intake went on within %s", took)
	if took > 30*time.Second {
		t.Errorf("it took %s to go on", took)
	}
	leader.Up()
	p.publish(t.Context(), 50)
	until(t, "all is taken", func() bool { return r.desk.total() == 150 })
	r.desk.wantAll(p.published(), false)
	r.steady()
}

// TestStopGivesBack fails if a service that stops keeps messages from the others until ack_wait is over, or cuts off what
// is with the store.
func TestStopGivesBack(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	first := newDesk(t)
	first.hold = make(chan struct{})
	r := start(t, first, Options{URL: s.URL()})
	p := newPublisher(t, s.Connect())
	r.made(p.js)
	p.publish(t.Context(), 400)
	until(t, "all is fetched", func() bool {
		c, err := p.js.Consumer(t.Context(), eventsStream, eventsConsumer)
		return err == nil && c.CachedInfo().NumAckPending == 400
	})
	time.AfterFunc(100*time.Millisecond, func() { close(first.hold) }) // While it stops.
	began := time.Now()
	r.stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	if first.total() == 0 {
		t.Error("what was with the store was cut off")
	}
	acked, returned := r.seen.count(Acked), r.seen.count(Returned)
	if acked != first.total() || acked+returned != 400 {
		t.Errorf("of 400 messages %d were taken, %d acked and %d returned", first.total(), acked, returned)
	}
	second := start(t, newDesk(t), Options{URL: s.URL()})
	began = time.Now()
	second.empty(p.js)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("what was given back was away for %s", took)
	}
	if first.total()+second.desk.total() != 400 || second.desk.repeats() != 0 {
		t.Errorf("%d + %d of 400 were taken", first.total(), second.desk.total())
	}
}

// TestOtherSubjects fails if a message that a widened stream brings is taken for a source's, or is in the way for ever.
func TestOtherSubjects(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	js := streams(t, s.Connect())
	wide := wantedEvents(&Options{})
	wide.Subjects = []string{eventsSubject, "scans.>"}
	if _, err := js.CreateStream(t.Context(), wide); err != nil {
		t.Fatal(err)
	}
	consumer := wantedConsumer()
	consumer.FilterSubject = ""
	if _, err := js.CreateConsumer(t.Context(), eventsStream, consumer); err != nil {
		t.Fatal(err)
	}
	r := start(t, newDesk(t), Options{URL: s.URL()})
	for _, subject := range []string{"scans.north", "carrier.events.app"} {
		if _, err := js.Publish(t.Context(), subject, []byte("x "+subject)); err != nil {
			t.Fatal(err)
		}
	}
	r.empty(js)
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	if len(r.desk.letters) != 1 || r.desk.letters[0].Subject != "scans.north" || string(r.desk.letters[0].Body) != "x scans.north" {
		t.Errorf("dead letters: %+v", r.desk.letters)
	}
	if got := r.desk.taken["app"]; len(got) != 1 || !strings.HasPrefix(got[0], "x ") {
		t.Errorf("taken: %v", got)
	}
}

// TestNodesShare fails if two nodes take the same messages, or leave any to each other.
func TestNodesShare(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	a, b := start(t, newDesk(t), Options{URL: s.URL()}), start(t, newDesk(t), Options{URL: s.URL()})
	p := newPublisher(t, s.Connect())
	a.made(p.js)
	p.publish(t.Context(), 300)
	a.empty(p.js)
	if n := a.desk.total() + b.desk.total(); n != 300 || a.desk.repeats()+b.desk.repeats() != 0 {
		t.Errorf("%d + %d of 300 were taken", a.desk.total(), b.desk.total())
	}
	a.steady()
	b.steady()
}

// TestPretendedLoss fails if a sender who pretends that the server left a body out stops the intake, or is not dealt with.
func TestPretendedLoss(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	r := start(t, newDesk(t), Options{URL: s.URL()})
	p := newPublisher(t, s.Connect())
	r.made(p.js)
	message := &nats.Msg{Subject: eventsPrefix + "s0", Header: nats.Header{"Nats-Msg-Size": {"10"}}}
	for range 3 {
		if _, err := p.js.PublishMsg(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		p.publish(t.Context(), 20)
	}
	r.empty(p.js)
	r.desk.wantAll(p.published(), false)
	if n := len(r.desk.letters); n != 3 {
		t.Errorf("%d dead letters, want 3", n)
	}
	r.steady()
}
