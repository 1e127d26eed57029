package app_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// startEmbedded starts the service with a NATS server inside it, and connects a dispatch system to that. The client
// reconnects by itself when the service is started again.
func startEmbedded(t *testing.T, edit func(*apptest.Settings)) *natsRig {
	t.Helper()
	r := &natsRig{t: t, up: apptest.NewUpstream(t, sandbox.Options{Open: true})}
	r.settings = apptest.NewSettings(t, sf(r.up))
	listen := freeAddress(t)
	r.settings.NATS = fmt.Sprintf("{url: embedded, embedded: {listen: %q, store_dir: %q}}", listen, filepath.Join(t.TempDir(), "nats"))
	if edit != nil {
		edit(r.settings)
	}
	r.s = start(t, r.settings)
	nc, err := nats.Connect("nats://"+listen, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	r.dispatch = newDispatch(t, nc)
	return r
}

// freeAddress is an address that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// restart stops the service and starts it again; the dispatch system is connected again when it returns.
func (r *natsRig) restart() {
	r.t.Helper()
	r.s.stop()
	r.start()
	r.eventually(func() bool { return r.nc.FlushTimeout(time.Second) == nil }, "the dispatch system is connected again")
}

// TestNATSEmbedded does everything with the server inside, and goes on after a restart.
func TestNATSEmbedded(t *testing.T) {
	r := startEmbedded(t, withCallback)
	r.ready()
	desk := &orderDesk{}
	desk.serve(r, "SF")
	desk.answers(yes, nil)
	var all []apptest.Event
	for round := range 3 {
		events := story(fmt.Sprint("EMBEDDED", round), 100001, 200001, 300002)
		all = append(all, events...)
		r.publishEvents("sorter-7", events[0])
		r.drained()
		if a := r.submit("sorter-7", asJSON(t, events[1]), nil); a.Verdict != "accepted" {
			t.Errorf("by request: %s", a.Body)
		}
		r.s.Accept(t, events[2])
		pushOrder(t, r.s, "SF", orderMessage("add_waybill", fmt.Sprint(round), fmt.Sprint("ORDER", round), "T"), 0)
		if asked := desk.questions(); len(asked) != 1 {
			t.Errorf("asked %d times", len(asked))
		}
		r.s.Settled(t, later)
		r.outcomes(len(all))
		r.restart()
	}
	arrivedInOrder(t, r.up, all)
	told := r.outcomes(len(all))
	if len(told) != len(all) {
		t.Errorf("%d outcomes are in the stream, want %d", len(told), len(all))
	}
}

// TestNATSEmbeddedKeeps: what was published to the server inside and not taken before a stop is taken after it.
func TestNATSEmbeddedKeeps(t *testing.T) {
	r := startEmbedded(t, func(s *apptest.Settings) { s.MinFree = "1000000GiB" }) // Nothing is taken.
	events := fleet("KEPT", 50, 100001, 200001)
	for _, e := range events[:1] {
		r.untilPublished("sorter-7", e)
	}
	r.publishEvents("sorter-7", events[1:]...)
	if n := r.waiting(); n != uint64(len(events)) {
		t.Errorf("%d messages wait, want %d", n, len(events))
	}
	r.settings.MinFree = ""
	r.restart()
	r.drained()
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, events)
	if kept := r.s.EventsOf(t, "source=sorter-7"); len(kept) != len(events) {
		t.Errorf("%d events are kept, want %d", len(kept), len(events))
	}
	r.outcomes(len(events))
}

// TestNATSEmbeddedRefused: an address that is in use is named, and so is what to change.
func TestNATSEmbeddedRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	settings := apptest.NewSettings(t)
	settings.NATS = fmt.Sprintf("{url: embedded, embedded: {listen: %q, store_dir: %q}}", l.Addr(), filepath.Join(t.TempDir(), "nats"))
	err = loadAndStart(t, settings.YAML())
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "nats.embedded.listen") {
		t.Errorf("the service says %v, want it to name the address and the key", err)
	}
}
