package wiretest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that says again what it hears, and its URL.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(work.Wait)
	t.Cleanup(func() { _ = l.Close() })
	return "echo://user@" + l.Addr().String() + "/path"
}

// client is one end of a conversation with echo.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, w *Wire) *client {
	t.Helper()
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "echo" || u.User.Username() != "user" || u.Path != "/path" {
		t.Fatalf("the wire's URL is %q (%v)", w.URL, err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hears(want string) {
	c.t.Helper()
	if got, err := c.in.ReadString('\n'); err != nil || got != want+"\n" {
		c.t.Fatalf("heard %q (%v), want %q", got, err, want)
	}
}

func TestWire(t *testing.T) {
	w := New(t, echo(t))
	c := dial(t, w)
	c.say("one")
	c.hears("one")

	w.Stall()
	c.say("two")
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if got, err := c.in.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a stalled wire carries %q (%v)", got, err)
	}
	_ = c.conn.SetReadDeadline(time.Time{})
	w.Resume()
	c.hears("two")

	w.Cut()
	if rest, _ := io.ReadAll(c.in); len(rest) > 0 {
		t.Errorf("a connection that was cut says %q", rest)
	}
	again := dial(t, w)
	again.say("three")
	again.hears("three")
}

// TestWireOfItsOwn: what a connection carries, and how it ends, is for the function to say.
func TestWireOfItsOwn(t *testing.T) {
	w := NewFunc(t, echo(t), func(client, server *Conn) {
		_, _ = io.CopyN(server, client, 4)
		server.CloseWrite()
		_, _ = io.Copy(client, server)
	})
	c := dial(t, w)
	c.say("one and more")
	if got, _ := io.ReadAll(c.in); string(got) != "one " {
		t.Errorf("heard %q, want the first four bytes", got)
	}
}

// TestWireToNobody: a server that is away is a connection that ends.
func TestWireToNobody(t *testing.T) {
	c := dial(t, New(t, "echo://user@"+Nobody(t)+"/path"))
	if got, err := io.ReadAll(c.in); len(got) > 0 {
		t.Errorf("heard %q (%v) from nobody", got, err)
	}
}
