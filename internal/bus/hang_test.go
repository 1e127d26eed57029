package bus

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"carrier/internal/bus/natstest"
)

// mute is a way to a server that can fall silent: connections stay, and nothing is read from them any more.
type mute struct {
	listener net.Listener
	to       string
	silent   chan struct{} // Closed: it is.
	over     chan struct{} // Closed: the test is.
	pipes    sync.WaitGroup
}

func newMute(t *testing.T, server *natstest.Server) *mute {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mute{
		listener: listener, to: strings.TrimPrefix(server.URL(), "nats://"), silent: make(chan struct{}), over: make(chan struct{}),
	}
	m.pipes.Go(m.accept)
	t.Cleanup(func() {
		close(m.over)
		_ = listener.Close()
		m.pipes.Wait()
	})
	return m
}

func (m *mute) url() string { return "nats://" + m.listener.Addr().String() }

func (m *mute) accept() {
	for {
		client, err := m.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", m.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		m.pipes.Go(func() { m.copy(server, client) })
		m.pipes.Go(func() { m.copy(client, server) })
	}
}

// copy passes on what it reads until the mute is silent, and ends the connection when the test is over.
func (m *mute) copy(to, from net.Conn) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 4096)
	for !isClosed(m.silent) {
		_ = from.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := from.Read(buffer)
		if _, writeErr := to.Write(buffer[:n]); writeErr != nil || err != nil && !isTimeout(err) {
			return
		}
	}
	<-m.over
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// TestStopWhileTheServerHangs: the whole service has 30 s, of which pushes in flight may need 25.
func TestStopWhileTheServerHangs(t *testing.T) {
	t.Parallel()
	for _, full := range []bool{false, true} {
		name := map[bool]string{false: "idle", true: "with more to send than the network holds"}[full]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			way := newMute(t, natsServer(t))
			r := start(t, newDesk(t), Options{URL: way.url()})
			r.steady()
			close(way.silent)
			var sender sync.WaitGroup
			defer sender.Wait()
			if full {
				sender.Go(func() {
					for i := 0; i < 1000 && r.bus.link.nc.Publish("x", make([]byte, 100_000)) == nil; i++ {
					}
				})
				until(t, "the connection is given up", func() bool { return len(r.bus.Degraded()) > 0 })
			}
			began := time.Now()
			r.stop()
			if took := time.Since(began); took > 12*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestTellerEndsWhileTheServerHangs: outcomes that nobody acknowledges wait in the store.
func TestTellerEndsWhileTheServerHangs(t *testing.T) {
	t.Parallel()
	server := natsServer(t)
	if _, err := server.Connect().Subscribe("carrier.outcomes.>", func(*nats.Msg) {}); err != nil { // There is no stream.
		t.Fatal(err)
	}
	kept := &fakeStore{t: t, notices: noticesOf(3)}
	tell, _, stop := startTelling(t, jetStream(t, server), kept)
	until(t, "something is told", func() bool { return tell.js.PublishAsyncPending() > 0 })
	began := time.Now()
	stop()
	if took := time.Since(began); took > ackWithin-time.Second {
		t.Errorf("it took %s", took)
	}
	if kept.toldUpTo() != 0 {
		t.Errorf("told up to %d", kept.toldUpTo())
	}
}

// TestAcknowledgementsAreNotWaitedForForever: the client library takes no more outcomes once too many are unanswered.
func TestAcknowledgementsAreNotWaitedForForever(t *testing.T) {
	t.Parallel()
	server := natsServer(t)
	o := options(t, nil, &fakeStore{t: t})
	o.URL = server.URL()
	b, err := Open(t.Context(), *o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if _, err := server.Connect().Subscribe("carrier.outcomes.>", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	until(t, "there is a connection", b.link.nc.IsConnected)
	if _, err := b.js.PublishAsync("carrier.outcomes.SF.delivered", nil); err != nil {
		t.Fatal(err)
	}
	until(t, "the acknowledgement is given up", func() bool { return b.js.PublishAsyncPending() == 0 })
}
