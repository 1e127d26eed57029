package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// tokenHost is an upstream host that gives access_tokens as the real one does, on the bubble's clock. It fails the
// test when its documented limits are overrun or a request is not as documented.
type tokenHost struct {
	t       *testing.T
	latency time.Duration
	life    time.Duration // Of a new access_token; default 2h.

	mu sync.Mutex
	// answer, if set, may answer the nth call (from 1) instead: with a body, or an error of the network.
	answer  func(n int, force bool) (body string, status int, err error)
	serial  int
	expires time.Time
	calls   []tokenCall
	forced  []time.Time
}

type tokenCall struct {
	at    time.Time
	force bool
}

func (h *tokenHost) RoundTrip(req *http.Request) (*http.Response, error) {
	force := h.check(req)
	h.mu.Lock()
	h.calls = append(h.calls, tokenCall{time.Now(), force})
	n, answer := len(h.calls), h.answer
	h.mu.Unlock()
	select {
	case <-time.After(h.latency):
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
	if answer != nil {
		if body, status, err := answer(n, force); err != nil || body != "" {
			return response(status, body), err
		}
	}
	return response(200, h.grant(req.URL.Path == pathBasicToken, force)), nil
}

func response(status int, body string) *http.Response {
	if status == 0 {
		status = 200
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// check reads a request and says whether it forces.
func (h *tokenHost) check(req *http.Request) bool {
	switch {
	case req.Method == "POST" && req.URL.Path == pathStableToken && req.URL.RawQuery == "":
		body := string(must(io.ReadAll(req.Body)))
		for _, force := range []bool{true, false} {
			quoted := must(json.Marshal(canarySecret))
			if body == fmt.Sprintf(`{"grant_type":"client_credential","appid":"wx1","secret":%s,"force_refresh":%v}`, quoted, force) {
				return force
			}
		}
		h.t.Errorf("stable_token was asked with %s", body)
	case req.Method == "GET" && req.URL.Path == pathBasicToken && req.Body == nil:
		q := req.URL.Query()
		if len(q) != 3 || q.Get("grant_type") != "client_credential" || q.Get("appid") != "wx1" || q.Get("secret") != canarySecret {
			h.t.Errorf("token was asked with %v", q)
		}
	default:
		h.t.Errorf("unexpected request %s %s", req.Method, req.URL)
	}
	return false
}

// grant answers with the access_token that is valid, or a new one: for each call (basic), by force, or within 5
// minutes of the old one's end.
func (h *tokenHost) grant(basic, force bool) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if force {
		h.noteForce(now)
	}
	if life := max(h.life, 0); h.serial == 0 || basic || force || h.expires.Sub(now) <= 5*time.Minute {
		if life == 0 {
			life = 2 * time.Hour
		}
		h.serial++
		h.expires = now.Add(life)
	}
	return fmt.Sprintf(`{"access_token":"%s-T%d","expires_in":%d}`, "CANARY", h.serial, int(h.expires.Sub(now)/time.Second))
}

func (h *tokenHost) noteForce(now time.Time) {
	if n := len(h.forced); n > 0 && now.Sub(h.forced[n-1]) < 30*time.Second {
		h.t.Errorf("forced %v after the last one", now.Sub(h.forced[n-1]))
	}
	if n := len(h.forced); n >= 20 && now.Sub(h.forced[n-20]) < 24*time.Hour {
		h.t.Errorf("forced for the 21st time within %v", now.Sub(h.forced[n-20]))
	}
	h.forced = append(h.forced, now)
}

// rotate makes the current access_token invalid, as another program's forced refresh does.
func (h *tokenHost) rotate() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serial++
	h.expires = time.Now().Add(2 * time.Hour)
}

// instead has calls answered by f from now on; nil ends that.
func (h *tokenHost) instead(f func(n int, force bool) (string, int, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = f
}

// say answers every call with one body.
func say(body string) func(int, bool) (string, int, error) {
	return func(int, bool) (string, int, error) { return body, 200, nil }
}

func (h *tokenHost) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.calls)
}

func (h *tokenHost) times() []time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	var times []time.Time
	for _, c := range h.calls {
		times = append(times, c.at)
	}
	return times
}

func (h *tokenHost) client() *Client { return NewClient(ClientOptions{Transport: h}) }

var errUnreachable = errors.New("connection refused")

// keeper is an AccessToken over hosts whose log must show no secret. It is closed, and its log read, with the test.
func keeper(t *testing.T, mode string, edit func(*AccessTokenOptions), hosts ...*tokenHost) (*AccessToken, *logBook) {
	t.Helper()
	book := &logBook{t: t}
	o := AccessTokenOptions{AppID: "wx1", Secret: func() string { return canarySecret }, Mode: mode,
		Logger: slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, h := range hosts {
		o.Clients = append(o.Clients, h.client())
	}
	if edit != nil {
		edit(&o)
	}
	a := NewAccessToken(o)
	t.Cleanup(a.Close)
	return a, book
}

// logBook takes a log and fails the test when a canary shows in it.
type logBook struct {
	t  *testing.T
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clean(l.t, "the log", string(p))
	return l.b.Write(p)
}

// lines counts the lines that hold text.
func (l *logBook) lines(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func expiresAt(a *AccessToken) time.Time {
	_, until := a.Life()
	return until
}

// generationOf counts the access_tokens there were.
func generationOf(a *AccessToken) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.generation
}

func mustGet(t *testing.T, a *AccessToken) string {
	t.Helper()
	token, err := a.Get(t.Context())
	if err != nil || token == "" {
		t.Fatalf("Get = %q, %v", token, err)
	}
	return token
}

// wantTokenError checks what holds for every *TokenError.
func wantTokenError(t *testing.T, err error, scope Scope, errcode int) *TokenError {
	t.Helper()
	e, ok := errors.AsType[*TokenError](err)
	if !ok {
		t.Fatalf("error %v (%T), want a *TokenError", err, err)
	}
	if e.Scope != scope || e.Errcode != errcode || e.Err == nil {
		t.Errorf("%+v, want scope %q, errcode %d and a cause", e, scope, errcode)
	}
	for cause := error(e); cause != nil; cause = errors.Unwrap(cause) {
		clean(t, "the error", fmt.Sprintf("%v %+v %#v", cause, cause, cause))
	}
	clean(t, "the log", logLine(err))
	return e
}

// run runs a.Run until the returned function is called, which waits for its end.
func run(t *testing.T, a *AccessToken) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background()) // Of no test, so that it fits into any bubble.
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	}
}
