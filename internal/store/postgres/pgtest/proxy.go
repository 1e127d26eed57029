package pgtest

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy stands between a client and the server, as a network that fails.
type Proxy struct {
	t        testing.TB
	server   string
	listener net.Listener
	work     sync.WaitGroup

	mu      sync.Mutex
	flows   sync.Cond // Of stalled.
	stalled bool
	closed  bool
	conns   map[net.Conn]bool
}

// Proxy makes a way to the server that the test can stall and cut; it ends with the test.
func (db *Database) Proxy(t testing.TB) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(db.URL())
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, server: u.Host, listener: l, conns: map[net.Conn]bool{}}
	p.flows.L = &p.mu
	p.work.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// URL is that of a database by way of the proxy.
func (p *Proxy) URL(db *Database) string {
	u, err := url.Parse(db.URL())
	if err != nil {
		p.t.Fatal(err)
	}
	u.Host = p.listener.Addr().String()
	return u.String()
}

// Stall lets nothing more through, either way, and keeps all connections: what a network does that drops packets, or a
// machine that stands still. Resume lets all of it through that was held up.
func (p *Proxy) Stall() { p.set(func() { p.stalled = true }) }

// Resume ends Stall.
func (p *Proxy) Resume() { p.set(func() { p.stalled = false }) }

// Cut breaks all connections; new ones work.
func (p *Proxy) Cut() {
	p.set(func() {
		for c := range p.conns {
			_ = c.Close()
		}
	})
}

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.flows.Broadcast()
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.set(func() { p.closed, p.stalled = true, false })
	p.Cut()
	p.work.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		p.work.Go(func() { p.copy(server, client) })
		p.work.Go(func() { p.copy(client, server) })
	}
}

// keep notes a connection and the one that belongs to it; false if the proxy is closed.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.closed {
			_ = c.Close()
			continue
		}
		p.conns[c] = true
	}
	return !p.closed
}

// copy passes on what comes, until either side ends.
func (p *Proxy) copy(to, from net.Conn) {
	defer p.drop(to, from)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.awaitFlow()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) awaitFlow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.stalled {
		p.flows.Wait()
	}
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}
