package wechat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A push whose connection dies with the request on it is not repeated by net/http behind our back.
func TestDeadConnection(t *testing.T) {
	var requests atomic.Int32
	base := rawServer(t, func(conn net.Conn) {
		br := bufio.NewReader(conn)
		for n := 0; ; n++ {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			requests.Add(1)
			if n == 1 {
				return // The second one on a connection is taken and never answered.
			}
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(okAnswer), okAnswer)
		}
	})
	c := NewClient(ClientOptions{BaseURL: base, MaxConns: 1})
	defer c.CloseIdleConnections()
	for i, want := range []bool{true, false, true, false} {
		_, err := c.UpdatePath(t.Context(), canaryAccess, PathUpdate{Token: canaryToken})
		if (err == nil) != want {
			t.Fatalf("push %d: %v", i, err)
		}
		if err != nil {
			if e := wantCallError(t, err, "updatePath"); e.Kind != KindNetwork || !e.Sent {
				t.Errorf("push %d: %+v, want network, sent", i, e)
			}
		}
	}
	if got := requests.Load(); got != 4 {
		t.Errorf("upstream got %d requests for 4 pushes", got)
	}
}

// net/http may choose a kept connection just when it dies. Nothing was written then, and the push goes out, once, on
// another.
func TestConnectionDiesUnwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served sync.WaitGroup
		var bodies []string
		transport := newTransport(1, defaultTimeout)
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			served.Go(func() {
				br := bufio.NewReader(far)
				for {
					req, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					bodies = append(bodies, string(must(io.ReadAll(req.Body))))
					fmt.Fprintf(far, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(okAnswer), okAnswer)
				}
			})
			return &dyingConn{Conn: near}, nil
		}
		c := NewClient(ClientOptions{BaseURL: "http://pipe", Transport: transport})
		var want []string
		for i := range 4 {
			u := PathUpdate{WaybillID: fmt.Sprint(i), Token: canaryToken}
			want = append(want, string(u.appendJSON(nil)))
			if _, err := c.UpdatePath(t.Context(), canaryAccess, u); err != nil {
				t.Errorf("push %d: %v", i, err)
			}
		}
		c.CloseIdleConnections()
		served.Wait()
		if !slices.Equal(bodies, want) {
			t.Errorf("upstream got %q, want %q", bodies, want)
		}
	})
}

// dyingConn takes one write, which is one request: headers and body leave together.
type dyingConn struct {
	net.Conn
	wrote bool
}

func (c *dyingConn) Write(p []byte) (int, error) {
	if c.wrote {
		return 0, net.ErrClosed
	}
	c.wrote = true
	return c.Conn.Write(p)
}

// Connections are kept and bounded: 400 pushes of 8 workers take 8 connections, error answers included; one that is
// too large to be read costs its connection.
func TestConnectionsAreKept(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("access_token") == "huge" {
			io.CopyN(w, zeros{}, 4*maxAnswerBytes)
			return
		}
		io.WriteString(w, `{"errcode":40199,"errmsg":"no rid: 1"}`)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := NewClient(ClientOptions{BaseURL: s.URL, MaxConns: 8})
	defer c.CloseIdleConnections()
	done := make(chan error)
	for range 8 {
		go func() {
			var err error
			for range 50 {
				_, e := c.UpdatePath(t.Context(), "A", PathUpdate{})
				err = errors.Join(err, e)
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := conns.Load(); got > 8 {
		t.Errorf("%d connections for 8 workers", got)
	}
	before := conns.Load()
	for range 8 + 1 { // One more than may be open: those before were given up.
		_, err := c.UpdatePath(t.Context(), "huge", PathUpdate{})
		if e := wantCallError(t, err, "updatePath"); e.Kind != KindTooLarge {
			t.Errorf("%+v, want too_large", e)
		}
	}
	if got := conns.Load(); got == before {
		t.Error("connections with unread answers were kept")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Pushes that hang must not keep the access_token from coming: it has connections of its own.
func TestTokenDoesNotWaitBehindPushes(t *testing.T) {
	reached, release := make(chan struct{}, 2), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == PathOfUpdatePath {
			reached <- struct{}{}
			<-release
			w.Write(okAnswer)
			return
		}
		io.WriteString(w, `{"access_token":"T","expires_in":7200}`)
	}))
	defer s.Close()
	c := NewClient(ClientOptions{BaseURL: s.URL, MaxConns: 1})
	defer c.CloseIdleConnections()
	pushed := make(chan error)
	for range 2 {
		go func() { _, err := c.UpdatePath(t.Context(), "A", PathUpdate{}); pushed <- err }()
	}
	<-reached
	g, err := c.stableToken(t.Context(), 5*time.Second, "wx", "s", false)
	if err != nil || g.accessToken != "T" {
		t.Errorf("stableToken = %+v, %v", g, err)
	}
	close(release)
	for range 2 {
		if err := <-pushed; err != nil {
			t.Error(err)
		}
	}
}
