package console

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/admin"
	"carrier/internal/store"
)

// wire is a connection that server-sent events are written to.
type wire struct {
	http.ResponseWriter
	out *io.PipeWriter
}

func (w wire) Write(p []byte) (int, error)      { return w.out.Write(p) }
func (w wire) Flush()                           {}
func (w wire) SetReadDeadline(time.Time) error  { return nil }
func (w wire) SetWriteDeadline(time.Time) error { return nil }
func (w wire) Unwrap() http.ResponseWriter      { return w.ResponseWriter }

// listening is a page that is open live.
type listening struct {
	events chan string // each event's data, and each comment
	ended  chan struct{}
	leave  context.CancelFunc
}

// listen opens a live page as a browser does.
func (b *browser) listen(path string) *listening {
	b.t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(b.t.Context())
	l := &listening{events: make(chan string, 100), ended: make(chan struct{}), leave: cancel}
	req := httptest.NewRequest(http.MethodGet, path, nil).WithContext(ctx)
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	go func() {
		defer close(l.ended)
		defer w.Close()
		b.console.Serve(wire{httptest.NewRecorder(), w}, req, Call{Tokens: b.tokens, Param: func(string) string { return "" }}, Viewer, b.console.Events)
	}()
	go l.read(r)
	return l
}

func (l *listening) read(r io.Reader) {
	defer close(l.events)
	var data strings.Builder
	for s := bufio.NewScanner(r); s.Scan(); {
		switch line := s.Text(); {
		case line == ":":
			l.events <- ":"
		case strings.HasPrefix(line, "data: "):
			data.WriteString(strings.TrimPrefix(line, "data: ") + "\n")
		case line == "" && data.Len() > 0:
			l.events <- data.String()
			data.Reset()
		}
	}
}

// got is what came since the last time; it waits until nothing more does.
func (l *listening) got() []string {
	synctest.Wait()
	var all []string
	for {
		select {
		case e, ok := <-l.events:
			if !ok {
				return all
			}
			all = append(all, e)
		default:
			return all
		}
	}
}

func (l *listening) over() bool {
	synctest.Wait()
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// liveRig is a console that runs, in a bubble.
func liveRig(t *testing.T, test func(t *testing.T, b *browser, f *fakeAdmin, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAdmin{accounts: []admin.AccountItem{account("SF", map[store.Status]int64{store.Pending: 4})}}
		b := open(t, f).as(deskToken)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := b.console.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		stop := func() { cancel(); <-done }
		defer stop()
		synctest.Wait()
		test(t, b, f, stop)
	})
}

func TestLiveSendsWhatChanges(t *testing.T) {
	liveRig(t, func(t *testing.T, b *browser, f *fakeAdmin, _ func()) {
		l := b.listen("/console/events?of=accounts")
		defer l.leave()
		first := l.got()
		if len(first) != 1 || !strings.Contains(first[0], `id="account-SF"`) || strings.Contains(first[0], "<html") {
			t.Fatalf("at first came %q", first)
		}
		time.Sleep(3 * tickEvery)
		if more := l.got(); len(more) != 0 {
			t.Errorf("nothing changed, and there came %q", more)
		}
		f.setAccounts(account("SF", map[store.Status]int64{store.Pending: 4444}))
		time.Sleep(tickEvery)
		if more := l.got(); len(more) != 1 || !strings.Contains(more[0], "4,444") {
			t.Errorf("after a change came %q", more)
		}
		time.Sleep(quietEvery + tickEvery)
		if more := l.got(); len(more) != 1 || more[0] != ":" {
			t.Errorf("in the quiet came %q", more)
		}
		if hour := b.console.meter.hour(); hour[meterMinutes-1].Pending != 4444 {
			t.Errorf("the backlog is kept as %d", hour[meterMinutes-1].Pending)
		}
	})
}

func TestLiveEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(b *browser, l *listening, stop func())
	}{
		{"when the visitor goes", func(_ *browser, l *listening, _ func()) { l.leave() }},
		{"at the log-out", func(b *browser, _ *listening, _ func()) { b.post("/logout", Viewer, b.console.Logout, nil) }},
		{"when the token is taken out", func(b *browser, _ *listening, _ func()) { b.tokens.takeOut(); time.Sleep(tickEvery) }},
		{"at once when it is told that the token was taken out", func(b *browser, _ *listening, _ func()) {
			b.tokens.takeOut()
			b.console.EndOrphans(b.tokens)
		}},
		{"when the token has another role", func(b *browser, _ *listening, _ func()) { b.tokens.changeRoles(); time.Sleep(tickEvery) }},
		{"when nobody used the session for 12 h", func(b *browser, _ *listening, _ func()) {
			b.console.sessions.mu.Lock()
			for _, one := range b.console.sessions.byID {
				one.used = one.used.Add(-sessionIdle)
			}
			b.console.sessions.mu.Unlock()
			time.Sleep(tickEvery)
		}},
		{"when the service stops", func(_ *browser, _ *listening, stop func()) { stop() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			liveRig(t, func(t *testing.T, b *browser, _ *fakeAdmin, stop func()) {
				l := b.listen("/console/events?of=overview")
				defer l.leave()
				go func() { // Comments come all the time.
					for range l.events {
					}
				}()
				if l.over() {
					t.Fatal("it ended at once")
				}
				tt.end(b, l, stop)
				if !l.over() {
					t.Error("it goes on")
				}
				b.console.hub.mu.Lock()
				defer b.console.hub.mu.Unlock()
				if n := len(b.console.hub.listeners); n != 0 {
					t.Errorf("%d listeners are left", n)
				}
			})
		})
	}
}

func TestSlowListenerIsDropped(t *testing.T) {
	var h hub
	h.start()
	slow, err := h.listen(&session{})
	if err != nil {
		t.Fatal(err)
	}
	quick, err := h.listen(&session{})
	if err != nil {
		t.Fatal(err)
	}
	for range maxMissed + 2 {
		h.tick()
		<-quick.tick
	}
	select {
	case <-slow.dropped:
	default:
		t.Error("who never listens is still waited for")
	}
	select {
	case <-quick.dropped:
		t.Error("who listens was dropped")
	default:
	}
}

func TestListenersAreBounded(t *testing.T) {
	var h hub
	if _, err := h.listen(&session{}); err == nil {
		t.Error("somebody listens to a console that does not run")
	}
	h.start()
	one := &session{}
	for range maxListenersEach {
		if _, err := h.listen(one); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.listen(one); err == nil {
		t.Error("one session has more than its share")
	}
	for range maxListeners - maxListenersEach {
		if _, err := h.listen(&session{}); err != nil {
			t.Fatal(err)
		}
	}
	last, err := h.listen(&session{})
	if err == nil {
		t.Errorf("more than %d listen: %v", maxListeners, last)
	}
}

func TestLiveRefuses(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(deskToken)
	b.get("/console/events?of=nothing", Viewer, b.console.Events).says(404)
	b.get("/console/events?of=overview", Viewer, b.console.Events).says(503, "load it again")
}
