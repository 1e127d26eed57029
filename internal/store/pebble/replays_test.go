package pebble

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestPowerLossInReplay cuts the power in the middle of a replay. What is left of it must agree with itself: all pushes up
// to the cursor are pending in its name, none beyond it is, and no step that was answered is missing. Then it goes on.
func TestPowerLossInReplay(t *testing.T) {
	crashes := uint64(20)
	if testing.Short() {
		crashes = 4
	}
	for seed := range crashes {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			mem := vfs.NewCrashableMem()
			s := mustOpen(t, "data", options(t, mem))
			failed := failMany(t, s, 60)
			r := mustStart(t, s)
			answered, crashAt := 0, rng.IntN(len(failed)/stepOf)
			for answered < crashAt {
				stepTo(t, s, r.ID, failed, answered)
				answered++
			}
			// One more step is under way when the power goes: in the log as a whole, or not at all.
			done := make(chan error, 1)
			go func() {
				_, err := s.Requeue(t.Context(), stepAt(r.ID, failed, answered))
				done <- err
			}()
			for range rng.IntN(40) {
				runtime.Gosched()
			}
			crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			if err := <-done; err != nil {
				t.Fatalf("Requeue: %v", err)
			}
			s = mustOpen(t, "data", options(t, crashed))
			steps := agrees(t, s, r.ID, failed)
			if steps < answered || steps > answered+1 {
				t.Errorf("after the crash %d steps are kept, and %d were answered", steps, answered)
			}
			for ; steps*stepOf < len(failed); steps++ {
				stepTo(t, s, r.ID, failed, steps)
			}
			if got := agrees(t, s, r.ID, failed); got != steps {
				t.Errorf("in the end %d steps are kept, want %d", got, steps)
			}
			mustCheck(t, s)
		})
	}
}

// stepOf is how many pushes one step takes.
const stepOf = 6

// failMany makes failed pushes, three a waybill, in order of their numbers.
func failMany(t *testing.T, s *Store, n int) (failed []uint64) {
	t.Helper()
	for i := range n {
		waybill := fmt.Sprint(i / 3)
		r := mustApply(t, s, scanOf(waybill, i%3))
		failed = append(failed, r[0].Seq)
		o := store.Outcome{
			Seq: r[0].Seq, Waybill: state.Waybill{DeliveryID: "SF", WaybillID: waybill}, Status: store.Failed,
			Reason: store.ReasonExhausted, Attempt: &store.Attempt{},
		}
		if err := settleNow(s, o); err != nil {
			t.Fatalf("Settle: %v", err)
		}
	}
	return failed
}

func mustStart(t *testing.T, s *Store) store.Replay {
	t.Helper()
	r, err := s.StartReplay(t.Context(), store.Replay{Legs: []store.Leg{{DeliveryID: "SF"}}}, store.Act{By: "ops"})
	if err != nil {
		t.Fatalf("StartReplay: %v", err)
	}
	return r
}

// stepAt is the n-th step of a replay.
func stepAt(id uint64, failed []uint64, n int) store.Requeue {
	seqs := failed[n*stepOf : (n+1)*stepOf]
	last := seqs[len(seqs)-1]
	return store.Requeue{
		Replay: id, Seqs: seqs, Skipped: 1,
		Leg: store.Leg{DeliveryID: "SF", Cursor: last, Done: last == failed[len(failed)-1]},
	}
}

func stepTo(t *testing.T, s *Store, id uint64, failed []uint64, n int) {
	t.Helper()
	if _, err := s.Requeue(t.Context(), stepAt(id, failed, n)); err != nil {
		t.Fatalf("Requeue: %v", err)
	}
}

// agrees compares a replay with its pushes, and tells how many steps are kept.
func agrees(t *testing.T, s *Store, id uint64, failed []uint64) (steps int) {
	t.Helper()
	r, err := s.ReadReplay(t.Context(), id)
	if err != nil {
		t.Fatalf("ReadReplay: %v", err)
	}
	for _, seq := range failed {
		p, err := s.Push(t.Context(), seq)
		if err != nil {
			t.Fatalf("Push(%d): %v", seq, err)
		}
		moved := p.Status == store.Pending && p.Replay == id && p.Bulk
		if moved != (seq <= r.Legs[0].Cursor) || !moved && p.Status != store.Failed {
			t.Errorf("push %d is %s for replay %d, and the cursor is %d", seq, p.Status, p.Replay, r.Legs[0].Cursor)
		}
		if moved {
			steps++
		}
	}
	if steps%stepOf != 0 || r.Requeued != int64(steps) || r.Skipped != int64(steps/stepOf) {
		t.Errorf("%d pushes are pending, and it counts %d, and %d skipped", steps, r.Requeued, r.Skipped)
	}
	return steps / stepOf
}

// TestCheckNoticesReplays breaks what is kept of a replay.
func TestCheckNoticesReplays(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(b *cdb.Batch) error
		want   string
	}{
		{"a replay is gone", func(b *cdb.Batch) error { return b.Delete(seqKey(nil, tableReplays, 1), nil) }, "replay 1, which is not there"},
		{"its counters are wrong", func(b *cdb.Batch) error {
			return b.Set(seqKey(nil, tableReplays, 1), append([]byte{jsonVersion}, `{"Requeued":9}`...), nil)
		}, "replay 1 counts 9"},
		{"it can't be read", func(b *cdb.Batch) error { return b.Set(seqKey(nil, tableReplays, 1), []byte("\x01{"), nil) }, "replay 1"},
		{"an act can't be read", func(b *cdb.Batch) error { return b.Set(seqKey(nil, tableAudit, 1), []byte("x"), nil) }, "the audit log"},
		{"a dead letter can't be read", func(b *cdb.Batch) error { return b.Set(seqKey(nil, tableLetters, 1), nil, nil) }, "dead letter 1: "},
		{"a dead letter is gone", func(b *cdb.Batch) error {
			return errors.Join(b.Set(letterKey(2), []byte("\x01{\"Number\":2}"), nil), b.Delete(letterKey(1), nil))
		}, "dead letters 1 to 1 are missing"},
		{"a dead letter was dropped", func(b *cdb.Batch) error { return b.Set(metaLetters, letterKey(1)[1:], nil) }, "all up to 1 were dropped"},
		{"a dead letter has another number", func(b *cdb.Batch) error {
			return b.Set(letterKey(1), []byte("\x01{\"Number\":2}"), nil)
		}, "says that it is number 2"},
		{"where the dead letters begin", func(b *cdb.Batch) error { return b.Set(metaLetters, []byte("x"), nil) }, "up to which all were dropped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustOpen(t, "data", options(t, vfs.NewMem()))
			failed := failMany(t, s, stepOf)
			r := mustStart(t, s)
			stepTo(t, s, r.ID, failed, 0)
			if err := s.PutDeadLetter(t.Context(), store.DeadLetter{Body: []byte("{")}); err != nil {
				t.Fatalf("PutDeadLetter: %v", err)
			}
			wantFound(t, s, c.damage, c.want)
		})
	}
}

// TestDamagedReplay sees that a replay that can't be read keeps no push from ending, and the store from opening.
func TestDamagedReplay(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, "data", options(t, mem))
	failed := failMany(t, s, stepOf)
	r := mustStart(t, s)
	stepTo(t, s, r.ID, failed, 0)
	newest := mustStart(t, s)
	if err := s.db.Set(seqKey(nil, tableReplays, newest.ID+1), []byte("damaged"), cdb.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Set(seqKey(nil, tableReplays, r.ID), []byte("damaged"), cdb.Sync); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	s = mustOpen(t, "data", options(t, mem))
	o := store.Outcome{
		Seq: failed[0], Waybill: state.Waybill{DeliveryID: "SF", WaybillID: "0"}, Status: store.Delivered, Attempt: &store.Attempt{},
	}
	if err := settleNow(s, o); err != nil {
		t.Errorf("Settle: %v", err)
	}
	if p, err := s.Push(t.Context(), failed[0]); err != nil || p.Status != store.Delivered || p.Last().Replay != r.ID {
		t.Errorf("the push: %+v, %v", p, err)
	}
	if _, err := s.ReadReplay(t.Context(), r.ID); err == nil || !strings.Contains(err.Error(), "store check") {
		t.Errorf("ReadReplay: %v, want what to do", err)
	}
	if _, err := s.SetReplay(t.Context(), newest.ID, store.ReplayPaused, store.Act{}); err != nil {
		t.Errorf("another replay: %v", err)
	}
	if next := mustStart(t, s); next.ID != newest.ID+2 {
		t.Errorf("the next replay is number %d, want %d", next.ID, newest.ID+2)
	}
}

// TestReplayThatCantBeKept sees that what JSON can't hold is refused, and that the writer goes on.
func TestReplayThatCantBeKept(t *testing.T) {
	s := mustOpen(t, "data", options(t, vfs.NewMem()))
	zone, err := time.Parse(time.RFC3339, "2026-01-01T00:00:00+24:00") // Parse takes it, and MarshalJSON does not.
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]store.Replay{
		"a rate that is no number": {Rate: math.NaN()},
		"an endless rate":          {Rate: math.Inf(1)},
		"a time zone of a day":     {Filter: store.Query{Since: zone}},
		"a year of five digits":    {Filter: store.Query{Until: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)}},
	} {
		if _, err := s.StartReplay(t.Context(), r, store.Act{By: "ops"}); err == nil {
			t.Errorf("%s: it is kept", name)
		}
	}
	if r := mustStart(t, s); r.ID != 1 {
		t.Errorf("the next replay is number %d: what was refused took one", r.ID)
	}
	mustCheck(t, s)
}

// TestActsOnFailedDisk sees that an act whose commit fails is answered as such, and that nobody hears of it.
func TestActsOnFailedDisk(t *testing.T) {
	for name, fault := range map[string]func(*unsafeDisk){
		"not written, error":    func(d *unsafeDisk) { d.failWrite.Store(true) },
		"written, error anyway": func(d *unsafeDisk) { d.failSync.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			disk := &unsafeDisk{FS: mem}
			o := options(t, disk)
			o.Fatal = func(error) {}
			fed := make(chan []store.Change, 1000)
			o.Feed = func(c []store.Change) { fed <- c }
			s, err := Open("data", o)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			failed := failMany(t, s, 2*stepOf)
			r := mustStart(t, s)
			stepTo(t, s, r.ID, failed, 0)
			before := len(fed)
			fault(disk)
			if _, err := s.Requeue(t.Context(), stepAt(r.ID, failed, 1)); err == nil {
				t.Error("a step that is not on disk was answered as done")
			}
			_, err = s.Freeze(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: "0"}, true, store.Act{By: "ops"})
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Freeze after the failure: %v, want ErrUnavailable", err)
			}
			if len(fed) != before {
				t.Errorf("%d changes were fed that are not on disk", len(fed)-before)
			}
			crashed := mem.CrashClone(vfs.CrashCloneCfg{})
			if err := s.Close(); err == nil {
				t.Error("Close after a failure reports none")
			}
			again := mustOpen(t, "data", options(t, crashed))
			steps := agrees(t, again, r.ID, failed)
			if steps < 1 || steps > 2 {
				t.Errorf("%d steps are kept, want the first and perhaps the second", steps)
			}
			// Whichever way the second went: it can be asked for again.
			stepTo(t, again, r.ID, failed, 1)
			for _, seq := range failed {
				if p, err := again.Push(t.Context(), seq); err != nil || p.Status != store.Pending || p.Replay != r.ID {
					t.Errorf("push %d: %+v, %v", seq, p, err)
				}
			}
			mustCheck(t, again)
			page, err := again.Audit(t.Context(), store.AuditQuery{Limit: 10})
			if err != nil || len(page.Items) != 1 {
				t.Errorf("the audit log: %+v, %v; want the start alone", page.Items, err)
			}
		})
	}
}
