package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"carrier/internal/admin"
	"carrier/internal/pathpush"
	"carrier/internal/state"
	"carrier/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	opsToken  = "ops-0123456789abcdef0123456789abcdef"
	deskToken = "desk-0123456789abcdef0123456789abcde"
)

// fakeStore answers what it is told to, and remembers what it was asked.
type fakeStore struct {
	mu      sync.Mutex
	err     error         // of every call
	panics  any           // thrown by every call
	blocks  chan struct{} // a call waits until it is closed
	entered chan struct{} // gets a value when a call begins to wait
	waybill state.Waybill // asked for last
	token   string        // put last
	query   store.Query
	pushes  []store.Push
}

func (s *fakeStore) call() error {
	s.mu.Lock()
	err, panics, blocks := s.err, s.panics, s.blocks
	s.mu.Unlock()
	if panics != nil {
		panic(panics)
	}
	if blocks != nil {
		s.entered <- struct{}{}
		<-blocks
	}
	return err
}

func (s *fakeStore) Push(_ context.Context, seq uint64) (store.Push, error) {
	for _, p := range s.pushes {
		if p.Seq == seq {
			return p, s.call()
		}
	}
	return store.Push{}, errors.Join(s.call(), store.ErrNotFound)
}

func (s *fakeStore) Pushes(_ context.Context, q store.Query) (store.Page[store.Push], error) {
	s.query = q
	return store.Page[store.Push]{Items: s.pushes}, s.call()
}

func (s *fakeStore) Events(_ context.Context, q store.Query) (store.Page[store.Event], error) {
	s.query = q
	return store.Page[store.Event]{}, s.call()
}

func (s *fakeStore) Waybill(_ context.Context, w state.Waybill) (store.Waybill, error) {
	s.waybill = w
	return store.Waybill{Waybill: w}, s.call()
}

func (s *fakeStore) PutToken(_ context.Context, w state.Waybill, token string, _ store.Act) (bool, error) {
	s.waybill, s.token = w, token
	return true, s.call()
}

func (s *fakeStore) Replay(ctx context.Context, seq uint64, force bool, _ store.Act) (store.Push, error) {
	p, err := s.Push(ctx, seq)
	if err == nil && (p.Status == store.Pending || p.Status == store.NoPush || p.Status == store.Delivered && !force) {
		err = store.ErrState
	}
	return p, err
}

func (s *fakeStore) Stats() store.Stats { return store.Stats{} }

func (s *fakeStore) Backup(_ context.Context, dir string) error {
	if err := s.call(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "INSTANCE"), []byte("x"), 0o600)
}

// fakePusher has the accounts SF and 中通.
type fakePusher struct {
	paused map[string]string
	err    error
}

func (p *fakePusher) Held(string) store.WaitingFor { return store.WaitNothing }
func (p *fakePusher) Pause(_ context.Context, id, reason string) error {
	p.paused[id] = reason
	return p.err
}
func (p *fakePusher) Resume(_ context.Context, id string, _ time.Duration) error {
	delete(p.paused, id)
	return p.err
}
func (p *fakePusher) Snapshots() []pathpush.Snapshot {
	var all []pathpush.Snapshot
	for _, id := range []string{"SF", "中通"} {
		reason, paused := p.paused[id]
		all = append(all, pathpush.Snapshot{DeliveryID: id, Breakers: []pathpush.BreakerSnapshot{{State: "closed"}},
			Paused: paused, PauseReason: reason})
	}
	return all
}

// fakeEvents answers 202 when it is let.
type fakeEvents struct {
	entered chan struct{} // gets a value when a request has come, if it is not nil
	blocks  chan struct{} // a request waits until it is closed, if it is not nil
}

func (e *fakeEvents) Event(c echo.Context) error {
	if e.entered != nil {
		e.entered <- struct{}{}
		<-e.blocks
	}
	return c.JSON(http.StatusAccepted, map[string]string{"ip": c.RealIP()})
}
func (e *fakeEvents) Batch(c echo.Context) error { return c.NoContent(http.StatusOK) }

// seen is a request as Options.Observe heard of it.
type seen struct {
	route  string
	status int
}

// rig is both listeners' handlers with fakes behind them.
type rig struct {
	store  *fakeStore
	pusher *fakePusher
	events *fakeEvents
	o      Options
	log    *strings.Builder
	mu     sync.Mutex
	seen   []seen
}

func newRig(t *testing.T) *rig {
	r := &rig{store: &fakeStore{}, pusher: &fakePusher{paused: map[string]string{}}, events: &fakeEvents{}, log: &strings.Builder{}}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	r.o = Options{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Events: r.events,
		Admin: &admin.Service{
			Store: r.store, Pusher: r.pusher, Accounts: []string{"SF", "中通"}, BackupDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
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
	newEcho(&r.o, adminRoutes(&r.o), newAuth(r.o.Tokens)).ServeHTTP(patient{w}, req)
	return w
}

// patient is a recorder that, like a connection, can be given all the time in the world.
type patient struct{ *httptest.ResponseRecorder }

func (patient) SetWriteDeadline(time.Time) error { return nil }

// doEvents asks the other one.
func (r *rig) doEvents(req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	newEcho(&r.o, eventRoutes(&r.o), newAuth(r.o.Tokens)).ServeHTTP(w, req)
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
