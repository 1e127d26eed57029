package api_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carrier/api/apicheck"
	"carrier/internal/admin"
	"carrier/internal/ingest"
	"carrier/internal/server"
	"carrier/internal/state"
	"carrier/internal/store"
)

// scripted is a store that decides by the event's id.
type scripted struct {
	ready atomic.Pointer[error]
	apply atomic.Pointer[error]
}

func (s *scripted) Ready() error {
	if err := s.ready.Load(); err != nil {
		return *err
	}
	return nil
}

var results = map[string]store.Result{
	"accepted":  {Seq: 1, Verdict: state.Accepted, Stage: state.InTransit},
	"late":      {Seq: 2, Verdict: state.Accepted, Stage: state.Delivered, Late: true},
	"gap":       {Seq: 3, Verdict: state.Accepted, Stage: state.Delivered, Gap: true},
	"held":      {Seq: 4, Verdict: state.Held, Stage: state.Assigned, Reason: state.MissingScan},
	"behind":    {Seq: 5, Verdict: state.Held, Stage: state.Assigned, Reason: state.BehindHeld},
	"ignored":   {Seq: 6, Verdict: state.Ignored, Stage: state.PickedUp, Reason: state.RepeatsStage, Cause: 1},
	"duplicate": {Seq: 1, Verdict: state.Duplicate, Stage: state.InTransit, Original: state.Accepted},
	"again":     {Seq: 7, Verdict: state.Duplicate, Stage: state.Delivered, Original: state.Rejected, Reason: state.IllegalStep},
	"rejected":  {Seq: 7, Verdict: state.Rejected, Stage: state.Delivered, Reason: state.IllegalStep, From: state.Delivered, Allowed: []state.ActionType{state.Signed}, Cause: 1},
	"final":     {Seq: 8, Verdict: state.Rejected, Stage: state.Void, Reason: state.ContradictsNext, From: state.Void, Allowed: []state.ActionType{}},
	"conflict":  {Seq: 9, Verdict: state.Conflict, Stage: state.InTransit},
}

func (s *scripted) Apply(_ context.Context, events []state.Event) ([]store.Result, error) {
	if err := s.apply.Load(); err != nil {
		return nil, *err
	}
	out := make([]store.Result, len(events))
	for i, e := range events {
		out[i] = results[e.ID]
	}
	return out, nil
}

const (
	slowKey   = "a-slow-key-of-the-test-0123456789"
	narrowKey = "a-narrow-key-of-the-test-0123456789"
)

var signingKey = []byte("0123456789abcdef0123456789abcdef")

// hook is the service's event listener over a scripted store, and a client that checks what passes.
type hook struct {
	store  *scripted
	url    string
	client *http.Client
}

func newHook(t *testing.T) *hook {
	t.Helper()
	s := &scripted{}
	events, err := ingest.New(ingest.Options{
		Store: s, DeliveryIDs: []string{"SF", "中通"}, MaxBody: 1 << 16,
		Sources: []ingest.Source{
			{Name: "app", APIKey: key}, {Name: "slow", APIKey: slowKey, Rate: 0.001}, {Name: "narrow", APIKey: narrowKey, DeliveryIDs: []string{"SF"}},
			{Name: "depot", SigningKeys: [][]byte{signingKey}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.Listen(t.Context(), server.Options{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Events: events, Admin: &admin.Service{},
		Ready: func() ([]string, error) { return nil, nil }, Metrics: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- srv.ServeEvents(ctx, time.Second) }()
	go func() { done <- srv.ServeAdmin(ctx, time.Second) }()
	client := &http.Client{Transport: apicheck.Transport(t, &http.Transport{})}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
	})
	return &hook{s, "http://" + srv.Addr(), client}
}

// ask sends a request and returns the status; the transport checks the rest.
func (h *hook) ask(t *testing.T, method, path, body string, header ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	return resp.StatusCode
}

func event(id string) string {
	return fmt.Sprintf(`{"id":%q,"delivery_id":"SF","waybill_id":"12345678901234567890","action_type":300002,"action_time":1767339000,"action_msg":"快件正在派送"}`, id)
}

// TestWebhookAnswers: every kind of answer of the webhook is as the description says.
func TestWebhookAnswers(t *testing.T) {
	const one, batch = "/v1/events", "/v1/events/batch"
	data := strings.Replace(event("accepted"), `"id":"accepted",`, "", 1)
	tests := []struct {
		name, path, body string
		header           []string
		status           int
	}{
		{"accepted", one, event("accepted"), nil, 202},
		{"late", one, event("late"), nil, 202},
		{"with a gap", one, event("gap"), nil, 202},
		{"held", one, event("held"), nil, 202},
		{"behind one held", one, event("behind"), nil, 202},
		{"ignored", one, event("ignored"), nil, 200},
		{"duplicate", one, event("duplicate"), nil, 200},
		{"duplicate of a rejected one", one, event("again"), nil, 200},
		{"rejected", one, event("rejected"), nil, 409},
		{"rejected, Chinese", one, event("final"), []string{"Accept-Language", "zh"}, 409},
		{"conflict", one, event("conflict"), nil, 409},
		{"empty", one, "", nil, 400},
		{"no JSON", one, "{", nil, 400},
		{"no UTF-8", one, "{\"id\":\"\xff\"}", nil, 400},
		{"no members", one, "{}", nil, 422},
		{"wrong everywhere", one, `{"id":1,"waybill_id":"a b","action_type":1,"action_time":1533052800000,"action_msg":"","color":"red"}`, nil, 422},
		{"an array", one, "[]", []string{"Accept-Language", "zh-CN"}, 422},
		{"no key", one, event("accepted"), []string{"Authorization", ""}, 401},
		{"a wrong key", one, event("accepted"), []string{"Authorization", "Bearer nonsense"}, 401},
		{"another account", one, strings.Replace(event("accepted"), "SF", "中通", 1), []string{"Authorization", "Bearer " + narrowKey}, 403},
		{"unknown account", one, strings.Replace(event("accepted"), "SF", "XX", 1), nil, 422},
		{"too large", one, strings.Repeat(" ", 70_000), nil, 413},
		{"a form", one, "id=1", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"another charset", one, event("accepted"), []string{"Content-Type", "application/json; charset=gbk"}, 415},
		{"compressed", one, event("accepted"), []string{"Content-Encoding", "gzip"}, 415},
		{"CloudEvent", one, `{"specversion":"1.0","id":"accepted","source":"/x","type":"t","traceparent":"00","data":` + data + `}`,
			[]string{"Content-Type", "application/cloudevents+json"}, 202},
		{"CloudEvent in base64", one, `{"specversion":"1.0","id":"accepted","source":"/x","type":"t","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"}`,
			[]string{"Content-Type", "application/cloudevents+json"}, 202},
		{"CloudEvent in binary mode", one, data, []string{"Ce-Specversion", "1.0", "Ce-Id", "accepted", "Ce-Source", "/x", "Ce-Type", "t"}, 202},
		{"CloudEvent without data", one, `{"specversion":"1.0","id":"accepted","source":"/x","type":"t"}`, []string{"Content-Type", "application/cloudevents+json"}, 422},
		{"batch of all", batch, "[" + strings.Join([]string{event("accepted"), event("late"), event("gap"), event("held"), event("behind"), event("ignored"),
			event("duplicate"), event("again"), event("rejected"), event("final"), event("conflict")}, ",") + "]", nil, 200},
		{"batch with wrong ones", batch, "[" + event("accepted") + `,{},7,{"id":"x"}]`, []string{"Accept-Language", "zh"}, 200},
		{"empty batch", batch, "[]", nil, 200},
		{"NDJSON", batch, event("accepted") + "\n\n" + event("held") + "\n", []string{"Content-Type", "application/x-ndjson"}, 200},
		{"CloudEvents", batch, `[{"specversion":"1.0","id":"accepted","source":"/x","type":"t","data":` + data + `}]`,
			[]string{"Content-Type", "application/cloudevents-batch+json"}, 200},
		{"no batch", batch, event("accepted"), nil, 422},
		{"a batch cut short", batch, "[" + event("accepted"), nil, 400},
		{"too many", batch, "[" + strings.Repeat("0,", 1000) + "0]", nil, 413},
		{"a batch without a key", batch, "[]", []string{"Authorization", ""}, 401},
		{"a batch as text", batch, "[]", []string{"Content-Type", "text/plain"}, 415},
		{"another method", one, "", []string{"X-Method", "DELETE"}, 405},
		{"nothing there", "/v2/events", "{}", nil, 404},
	}
	h := newHook(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method := http.MethodPost
			if len(tt.header) > 1 && tt.header[0] == "X-Method" {
				method = tt.header[1]
			}
			if status := h.ask(t, method, tt.path, tt.body, tt.header...); status != tt.status {
				t.Errorf("got %d, want %d", status, tt.status)
			}
		})
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		if status := h.ask(t, method, "/livez", ""); status >= 300 {
			t.Errorf("%s /livez: %d", method, status)
		}
	}
}

// TestWebhookTrouble: limits, signatures, and a store that takes nothing.
func TestWebhookTrouble(t *testing.T) {
	h := newHook(t)
	want := func(status int, header ...string) {
		t.Helper()
		for _, path := range []string{"/v1/events", "/v1/events/batch"} {
			body := event("accepted")
			if strings.HasSuffix(path, "batch") {
				body = "[" + body + "]"
			}
			if got := h.ask(t, "POST", path, body, header...); got != status {
				t.Errorf("%s: got %d, want %d", path, got, status)
			}
		}
	}
	if got := h.ask(t, "POST", "/v1/events", event("accepted"), "Authorization", "Bearer "+slowKey); got != 202 {
		t.Errorf("the first of a slow source: %d", got)
	}
	want(429, "Authorization", "Bearer "+slowKey)
	id, at := "msg-1", strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, signingKey)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, event("accepted"))
	signed := []string{"Authorization", "", "Webhook-Id", id, "Webhook-Timestamp", at, "Webhook-Signature", "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}
	if got := h.ask(t, "POST", "/v1/events", event("accepted"), signed...); got != 202 {
		t.Errorf("signed: %d", got)
	}
	if got := h.ask(t, "POST", "/v1/events", event("held"), signed...); got != 401 {
		t.Errorf("signed, of another body: %d", got)
	}
	for _, err := range []error{store.ErrDiskLow, store.ErrClosing, store.ErrUnavailable} {
		h.store.ready.Store(&err)
		want(503)
	}
	h.store.ready.Store(nil)
	unknown := errors.New("the disk went away")
	h.store.apply.Store(&unknown)
	want(503)
}

// TestCheckFindsWhatIsWrong: the check itself is of no use if it lets anything pass.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	d := document(t)
	right := func() apicheck.Exchange {
		req, err := http.NewRequest("POST", "http://x/v1/events", bytes.NewReader(nil))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		return apicheck.Exchange{
			Method: "POST", URL: req.URL, Header: req.Header, Body: []byte(event("accepted")), Status: 202,
			AnswerHead: http.Header{"Content-Type": {"application/json"}},
			AnswerBody: []byte(`{"id":"accepted","waybill_id":"1","verdict":"accepted","stage":"in_transit","seq":1}`),
		}
	}
	if err := d.Check(right()); err != nil {
		t.Fatal(err)
	}
	list := func(query string) func(*apicheck.Exchange) {
		return func(x *apicheck.Exchange) {
			x.Method, x.Body, x.Status = "GET", nil, 200
			x.URL.Path, x.URL.RawQuery = "/admin/v1/pushes", query
			x.AnswerBody = []byte(`{"items":[],"next_cursor":""}`)
		}
	}
	wrong := map[string]func(x *apicheck.Exchange){
		"path":       func(x *apicheck.Exchange) { x.URL.Path = "/v1/event" },
		"method":     func(x *apicheck.Exchange) { x.Method = "PUT" },
		"status":     func(x *apicheck.Exchange) { x.Status = 201 },
		"media type": func(x *apicheck.Exchange) { x.AnswerHead.Set("Content-Type", "text/plain") },
		"no JSON":    func(x *apicheck.Exchange) { x.AnswerBody = []byte(`{`) },
		"missing member": func(x *apicheck.Exchange) {
			x.AnswerBody = []byte(`{"id":"accepted","waybill_id":"1","verdict":"accepted","seq":1}`)
		},
		"unknown member": func(x *apicheck.Exchange) {
			x.AnswerBody = bytes.Replace(x.AnswerBody, []byte(`{`), []byte(`{"x":1,`), 1)
		},
		"wrong value": func(x *apicheck.Exchange) {
			x.AnswerBody = bytes.Replace(x.AnswerBody, []byte(`in_transit`), []byte(`lost`), 1)
		},
		"request's value":   func(x *apicheck.Exchange) { x.Body = bytes.Replace(x.Body, []byte(`300002`), []byte(`300001`), 1) },
		"request's member":  func(x *apicheck.Exchange) { x.Body = bytes.Replace(x.Body, []byte(`{`), []byte(`{"x":1,`), 1) },
		"unknown parameter": list("stauts=failed"),
		"wrong parameter":   list("status=lost"),
		"limit":             list("limit=1001"),
		"list's member": func(x *apicheck.Exchange) {
			list("")(x)
			x.AnswerBody = []byte(`{"items":[{"seq":1}],"next_cursor":""}`)
		},
		"problem's status": func(x *apicheck.Exchange) {
			x.Status = 422
			x.AnswerHead.Set("Content-Type", "application/problem+json")
			x.AnswerBody = []byte(`{"type":"urn:carrier:problem:invalid_event","title":"t","status":400,"detail":"d","code":"invalid_event"}`)
		},
		"no WWW-Authenticate": func(x *apicheck.Exchange) {
			x.Status = 401
			x.AnswerHead.Set("Content-Type", "application/problem+json")
			x.AnswerBody = []byte(`{"type":"urn:carrier:problem:unauthorized","title":"t","status":401,"detail":"d","code":"unauthorized"}`)
		},
		"unknown code": func(x *apicheck.Exchange) {
			x.Status = 400
			x.AnswerHead.Set("Content-Type", "application/problem+json")
			x.AnswerBody = []byte(`{"type":"urn:carrier:problem:x","title":"t","status":400,"detail":"d","code":"x"}`)
		},
	}
	for name, spoil := range wrong {
		t.Run(name, func(t *testing.T) {
			x := right()
			spoil(&x)
			if err := d.Check(x); err == nil {
				t.Error("it passes")
			}
		})
	}
	x := right()
	list("status=failed&limit=1&since=24h&errcode=-1")(&x)
	if err := d.Check(x); err != nil {
		t.Error(err)
	}
}
