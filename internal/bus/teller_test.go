package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
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
	"carrier/internal/state"
	"carrier/internal/store"
)

// jetStream connects a client of JetStream that buffers nothing while the server is away, as the service's.
func jetStream(t *testing.T, to interface {
	Connect(...nats.Option) *nats.Conn
}) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(to.Connect(nats.ReconnectBufSize(-1)))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// unsynced makes a server quick where it is stopped, and not killed.
func unsynced(o *server.Options) { o.SyncAlways = false }

func makeStream(t *testing.T, js jetstream.JetStream, edit func(*jetstream.StreamConfig)) jetstream.Stream {
	t.Helper()
	cfg := jetstream.StreamConfig{
		Name: "CARRIER_OUTCOMES", Subjects: []string{"carrier.outcomes.*.*"}, MaxAge: 168 * time.Hour, Duplicates: 2 * time.Minute,
	}
	if edit != nil {
		edit(&cfg)
	}
	var s jetstream.Stream
	var err error
	until(t, func() string { return fmt.Sprint("making the stream: ", err) }, func() bool { // The members of a cluster get to know each other a moment after it has a leader.
		s, err = js.CreateOrUpdateStream(within(t), cfg)
		return err == nil
	})
	return s
}

// noticesOf are n ends of as many waybills, delivered or failed.
func noticesOf(n int) []store.Notice {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	all := make([]store.Notice, n)
	for i := range all {
		all[i] = store.Notice{
			Number: uint64(i + 1), Seq: uint64(1000 + i), Nth: 1, At: at, Status: store.Delivered, ReceivedAt: at, Tries: 1,
			Event: state.Event{ID: fmt.Sprintf("scan-%d", i), Source: "s", DeliveryID: "SF", WaybillID: "W" + strconv.Itoa(i%97), Type: state.Transit, Time: 1767339000},
		}
	}
	return all
}

// startTelling runs a teller of what a store keeps; stop ends it and waits.
func startTelling(t *testing.T, js jetstream.JetStream, kept *fakeStore) (tell *teller, wake chan struct{}, stop func()) {
	t.Helper()
	return startTeller(t, js, options(t, nil, kept))
}

func startTeller(t *testing.T, js jetstream.JetStream, o *Options) (tell *teller, wake chan struct{}, stop func()) {
	t.Helper()
	wake = make(chan struct{}, 1)
	tell = newTeller(js, o, wake)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := tell.run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return tell, wake, stop
}

// stored are the messages of the stream, oldest first.
func stored(t *testing.T, js jetstream.JetStream) (msgs []jetstream.Msg) {
	t.Helper()
	var err error
	until(t, func() string { return fmt.Sprint("reading the stream: ", err) }, func() bool { // A cluster that has lost a member does not answer at once.
		msgs, err = readStored(t, js)
		return err == nil
	})
	return msgs
}

func readStored(t *testing.T, js jetstream.JetStream) ([]jetstream.Msg, error) {
	stream, err := js.Stream(within(t), "CARRIER_OUTCOMES")
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(within(t))
	if err != nil || info.State.Msgs == 0 {
		return nil, err
	}
	all, err := js.OrderedConsumer(within(t), "CARRIER_OUTCOMES", jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	var msgs []jetstream.Msg
	for uint64(len(msgs)) < info.State.Msgs {
		some, err := all.Fetch(int(info.State.Msgs)-len(msgs), jetstream.FetchMaxWait(patience))
		if err != nil {
			return nil, err
		}
		for m := range some.Messages() {
			msgs = append(msgs, m)
		}
		if some.Error() != nil {
			return nil, some.Error()
		}
	}
	return msgs, nil
}

// wantInOrder fails unless the stream has each notice once, in order, under its own id.
func wantInOrder(t *testing.T, msgs []jetstream.Msg, notices []store.Notice) {
	t.Helper()
	for i, m := range msgs {
		id := m.Headers().Get("ce-id")
		var body outcome
		if err := json.Unmarshal(m.Data(), &body); err != nil || !strings.HasSuffix(m.Headers().Get("Nats-Msg-Id"), id) || strconv.FormatUint(body.Seq, 10) != strings.Split(id, "-")[0] {
			t.Fatalf("message %d has the id %q and is %s", i, id, m.Data())
		}
		if i >= len(notices) || id != noticeID(&notices[i]) {
			t.Fatalf("message %d is %s, want notice %d of %d", i, id, i, len(notices))
		}
	}
	if len(msgs) != len(notices) {
		t.Errorf("%d of %d notices are there", len(msgs), len(notices))
	}
}

// TestOutagesDelayAndLoseNothing: 10,000 notices, the server down twice, the cursor right at the end.
func TestOutagesDelayAndLoseNothing(t *testing.T) {
	server := natstest.Start(t, unsynced)
	makeStream(t, jetStream(t, server), nil)
	kept := &fakeStore{t: t, notices: noticesOf(10_000)}
	tell, _, _ := startTelling(t, jetStream(t, server), kept)
	for _, at := range []uint64{2000, 6000} {
		until(t, func() string { return fmt.Sprintf("told up to %d", kept.toldUpTo()) }, func() bool { return kept.toldUpTo() >= at })
		server.Down()
		until(t, func() string { return "the trouble is " + tell.trouble.say() }, func() bool { return strings.Contains(tell.trouble.say(), "NATS can't be reached") })
		server.Up()
	}
	until(t, func() string { return fmt.Sprintf("told up to %d", kept.toldUpTo()) }, func() bool { return kept.toldUpTo() == 10_000 })
	until(t, func() string { return "still: " + tell.trouble.say() }, func() bool { return tell.trouble.say() == "" })
	wantInOrder(t, stored(t, jetStream(t, server)), kept.notices)
}

// TestLostToldIsTellingAgain: a crash between the acknowledgement and Told. Within the window the stream drops what comes
// again; after it, it is there twice.
func TestLostToldIsTellingAgain(t *testing.T) {
	tests := []struct {
		name    string
		window  time.Duration
		repeats int
	}{{"within the window", 2 * time.Minute, 0}, {"after it", 100 * time.Millisecond, 1000}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := natstest.Start(t, unsynced)
			js := jetStream(t, server)
			stream := makeStream(t, js, func(c *jetstream.StreamConfig) { c.Duplicates = tt.window })
			kept := &fakeStore{t: t, notices: noticesOf(1000), forget: true}
			_, _, stop := startTelling(t, js, kept)
			count := func() int {
				info, err := stream.Info(within(t))
				if err != nil {
					t.Fatal(err)
				}
				return int(info.State.Msgs)
			}
			until(t, func() string { return fmt.Sprint(count()) }, func() bool { return count() == 1000 })
			stop()
			kept.forget = false
			if tt.repeats > 0 { // Let the window pass: a message with an old id is taken as new.
				until(t, "the window passes", func() bool {
					ack, err := js.PublishMsg(within(t), &nats.Msg{Subject: "carrier.outcomes.SF.delivered", Header: nats.Header{"Nats-Msg-Id": {"1999"}}})
					if err != nil {
						t.Fatal(err)
					}
					return !ack.Duplicate
				})
				if err := stream.DeleteMsg(within(t), 1001); err != nil {
					t.Fatal(err)
				}
			}
			startTelling(t, js, kept)
			until(t, func() string { return fmt.Sprint(kept.toldUpTo()) }, func() bool { return kept.toldUpTo() == 1000 })
			if tt.repeats == 0 {
				wantInOrder(t, stored(t, js), kept.notices)
				return
			}
			all := stored(t, js)
			wantInOrder(t, all[:1000], kept.notices)
			wantInOrder(t, all[1000:], kept.notices[:len(all)-1000])
		})
	}
}

// TestTwoStoresInOneStream tell ends of the same numbers at once; then one of them is told again, all and for a crash,
// and at last a store that was restored from a backup tells another end of a number. Every outcome is there once, whichever
// store was the first to use a number.
func TestTwoStoresInOneStream(t *testing.T) {
	names := []string{instanceName, "9b2d4c1e-0f3a-4c58-8f57-5f0d7c1f2a10"}
	for _, tt := range []struct {
		name  string
		turns [][]string
	}{
		{"at once", [][]string{names}},
		{"the restored one first", [][]string{names[:1], names[1:]}},
		{"the restored one last", [][]string{names[1:], names[:1]}},
	} {
		t.Run(tt.name, func(t *testing.T) { tellFromTwoStores(t, names, tt.turns) })
	}
}

// tellFromTwoStores tells from the stores that are named, in turns; those of one turn at once. The first one is restored.
func tellFromTwoStores(t *testing.T, names []string, turns [][]string) {
	const each = 300
	server := natstest.Start(t, unsynced)
	js := jetStream(t, server)
	makeStream(t, js, nil)
	tellAll := func(notices []store.Notice, names ...string) {
		t.Helper()
		var stops []func()
		for _, name := range names {
			kept := &fakeStore{t: t, notices: notices}
			o := options(t, nil, kept)
			o.Instance = name
			_, _, stop := startTeller(t, jetStream(t, server), o)
			stops = append(stops, func() {
				until(t, func() string { return fmt.Sprint(name, kept.toldUpTo()) }, func() bool { return kept.toldUpTo() == uint64(len(notices)) })
				stop()
			})
		}
		for _, stop := range stops {
			stop()
		}
	}
	notices := noticesOf(each)
	for _, turn := range append(slices.Clone(turns), names) { // In the end, as their Told was lost.
		tellAll(notices, turn...)
	}
	times, msgIDs := map[string]int{}, map[string]bool{}
	count := func() (n int) {
		clear(times)
		clear(msgIDs)
		for _, m := range stored(t, js) {
			h := m.Headers()
			times[h.Get("ce-source")+" "+h.Get("ce-id")]++
			msgIDs[h.Get("Nats-Msg-Id")] = true
			n++
		}
		return n
	}
	if n := count(); n != 2*each || len(msgIDs) != n {
		t.Errorf("%d outcomes are there under %d ids, want %d", n, len(msgIDs), 2*each)
	}
	for _, name := range names {
		for i := range notices {
			if id := "/carrier/" + name + "/accounts/SF " + noticeID(&notices[i]); times[id] != 1 {
				t.Errorf("%s is there %d times", id, times[id])
			}
		}
	}

	restored := noticesOf(1)
	restored[0].At = restored[0].At.Add(time.Minute)
	tellAll(restored, names[0])
	if n := count(); n != 2*each+1 {
		t.Errorf("%d outcomes are there, want the restored store's, too", n)
	}
}

// TestDuplicateThatIsGone: what the stream has dropped is told once more if the message that it was dropped for can't be
// read.
func TestDuplicateThatIsGone(t *testing.T) {
	server := natstest.Start(t, nil)
	js := jetStream(t, server)
	stream := makeStream(t, js, nil)
	ack, err := js.PublishMsg(within(t), &nats.Msg{Subject: "carrier.outcomes.SF.delivered", Header: nats.Header{"Nats-Msg-Id": {"1000"}}})
	if err == nil {
		err = stream.DeleteMsg(within(t), ack.Sequence)
	}
	if err != nil {
		t.Fatal(err)
	}
	kept := &fakeStore{t: t, notices: noticesOf(3)}
	startTelling(t, js, kept)
	until(t, func() string { return fmt.Sprint(kept.toldUpTo()) }, func() bool { return kept.toldUpTo() == 3 })
	msgs := stored(t, js)
	wantInOrder(t, msgs, kept.notices)
	if got, want := msgs[0].Headers().Get("Nats-Msg-Id"), instanceName+"-"+msgs[0].Headers().Get("ce-time")+"-1000"; got != want {
		t.Errorf("the first is %s, want %s", got, want)
	}
}

// TestEveryEndIsTold: a push that failed and was then delivered, within the window: both arrive, under ids of their own.
func TestEveryEndIsTold(t *testing.T) {
	server := natstest.Start(t, nil)
	js := jetStream(t, server)
	makeStream(t, js, nil)
	notices := noticesOf(3)
	notices[0].Status, notices[0].Reason = store.Failed, store.ReasonExhausted
	notices[2] = notices[0]
	notices[2].Number, notices[2].Nth, notices[2].Status, notices[2].Reason = 3, 2, store.Delivered, ""
	kept := &fakeStore{t: t, notices: notices}
	startTelling(t, js, kept)
	until(t, func() string { return fmt.Sprint(kept.toldUpTo()) }, func() bool { return kept.toldUpTo() == 3 })
	msgs := stored(t, js)
	wantInOrder(t, msgs, notices)
	if msgs[0].Subject() != "carrier.outcomes.SF.failed" || msgs[2].Subject() != "carrier.outcomes.SF.delivered" || msgs[2].Headers().Get("ce-id") != "1000-2" {
		t.Errorf("they came on %s and %s as %s", msgs[0].Subject(), msgs[2].Subject(), msgs[2].Headers().Get("ce-id"))
	}
}

// TestMissingStream: it is told what is missing, and all comes once the stream is there. So does what comes after the
// stream was deleted.
func TestMissingStream(t *testing.T) {
	server := natstest.Start(t, unsynced)
	js := jetStream(t, server)
	kept := &fakeStore{t: t, notices: noticesOf(2000)}
	kept.notices = kept.notices[:1000]
	tell, wake, _ := startTelling(t, jetStream(t, server), kept)
	until(t, func() string { return "the trouble is " + tell.trouble.say() }, func() bool { return strings.Contains(tell.trouble.say(), "carrier nats plan") })
	makeStream(t, js, nil)
	until(t, func() string { return fmt.Sprint(kept.toldUpTo(), tell.trouble.say()) }, func() bool { return kept.toldUpTo() == 1000 && tell.trouble.say() == "" })
	wantInOrder(t, stored(t, js), kept.notices)

	if err := js.DeleteStream(within(t), "CARRIER_OUTCOMES"); err != nil {
		t.Fatal(err)
	}
	makeStream(t, js, nil)
	kept.mu.Lock()
	kept.notices = kept.notices[:2000]
	kept.mu.Unlock()
	wake <- struct{}{}
	until(t, func() string { return fmt.Sprint(kept.toldUpTo(), tell.trouble.say()) }, func() bool { return kept.toldUpTo() == 2000 })
	wantInOrder(t, stored(t, js), kept.notices[1000:])
}

// TestSomebodyElsePublishes into the stream: the order can't be kept then, but every notice is told, and once.
func TestSomebodyElsePublishes(t *testing.T) {
	server := natstest.Start(t, unsynced)
	js := jetStream(t, server)
	makeStream(t, js, func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "other") })
	kept := &fakeStore{t: t, notices: noticesOf(500)}
	tell, _, _ := startTelling(t, jetStream(t, server), kept)
	for kept.toldUpTo() < 500 {
		if _, err := js.Publish(within(t), "other", nil); err != nil {
			t.Fatal(err)
		}
		if got := tell.trouble.say(); got != "" {
			t.Fatalf("the trouble is %q", got)
		}
	}
	times := map[string]int{}
	for _, m := range stored(t, js) {
		if m.Subject() != "other" {
			times[m.Headers().Get("ce-id")]++
		}
	}
	for i := range kept.notices {
		if id := noticeID(&kept.notices[i]); times[id] != 1 {
			t.Errorf("notice %s is there %d times", id, times[id])
		}
	}
}

// TestWhatCannotBeToldIsPassedOver: it must not be in the way of the others.
func TestWhatCannotBeToldIsPassedOver(t *testing.T) {
	server := natstest.Start(t, nil)
	js := jetStream(t, server)
	makeStream(t, js, nil)
	notices := noticesOf(100)
	for _, i := range []int{0, 50, 99} {
		notices[i].Event.DeliveryID = "S F"
	}
	kept := &fakeStore{t: t, notices: notices}
	startTelling(t, js, kept)
	until(t, func() string { return fmt.Sprint(kept.toldUpTo()) }, func() bool { return kept.toldUpTo() == 100 })
	var fit []store.Notice
	for _, n := range notices {
		if n.Event.DeliveryID == "SF" {
			fit = append(fit, n)
		}
	}
	wantInOrder(t, stored(t, js), fit)
}

// TestToldFails: outcomes go on being told, once each, and Told is tried again.
func TestToldFails(t *testing.T) {
	server := natstest.Start(t, nil)
	js := jetStream(t, server)
	makeStream(t, js, nil)
	kept := &fakeStore{t: t, notices: noticesOf(1500), toldErr: store.ErrDiskLow}
	tell, _, _ := startTelling(t, js, kept)
	until(t, func() string { return "the trouble is " + tell.trouble.say() }, func() bool { return strings.Contains(tell.trouble.say(), "disk is nearly full") })
	kept.mu.Lock()
	kept.toldErr = nil
	kept.mu.Unlock()
	until(t, func() string { return fmt.Sprint(kept.toldUpTo(), tell.trouble.say()) }, func() bool { return kept.toldUpTo() == 1500 && tell.trouble.say() == "" })
	wantInOrder(t, stored(t, js), kept.notices)
}

// TestWakeAndStop: it asks the store when woken, and not before; what was told is kept when it stops.
func TestWakeAndStop(t *testing.T) {
	server := natstest.Start(t, nil)
	js := jetStream(t, server)
	makeStream(t, js, nil)
	kept := &fakeStore{t: t, notices: noticesOf(5)[:0]}
	_, wake, stop := startTelling(t, js, kept)
	asked := func() int { kept.mu.Lock(); defer kept.mu.Unlock(); return kept.asked }
	until(t, func() string { return fmt.Sprint(asked()) }, func() bool { return asked() == 1 })
	kept.mu.Lock()
	kept.notices = kept.notices[:5]
	kept.mu.Unlock()
	wake <- struct{}{}
	until(t, func() string { return fmt.Sprint(kept.toldUpTo()) }, func() bool { return kept.toldUpTo() == 5 })
	stop()
	if n := asked(); n > 8 {
		t.Errorf("the store was asked %d times", n)
	}
}

// TestClusterLosesItsLeader while outcomes are told: all arrive, in order.
func TestClusterLosesItsLeader(t *testing.T) {
	cluster := natstest.StartCluster(t)
	js := jetStream(t, cluster)
	makeStream(t, js, func(c *jetstream.StreamConfig) { c.Replicas = 3 })
	kept := &fakeStore{t: t, notices: noticesOf(5000)}
	tell, _, _ := startTelling(t, jetStream(t, cluster), kept)
	until(t, func() string { return fmt.Sprint(kept.toldUpTo(), tell.trouble.say()) }, func() bool { return kept.toldUpTo() > 1000 })
	cluster.StreamLeader("CARRIER_OUTCOMES").Down()
	until(t, func() string { return fmt.Sprint(kept.toldUpTo(), tell.trouble.say()) }, func() bool { return kept.toldUpTo() == 5000 })
	until(t, "it connects to another member", js.Conn().IsConnected)
	wantInOrder(t, stored(t, js), kept.notices)
}

// lossy drops messages, and fails to send them, at random: what a leader that steps down does.
type lossy struct {
	jetstream.JetStream
	random *rand.Rand
}

var errLost = errors.New("lost")

func (l *lossy) PublishMsgAsync(m *nats.Msg, opts ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	switch n := l.random.IntN(300); n {
	case 0:
		return nil, errLost
	case 1:
		return lostAck{}, nil
	case 2:
		if _, err := l.JetStream.PublishMsgAsync(m, opts...); err != nil {
			return nil, err
		}
		return lostAck{}, nil // It arrives, and its acknowledgement is lost.
	}
	return l.JetStream.PublishMsgAsync(m, opts...)
}

type lostAck struct{ jetstream.PubAckFuture }

func (lostAck) Ok() <-chan *jetstream.PubAck { return nil }
func (lostAck) Err() <-chan error {
	c := make(chan error, 1)
	c <- errLost
	return c
}

// TestGapsInTheMiddle: of what is on its way together some is lost. Nothing that comes behind a gap is stored before it.
func TestGapsInTheMiddle(t *testing.T) {
	server := natstest.Start(t, unsynced)
	js := jetStream(t, server)
	makeStream(t, js, nil)
	kept := &fakeStore{t: t, notices: noticesOf(3000)}
	l := &lossy{JetStream: jetStream(t, server), random: rand.New(rand.NewPCG(1, 2))}
	startTelling(t, l, kept)
	until(t, func() string { return fmt.Sprint(kept.toldUpTo()) }, func() bool { return kept.toldUpTo() == 3000 })
	wantInOrder(t, stored(t, js), kept.notices)
}
