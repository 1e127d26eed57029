package sandbox

import (
	"bytes"
	"io"
	"net"
	"net/http"

	"carrier/internal/durations"
)

const (
	hugeBytes      = 8 << 20
	redirectTarget = "/_sandbox/redirected"
)

// htmlPage is what a gateway or a captive portal says.
const htmlPage = "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Please sign in</h1></body></html>\n"

var serverErrors = [...]int{
	http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

// hold waits as long as h says, or until the client has gone; then it is false.
func (s *Sandbox) hold(r *http.Request, h hit) bool {
	if h.fault != hang && h.latency <= 0 {
		return true
	}
	// net/http sees that a client has gone only once its body is read, and a refused request's may not be.
	// What is over twice the limit is not worth waiting for.
	if n, _ := io.Copy(io.Discard, io.LimitReader(r.Body, maxBody)); n == maxBody {
		return true
	}
	ctx := r.Context()
	if h.fault == hang {
		<-ctx.Done()
		return false
	}
	return durations.Wait(ctx, h.latency) == nil
}

// spoil puts f in the place of an answer.
func (s *Sandbox) spoil(w http.ResponseWriter, f fault) {
	switch f {
	case resets, resetsBefore:
		reset(w)
	case html:
		write(w, "text/html; charset=utf-8", []byte(htmlPage))
	case halfJSON:
		write(w, contentType, okBody[:len(okBody)/2])
	case empty:
		write(w, contentType, nil)
	case redirect:
		w.Header().Set("Location", redirectTarget)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case huge:
		writeHuge(w)
	case noErrcode:
		write(w, contentType, []byte(`{"errmsg":"ok"}`))
	case http500:
		w.WriteHeader(serverErrors[s.chance.below(int64(len(serverErrors)))])
	}
}

// reset ends the connection so that the client sees it reset (TCP RST), or at least cut.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the stream is reset instead.
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// writeHuge writes an answer that is valid and that nobody should read to its end.
func writeHuge(w http.ResponseWriter) {
	w.Header().Set("Content-Type", contentType)
	pad := bytes.Repeat([]byte("x"), 64<<10)
	_, err := w.Write([]byte(`{"errcode":0,"errmsg":"`))
	for n := 0; n < hugeBytes && err == nil; n += len(pad) {
		_, err = w.Write(pad)
	}
	_, _ = w.Write([]byte(`"}`))
}

// redirected is where redirects lead: a client that comes here has sent its Token and access_token where it was told.
func (s *Sandbox) redirected(w http.ResponseWriter, r *http.Request) {
	s.ledger.redirected()
	s.answer(w, r, nil)
}
