package sender_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carrier/internal/sender"
	"carrier/internal/state"
)

const testKey = "test-key"

// sent is an event as the stand-in for the webhook gets it.
type sent struct {
	ID         string `json:"id"`
	DeliveryID string `json:"delivery_id"`
	WaybillID  string `json:"waybill_id"`
	ActionType int    `json:"action_type"`
	ActionTime int64  `json:"action_time"`
	ActionMsg  string `json:"action_msg"`
	Token      string `json:"token"`
}

// webhook stands in for the service. It is connected by pipes, so that it works inside a synctest bubble, where
// retries take no time.
type webhook struct {
	t testing.TB
	// before is asked first, if set; true: it has answered, or cut the connection.
	before func(w http.ResponseWriter, n int, body []byte) bool
	// verdict decides on an event; nil: all are accepted. A repeated id is a duplicate in any case.
	verdict func(e *sent) (v state.Verdict, code, detail string)

	conns chan net.Conn

	mu      sync.Mutex
	n       int // Requests, the first of which is 1.
	headers []http.Header
	bodies  [][]byte
	lines   []string         // Taken, in order.
	order   map[string][]int // By waybill: the numbers at the end of the ids taken.
	seen    map[string]bool
	active  int
	most    int // Requests at once.
}

func newWebhook(t testing.TB) *webhook {
	h := &webhook{t: t, conns: make(chan net.Conn), order: map[string][]int{}, seen: map[string]bool{}}
	l := &pipeListener{conns: h.conns, closed: make(chan struct{})}
	srv := &http.Server{Handler: h}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() {
		_ = srv.Close()
		serving.Wait()
	})
	return h
}

// pipeListener gives a server what dial connects.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// transport connects to h.
func (h *webhook) transport() *http.Transport {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case h.conns <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}}
	h.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Errorf("reading a request: %v", err)
	}
	if got, want := r.Method+" "+r.URL.Path, "POST /v1/events/batch"; got != want {
		h.t.Errorf("the request is %s, want %s", got, want)
	}
	if got := r.Header.Get("Content-Type"); got != "application/x-ndjson" {
		h.t.Errorf("Content-Type is %q", got)
	}
	n := h.enter(r, body)
	defer h.leave()
	if h.before != nil && h.before(w, n, body) {
		return
	}
	h.answer(w, body)
}

func (h *webhook) enter(r *http.Request, body []byte) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	h.active++
	h.most = max(h.most, h.active)
	h.headers = append(h.headers, r.Header)
	h.bodies = append(h.bodies, body)
	return h.n
}

func (h *webhook) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active--
}

// answer decides on a batch as the service does.
func (h *webhook) answer(w http.ResponseWriter, body []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var results []map[string]any
	for line := range bytes.Lines(body) {
		text := strings.TrimSuffix(string(line), "\n")
		results = append(results, h.decide(len(results), text))
	}
	if len(results) > sender.MaxBatch {
		h.t.Errorf("a batch of %d events", len(results))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
}

func (h *webhook) decide(i int, text string) map[string]any {
	var e sent
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return map[string]any{"index": i, "id": "", "verdict": "invalid", "code": "malformed_json", "detail": "no JSON"}
	}
	result := map[string]any{"index": i, "id": e.ID, "waybill_id": e.WaybillID, "verdict": "accepted"}
	if h.seen[e.ID] {
		result["verdict"] = "duplicate"
		return result
	}
	if h.verdict != nil {
		v, code, detail := h.verdict(&e)
		result["verdict"] = v
		if code != "" {
			result["code"], result["detail"] = code, detail
		}
	}
	h.seen[e.ID] = true
	h.lines = append(h.lines, text)
	if _, number, ok := strings.Cut(e.ID, "-"); ok {
		n, _ := strconv.Atoi(number)
		h.order[e.WaybillID] = append(h.order[e.WaybillID], n)
	}
	return result
}

// checkOrder fails the test if events of a waybill were taken in another order than that of their ids.
func (h *webhook) checkOrder() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for waybill, numbers := range h.order {
		if !slices.IsSorted(numbers) {
			h.t.Errorf("events of %s came as %v", waybill, numbers)
		}
	}
}

// options are what a test needs at least.
func (h *webhook) options() sender.Options {
	return sender.Options{URL: "http://carrier.test", Key: testKey, RetryFor: 5 * time.Minute, Transport: h.transport()}
}

// send sends text and returns what came of it.
func send(t testing.TB, ctx context.Context, o sender.Options, text string) (*sender.Summary, error) {
	t.Helper()
	s, err := sender.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s.Send(ctx, reading(t, strings.NewReader(text), "events.ndjson"))
}

func reading(t testing.TB, r io.Reader, name string) *sender.Reader {
	t.Helper()
	src, err := sender.NewReader(t.Context(), r, name, sender.Auto)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// line is an event, the n-th of the file.
func line(n int, waybill string) string {
	return fmt.Sprintf(`{"id":"e-%d","waybill_id":%q,"action_type":200001,"action_time":%d,"action_msg":"到达<%d>&"}`,
		n, waybill, 1533052800+n, n)
}

// file is n events of some waybills, in turn.
func file(n, waybills int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i+1, "W"+strconv.Itoa(i%waybills)) + "\n")
	}
	return b.String()
}

// refuse answers as the service does when it refuses a batch as a whole.
func refuse(w http.ResponseWriter, status int, title, detail, retryAfter string) {
	w.Header().Set("Content-Type", "application/problem+json")
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": title, "detail": detail, "status": status})
}

// cut ends the connection without a word.
func cut(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = c.Close()
	}
}

// counts are all verdicts with what is given, the others 0.
func counts(given map[state.Verdict]int) map[state.Verdict]int {
	all := map[state.Verdict]int{}
	for _, v := range state.Verdicts() {
		all[v] = given[v]
	}
	return all
}

// all reads everything.
func all(r *sender.Reader) (items []sender.Item, err error) {
	for {
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			return items, nil
		}
		if err != nil {
			return items, err
		}
		items = append(items, item)
	}
}
