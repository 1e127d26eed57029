package pebble

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var listRows = flag.Int("rows", 1_000_000, "events of BenchmarkLists")

// listCase is a query of which pages are measured. An empty one has no row at all.
type listCase struct {
	name  string
	query store.Query
	empty bool
}

// broken is an account all of whose pushes fail; quiet sends nothing that fails.
const (
	broken = "BAD"
	quiet  = "quiet-app"
)

func listCases(begin, end time.Time) []listCase {
	open := func(delivery string, _ bool) store.WaitingFor {
		if delivery == "YTO" {
			return store.WaitBreaker
		}
		return store.WaitNothing
	}
	middle := begin.Add(end.Sub(begin) / 2)
	return []listCase{
		{"none", store.Query{}, false},
		{"status=pending", store.Query{Status: store.Pending}, false},
		{"status=delivered", store.Query{Status: store.Delivered}, false},
		{"status=failed", store.Query{Status: store.Failed}, false},
		{"status=discarded", store.Query{Status: store.Discarded}, false},
		{"waiting_for=retry", store.Query{WaitingFor: store.WaitRetry}, false},
		{"waiting_for=token", store.Query{WaitingFor: store.WaitToken}, false},
		{"waiting_for=waybill", store.Query{WaitingFor: store.WaitWaybill}, false},
		{"waiting_for=breaker", store.Query{WaitingFor: store.WaitBreaker, Held: open}, false},
		{"waiting_for=breaker,closed", store.Query{WaitingFor: store.WaitBreaker}, true},
		{"errcode=47001", store.Query{Errcode: new(47001)}, false},
		{"errcode=0", store.Query{Errcode: new(0)}, false},
		{"errcode=48001,rare", store.Query{Errcode: new(48001)}, false},
		{"errcode=1,unknown", store.Query{Errcode: new(1)}, true},
		{"reason=retries_ended", store.Query{Reason: store.ReasonExhausted}, false},
		{"reason=words", store.Query{Reason: "the customer called"}, false},
		{"delivery_id=SF", store.Query{DeliveryID: "SF"}, false},
		{"delivery_id=TINY,rare", store.Query{DeliveryID: "TINY"}, false},
		{"waybill_id", store.Query{WaybillID: waybillOf(777)}, false},
		{"action_type=200001", store.Query{Type: state.Transit}, false},
		{"source=hub", store.Query{Source: "hub"}, false},
		{"since,until=middle", store.Query{Since: middle, Until: middle.Add(time.Second)}, false},
		{"failed,SF,47001", store.Query{Status: store.Failed, DeliveryID: "SF", Errcode: new(47001)}, false},
		{"failed,rare source", store.Query{Status: store.Failed, Source: quiet}, true},
		{"failed,TINY", store.Query{Status: store.Failed, DeliveryID: "TINY"}, true},
		{"failed,errcode=0", store.Query{Status: store.Failed, Errcode: new(0)}, true},
		{"delivered,BAD", store.Query{Status: store.Delivered, DeliveryID: broken}, true},
		{"delivered,BAD,errcode=0", store.Query{Status: store.Delivered, DeliveryID: broken, Errcode: new(0)}, true},
		{"pending,delivered type", store.Query{Status: store.Pending, Type: state.Signed}, true},
		{"pending,waiting_for=waybill,BAD", store.Query{Status: store.Pending, WaitingFor: store.WaitWaybill, DeliveryID: broken}, true},
		{"SF,hub,200001", store.Query{DeliveryID: "SF", Source: "hub", Type: state.Transit}, false},
		{"SF,source of TINY", store.Query{DeliveryID: "SF", Source: "tiny-app"}, true},
		{"failed,retries_ended,-1,hub,200001", store.Query{
			Status: store.Failed, Reason: store.ReasonExhausted, Errcode: new(-1), Source: "hub", Type: state.Transit,
		}, false},
		{"verdict=rejected", store.Query{Verdict: state.Rejected}, false},
		{"verdict=held", store.Query{Verdict: state.Held}, false},
		{"verdict=ignored", store.Query{Verdict: state.Ignored}, false},
		{"verdict=accepted", store.Query{Verdict: state.Accepted}, false},
		{"verdict=rejected,TINY", store.Query{Verdict: state.Rejected, DeliveryID: "TINY"}, true},
	}
}

// BenchmarkLists reads pages of 100 from random places, in both directions, of a store with -rows events: a tenth of
// them failed, a twentieth is pending.
func BenchmarkLists(b *testing.B) {
	s := benchOpen(b, b.TempDir())
	defer s.Close()
	begin := time.Now()
	fillLists(b, s, *listRows)
	end := time.Now()
	report, err := s.Check(b.Context())
	if err != nil || len(report.Problems) > 0 {
		b.Fatalf("Check: %v, %v", report.Problems, err)
	}
	b.Logf("%d events in %v; pushes by status: %v; %d terms", report.Events, end.Sub(begin), report.Pushes, len(s.index.terms))
	for _, c := range listCases(begin, end) {
		for name, list := range map[string]func(context.Context, store.Query) (int, uint64, error){
			"pushes": s.countPushes, "events": s.countEvents,
		} {
			if c.query.Verdict != 0 && name == "pushes" {
				continue
			}
			b.Run(name+"/"+c.name, func(b *testing.B) { listPages(b, c, report.Events, list) })
		}
	}
	b.Run("walk/failed", func(b *testing.B) { walkPages(b, s, store.Query{Status: store.Failed, Limit: 100}) })
	b.Run("walk/delivered", func(b *testing.B) { walkPages(b, s, store.Query{Status: store.Delivered, Limit: 1000}) })
}

func (s *Store) countPushes(ctx context.Context, q store.Query) (int, uint64, error) {
	page, err := s.Pushes(ctx, q)
	return len(page.Items), page.Next, err
}

func (s *Store) countEvents(ctx context.Context, q store.Query) (int, uint64, error) {
	page, err := s.Events(ctx, q)
	return len(page.Items), page.Next, err
}

// listPages measures pages that begin at random places; every tenth begins at an end.
func listPages(b *testing.B, c listCase, events uint64, list func(context.Context, store.Query) (int, uint64, error)) {
	rng := rand.New(rand.NewPCG(1, 2))
	var took []time.Duration
	short, items := 0, 0
	for b.Loop() {
		q := c.query
		q.Limit, q.Ascending = 100, rng.IntN(2) == 0
		if at := rng.Uint64N(events); rng.IntN(10) == 0 {
		} else if q.Ascending {
			q.After = at
		} else {
			q.Before = at + 1
		}
		begun := time.Now()
		n, next, err := list(b.Context(), q)
		took = append(took, time.Since(begun))
		if err != nil || c.empty && n > 0 {
			b.Fatalf("%+v: %d rows, %v", q, n, err)
		}
		if items += n; next != 0 && n < q.Limit {
			short++
		}
	}
	reportTimes(b, took)
	b.ReportMetric(float64(items)/float64(len(took)), "rows/page")
	b.ReportMetric(float64(short), "short-pages")
}

func reportTimes(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// walkPages measures the pages of one walk through a whole list.
func walkPages(b *testing.B, s *Store, q store.Query) {
	var took []time.Duration
	for more := true; more; {
		begun := time.Now()
		page, err := s.Pushes(b.Context(), q)
		took = append(took, time.Since(begun))
		if err != nil {
			b.Fatal(err)
		}
		q.Before, more = page.Next, page.Next != 0
	}
	b.ReportMetric(float64(took[0].Microseconds())/1000, "first-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "last-ms")
	b.ReportMetric(float64(len(took)), "pages")
	reportTimes(b, took)
}

func waybillOf(n int) string { return fmt.Sprintf("SF%018d", n) }

// traffic makes the events of BenchmarkLists: eight scans a waybill, 1,000 waybills in turn.
func traffic(n int) (e state.Event, waybill int) {
	const turn, scans = 1000, 8
	group, at := n/(turn*scans), n%(turn*scans)
	waybill = group*turn + at%turn
	e = scanOf(waybillOf(waybill), at/turn)
	switch k := waybill % 100; {
	case k >= 3 && k <= 4:
		e.DeliveryID = broken
	case k == 0:
		e.Token = ""
	case k == 20 && waybill%1000 == 20:
		e.DeliveryID, e.Source = "TINY", "tiny-app"
	case k == 21:
		e.Source = quiet
	case k%3 == 0:
		e.DeliveryID = "YTO"
	}
	if e.Source == "app" && waybill%2 == 0 {
		e.Source = "hub"
	}
	switch k := waybill % 100; {
	case k == 30 && at/turn == 7: // Rejected.
		e.Type = state.PickupFailed
	case k == 31 && at/turn == 7: // Ignored.
		e.Type, e.Time = state.PickupDone, e.Time-7
	case k == 32 && at/turn == 0: // Held, with all that follow, for as long as the benchmark takes.
		e.Type = state.Signed
		e.Time += 100
	case k >= 40 && k < 60 && at/turn == 7:
		e.Type = state.Signed
	}
	return e, waybill
}

// fate is what becomes of a push of the traffic; ok is false where it stays as it is.
func fate(e *state.Event, waybill, scan int) (o store.Outcome, ok bool) {
	code, attempt := 0, store.Attempt{At: time.Now(), Scope: "x"}
	o.Status = store.Delivered
	switch k := waybill % 100; {
	case k == 0, k == 1 && scan > 0, (k == 2 || k == 15 || k == 16) && scan > 0, k == 32:
		return o, false // No Token, parked, behind a retry.
	case k == 1:
		o.Status, o.Reason, o.Park, code = store.Failed, store.ReasonToken, true, 9300507
	case k == 2 || k == 15 || k == 16:
		o.Status, o.NextAt, code = store.Pending, time.Now().Add(time.Hour), -1
	case k >= 3 && k <= 7:
		o.Status, o.Reason, code = store.Failed, store.ReasonExhausted, -1
	case k >= 8 && k <= 12:
		o.Status, o.Reason, code = store.Failed, store.ReasonRefused, 47001
		if waybill%5000 == 8 {
			code = 48001
		}
	case k == 13:
		o.Status, o.Reason = store.Discarded, "the customer called"
		o.Seq, o.Waybill = 0, e.Waybill()
		return o, true
	}
	attempt.Errcode = &code
	o.Attempt, o.Waybill = &attempt, e.Waybill()
	return o, true
}

func fillLists(b *testing.B, s *Store, n int) {
	b.Helper()
	const batch = 500
	var wg sync.WaitGroup
	for from := 0; from < n; from += batch {
		events, waybills := make([]state.Event, batch), make([]int, batch)
		for i := range events {
			events[i], waybills[i] = traffic(from + i)
		}
		results := mustApply(b, s, events...)
		for i, r := range results {
			o, ok := fate(&events[i], waybills[i], (from+i)%8000/1000)
			if !ok || r.Verdict != state.Accepted {
				continue
			}
			wg.Add(1)
			o.Seq = r.Seq
			s.Settle(o, func(err error) {
				if err != nil {
					b.Errorf("Settle: %v", err)
				}
				wg.Done()
			})
		}
	}
	wg.Wait()
	if err := s.saveSpans(b.Context()); err != nil {
		b.Fatal(err)
	}
}
