package pebble

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/engine"
)

// pendingRows is how many pending pushes BenchmarkOpenMillionPending makes: it takes a while, so the default is small.
var pendingRows = flag.Int("pending", 50_000, "pending pushes of BenchmarkOpenMillionPending")

// The two settings that trade memory for speed; 0 is the default.
var (
	benchCache    = flag.Int64("cache", 0, "MiB of block cache in benchmarks")
	benchMemtable = flag.Uint64("memtable", 0, "MiB of memtable in benchmarks")
)

// benchOpen opens a store on the disk, with what a production store has.
func benchOpen(b *testing.B, dir string) *Store {
	b.Helper()
	s, err := Open(dir, benchOptions(b))
	if err != nil {
		b.Fatalf("Open: %v", err)
	}
	return s
}

func benchOptions(b *testing.B) Options {
	o := options(b, vfs.Default)
	o.spanRows = 0
	o.Waybills, o.CacheBytes, o.MemtableBytes = 0, *benchCache<<20, *benchMemtable<<20
	return o
}

// benchEvent is the n-th event of traffic in which every waybill has eight scans, and 1,000 waybills take turns.
func benchEvent(n int) state.Event {
	const turn, scans = 1000, 8
	group, at := n/(turn*scans), n%(turn*scans)
	return scanOf(fmt.Sprintf("SF%06d%012d", group, at%turn), at/turn)
}

func reportEvents(b *testing.B, n int) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(cpuTime().Microseconds()-benchCPU.Load())/float64(n), "cpu-us/event")
	b.ReportMetric(residentMiB(), "rss-MiB")
}

var benchCPU atomic.Int64

func startCPU() { benchCPU.Store(cpuTime().Microseconds()) }

// callers applies n events from many callers, size events a call.
func callers(b *testing.B, s *Store, n, callers, size int) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			events := make([]state.Event, 0, size)
			for {
				to := int(next.Add(int64(size)))
				if to-size >= n {
					return
				}
				events = events[:0]
				for i := to - size; i < min(to, n); i++ {
					events = append(events, benchEvent(i))
				}
				if _, err := s.Apply(b.Context(), events); err != nil {
					b.Errorf("Apply: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkApply(b *testing.B) {
	for _, g := range []int{1, 64, 256, 512} {
		b.Run(fmt.Sprintf("callers=%d", g), func(b *testing.B) {
			s := benchOpen(b, b.TempDir())
			defer s.Close()
			b.ResetTimer()
			startCPU()
			callers(b, s, b.N, g, 1)
			reportEvents(b, b.N)
		})
	}
}

// BenchmarkApplyUnknown sends scans of waybills that WeChat never ordered, and for comparison of those that it did.
func BenchmarkApplyUnknown(b *testing.B) {
	for _, c := range []struct {
		name           string
		token, discard bool
	}{{"ordered", true, false}, {"wait", false, false}, {"discard", false, true}} {
		b.Run(c.name, func(b *testing.B) {
			o := options(b, vfs.Default)
			o.spanRows, o.Waybills, o.CacheBytes, o.MemtableBytes, o.DiscardUnknown = 0, 0, 0, 0, c.discard
			s := mustOpen(b, b.TempDir(), o)
			events := make([]state.Event, 0, 100)
			b.ResetTimer()
			startCPU()
			for i := 0; i < b.N; i += 100 {
				events = events[:0]
				for n := i; n < min(i+100, b.N); n++ {
					e := benchEvent(n)
					if !c.token {
						e.Token = ""
					}
					events = append(events, e)
				}
				if _, err := s.Apply(b.Context(), events); err != nil {
					b.Fatal(err)
				}
			}
			reportEvents(b, b.N)
		})
	}
}

func BenchmarkApplyBatch100(b *testing.B) {
	s := benchOpen(b, b.TempDir())
	defer s.Close()
	b.ResetTimer()
	startCPU()
	callers(b, s, b.N, 8, 100)
	reportEvents(b, b.N)
}

// BenchmarkApplyCold sends scans of waybills that left the cache long ago.
func BenchmarkApplyCold(b *testing.B) {
	s := benchOpen(b, b.TempDir())
	defer s.Close()
	const waybills = 300_000
	events := make([]state.Event, 0, 100)
	apply := func(n int) {
		for i := 0; i < waybills && i < n; i += 100 {
			events = events[:0]
			for k := i; k < i+100; k++ {
				e := scanOf(fmt.Sprintf("SF%018d", k*7919%waybills), int(s.w.batch))
				e.ID = fmt.Sprintf("%d-%d", n, k)
				if n == waybills {
					e.Type = state.PickupDone
				}
				events = append(events, e)
			}
			if _, err := s.Apply(b.Context(), events); err != nil {
				b.Fatal(err)
			}
		}
	}
	apply(waybills)
	b.ResetTimer()
	startCPU()
	n := min(b.N, waybills-1)
	apply(n)
	reportEvents(b, n)
}

func BenchmarkSettle(b *testing.B) {
	b.Run("notices=off", func(b *testing.B) { settleAll(b, mustOpen(b, b.TempDir(), benchOptions(b))) })
	b.Run("notices=on", func(b *testing.B) {
		o := benchOptions(b)
		o.Notify = func() {}
		settleAll(b, mustOpen(b, b.TempDir(), o))
	})
}

// BenchmarkTell reads notices and tells them, a page at a time.
func BenchmarkTell(b *testing.B) {
	o := benchOptions(b)
	o.Notify = func() {}
	s := mustOpen(b, b.TempDir(), o)
	settleAll(b, s)
	b.ResetTimer()
	startCPU()
	for n := 0; n < b.N; {
		page, err := s.Notices(b.Context(), 0, store.MaxLimit)
		if err != nil || len(page) == 0 {
			b.Fatalf("Notices: %d, %v", len(page), err)
		}
		if err := s.Told(b.Context(), page[len(page)-1].Number); err != nil {
			b.Fatal(err)
		}
		n += len(page)
	}
	reportEvents(b, b.N)
}

// settleAll applies events and then delivers their pushes, which is what it measures.
func settleAll(b *testing.B, s *Store) {
	b.Helper()
	callers(b, s, b.N, 8, 100)
	var wg sync.WaitGroup
	wg.Add(b.N)
	done := func(err error) {
		if err != nil {
			b.Errorf("Settle: %v", err)
		}
		wg.Done()
	}
	attempt := &store.Attempt{At: time.Now(), Duration: 50 * time.Millisecond, Errcode: new(0), Scope: "ok", RID: "6530a1b2-4f1c"}
	page, err := s.Pushes(b.Context(), store.Query{Limit: 1})
	if err != nil || len(page.Items) == 0 {
		b.Fatalf("Pushes: %v", err)
	}
	outcomes := make([]store.Outcome, 0, b.N)
	err = walk(s.db, 0, 1<<62, func(r *row) (bool, error) {
		outcomes = append(outcomes, store.Outcome{
			Seq: r.seq, Waybill: r.event.event.Waybill(), Status: store.Delivered, Attempt: attempt, Tries: 1,
		})
		return true, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	startCPU()
	for i := range outcomes {
		s.Settle(outcomes[i], done)
	}
	wg.Wait()
	reportEvents(b, b.N)
}

// BenchmarkOpenMillionPending opens a store with many pending pushes and reads the first page of a sweep.
// For the million: go test -bench OpenMillion -benchtime 3x -args -pending 1000000.
func BenchmarkOpenMillionPending(b *testing.B) {
	dir := b.TempDir()
	s := benchOpen(b, dir)
	callers(b, s, *pendingRows, 8, 100)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	b.ResetTimer()
	for b.Loop() {
		s := benchOpen(b, dir)
		page, _, _, err := s.Sweep(b.Context(), "SF", store.Place{})
		if err != nil {
			b.Fatal(err)
		}
		for place := (store.Place{}); len(page) == 0; {
			if page, place, _, err = s.Sweep(b.Context(), "SF", place); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		for op := new(noOp); ; {
			op.Waiter = engine.Waiter{}
			if err := s.write(b.Context(), op, &op.Waiter); err != nil {
				b.Fatal(err)
			}
			if op.built {
				break
			}
		}
		b.ReportMetric(residentMiB(), "rss-MiB")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// noOp asks the writer whether the filters are built.
type noOp struct {
	engine.Waiter
	built bool
}

func (o *noOp) rows() int { return 1 }
func (o *noOp) run(x *tx) { o.built = !x.w.ids.building }

// residentMiB is the memory of the process that is in use now, as the system sees it; 0 where it can't be told.
func residentMiB() float64 {
	text := procStatus()
	_, rest, ok := strings.Cut(text, "VmRSS:")
	if !ok {
		return 0
	}
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0
	}
	return kib / 1024
}
