package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"carrier/internal/durations"
)

// Raw is a bare HTTP/1.1 loop that answers success to everything: an access_token to the token calls, a quota that
// nobody can use up to quota/get, errcode 0 to the rest, which are pushes. It checks nothing and keeps nothing but a count, so that a measurement of a client is not one of its
// upstream. It is for loopback: without TLS, limits on connections, or timeouts for slow clients.
type Raw struct {
	// Watch is given the body of each push as it arrives, before the latency; it must not keep it, and is called by
	// many goroutines. nil: nobody looks. It is set before Serve.
	Watch func(body []byte)

	latency time.Duration
	pushes  atomic.Uint64

	mu    sync.Mutex
	conns map[net.Conn]struct{} // Open ones; owned by mu.
}

// NewRaw makes a Raw that waits for latency before each answer to a push.
func NewRaw(latency time.Duration) *Raw {
	return &Raw{latency: latency, conns: map[net.Conn]struct{}{}}
}

// Pushes counts the requests answered, but for those to the token calls and to quota/get.
func (r *Raw) Pushes() uint64 { return r.pushes.Load() }

// Serve answers connections of ln until ctx ends; then it closes ln and all connections, waits for them, and
// returns nil. An error of the listener comes back as it is.
func (r *Raw) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, func() { _ = ln.Close(); r.closeAll() })()
	defer r.closeAll()
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			cancel()
			return fmt.Errorf("accepting connections on %s: %w", ln.Addr(), err)
		}
		r.track(conn)
		wg.Go(func() {
			defer r.untrack(conn)
			_ = r.serve(ctx, conn) // It ends with the connection; there is nobody to tell.
		})
		if ctx.Err() != nil {
			r.closeAll() // This one may have come after the others were closed.
		}
	}
}

func (r *Raw) track(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = struct{}{}
}

func (r *Raw) untrack(c net.Conn) {
	_ = c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

func (r *Raw) closeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close()
	}
}

var (
	rawOK    = rawAnswer(string(okBody))
	rawQuota = rawAnswer(`{"errcode":0,"errmsg":"ok","quota":{"daily_limit":1000000000000,"used":0,"remain":1000000000000}}`)
	rawToken = rawAnswer(`{"access_token":"97_raw-0000000000000000000000000000000000000000","expires_in":7200}`)
)

func rawAnswer(body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, len(body), body)
}

// serve answers the requests of one connection.
func (r *Raw) serve(ctx context.Context, conn net.Conn) error {
	in := bufio.NewReaderSize(conn, 8<<10)
	for {
		req, err := readRaw(in, r.Watch)
		if err != nil {
			return err
		}
		answer := req.aside
		if answer == nil {
			answer = rawOK
			if err := durations.Wait(ctx, r.latency); err != nil {
				return err
			}
			r.pushes.Add(1)
		}
		if _, err := conn.Write(answer); err != nil || req.last {
			return err
		}
	}
}

// rawRequest is all that Raw wants to know of a request.
type rawRequest struct {
	aside []byte // The answer of a call that is no push; nil: it is one.
	last  bool   // The client closes after it.
}

var errRaw = errors.New("a request that the raw sandbox does not read: bodies need a Content-Length, lines at most 8 KiB")

// readRaw reads one request, shows a push's body to watch, if that is not nil, and throws it away.
func readRaw(in *bufio.Reader, watch func([]byte)) (req rawRequest, err error) {
	line, err := rawLine(in)
	if err != nil {
		return req, err
	}
	method, rest, _ := bytes.Cut(line, []byte(" "))
	switch {
	case bytes.HasPrefix(rest, []byte("/cgi-bin/token")), bytes.HasPrefix(rest, []byte("/cgi-bin/stable_token")):
		req.aside = rawToken
	case bytes.HasPrefix(rest, []byte("/cgi-bin/openapi/quota/get")):
		req.aside = rawQuota
	}
	length := 0
	if len(method) == 0 || !bytes.HasSuffix(rest, []byte(" HTTP/1.1")) {
		return req, errRaw
	}
	for {
		if line, err = rawLine(in); err != nil {
			return req, err
		}
		if len(line) == 0 {
			if watch != nil && req.aside == nil {
				body, err := in.Peek(length)
				if err != nil {
					return req, err // It ended early, or is larger than the buffer.
				}
				watch(body)
			}
			_, err = in.Discard(length)
			return req, err
		}
		if err = req.header(line, &length); err != nil {
			return req, err
		}
	}
}

// header takes what matters from one line.
func (req *rawRequest) header(line []byte, length *int) (err error) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		if *length, err = strconv.Atoi(string(value)); err != nil || *length < 0 {
			return errRaw
		}
	case bytes.EqualFold(name, []byte("Connection")):
		req.last = bytes.EqualFold(value, []byte("close"))
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		return errRaw
	}
	return nil
}

// rawLine reads a line without its end.
func rawLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errRaw
	case err != nil:
		return nil, io.ErrUnexpectedEOF
	}
	return bytes.TrimRight(line, "\r\n"), nil
}
