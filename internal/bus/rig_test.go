package bus

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/bus/natstest"
	"carrier/internal/ingest"
	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// patience is how long tests wait for what must happen; the machine may be slow.
const patience = 40 * time.Second

// until waits until done. what says what is waited for, or, as a function, how things stand if that does not come.
func until[What string | func() string](t testing.TB, what What, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().Before(deadline) {
			continue
		}
		switch what := any(what).(type) {
		case func() string:
			t.Fatalf("not within %s; by now: %s", patience, what())
		default:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// desk is Events and Store: it keeps messages in memory.
type desk struct {
	t testing.TB

	mu          sync.Mutex
	taken       map[string][]string // Bodies by source, in the order in which they were taken first.
	times       map[string]int      // How often each body was taken.
	sizes       []int               // Messages of each call.
	closed      error               // Why it takes nothing; nil: it does.
	refused     int                 // Calls while it took nothing.
	cursed      string              // A body that it can't decide, and that spoils its whole call.
	letters     []store.DeadLetter
	lettersFail int           // How many more dead letters can't be kept.
	hold        chan struct{} // Calls wait until it is closed; nil: they don't.
}

func newDesk(t testing.TB) *desk {
	return &desk{t: t, taken: map[string][]string{}, times: map[string]int{}}
}

// retryAfter is when the desk wants messages again that it did not take.
const retryAfter = 300 * time.Millisecond

func (d *desk) Take(ctx context.Context, messages []ingest.Message) []ingest.Reply {
	d.mu.Lock()
	hold := d.hold
	d.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	replies := make([]ingest.Reply, len(messages))
	d.sizes = append(d.sizes, len(messages))
	var all *problem.Problem
	if d.closed != nil {
		d.refused++
		all = problem.New(problem.StoreUnavailable).After(retryAfter).Because(d.closed)
	} else if d.cursed != "" && slices.ContainsFunc(messages, func(m ingest.Message) bool { return string(m.Body) == d.cursed }) {
		all = problem.New(problem.OutcomeUnknown).After(time.Second).Because(store.ErrDamaged)
	}
	for i, m := range messages {
		switch body := string(m.Body); {
		case m.Source == "" || body == "" || strings.HasPrefix(body, "bad"):
			replies[i] = ingest.Reply{Verdict: state.Invalid, Problem: problem.New(problem.MalformedJSON)}
		case all != nil:
			replies[i] = ingest.Reply{Problem: all}
		default:
			if d.times[body]++; d.times[body] == 1 {
				d.taken[m.Source] = append(d.taken[m.Source], body)
			}
			replies[i] = ingest.Reply{Verdict: state.Accepted, Answer: []byte("{}")}
		}
	}
	return replies
}

func (d *desk) TakeBatch(context.Context, ingest.Message) ([]byte, *problem.Problem) {
	panic("not used")
}

func (d *desk) PutToken(context.Context, state.Waybill, string, store.Act) (bool, error) {
	panic("not used")
}

func (d *desk) Notices(context.Context, uint64, int) ([]store.Notice, error) { return nil, nil }

func (d *desk) Told(context.Context, uint64) error { return nil }

func (d *desk) PutDeadLetter(_ context.Context, letter store.DeadLetter) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lettersFail > 0 {
		d.lettersFail--
		return fmt.Errorf("dead letter: %w", store.ErrUnavailable)
	}
	letter.Body = slices.Clone(letter.Body)
	d.letters = append(d.letters, letter)
	return nil
}

func (d *desk) Ready() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// set changes the desk while it works.
func (d *desk) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// total is how many different messages were taken.
func (d *desk) total() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.times)
}

// repeats is how many messages were taken more than once.
func (d *desk) repeats() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, times := range d.times {
		if times > 1 {
			n++
		}
	}
	return n
}

// wantAll fails if a message is missing or was taken in another order than it was published.
func (d *desk) wantAll(published map[string][]string, inOrder bool) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, source := range slices.Sorted(maps.Keys(published)) {
		want, got := published[source], d.taken[source]
		for _, body := range want {
			if d.times[body] == 0 {
				d.t.Errorf("%s was acknowledged to its publisher and not taken", body)
			}
		}
		if inOrder && !slices.Equal(got, want) {
			d.t.Errorf("%s: taken in another order than published: %v", source, firstDifference(got, want))
		}
	}
}

func firstDifference(got, want []string) string {
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return fmt.Sprintf("number %d: got %v, want %v", i, got[i:min(len(got), i+5)], want[i:min(len(want), i+5)])
		}
	}
	return fmt.Sprintf("%d more than published", len(got)-len(want))
}

// tally counts what the Observer hears.
type tally struct {
	mu        sync.Mutex
	messages  map[Outcome]int
	up        bool
	again     int
	redeliver int
	waiting   int64
	looks     int
}

func (m *tally) observer() Observer {
	m.messages = map[Outcome]int{}
	lock := func(f func()) { m.mu.Lock(); defer m.mu.Unlock(); f() }
	return Observer{
		Connected:   func(up bool) { lock(func() { m.up = up }) },
		Reconnected: func() { lock(func() { m.again++ }) },
		Messages:    func(o Outcome, n int) { lock(func() { m.messages[o] += n }) },
		Redelivered: func(n int) { lock(func() { m.redeliver += n }) },
		Backlog:     func(waiting, _ int64) { lock(func() { m.waiting = waiting; m.looks++ }) },
	}
}

func (m *tally) count(o Outcome) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.messages[o]
}

// testLog writes to the test's log until the test ends.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// rig is a bus at work.
type rig struct {
	*testing.T
	desk *desk
	bus  *Bus
	seen *tally
	stop func() // Ends Run and waits for it.
}

// start runs a bus against servers, and stops it at the end of the test.
func start(t *testing.T, d *desk, o Options) *rig {
	t.Helper()
	r := &rig{T: t, desk: d, seen: &tally{}}
	o.Events, o.Store, o.Configured, o.Version, o.Observe = d, d, isAccount, "v1.2.3", r.seen.observer()
	o.Logger = cmp.Or(o.Logger, testLog(t))
	var err error
	if r.bus, err = Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.bus.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not end")
		}
		if err := r.bus.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// publisher publishes numbered messages of several sources, and knows which were acknowledged to it.
type publisher struct {
	t    testing.TB
	js   jetstream.JetStream
	next int

	mu    sync.Mutex
	acked map[string][]string
}

func newPublisher(t testing.TB, nc *nats.Conn) *publisher {
	return &publisher{t: t, js: streams(t, nc), acked: map[string][]string{}}
}

// publish publishes n messages, one after the other, each until it is acknowledged: the stream has them in this order.
func (p *publisher) publish(ctx context.Context, n int) {
	for range n {
		p.next++
		source := "s" + strconv.Itoa(p.next%3)
		body := source + "-" + strconv.Itoa(p.next)
		for ctx.Err() == nil {
			try, cancel := context.WithTimeout(ctx, time.Second)
			_, err := p.js.Publish(try, eventsPrefix+source, []byte(body), jetstream.WithMsgID(body))
			cancel()
			if err == nil {
				p.mu.Lock()
				p.acked[source] = append(p.acked[source], body)
				p.mu.Unlock()
				break
			}
			_ = pause(ctx, 20*time.Millisecond)
		}
	}
}

// forget drops what was acknowledged so far: it was deleted with its stream, or purged.
func (p *publisher) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = map[string][]string{}
}

func (p *publisher) published() map[string][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string][]string{}
	for source, bodies := range p.acked {
		all[source] = slices.Clone(bodies)
	}
	return all
}

// empty waits until the stream holds nothing more: all of it was acknowledged.
func (r *rig) empty(js jetstream.JetStream) {
	r.Helper()
	until(r, "the stream is empty", func() bool {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		stream, err := js.Stream(ctx, eventsStream)
		return err == nil && stream.CachedInfo().State.Msgs == 0
	})
}

// acknowledged waits until the consumer has nothing more to bring, and waits for no acknowledgement. A server that is
// stopped as an acknowledgement comes may count it, and keep the message all the same: then the stream never is empty.
func (r *rig) acknowledged(js jetstream.JetStream) {
	r.Helper()
	var info *jetstream.ConsumerInfo
	until(r, func() string { return fmt.Sprintf("the consumer is %+v; want nothing pending", info) }, func() bool {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		c, err := js.Consumer(ctx, eventsStream, eventsConsumer)
		if err == nil {
			info = c.CachedInfo()
		}
		return err == nil && info.NumPending == 0 && info.NumAckPending == 0
	})
}

// steady waits until nothing is degraded.
func (r *rig) steady() {
	r.Helper()
	until(r, "nothing is degraded", func() bool { return len(r.bus.Degraded()) == 0 })
}

// made waits until the bus has made its stream and consumer.
func (r *rig) made(js jetstream.JetStream) {
	r.Helper()
	until(r, "streams and consumer are made", func() bool {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		left, err := Plan(ctx, js, Options{})
		return err == nil && len(left) == 0
	})
}

func natsServer(t *testing.T) *natstest.Server { return natstest.Start(t, nil) }

func natsServerWithoutJetStream(t *testing.T) *natstest.Server {
	return natstest.Start(t, func(o *server.Options) { o.JetStream = false })
}

// isAccount tells whether the tests' configuration has an account.
func isAccount(deliveryID string) bool { return deliveryID == "SF" || deliveryID == "顺丰" }
