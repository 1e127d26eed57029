package wechat

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// rawServer answers each request with what handle writes to the connection; the connection is closed after that. A
// handle that returns without reading leaves the request unread.
func rawServer(t *testing.T, handle func(conn net.Conn)) string {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			handle(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-served })
	return "http://" + l.Addr().String()
}

func readRequest(conn net.Conn) *http.Request {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return nil
	}
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	return req
}

// reset ends a connection as a crash does: with a RST.
func reset(conn net.Conn) {
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// until waits for the other side to hang up.
func until(conn net.Conn) { io.Copy(io.Discard, conn) }

func TestBrokenAnswers(t *testing.T) {
	// What comes after the request was read whole.
	say := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			if readRequest(conn) != nil {
				io.WriteString(conn, text)
			}
		}
	}
	body := func(status, contentType, body string) func(net.Conn) {
		return say(fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, contentType, len(body), body))
	}
	tests := []struct {
		name   string
		handle func(net.Conn)
		kind   string
		status int
	}{
		{name: "HTML with 200", handle: body("200 OK", "text/html", "<html>"+canaryAccess+"</html>"), kind: KindNotJSON, status: 200},
		{name: "half JSON", handle: body("200 OK", "application/json", `{"errcode":`), kind: KindNotJSON, status: 200},
		{name: "empty", handle: body("200 OK", "application/json", ""), kind: KindNotJSON, status: 200},
		{name: "204", handle: say("HTTP/1.1 204 No Content\r\n\r\n"), kind: KindNotJSON, status: 204},
		{name: "gzip unasked", handle: say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08"), kind: KindNotJSON, status: 200},
		{name: "gzip bomb", handle: body("200 OK", "application/json\r\nContent-Encoding: gzip", zipped(64<<20)), kind: KindNotJSON, status: 200},
		{name: "1xx without end", handle: say(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 5000)), kind: KindNetwork},
		{name: "no errcode", handle: body("200 OK", "application/json", `{"errmsg":"ok"}`), kind: KindNoErrcode, status: 200},
		{name: "errcode null", handle: body("200 OK", "application/json", `{"errcode":null}`), kind: KindNoErrcode, status: 200},
		{name: "errcode string", handle: body("200 OK", "application/json", `{"errcode":"`+canaryToken[:20]+`"}`), kind: KindBadErrcode, status: 200},
		{name: "302", handle: say("HTTP/1.1 302 Found\r\nLocation: http://elsewhere/?access_token=" + canaryAccess + "\r\nContent-Length: 0\r\n\r\n"), kind: KindRedirect, status: 302},
		{name: "307", handle: say("HTTP/1.1 307 Temporary Redirect\r\nLocation: /" + canaryAccess + "\r\nContent-Length: 0\r\n\r\n"), kind: KindRedirect, status: 307},
		{name: "500 with JSON", handle: body("500 Internal Server Error", "application/json", `{"errcode":0,"errmsg":"ok"}`), kind: KindHTTPStatus, status: 500},
		{name: "502 page", handle: body("502 Bad Gateway", "text/html", "<html>"+canaryToken+"</html>"), kind: KindHTTPStatus, status: 502},
		{name: "404 page", handle: body("404 Not Found", "text/html", "<html></html>"), kind: KindHTTPStatus, status: 404},
		{name: "huge with a length", handle: body("200 OK", "application/json", `{"errcode":0,"errmsg":"`+strings.Repeat("x", maxAnswerBytes)+`"}`), kind: KindTooLarge, status: 200},
		{name: "huge without one", handle: say("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat(" ", 2*maxAnswerBytes)), kind: KindTooLarge, status: 200},
		{name: "cut body", handle: say("HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"errcode\":0"), kind: KindNetwork, status: 200},
		{name: "bad chunk", handle: say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), kind: KindNetwork, status: 200},
		{name: "no HTTP", handle: say("SSH-2.0-" + canaryAccess + "\r\n"), kind: KindNetwork},
		{name: "endless header", handle: say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxAnswerBytes)), kind: KindNetwork},
		{name: "closed after the request", handle: func(conn net.Conn) { readRequest(conn) }, kind: KindNetwork},
		{name: "reset after the request", handle: func(conn net.Conn) { readRequest(conn); reset(conn) }, kind: KindNetwork},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := rawServer(t, tt.handle)
			c := NewClient(ClientOptions{BaseURL: base})
			defer c.CloseIdleConnections()
			answer, err := c.UpdatePath(t.Context(), canaryAccess, PathUpdate{Token: canaryToken, WaybillID: "SF1"})
			e := wantCallError(t, err, "updatePath")
			if answer != (Answer{}) {
				t.Errorf("an answer beside the error: %+v", answer)
			}
			if e.Kind != tt.kind || e.HTTPStatus != tt.status || !e.Sent {
				t.Errorf("kind %q, HTTP %d, sent %v; want %q, %d, sent (%v)", e.Kind, e.HTTPStatus, e.Sent, tt.kind, tt.status, err)
			}
			if errors.Is(err, ErrTimeout) || errors.Is(err, context.Canceled) {
				t.Errorf("%v is said to be a matter of time", err)
			}
		})
	}
}

// Time-outs, on the bubble's clock and over pipes.
func TestSlowAnswers(t *testing.T) {
	tests := []struct {
		name   string
		say    string // Before it falls silent; after the request was read.
		status int
		after  time.Duration
	}{
		{"silent", "", 0, 9 * time.Second},
		{"half a header", "HTTP/1.1 200 OK\r\nContent-Le", 0, 9 * time.Second},
		{"no body", "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n", 200, 10 * time.Second},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"errcode\":0", 200, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, stop := pipeClient(func(conn net.Conn) {
					readRequest(conn)
					io.WriteString(conn, tt.say)
					until(conn)
				})
				defer stop()
				start := time.Now()
				_, err := client.UpdatePath(t.Context(), canaryAccess, PathUpdate{Token: canaryToken})
				e := wantCallError(t, err, "updatePath")
				if e.Kind != KindTimeout || !e.Sent || e.HTTPStatus != tt.status || !errors.Is(err, ErrTimeout) || errors.Is(err, context.Canceled) {
					t.Errorf("%+v, want timeout, sent, HTTP %d", e, tt.status)
				}
				if took := time.Since(start); took != tt.after {
					t.Errorf("took %v, want %v", took, tt.after)
				}
			})
		})
	}
}

// zipped is n zeros in gzip: a thousandth of that.
func zipped(n int64) string {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	_, err := io.CopyN(w, zeros{}, n)
	must(0, errors.Join(err, w.Close()))
	return b.String()
}

// An answer that comes byte by byte is waited for no longer than any other.
func TestDrippingAnswer(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"errcode\":0,\"errmsg\":\"ok\"}"
	for name, every := range map[string]time.Duration{"headers": time.Second, "body": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, stop := pipeClient(func(conn net.Conn) {
					readRequest(conn)
					for _, b := range []byte(answer) {
						time.Sleep(every)
						if _, err := conn.Write([]byte{b}); err != nil {
							return
						}
					}
				})
				defer stop()
				start := time.Now()
				_, err := client.UpdatePath(t.Context(), canaryAccess, PathUpdate{Token: canaryToken})
				if e := wantCallError(t, err, "updatePath"); e.Kind != KindTimeout || !e.Sent || time.Since(start) > defaultTimeout {
					t.Errorf("%+v after %v, want timeout, sent, after %v", e, time.Since(start), defaultTimeout)
				}
			})
		})
	}
}

// A host that takes connections but no bytes: the request was never sent whole.
func TestUnreadRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		client, stop := pipeClient(func(net.Conn) { <-hold })
		defer stop()
		defer close(hold) // Before stop.
		_, err := client.UpdatePath(t.Context(), canaryAccess, PathUpdate{Token: canaryToken, ActionMsg: strings.Repeat("x", 1<<20)})
		if e := wantCallError(t, err, "updatePath"); e.Kind != KindTimeout || e.Sent {
			t.Errorf("%+v, want timeout, not sent", e)
		}
	})
}

// pipeClient is a client whose connections are pipes that serve answers. stop waits for all of them.
func pipeClient(serve func(net.Conn)) (*Client, func()) {
	var served sync.WaitGroup
	transport := newTransport(1, defaultTimeout)
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		served.Go(func() { defer far.Close(); serve(far) })
		return near, nil
	}
	return NewClient(ClientOptions{BaseURL: "http://pipe", Transport: transport}), func() {
		transport.CloseIdleConnections()
		served.Wait()
	}
}

// wantCallError checks what holds for every *CallError, whatever happened.
func wantCallError(t *testing.T, err error, op string) *CallError {
	t.Helper()
	e, ok := errors.AsType[*CallError](err)
	if !ok {
		t.Fatalf("error %v (%T), want a *CallError", err, err)
	}
	if e.Op != op || e.Err == nil {
		t.Errorf("op %q, cause %v; want %s and a cause", e.Op, e.Err, op)
	}
	for cause := error(e); cause != nil; cause = errors.Unwrap(cause) {
		clean(t, "the error", fmt.Sprintf("%v %+v %#v", cause, cause, cause))
	}
	clean(t, "the log", logLine(err))
	return e
}

func logLine(err error) string {
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Error("x", "error", err)
	return b.String()
}

func TestNotSent(t *testing.T) {
	refusing := must(net.Listen("tcp", "127.0.0.1:0"))
	refusing.Close()
	dead := errors.New("no route to host")
	tests := []struct {
		name string
		o    ClientOptions
		kind string
	}{
		{"refused", ClientOptions{BaseURL: "http://" + refusing.Addr().String()}, KindNetwork},
		{"no such host", ClientOptions{BaseURL: "http://host.invalid"}, KindNetwork},
		{"another transport's", ClientOptions{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, dead })}, KindNetwork},
		{"link-local", ClientOptions{BaseURL: "http://169.254.169.254"}, KindNetwork},
		{"link-local as IPv6", ClientOptions{BaseURL: "http://[::ffff:169.254.169.254]:80"}, KindNetwork},
		{"an error that shows the URL", ClientOptions{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("proxy: %s %s: %s", r.Method, r.URL, canaryToken)
		})}, KindNetwork},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewClient(tt.o)
			defer c.CloseIdleConnections()
			_, err := c.UpdatePath(t.Context(), canaryAccess, PathUpdate{Token: canaryToken})
			e := wantCallError(t, err, "updatePath")
			if e.Kind != tt.kind || e.Sent || e.HTTPStatus != 0 {
				t.Errorf("kind %q, HTTP %d, sent %v; want %q, 0, not sent (%v)", e.Kind, e.HTTPStatus, e.Sent, tt.kind, err)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A body larger than all buffers on the way, and a server that resets without reading it: upstream can't have it.
func TestNotSentWhole(t *testing.T) {
	base := rawServer(t, reset)
	c := NewClient(ClientOptions{BaseURL: base, Timeout: 5 * time.Second})
	defer c.CloseIdleConnections()
	_, err := c.UpdatePath(t.Context(), canaryAccess, PathUpdate{Token: canaryToken, ActionMsg: strings.Repeat("x", 32<<20)})
	if e := wantCallError(t, err, "updatePath"); e.Kind != KindNetwork || e.Sent {
		t.Errorf("kind %q, sent %v; want network, not sent (%v)", e.Kind, e.Sent, err)
	}
}

// The caller's end is told from the client's own time-out, and keeps its cause.
func TestCallerCancels(t *testing.T) {
	reached := make(chan struct{}, 1)
	base := rawServer(t, func(conn net.Conn) { readRequest(conn); reached <- struct{}{}; until(conn) })
	c := NewClient(ClientOptions{BaseURL: base})
	defer c.CloseIdleConnections()
	stopping := errors.New("SIGTERM")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-reached; cancel(stopping) }()
	_, err := c.UpdatePath(ctx, canaryAccess, PathUpdate{Token: canaryToken})
	e := wantCallError(t, err, "updatePath")
	if e.Kind != KindCanceled || !e.Sent || !errors.Is(err, context.Canceled) || !errors.Is(err, stopping) || errors.Is(err, ErrTimeout) {
		t.Errorf("%+v, want canceled by %v, sent", e, stopping)
	}

	_, err = c.UpdatePath(ctx, canaryAccess, PathUpdate{Token: canaryToken})
	if e := wantCallError(t, err, "updatePath"); e.Kind != KindCanceled || e.Sent {
		t.Errorf("with a context that has ended: %+v, want canceled, not sent", e)
	}
}

// What upstream repeats of us in its words is hidden too.
func TestErrmsgHidesSecrets(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var u wireUpdate
		if err := json.NewDecoder(r.Body).Decode(&u); err != nil {
			t.Error(err)
		}
		query := r.URL.Query().Get("access_token")
		json.NewEncoder(w).Encode(map[string]any{"errcode": 40001,
			"errmsg": "bad " + query + ", " + r.URL.RawQuery + ", " + u.Token + " rid: 12-ab"})
	}))
	defer s.Close()
	c := NewClient(ClientOptions{BaseURL: s.URL})
	defer c.CloseIdleConnections()
	answer, err := c.UpdatePath(t.Context(), canaryAccess, PathUpdate{Token: canaryToken})
	want := Answer{40001, "bad ***, access_token=***, *** rid: 12-ab", "12-ab", 200}
	if err != nil || answer != want {
		t.Errorf("UpdatePath = %+v, %v; want %+v", answer, err, want)
	}
}
