package console

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/admin"
	"carrier/internal/replay"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/pebble"
)

var pageRows = flag.Int("rows", 1_000_000, "events of BenchmarkPages")

// span is how long ago the oldest event of BenchmarkPages came.
const span = 10 * 24 * time.Hour

// BenchmarkPages reads each page from a store with -rows events over ten days: eight scans a waybill, half a day from one
// to the next. One waybill in a hundred stands still after its fourth, a twentieth of the pushes failed, some wait.
func BenchmarkPages(b *testing.B) {
	var ago atomic.Int64
	ago.Store(int64(span))
	log := slog.New(slog.DiscardHandler)
	s, err := pebble.Open(b.TempDir(), pebble.Options{Logger: log, Now: func() time.Time { return time.Now().Add(-time.Duration(ago.Load())) }})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	fillPages(b, s, *pageRows, &ago)
	runner, err := replay.New(replay.Options{Store: s, Pusher: idle{}, Configured: func(string) bool { return true }, Logger: log})
	if err != nil {
		b.Fatal(err)
	}
	c, err := New(Options{
		Admin: &admin.Service{Store: s, Pusher: idle{}, Replays: runner, Accounts: func() []string { return []string{"SF"} }, Log: log, StartedAt: time.Now()}, Log: log,
	})
	if err != nil {
		b.Fatal(err)
	}
	last := *pageRows / 8 / lanesAtOnce * lanesAtOnce
	for _, page := range []struct {
		path   string
		handle Handler
	}{
		{"/pushes", c.Pushes}, {"/pushes?status=failed", c.Pushes}, {"/pushes?status=pending", c.Pushes}, {"/pushes?status=pending&waiting_for=retry", c.Pushes},
		{"/pushes?status=failed&errcode=47001&action_type=200001&source=app", c.Pushes}, {"/pushes?errcode=1", c.Pushes},
		{"/events/rejected", c.Rejected}, {"/events/held", c.Held},
		{"/waybills?q=" + benchWaybill(last-1), c.Waybills}, {"/waybills?q=" + benchWaybill(7)[8:], c.Waybills}, {"/waybills?q=99999999", c.Waybills},
		{"/waybills/SF/" + benchWaybill(last/2), c.Waybill},
		{"/silent", c.Silent}, {"/silent?hours=100", c.Silent}, {"/silent?stage=in_transit", c.Silent}, {"/silent?stage=out_for_delivery&hours=1", c.Silent},
	} {
		b.Run(page.path, func(b *testing.B) { timePage(b, c, page.path, page.handle) })
	}
}

// timePage reads a page again and again.
func timePage(b *testing.B, c *Console, path string, handle Handler) {
	tokens := newFakeTokens()
	var key TokenKey
	for k, by := range tokens {
		if by.Operator {
			key = k
		}
	}
	session := c.sessions.begin(key, time.Now())
	u, err := url.Parse(path)
	if err != nil {
		b.Fatal(err)
	}
	parts := strings.Split(u.Path, "/")
	params := map[string]string{"delivery": parts[len(parts)-2], "waybill": parts[len(parts)-1]}
	var took []time.Duration
	for b.Loop() {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.AddCookie(&http.Cookie{Name: sessionCookie, Value: session})
		w := httptest.NewRecorder()
		began := time.Now()
		c.Serve(w, r, Call{Tokens: tokens, Param: func(name string) string { return params[name] }}, Viewer, handle)
		took = append(took, time.Since(began))
		if w.Code != http.StatusOK && w.Code != http.StatusSeeOther {
			b.Fatalf("%d: %s", w.Code, w.Body)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

func benchWaybill(n int) string { return fmt.Sprintf("SF%014d", n) }

// lanesAtOnce is how many waybills are on their way at a time, each with eight scans.
const lanesAtOnce = 1000

var benchSteps = [8]state.ActionType{
	state.PickupAssigned, state.PickupDone, state.Transit, state.Transit, state.Transit, state.Transit, state.DeliveryBegun, state.Signed,
}

// fillPages takes n events, a thousand waybills' at a time; the clock goes on with them.
func fillPages(b *testing.B, s *pebble.Store, n int, ago *atomic.Int64) {
	b.Helper()
	const batch = 500
	began := time.Now()
	var open sync.WaitGroup
	for from := 0; from < n; from += batch {
		ago.Store(int64(float64(span) * float64(n-from-batch) / float64(n)))
		now := time.Now().Add(-time.Duration(ago.Load()))
		events := make([]state.Event, 0, batch)
		for i := from; i < from+batch; i++ {
			waybill, step := i/(8*lanesAtOnce)*lanesAtOnce+i%lanesAtOnce, i%(8*lanesAtOnce)/lanesAtOnce
			e := state.Event{
				ID: fmt.Sprint(i), Source: "app", DeliveryID: "SF", WaybillID: benchWaybill(waybill), Type: benchSteps[step],
				Time: now.Unix(), Msg: "快件到达深圳转运中心【18666666666】", Token: "TOKEN",
			}
			if waybill%100 == 7 && step == 7 {
				e.Type = state.Cancelled // Rejected.
			}
			if waybill%100 == 9 && step > 3 {
				e.WaybillID = benchWaybill(waybill - 1) // So 9 stands still, and 8 repeats itself.
			}
			events = append(events, e)
		}
		results, err := s.Apply(b.Context(), events)
		if err != nil {
			b.Fatal(err)
		}
		for i := range results {
			settleBench(b, s, &events[i], results[i], &open)
		}
	}
	open.Wait()
	b.Logf("%d events in %v", n, time.Since(began))
}

// settleBench says what became of a push: one in twenty failed, one in two hundred is to be tried again.
func settleBench(b *testing.B, s *pebble.Store, e *state.Event, r store.Result, open *sync.WaitGroup) {
	if r.Verdict != state.Accepted {
		return
	}
	code := 0
	o := store.Outcome{Seq: r.Seq, Waybill: e.Waybill(), Status: store.Delivered, Tries: 1}
	switch {
	case r.Seq%20 == 3:
		o.Status, o.Reason, code = store.Failed, store.ReasonRefused, 47001
	case r.Seq%200 == 10:
		o.Status, o.NextAt, code = store.Pending, time.Now().Add(time.Hour), -1
	}
	o.Attempt = &store.Attempt{At: time.Now(), Errcode: &code, Scope: "event"}
	open.Add(1)
	s.Settle(o, func(error) { open.Done() })
}
