// Package wiretest is a way to a server that fails as networks do, for tests: it stalls, it is cut, or it breaks where the
// test wants it to.
package wiretest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Wire leads to a server over TCP. It is safe for concurrent use.
type Wire struct {
	URL string // The server's own, but for the host: that is the wire's.

	server   string
	carry    func(client, server *Conn)
	listener net.Listener
	work     sync.WaitGroup

	mu      sync.Mutex
	flows   sync.Cond // Of stalled.
	stalled bool
	closed  bool
	conns   map[*Conn]bool
}

// New makes a wire to the server at a URL, which has to name a port. It carries all that is said until it is told to
// Stall or Cut, and ends with the test.
func New(t testing.TB, server string) *Wire {
	t.Helper()
	return NewFunc(t, server, func(client, server *Conn) { join(client, server) })
}

// NewFunc makes a wire that leaves each connection to carry: what the client says is read from client, what the server
// says from server. Both are closed when carry returns.
func NewFunc(t testing.TB, server string, carry func(client, server *Conn)) *Wire {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening for a wire to %s: %v", u.Host, err)
	}
	w := &Wire{server: u.Host, carry: carry, listener: l, conns: map[*Conn]bool{}}
	u.Host = l.Addr().String()
	w.URL = u.String()
	w.flows.L = &w.mu
	w.work.Go(w.accept)
	t.Cleanup(w.close)
	return w
}

// Stall lets nothing more through, either way, and keeps all connections: what a network does that drops packets, or a
// machine that stands still. Resume lets all of it through that was held up.
func (w *Wire) Stall() { w.set(func() { w.stalled = true }) }

// Resume ends Stall.
func (w *Wire) Resume() { w.set(func() { w.stalled = false }) }

// Cut breaks all connections; new ones work.
func (w *Wire) Cut() {
	w.set(func() {
		for c := range w.conns {
			_ = c.Close()
		}
	})
}

func (w *Wire) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	w.flows.Broadcast()
}

func (w *Wire) close() {
	_ = w.listener.Close()
	w.set(func() { w.closed, w.stalled = true, false })
	w.Cut()
	w.work.Wait()
}

func (w *Wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.work.Go(func() { w.serve(client) })
	}
}

func (w *Wire) serve(accepted net.Conn) {
	client := &Conn{accepted, w}
	defer w.drop(client)
	if !w.keep(client) {
		return
	}
	dialed, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	server := &Conn{dialed, w}
	defer w.drop(server)
	if w.keep(server) {
		w.carry(client, server)
	}
}

// keep notes a connection, so that it can be cut; false if the wire has ended.
func (w *Wire) keep(c *Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[c] = true
	return !w.closed
}

func (w *Wire) drop(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = c.Close()
	delete(w.conns, c)
}

func (w *Wire) awaitFlow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.stalled {
		w.flows.Wait()
	}
}

// join passes on what each of two says, until either ends.
func join(a, b *Conn) {
	pass := func(to, from *Conn) {
		_, _ = io.Copy(to, from)
		_, _ = a.Close(), b.Close()
	}
	var back sync.WaitGroup
	back.Go(func() { pass(a, b) })
	pass(b, a)
	back.Wait()
}

// Conn is one end of a connection that a wire carries. What is read from it waits while the wire is stalled.
type Conn struct {
	net.Conn // As this, and no *net.TCPConn: io.Copy has to read by way of Read.
	wire     *Wire
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.wire.awaitFlow()
	return n, err
}

// Reset ends the connection with a RST, as when a process dies.
func (c *Conn) Reset() {
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// CloseWrite tells the other side that nothing more comes; it may still be read from.
func (c *Conn) CloseWrite() { _ = c.Conn.(*net.TCPConn).CloseWrite() }
