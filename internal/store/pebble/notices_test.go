package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
)

// told is what somebody who tells ends has read, and how far that was told.
type told struct {
	mu     sync.Mutex
	read   map[uint64]store.Notice
	upTo   uint64 // Told has returned.
	rounds int
}

func (l *told) snapshot() (read map[uint64]store.Notice, upTo uint64, rounds int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.read), l.upTo, l.rounds
}

// run reads and tells until it is told to stop. It leaves some untold, so that there are both kinds at any moment.
func (l *told) run(t *testing.T, s *Store, stop *atomic.Bool) {
	for !stop.Load() {
		page, err := s.Notices(context.Background(), 0, 40)
		if err != nil {
			t.Errorf("Notices: %v", err)
			return
		}
		l.mu.Lock()
		for _, n := range page {
			l.read[n.Number] = n
		}
		l.mu.Unlock()
		if len(page) < 2 {
			continue
		}
		number := page[len(page)/2].Number
		if err := s.Told(context.Background(), number); err != nil {
			t.Errorf("Told: %v", err)
			return
		}
		l.mu.Lock()
		l.upTo = number
		l.rounds++
		l.mu.Unlock()
	}
}

// endInEveryWay makes ends of waybills until it is told to stop: delivered, failed, discarded, rejected, replayed.
func endInEveryWay(t *testing.T, s *Store, name string, stop *atomic.Bool) {
	for n := 0; !stop.Load(); n++ {
		w := state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprintf("%s-%d", name, n)}
		rejected := scanOf(w.WaybillID, 3)
		rejected.Type = state.Cancelled
		r, err := s.Apply(context.Background(), []state.Event{scanOf(w.WaybillID, 0), scanOf(w.WaybillID, 1), rejected})
		settle := func(seq uint64, status store.Status) {
			err = errors.Join(err, settleNow(s, store.Outcome{Seq: seq, Waybill: w, Status: status, Attempt: &store.Attempt{}}))
		}
		if err == nil {
			settle(r[0].Seq, store.Failed)
			settle(r[1].Seq, store.Delivered)
		}
		if err == nil && n%2 == 0 {
			_, err = s.Discard(context.Background(), r[0].Seq, store.Act{})
		} else if err == nil {
			if _, err = s.Replay(context.Background(), r[0].Seq, false, store.Act{}); err == nil {
				settle(r[0].Seq, store.Delivered)
			}
		}
		if err != nil {
			t.Errorf("an end: %v", err)
			return
		}
	}
}

// TestPowerLossOfNotices cuts the power while pushes end and their ends are told.
func TestPowerLossOfNotices(t *testing.T) {
	crashes := 10
	if testing.Short() {
		crashes = 5
	}
	for seed := range crashes {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 2))
			mem := vfs.NewCrashableMem()
			running := mustOpen(t, "data", notifying(t, mem))
			var stop atomic.Bool
			var wg sync.WaitGroup
			teller := told{read: map[uint64]store.Notice{}}
			for i := range 4 {
				wg.Go(func() { endInEveryWay(t, running, fmt.Sprint(i), &stop) })
			}
			wg.Go(func() { teller.run(t, running, &stop) })
			for rounds := 3 + rng.IntN(10); !t.Failed(); {
				if _, _, n := teller.snapshot(); n >= rounds {
					break
				}
			}
			shown, upTo, _ := teller.snapshot()
			crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			stop.Store(true)
			wg.Wait()
			all, _, _ := teller.snapshot()

			s := mustOpen(t, "data", notifying(t, crashed))
			mustCheck(t, s)
			if told := s.durableOutbox().told; told < upTo {
				t.Errorf("up to %d all were told, and after the crash only up to %d", upTo, told)
			}
			ends := endsOf(t, s)
			for _, n := range shown {
				if ends[n.Seq] < n.Nth {
					t.Errorf("end %d of event %d was shown, and after the crash it has ended %d times", n.Nth, n.Seq, ends[n.Seq])
				}
			}
			oneForEachEnd(t, s, all, ends)
		})
	}
}

// TestNoticesWaitForTheDisk sees that no end is shown that a crash could undo.
func TestNoticesWaitForTheDisk(t *testing.T) {
	disk := &unsafeDisk{FS: vfs.NewMem()}
	o := notifying(t, disk)
	var notified atomic.Int32
	o.Notify = func() { notified.Add(1) }
	s := mustOpen(t, "data", o)
	r := mustApply(t, s, scanOf("1", 0))
	shown := func() int {
		t.Helper()
		list, err := s.Notices(t.Context(), 0, 10)
		if err != nil {
			t.Fatalf("Notices: %v", err)
		}
		if n := s.Stats().Notices; n != int64(len(list)) || int(notified.Load()) != len(list) {
			t.Errorf("%d are shown, %d counted, and Notify was called %d times", len(list), n, notified.Load())
		}
		return len(list)
	}

	disk.slow.Lock()
	done := make(chan error, 1)
	w := state.Waybill{DeliveryID: "SF", WaybillID: "1"}
	s.Settle(store.Outcome{Seq: r[0].Seq, Waybill: w, Status: store.Delivered}, func(err error) { done <- err })
	for written := false; !written; runtime.Gosched() {
		var err error
		if written, err = read(s.db, noticeKey(1), func([]byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := shown(); n != 0 {
		t.Errorf("%d ends are shown that are not on disk", n)
	}
	disk.slow.Unlock()
	if err := <-done; err != nil {
		t.Fatalf("Settle: %v", err)
	}
	if n := shown(); n != 1 {
		t.Errorf("%d ends are shown, want one", n)
	}
}

// notifying are options of a store with notices.
func notifying(t testing.TB, fs vfs.FS) Options {
	o := options(t, fs)
	o.Notify = func() {}
	return o
}

// endsOf counts the ends of all events by what their rows say.
func endsOf(t *testing.T, s *Store) map[uint64]int {
	t.Helper()
	ends := map[uint64]int{}
	err := walk(s.db, 0, 1<<62, func(r *row) (bool, error) {
		ends[r.seq] = r.push.Ends
		if r.event.first == state.Rejected && !r.hasPush {
			ends[r.seq] = 1
		}
		return true, r.damage
	})
	if err != nil {
		t.Fatal(err)
	}
	return ends
}

// oneForEachEnd sees that every end has exactly one notice: one that waits, or one of those that were told.
func oneForEachEnd(t *testing.T, s *Store, told map[uint64]store.Notice, ends map[uint64]int) {
	t.Helper()
	box := s.durableOutbox()
	waiting, err := s.Notices(t.Context(), 0, store.MaxLimit)
	if err != nil || uint64(len(waiting)) != min(box.waiting(), store.MaxLimit) {
		t.Fatalf("Notices: %d of %d, %v", len(waiting), box.waiting(), err)
	}
	for after := uint64(0); len(waiting) > 0; {
		for _, n := range waiting {
			told[n.Number], after = n, n.Number
		}
		if waiting, err = s.Notices(t.Context(), after, store.MaxLimit); err != nil {
			t.Fatal(err)
		}
	}
	last := s.durableOutbox().last // The engine is at work.
	got := map[uint64]int{}
	for _, number := range slices.Sorted(maps.Keys(told)) {
		n := told[number]
		if number > last {
			continue // Of after the crash.
		}
		if got[n.Seq]++; n.Nth != got[n.Seq] {
			t.Errorf("notice %d is of end %d of event %d, want end %d", number, n.Nth, n.Seq, got[n.Seq])
		}
	}
	for seq, want := range ends {
		if got[seq] != want {
			t.Errorf("event %d ended %d times and has %d notices", seq, want, got[seq])
		}
	}
}

// someEnds opens a store with four notices: of events 1 (delivered), 3, 4 (failed; 4 is pending again) and 8 (rejected).
func someEnds(t *testing.T, o Options) *Store {
	t.Helper()
	s := mustOpen(t, "data", o)
	oneOfEach(t, s)
	rejected := scanOf("a", 9)
	rejected.Type = state.Cancelled
	mustApply(t, s, rejected)
	notices, err := s.Notices(t.Context(), 0, 10)
	if err != nil || len(notices) != 4 {
		t.Fatalf("Notices: %+v, %v", notices, err)
	}
	return s
}

// TestCheckOfNotices breaks what notices promise.
func TestCheckOfNotices(t *testing.T) {
	put := func(number uint64, n noticeRecord) func(b *cdb.Batch) error {
		return func(b *cdb.Batch) error { return b.Set(noticeKey(number), encodeNotice(nil, &n), nil) }
	}
	for _, c := range []struct {
		name   string
		damage func(b *cdb.Batch) error
		want   string
	}{
		{"one is missing", func(b *cdb.Batch) error { return b.Delete(noticeKey(2), nil) }, "notices 2 to 2 are missing"},
		{"one was told already", func(b *cdb.Batch) error { return b.Set(metaTold, noticeKey(2)[1:], nil) }, "all up to 2 are told"},
		{"one can't be read", func(b *cdb.Batch) error { return b.Set(noticeKey(1), []byte("x"), nil) }, "notice 1: the record is damaged"},
		{"one of no event", put(5, noticeRecord{seq: 99, nth: 1}), "notice 5: its event is not known"},
		{"one of a push that is pending", put(5, noticeRecord{seq: 2, nth: 1, status: store.Failed}), "notice 5: its event has not ended so often"},
		{"one of an event that is held", put(5, noticeRecord{seq: 6, nth: 1}), "notice 5: its event has not ended so often"},
		{"one of no end", put(5, noticeRecord{seq: 1, status: store.Delivered}), "notice 5: its event has not ended so often"},
		{"one of another end", put(5, noticeRecord{seq: 1, nth: 1, status: store.Failed}), "notice 5: its event ended in another way"},
		{"one of a difference that can't be read", put(5, noticeRecord{difference: "{"}), "notice 5: the record is damaged"},
		{"where it stands", func(b *cdb.Batch) error { return b.Set(metaTold, []byte("x"), nil) }, "up to which all are told"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := someEnds(t, notifying(t, vfs.NewMem()))
			mustCheck(t, s)
			b := s.db.NewBatch()
			if err := errors.Join(c.damage(b), b.Commit(cdb.Sync)); err != nil {
				t.Fatal(err)
			}
			report, err := s.Check(t.Context())
			if err != nil || !strings.Contains(strings.Join(report.Problems, "\n"), c.want) {
				t.Errorf("Check says %q, %v; want something with %q", report.Problems, err, c.want)
			}
		})
	}
}

// TestDamagedNotices sees that notices that can't be told hold up no others, and that the log has them.
func TestDamagedNotices(t *testing.T) {
	var log strings.Builder
	var mu sync.Mutex
	o := notifying(t, vfs.NewMem())
	o.Logger = slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), nil))
	s := someEnds(t, o)
	b := s.db.NewBatch()
	err := errors.Join(
		b.Set(noticeKey(1), []byte("damaged"), nil), b.Set(seqKey(nil, tableEvents, 3), []byte("damaged"), nil), b.Commit(cdb.Sync),
	)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := s.Notices(t.Context(), 0, 2)
		if err != nil || len(got) != 2 || got[0].Number != 3 || got[1].Number != 4 {
			t.Errorf("Notices: %+v, %v; want those that are whole", got, err)
		}
		mustClose(t, s)
		s = mustOpen(t, "data", o)
	}
	mu.Lock()
	if text := log.String(); strings.Count(text, "is damaged and passed over") < 2 {
		t.Errorf("the log says: %s", text)
	}
	mu.Unlock()
	if err := s.Told(t.Context(), 4); err != nil {
		t.Fatalf("Told: %v", err)
	}
	if st := s.Stats(); st.Notices != 0 || !st.OldestNotice.IsZero() {
		t.Errorf("counted: %d, of %v", st.Notices, st.OldestNotice)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
