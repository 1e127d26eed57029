package postgres

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/postgres/pgtest"
)

const (
	benchWaybills = 1000 // The waybills that are under way at a time.
	benchScans    = 10   // Of each of them.
)

// scans makes endless scans: of a thousand waybills in turn, and when they have all theirs, of the next thousand.
type scans struct {
	mu sync.Mutex
	n  int
}

func (c *scans) next(size int) []state.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	events := make([]state.Event, size)
	for i := range events {
		round := c.n / benchWaybills
		events[i] = scanOf(fmt.Sprintf("%d-%d", round/benchScans, c.n%benchWaybills), round, state.Transit)
		if round%benchScans == 0 {
			events[i].Type = state.PickupDone
		}
		c.n++
	}
	return events
}

// openOnDisk opens a store on a server whose syncs cost what they do in production.
func openOnDisk(b *testing.B) *Store {
	b.Helper()
	o := Options{Logger: slog.New(slog.DiscardHandler), Feed: func([]store.Change) {}}
	s, err := Open(b.Context(), pgtest.StartServer(b).Database(b).URL(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

func benchStore(b *testing.B) (*Store, *scans) {
	s := openOnDisk(b)
	var c scans
	if _, err := s.Apply(b.Context(), c.next(benchWaybills)); err != nil {
		b.Fatal(err)
	}
	return s, &c
}

// BenchmarkApply measures events, each call with some, of 256 callers at once.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s, c := benchStore(b)
			before := s.Stats()
			b.SetParallelism(128)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Apply(b.Context(), c.next(size)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			report(b, s, before, "events/s")
		})
	}
}

// BenchmarkSettle measures deliveries of single scans, with at most 1,024 under way.
func BenchmarkSettle(b *testing.B) {
	s, c := benchStore(b)
	var pushes []store.Outcome
	for len(pushes) < b.N {
		events := c.next(min(1000, b.N-len(pushes)))
		results, err := s.Apply(b.Context(), events)
		if err != nil {
			b.Fatal(err)
		}
		for i := range results {
			pushes = append(pushes, store.Outcome{
				Seq: results[i].Seq, Waybill: events[i].Waybill(), Status: store.Delivered, Tries: 1,
				Attempt: &store.Attempt{At: time.Now(), Duration: 52 * time.Millisecond, Errcode: new(0), Errmsg: "ok", RID: "rid", Scope: "ok"},
			})
		}
	}
	before := s.Stats()
	room := make(chan struct{}, 1024)
	b.ResetTimer()
	for i := range pushes {
		room <- struct{}{}
		s.Settle(pushes[i], func(err error) {
			if err != nil {
				b.Error(err)
			}
			<-room
		})
	}
	for range cap(room) {
		room <- struct{}{}
	}
	report(b, s, before, "outcomes/s")
}

func report(b *testing.B, s *Store, before store.Stats, unit string) {
	b.StopTimer()
	st := s.Stats()
	b.ReportMetric(float64(st.Rows-before.Rows)/b.Elapsed().Seconds(), unit)
	b.ReportMetric(float64(st.Rows-before.Rows)/float64(st.Commits-before.Commits), "rows/commit")
	b.ReportMetric((st.CommitTime-before.CommitTime).Seconds()*1000/float64(st.Commits-before.Commits), "ms/commit")
}

// BenchmarkBegin measures what it takes to ask in memory whether a waybill is this node's, as before each push.
func BenchmarkBegin(b *testing.B) {
	s := openOnDisk(b)
	w := state.Waybill{DeliveryID: "SF", WaybillID: "1"}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, end, ok := s.Begin(w)
			if !ok {
				b.Error("the waybill is not this node's")
				return
			}
			end()
		}
	})
}

// BenchmarkOwnedBy measures what it adds to a transaction to read what its node owns and to keep that so.
func BenchmarkOwnedBy(b *testing.B) {
	s := openOnDisk(b)
	all := make([]int16, slots)
	for i := range all {
		all[i] = int16(i)
	}
	for _, read := range []bool{false, true} {
		b.Run(map[bool]string{false: "a transaction without", true: "and with it"}[read], func(b *testing.B) {
			for b.Loop() {
				var batch pgx.Batch
				batch.Queue("BEGIN")
				if read {
					ownedBy(&batch, s.leases.me(), all, map[int16]bool{})
				}
				batch.Queue("COMMIT")
				if err := s.pool.SendBatch(b.Context(), &batch).Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
