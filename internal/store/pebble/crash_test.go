package pebble

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
)

// unsafeDisk is a disk that says that it synced and did not, or that it failed, or that takes its time.
type unsafeDisk struct {
	vfs.FS
	lies      atomic.Bool // Sync of the log does nothing.
	failWrite atomic.Bool // Writes of the log fail, and nothing is written.
	failSync  atomic.Bool // Sync of the log works, and reports a failure.
	slow      sync.Mutex  // Sync of the log waits for it.
}

var errDisk = errors.New("input/output error")

func (d *unsafeDisk) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &unsafeFile{f, d, strings.HasSuffix(name, ".log")}, nil
}

func (d *unsafeDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return d.wrap(name, f, err)
}

func (d *unsafeDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, c)
	return d.wrap(to, f, err)
}

type unsafeFile struct {
	vfs.File
	disk *unsafeDisk
	log  bool
}

func (f *unsafeFile) Write(b []byte) (int, error) {
	if f.log && f.disk.failWrite.Load() {
		return 0, errDisk
	}
	return f.File.Write(b)
}

func (f *unsafeFile) sync(do func() error) error {
	if f.log && f.disk.lies.Load() {
		return nil
	}
	if f.log {
		f.disk.slow.Lock()
		defer f.disk.slow.Unlock()
	}
	err := do()
	if f.log && f.disk.failSync.Load() {
		return errDisk
	}
	return err
}

func (f *unsafeFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *unsafeFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *unsafeFile) SyncTo(n int64) (full bool, err error) {
	err = f.sync(func() (err error) {
		full, err = f.File.SyncTo(n)
		return err
	})
	return full, err
}

// load sends calls of five events each from several senders, and delivers what it can, until told to stop.
type load struct {
	s    *Store
	stop atomic.Bool
	wg   sync.WaitGroup

	mu    sync.Mutex
	acked []string // Waybills, whose five events were answered.
	done  []uint64 // Pushes whose delivery was answered.
	fails []error
}

const eventsPerCall = 5

func eventsOfCall(waybill string) []state.Event {
	events := make([]state.Event, eventsPerCall)
	for i := range events {
		events[i] = scanOf(waybill, i)
	}
	return events
}

func (l *load) run(senders int) {
	for g := range senders {
		l.wg.Go(func() {
			for n := 0; !l.stop.Load(); n++ {
				if !l.call(fmt.Sprintf("%d-%d", g, n)) {
					return
				}
			}
		})
	}
}

func (l *load) call(waybill string) bool {
	r, err := l.s.Apply(context.Background(), eventsOfCall(waybill))
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.fails = append(l.fails, err)
		return false
	}
	l.mu.Lock()
	l.acked = append(l.acked, waybill)
	l.mu.Unlock()
	w := state.Waybill{DeliveryID: "SF", WaybillID: waybill}
	seq := r[0].Seq
	l.s.Settle(store.Outcome{Seq: seq, Waybill: w, Status: store.Delivered, Attempt: &store.Attempt{}}, func(err error) {
		if err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.done = append(l.done, seq)
		}
	})
	return true
}

// answered is what was promised up to now.
func (l *load) answered() (acked []string, done []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.acked...), append([]uint64(nil), l.done...)
}

// lost counts what of that is missing.
func lost(t *testing.T, s *Store, acked []string, done []uint64) int {
	t.Helper()
	n := 0
	for _, waybill := range acked {
		lane, err := s.Lane(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: waybill})
		if err != nil {
			t.Fatalf("Lane: %v", err)
		}
		if len(lane.Pushes) < eventsPerCall-1 || lane.Token != "TOKEN-"+waybill {
			n++
			continue
		}
		for i, p := range lane.Pushes {
			if want := scanOf(waybill, i+eventsPerCall-len(lane.Pushes)); p.Event.ID != want.ID || p.Event.Msg != want.Msg {
				t.Fatalf("waybill %s, push %d is of event %s, want %s: the order is lost", waybill, i, p.Event.ID, want.ID)
			}
		}
	}
	for _, seq := range done {
		if p, err := s.Push(t.Context(), seq); err != nil || p.Status != store.Delivered {
			n++
		}
	}
	return n
}

// wholeCalls sees that of no call only a part was kept.
func wholeCalls(t *testing.T, s *Store) {
	t.Helper()
	counts := map[string]int{}
	q := store.Query{Limit: store.MaxLimit}
	for {
		page, err := s.Events(t.Context(), q)
		if err != nil {
			t.Fatalf("Events: %v", err)
		}
		for _, e := range page.Items {
			counts[e.Event.WaybillID]++
		}
		if page.Next == 0 {
			break
		}
		q.Before = page.Next
	}
	for waybill, n := range counts {
		if n != eventsPerCall {
			t.Errorf("of the call for waybill %s, %d of %d events were kept", waybill, n, eventsPerCall)
		}
	}
}

// crashUnderLoad cuts the power while events come in, and opens what is left.
func crashUnderLoad(t *testing.T, seed uint64, disk *unsafeDisk, mem *vfs.MemFS) (s *Store, lostCount, ackedCount int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	running := mustOpen(t, "data", options(t, disk))
	l := &load{s: running}
	l.run(8)
	l.wg.Go(func() { // Spans of the index are stored while the power is cut.
		for !l.stop.Load() {
			running.keeper.mu.Lock()
			err := running.saveSpans(context.Background())
			running.keeper.mu.Unlock()
			if err != nil {
				t.Errorf("saveSpans: %v", err)
				return
			}
			runtime.Gosched()
		}
	})
	for wait := 20 + rng.IntN(200); ; {
		if acked, _ := l.answered(); len(acked) >= wait {
			break
		}
	}
	acked, done := l.answered()
	crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	l.stop.Store(true)
	l.wg.Wait()
	s, err := Open("data", options(t, crashed))
	if err != nil {
		t.Fatalf("seed %d: Open after the crash: %v", seed, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, lost(t, s, acked, done), len(acked)
}

func TestPowerLoss(t *testing.T) {
	crashes := 25
	if testing.Short() {
		crashes = 5
	}
	for seed := range crashes {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			s, lost, acked := crashUnderLoad(t, uint64(seed), &unsafeDisk{FS: mem}, mem)
			if lost != 0 {
				t.Errorf("of %d acknowledged calls, %d are lost", acked, lost)
			}
			wholeCalls(t, s)
			mustCheck(t, s)
		})
	}
}

// TestPowerLossControl shows that the test above would notice: a disk that does not sync must lose something.
func TestPowerLossControl(t *testing.T) {
	for seed := range uint64(5) {
		mem := vfs.NewCrashableMem()
		disk := &unsafeDisk{FS: mem}
		l := &load{s: mustOpen(t, "data", options(t, disk))}
		l.call("synced")
		disk.lies.Store(true)
		for n := range 50 {
			l.call(fmt.Sprint(n))
		}
		acked, done := l.answered()
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		s, err := Open("data", options(t, crashed))
		if err != nil {
			t.Fatalf("seed %d: Open after the crash: %v", seed, err)
		}
		n := lost(t, s, acked, done)
		mustClose(t, s)
		if n > 0 {
			return
		}
	}
	t.Error("a disk that never syncs lost nothing: the test proves nothing")
}

func TestFailedWrites(t *testing.T) {
	for name, fault := range map[string]func(*unsafeDisk) *atomic.Bool{
		"not written, error":    func(d *unsafeDisk) *atomic.Bool { return &d.failWrite },
		"written, error anyway": func(d *unsafeDisk) *atomic.Bool { return &d.failSync },
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			disk := &unsafeDisk{FS: mem}
			o := options(t, disk)
			var fatal atomic.Int32
			fed := make(chan []store.Change, 1000)
			o.Fatal = func(error) { fatal.Add(1) }
			o.Feed = func(c []store.Change) { fed <- c }
			s, err := Open("data", o)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			l := &load{s: s}
			for n := range 20 {
				l.call(fmt.Sprint(n))
			}
			before := len(fed)
			fault(disk).Store(true)
			l.run(4)
			l.wg.Wait()
			fault(disk).Store(false)
			acked, done := l.answered()

			if len(l.fails) != 4 {
				t.Errorf("%d senders heard of a failure, want 4", len(l.fails))
			}
			if fatal.Load() != 1 {
				t.Errorf("Fatal was called %d times, want once", fatal.Load())
			}
			if len(acked) != 20 || len(fed) < before {
				t.Errorf("%d calls were acknowledged, want the 20 before the fault", len(acked))
			}
			if err := s.Ready(); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Ready: %v, want ErrUnavailable", err)
			}
			if _, err := s.Apply(t.Context(), eventsOfCall("after")); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Apply after the failure: %v, want ErrUnavailable", err)
			}
			crashed := mem.CrashClone(vfs.CrashCloneCfg{})
			if err := s.Close(); err == nil {
				t.Error("Close after a failure reports none")
			}
			again := mustOpen(t, "data", options(t, crashed))
			if n := lost(t, again, acked, done); n != 0 {
				t.Errorf("of %d acknowledged calls, %d are lost", len(acked), n)
			}
			wholeCalls(t, again)
			mustCheck(t, again)
			// The outcome was unknown to the senders: sending the same again is safe, whichever way it went.
			for _, r := range mustApply(t, again, eventsOfCall("0-0")...) {
				if r.Verdict != state.Accepted && r.Verdict != state.Duplicate {
					t.Errorf("sent again: %+v", r)
				}
			}
		})
	}
}
