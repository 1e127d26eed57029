package server

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"carrier/internal/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	opsToken  = "ops-0123456789abcdef0123456789abcdef"
	deskToken = "desk-0123456789abcdef0123456789abcde"
)

// seen is a request as Options.Observe heard of it.
type seen struct {
	route  string
	status int
}

// rig is both listeners' handlers with fakes behind them.
type rig struct {
	store   *fakeStore
	pusher  *fakePusher
	replays *fakeReplays
	weChat  *fakeWeChat
	events  *fakeEvents
	o       Options
	log     *strings.Builder
	mu      sync.Mutex
	seen    []seen
}

func newRig(t *testing.T) *rig {
	r := &rig{store: &fakeStore{}, pusher: &fakePusher{paused: map[string]string{}}, events: &fakeEvents{}, log: &strings.Builder{}}
	r.replays, r.weChat = &fakeReplays{store: r.store}, &fakeWeChat{}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	r.o = Options{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Events: r.events, Callbacks: fakeCallbacks{},
		Admin: &admin.Service{
			Store: r.store, Pusher: r.pusher, Replays: r.replays, WeChat: r.weChat, Accounts: func() []string { return []string{"SF", "中通"} }, BackupDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		},
		Tokens:  []Token{{Name: "ops", Value: opsToken, Operator: true}, {Name: "desk", Value: deskToken}},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "carrier_up 1\n") }),
		Ready:   func() ([]string, error) { return nil, nil },
		Observe: func(route string, status int, _ time.Duration) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seen = append(r.seen, seen{route, status})
		},
		Log: log,
	}
	return r
}

// do asks the admin listener's handler, with the operator's token unless the request has another.
func (r *rig) do(method, target, body string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+opsToken)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	newEcho(&r.o, adminRoutes(&r.o), newAuth(&r.o), notOnAdmin).ServeHTTP(patient{w}, req)
	return w
}

// patient is a recorder that, like a connection, can be given all the time in the world.
type patient struct{ *httptest.ResponseRecorder }

func (patient) SetWriteDeadline(time.Time) error { return nil }

// doEvents asks the other one.
func (r *rig) doEvents(req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	newEcho(&r.o, eventRoutes(&r.o), newAuth(&r.o), notOnEvents).ServeHTTP(w, req)
	return w
}

func wantStatus(t *testing.T, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	if w.Code != status {
		t.Errorf("got %d %s, want %d", w.Code, w.Body, status)
	}
}

// wantProblem checks that an answer is a problem document with a code.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	wantStatus(t, w, status)
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("the media type is %q", got)
	}
	if want := fmt.Sprintf(`"code":%q`, code); !strings.Contains(w.Body.String(), want) {
		t.Errorf("got %s, want %s", w.Body, want)
	}
}
