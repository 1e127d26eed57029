package apptest

import (
	"bytes"
	"io"
	"sync"
	"testing"

	"carrier/internal/wiretest"
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

// Cutter is a wire to upstream that cuts connections on which pushes are sent: the first one at the first of its cuts, and
// so on; when all are used, what comes gets through.
type Cutter struct {
	URL string // Upstream's, by way of the cutter.

	mu   sync.Mutex
	cuts []Cut
}

// pushPath is in the first line of every push (WeChat 物流助手, updatePath).
var pushPath = []byte("/express/delivery/path/update")

// NewCutter starts one that ends with the test.
func NewCutter(t testing.TB, upstream string, cuts []Cut) *Cutter {
	t.Helper()
	c := &Cutter{cuts: cuts}
	c.URL = wiretest.NewFunc(t, upstream, c.carry).URL
	return c
}

// Left is how many cuts wait for a connection.
func (c *Cutter) Left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.cuts)
}

func (c *Cutter) carry(client, server *wiretest.Conn) {
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
func end(conn *wiretest.Conn, how Ending) {
	switch how {
	case Reset:
		conn.Reset()
	case Close:
		_ = conn.Close()
	case Stall:
		_, _ = io.Copy(io.Discard, conn)
	}
}
