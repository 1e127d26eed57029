package postgres

import (
	"encoding/binary"
	"errors"
	"io"
	"net/url"
	"sync"
	"testing"
	"time"

	"carrier/internal/wiretest"
)

// proxy stands between the store and PostgreSQL and breaks connections where a test wants it.
type proxy struct {
	mu     sync.Mutex
	armed  bool
	left   int           // Messages that still get through, while armed.
	refuse time.Duration // After the break, nobody is let in for so long.
	until  time.Time     // Nobody is let in before.
	broke  bool
}

// newProxy gives a proxy and the address that leads through it.
func newProxy(t testing.TB, address string) (*proxy, string) {
	t.Helper()
	p := &proxy{}
	u, err := url.Parse(wiretest.NewFunc(t, address, p.carry).URL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("sslmode", "disable") // Its messages are read here.
	u.RawQuery = query.Encode()
	return p, u.String()
}

// arm breaks the connection that says more once n more messages got through to PostgreSQL, and lets no answer to the last
// of them through. No new connection is let in for a time after that.
func (p *proxy) arm(n int, refuse time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.left, p.refuse, p.broke = true, n, refuse, false
}

// mend lets all through again, and tells whether a connection was broken.
func (p *proxy) mend() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.until = false, time.Time{}
	return p.broke
}

// pass tells whether one more message may get through.
func (p *proxy) pass() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.armed {
		return true
	}
	if p.left > 0 {
		p.left--
		return true
	}
	p.armed, p.broke, p.until = false, true, time.Now().Add(p.refuse)
	return false
}

func (p *proxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.until)
}

// carry hands on what both say until one goes, or the proxy breaks them.
func (p *proxy) carry(client, server *wiretest.Conn) {
	if p.refuses() {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	if err := p.forward(client, server); err == errBroken {
		// The client hears no more. The server reads what got through to its end, and hears no goodbye.
		_ = client.Close()
		server.CloseWrite()
	} else {
		_ = server.Close()
	}
	answers.Wait()
}

var errBroken = errors.New("broken by the test")

// forward hands on what the client says, message by message (PostgreSQL documentation, message formats: the first one
// has no type).
func (p *proxy) forward(client io.Reader, server io.Writer) error {
	for first := true; ; first = false {
		header := make([]byte, 5)
		if first {
			header = header[:4]
		}
		if _, err := io.ReadFull(client, header); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(header[len(header)-4:])
		if !first && !p.pass() {
			return errBroken
		}
		if _, err := server.Write(header); err != nil {
			return err
		}
		if _, err := io.CopyN(server, client, int64(n)-4); err != nil {
			return err
		}
	}
}
