package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

const (
	testKey = "key-of-the-courier-app"
	// secretToken stands for a waybill's Token wherever one is sent; no answer and no log may hold it.
	secretToken = "CANARY-TOKEN-7f3a"
	secretMsg   = "丽影邓丽君【18666666666】正在派件"
	goodEvent   = `{"id":"scan-0001","delivery_id":"SF","waybill_id":"12345678901234567890","action_type":300002,` +
		`"action_time":1533052800,"action_msg":"丽影邓丽君【18666666666】正在派件","token":"` + secretToken + `"}`
)

// fakeStore answers as told, and fails the test if it is given an event that breaks the rules.
type fakeStore struct {
	t      testing.TB
	decide func([]state.Event) ([]store.Result, error) // nil: all accepted.
	ready  error

	mu      sync.Mutex
	applied [][]state.Event
	seq     uint64
}

func (f *fakeStore) Ready() error { return f.ready }

func (f *fakeStore) Apply(ctx context.Context, events []state.Event) ([]store.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx == nil || len(events) == 0 {
		f.t.Errorf("Apply(%v, %d events)", ctx, len(events))
	}
	for i := range events {
		checkRules(f.t, &events[i])
	}
	f.applied = append(f.applied, events)
	if f.decide != nil {
		return f.decide(events)
	}
	results := make([]store.Result, len(events))
	for i := range results {
		f.seq++
		results[i] = store.Result{Seq: f.seq, Verdict: state.Accepted, Stage: state.OutForDelivery}
	}
	return results, nil
}

// all are the events of all calls.
func (f *fakeStore) all() []state.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []state.Event
	for _, events := range f.applied {
		all = append(all, events...)
	}
	return all
}

// checkRules holds an event against the rules in words (README, The event), apart from the package's own rules.
func checkRules(t testing.TB, e *state.Event) {
	t.Helper()
	bad := func(what string) { t.Errorf("the store got an event with %s: %+v", what, *e) }
	for _, s := range []string{e.ID, e.WaybillID, e.Msg, e.Token} {
		if !utf8.ValidString(s) {
			bad("invalid UTF-8")
		}
	}
	if n := utf8.RuneCountInString(e.ID); n < 1 || n > 128 {
		bad("a bad length of id")
	}
	if strings.ContainsFunc(e.ID, func(r rune) bool { return !unicode.IsPrint(r) }) {
		bad("an unprintable id")
	}
	if n := utf8.RuneCountInString(e.WaybillID); n < 1 || n > 64 {
		bad("a bad length of waybill_id")
	}
	if strings.ContainsFunc(e.WaybillID, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		bad("a space or control in waybill_id")
	}
	if !e.Type.Valid() {
		bad("an unknown type")
	}
	if e.Time <= 0 || e.Time >= 100000000000 {
		bad("a bad time")
	}
	if len(e.Msg) < 1 || len(e.Msg) > 1024 {
		bad("a bad length of action_msg")
	}
	if len(e.Token) > 256 {
		bad("a long token")
	}
	if e.Source == "" || e.DeliveryID != "SF" && e.DeliveryID != "YTO" {
		bad("no source, or an unknown account")
	}
}

// bench is a webhook behind Echo, as the server sets it up, and everything that it told.
type bench struct {
	t        testing.TB
	store    *fakeStore
	hook     *Webhook
	echo     *echo.Echo
	log      *bytes.Buffer
	observed map[string]int // By "source verdict".
	mu       sync.Mutex
}

// newBench makes a webhook for one account and one source that may use all, changed by change.
func newBench(t testing.TB, change ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, store: &fakeStore{t: t}, log: new(bytes.Buffer), observed: make(map[string]int)}
	o := Options{
		Store:       b.store,
		Sources:     []Source{{Name: "courier-app", APIKey: testKey}},
		DeliveryIDs: []string{"SF"},
		Logger:      slog.New(slog.NewJSONHandler(b.log, nil)),
		Observe: func(source, verdict string, n int) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.observed[source+" "+verdict] += n
		},
	}
	for _, c := range change {
		c(&o)
	}
	hook, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.hook, b.echo = hook, echo.New()
	b.echo.HTTPErrorHandler = func(err error, c echo.Context) {
		p, ok := err.(*problem.Problem)
		if !ok {
			t.Errorf("a handler returned %T %v, not a problem", err, err)
			p = problem.New(problem.Internal)
		}
		if err := p.Write(c.Response(), c.Request()); err != nil {
			t.Error(err)
		}
	}
	b.echo.POST("/v1/events", hook.Event)
	b.echo.POST("/v1/events/batch", hook.Batch)
	return b
}

// twoAccounts configures a second account.
func twoAccounts(o *Options) { o.DeliveryIDs = []string{"SF", "YTO"} }

// header is one header of a request; a value of "-" removes it.
type header struct{ name, value string }

// post sends a body with the good key as application/json, unless headers say otherwise.
func (b *bench) post(path, body string, headers ...header) *answer {
	b.t.Helper()
	return b.do(newPost(path, body, headers...))
}

func newPost(path, body string, headers ...header) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+testKey)
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		if h.value == "-" {
			r.Header.Del(h.name)
		} else {
			r.Header.Add(h.name, h.value)
			if h.name == "Content-Type" || h.name == "Authorization" {
				r.Header.Set(h.name, h.value)
			}
		}
	}
	return r
}

// do sends a request and checks what holds of every answer.
func (b *bench) do(r *http.Request) *answer {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.echo.ServeHTTP(w, r)
	a := &answer{ResponseRecorder: w, t: b.t, text: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &a.doc); err != nil {
		b.t.Fatalf("the answer is no JSON: %v\n%s", err, a.text)
	}
	want := "application/json"
	if w.Code >= 400 {
		want = problem.ContentType
		if a.str("type") != "urn:carrier:problem:"+a.str("code") || a.num("status") != w.Code ||
			a.str("title") == "" || a.str("detail") == "" {
			b.t.Errorf("not a problem document: %s", a.text)
		}
	}
	if got := w.Header().Get("Content-Type"); got != want {
		b.t.Errorf("status %d with Content-Type %q, want %q", w.Code, got, want)
	}
	for _, secret := range []string{secretToken, secretMsg, testKey} {
		if strings.Contains(a.text, secret) {
			b.t.Errorf("the answer tells %q: %s", secret, a.text)
		}
		if strings.Contains(b.log.String(), secret) {
			b.t.Errorf("the log tells %q: %s", secret, b.log)
		}
	}
	return a
}

// answer is a response and its JSON.
type answer struct {
	*httptest.ResponseRecorder
	t    testing.TB
	text string
	doc  map[string]any
}

func (a *answer) str(name string) string { s, _ := a.doc[name].(string); return s }

func (a *answer) num(name string) int { n, _ := a.doc[name].(float64); return int(n) }

// fields are the answer's errors as "field:code".
func (a *answer) fields() []string { return fieldsOf(a.t, a.doc) }

func fieldsOf(t testing.TB, doc map[string]any) []string {
	var all []string
	errs, _ := doc["errors"].([]any)
	for _, e := range errs {
		m := e.(map[string]any)
		if m["message"] == "" || len(m) != 3 {
			t.Errorf("not a field error: %v", m)
		}
		all = append(all, m["field"].(string)+":"+m["code"].(string))
	}
	return all
}

// is checks status and code.
func (a *answer) is(status int, code problem.Code) {
	a.t.Helper()
	if a.Code != status || a.str("code") != string(code) {
		a.t.Errorf("got %d %s, want %d %s\n%s", a.Code, a.str("code"), status, code, a.text)
	}
}

// events are results of a batch.
func (a *answer) results() []map[string]any {
	a.t.Helper()
	list, ok := a.doc["results"].([]any)
	if !ok {
		a.t.Fatalf("no results: %s", a.text)
	}
	all := make([]map[string]any, len(list))
	for i, r := range list {
		all[i] = r.(map[string]any)
		if all[i]["index"] != float64(i) {
			a.t.Errorf("result %d has index %v", i, all[i]["index"])
		}
		if _, ok := all[i]["id"].(string); !ok {
			a.t.Errorf("result %d has id %v", i, all[i]["id"])
		}
	}
	return all
}

// testRules are rules for the accounts, with the default limits.
func testRules(t testing.TB, accounts ...string) *rules {
	t.Helper()
	o := Options{MaxActionMsg: 1024, MaxFuture: 10 * time.Minute, DeliveryIDs: accounts}
	r, err := o.rules()
	if err != nil {
		t.Fatal(err)
	}
	return r
}
