package apptest

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Cut is where a connection ends, counted from its begin, and how.
type Cut struct {
	Answer bool // In what upstream says; else in what it is told.
	After  int  // Bytes that still get through.
	How    Ending
}

// Ending is how a connection ends.
type Ending int

const (
	Close Ending = iota // In good order, as if all was said.
	Reset               // With a RST, as when a process dies.
	Stall               // Not at all: nothing more comes.
)

// Cutter stands between a service and upstream, and cuts connections on which pushes are sent: the first one at the
// first of its cuts, and so on; when all are used, what comes gets through.
type Cutter struct {
	URL string

	t        testing.TB
	upstream string
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	cuts   []Cut
	closed bool
	conns  map[net.Conn]bool
}

// pushPath is in the first line of every push (WeChat 物流助手, updatePath).
var pushPath = []byte("/express/delivery/path/update")

// NewCutter starts one that ends with the test.
func NewCutter(t testing.TB, upstream string, cuts []Cut) *Cutter {
	t.Helper()
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening for a proxy: %v", err)
	}
	c := &Cutter{URL: "http://" + l.Addr().String(), t: t, upstream: u.Host, listener: l, cuts: cuts, conns: map[net.Conn]bool{}}
	c.work.Go(c.accept)
	t.Cleanup(c.close)
	return c
}

// Left is how many cuts wait for a connection.
func (c *Cutter) Left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.cuts)
}

func (c *Cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.work.Go(func() { c.serve(client) })
	}
}

func (c *Cutter) serve(client net.Conn) {
	server, err := net.Dial("tcp", c.upstream)
	if err != nil {
		_ = client.Close()
		return
	}
	defer c.drop(client, server)
	if !c.keep(client, server) {
		return
	}
	// A request begins with one write, of its first line at least.
	begin := make([]byte, 32<<10)
	n, err := client.Read(begin)
	if err != nil {
		return
	}
	cut, some := c.take(begin[:n])
	up, down := io.MultiReader(bytes.NewReader(begin[:n]), client), io.Reader(server)
	switch {
	case some && cut.Answer:
		down = io.LimitReader(down, int64(cut.After))
	case some:
		up = io.LimitReader(up, int64(cut.After))
	}
	var ways sync.WaitGroup
	ways.Go(func() {
		_, _ = io.Copy(server, up)
		if some && !cut.Answer {
			end(client, cut.How)
		}
		_ = server.Close()
	})
	_, _ = io.Copy(client, down)
	if some && cut.Answer {
		end(client, cut.How)
	}
	_ = client.Close()
	ways.Wait()
}

// take takes the next cut, if a connection begins with a push and there is one.
func (c *Cutter) take(begin []byte) (cut Cut, some bool) {
	line, _, _ := bytes.Cut(begin, []byte("\n"))
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cuts) == 0 || !bytes.Contains(line, pushPath) {
		return cut, false
	}
	cut = c.cuts[0]
	c.cuts = c.cuts[1:]
	return cut, true
}

// end ends a connection in some way; one that is stalled ends when the client has had enough.
func end(conn net.Conn, how Ending) {
	switch how {
	case Reset:
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	case Close:
		_ = conn.Close()
	case Stall:
		_, _ = io.Copy(io.Discard, conn)
	}
}

// keep notes connections, so that they can be closed; false if the proxy is.
func (c *Cutter) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.conns[conn] = true
	}
	return !c.closed
}

func (c *Cutter) drop(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(c.conns, conn)
	}
}

func (c *Cutter) close() {
	_ = c.listener.Close()
	c.mu.Lock()
	c.closed = true
	for conn := range c.conns {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.work.Wait()
}
