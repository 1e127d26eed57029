package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const fakeToken = "an-admin-token-that-is-for-this-address-alone"

// fakeAdmin stands in for a service's admin API: it holds recorded answers, and keeps what it was asked.
type fakeAdmin struct {
	url string

	mu      sync.Mutex
	answers map[string][]fakeAnswer // By method and path; the last one is given again and again.
	asked   []string                // Method, path with query, and body.
}

type fakeAnswer struct {
	status int
	body   string
}

func newFakeAdmin(t *testing.T) *fakeAdmin {
	t.Helper()
	f := &fakeAdmin{answers: map[string][]fakeAnswer{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Header.Get("Authorization") != "Bearer "+fakeToken {
			f.write(w, fakeAnswer{401, `{"title":"Unauthorized","detail":"The request carries no valid credentials.","code":"unauthorized"}`})
			return
		}
		f.write(w, f.take(r, strings.TrimSpace(string(body))))
	}))
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

func (f *fakeAdmin) take(r *http.Request, body string) fakeAnswer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+body))
	key := r.Method + " " + r.URL.EscapedPath()
	answers := f.answers[key]
	if len(answers) == 0 {
		return fakeAnswer{404, `{"title":"Not found","detail":"There is nothing at this address.","code":"not_found"}`}
	}
	if len(answers) > 1 {
		f.answers[key] = answers[1:]
	}
	return answers[0]
}

func (f *fakeAdmin) write(w http.ResponseWriter, a fakeAnswer) {
	kind := "application/json"
	if a.status >= 400 {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// on adds an answer: "GET /path", or several, to be given one after the other.
func (f *fakeAdmin) on(request string, status int, bodies ...string) *fakeAdmin {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, body := range bodies {
		f.answers[request] = append(f.answers[request], fakeAnswer{status, body})
	}
	return f
}

func (f *fakeAdmin) log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

// run runs a command against the fake, in the language and in the time zone of Shanghai.
func (f *fakeAdmin) run(t *testing.T, lang string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return f.runWith(t.Context(), t, "", []string{"LANG=" + lang}, args...)
}

func (f *fakeAdmin) runWith(ctx context.Context, t *testing.T, stdin string, env []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	env = append([]string{"CARRIER_ADMIN_URL=" + f.url, "CARRIER_ADMIN_TOKEN=" + fakeToken, "TZ=Asia/Shanghai"}, env...)
	status, stdout, stderr = inProcess(ctx, env, stdin, args...)
	if strings.Contains(stdout+stderr, fakeToken) {
		t.Errorf("carrier %v prints the token", args)
	}
	if text := stdout + stderr; strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), hidden) {
		t.Errorf("carrier %v prints what drives a terminal: %q", args, text)
	}
	return status, stdout, stderr
}

// Recorded answers, as a service gives them.
const (
	fakeScan = `"seq":%d,"event_id":"scan-%[1]d","source":"app","delivery_id":"SF","waybill_id":"1234567890","action_type":%d,"action_time":1533052800,` +
		`"action_msg":"丽影邓丽君【18666666666】正在派件","received_at":"2018-07-31T16:00:01Z"`
	fakeFailed  = `"status":"failed","waiting_for":"","waiting":null,"errcode":9300507,"errmsg":"token invalid","reason":"token_refused","delivered_at":null,"next_attempt_at":null,"replay":"12"`
	fakeWaiting = `"status":"pending","waiting_for":"waybill","waiting":{"for":"waybill","since":"2018-07-31T16:00:05Z","until":null,"behind":7,"parked":false,"frozen":false,` +
		`"text":{"en":"Push 7 of the same waybill goes first.","zh":"同一运单的推送 7 先行。"}},"errcode":null,"errmsg":"","reason":"","delivered_at":null,"next_attempt_at":null,"replay":""`
	fakeOK = `{"at":"2018-07-31T16:00:02Z","duration_ms":20,"errcode":0,"errmsg":"ok","rid":"6a2b-2","scope":"ok","outcome_unknown":false,"replay":"","meaning":{"en":"Done.","zh":"完成。"},` +
		`"breaker":"closed","fallback_host":"","token_at":"2018-07-31T15:00:00Z","newer_token_at":null,"access_token_at":"2018-07-31T15:48:00Z","access_token_refetched_at":null}`
	fakeDelivered = `"status":"delivered","waiting_for":"","waiting":null,"errcode":0,"errmsg":"ok","reason":"","delivered_at":"2018-07-31T16:00:02Z","next_attempt_at":null,"replay":""`
)

func fakePush(seq, action int, state string, tries int) string {
	return fmt.Sprintf(`{`+fakeScan+`,%s,"attempts":%d}`, seq, action, state, tries)
}

func fakeList(next string, items ...string) string {
	return fmt.Sprintf(`{"items":[%s],"next_cursor":%q}`, strings.Join(items, ","), next)
}

func fakeReplay(id, status string, matched, delivered, failed, open int) string {
	ended := "null"
	if status == "done" || status == "cancelled" {
		ended = `"2018-07-31T16:01:06Z"`
	}
	return fmt.Sprintf(`{"id":%q,"status":%q,"by":"ops","reason":"WeChat is back","created_at":"2018-07-31T16:00:01Z","ended_at":%s,"seq":0,`+
		`"filter":{"status":"failed","errcode":-1},"rate":20,"skip_superseded":false,"matched":%d,"requeued":%d,"skipped":0,"delivered":%d,"failed":%d,"discarded":0,"open":%d,"waiting":[]}`,
		id, status, ended, matched, delivered+failed+open, delivered, failed, open)
}
