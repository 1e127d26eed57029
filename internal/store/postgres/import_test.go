package postgres

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/migrate"
	"carrier/internal/store/pebble"
)

// TestDatabaseFollows fails if a database does not become what the folder became that it is filled from: also where an
// event's id, a waybill or an order is gone, or has gone elsewhere.
func TestDatabaseFollows(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	now, fs := int64(1_800_000_000_000), vfs.NewMem()
	from := folderSide(fs, "store", exportOptions())
	to := databaseSide(schema.Start(t).URL(), exportOptions())
	for round := range 15 {
		now += int64(r.IntN(90)) * time.Minute.Milliseconds()
		liveInFolder(t, r, fs, now)
		source, err := from.source()
		if err != nil {
			t.Fatal(err)
		}
		target, err := to.importer(source.Instance())
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		report, err := migrate.Copy(t.Context(), source, target, nil)
		again, cerr := migrate.Compare(t.Context(), source, target, nil)
		if round%4 == 3 { // Also on a store that could be served from already.
			cerr = errors.Join(cerr, target.Finish(t.Context()))
		}
		if err := errors.Join(err, cerr, target.Close(), source.Close()); err != nil || !again.Same() {
			t.Fatalf("round %d: %+v, then %+v, %v", round, report, again, err)
		}
	}
	if _, err := move(from, to); err != nil {
		t.Fatal(err)
	}
	wantSame(t, from, to)
}

// liveInFolder does a few random things to a store that forgets what is older than an hour.
func liveInFolder(t *testing.T, r *rand.Rand, fs vfs.FS, now int64) {
	t.Helper()
	s, err := pebble.Open("store", pebble.Options{
		FS: fs, Machine: state.Machine{ReorderWindow: time.Minute}, Now: func() time.Time { return time.UnixMilli(now) },
		Retention: time.Hour, Notify: func() {}, Logger: slog.New(slog.DiscardHandler), CacheBytes: 1 << 20, MemtableBytes: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range r.IntN(15) {
		waybill := fmt.Sprint(r.IntN(4))
		e := scanOf(waybill, r.IntN(4), []state.ActionType{state.PickupDone, state.Transit, state.Signed}[r.IntN(3)])
		e.ID = fmt.Sprint(r.IntN(6))
		results, err := s.Apply(t.Context(), []state.Event{e})
		if err != nil {
			t.Fatal(err)
		}
		if results[0].Verdict == state.Accepted && r.IntN(3) > 0 {
			settled := make(chan error, 1)
			s.Settle(store.Outcome{Seq: results[0].Seq, Waybill: e.Waybill(), Status: store.Delivered}, func(err error) { settled <- err })
			if err := <-settled; err != nil {
				t.Fatal(err)
			}
		}
		if r.IntN(4) == 0 {
			key := store.OrderKey{DeliveryID: "SF", BizID: "B", OrderID: fmt.Sprint(r.IntN(2))}
			if _, _, err := s.PutOrder(t.Context(), store.Order{OrderKey: key, WaybillID: waybill}, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.PutDeadLetter(t.Context(), store.DeadLetter{Subject: "a\x00b", Body: make([]byte, r.IntN(2))}); err != nil {
		t.Fatal(err)
	}
	list, err := s.Notices(t.Context(), 0, 1+r.IntN(5))
	if err == nil && len(list) > 0 && r.IntN(2) == 0 {
		err = s.Told(t.Context(), list[len(list)-1].Number)
	}
	if err := errors.Join(err, s.Tick(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestReplayGoesOnInDatabase moves a store in the middle of a bulk replay: what failed before that was made is sent again,
// and what failed after it is not.
func TestReplayGoesOnInDatabase(t *testing.T) {
	t.Parallel()
	now, fs, db := time.UnixMilli(1_800_000_000_000), vfs.NewMem(), schema.Start(t)
	s, err := pebble.Open("store", pebble.Options{FS: fs, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	before, after := scanOf("before", 1, state.PickupDone), scanOf("after", 1, state.PickupDone)
	results, err := s.Apply(t.Context(), []state.Event{before, after})
	if err != nil {
		t.Fatal(err)
	}
	fail := func(e state.Event, seq uint64) {
		failed := make(chan error, 1)
		s.Settle(store.Outcome{Seq: seq, Waybill: e.Waybill(), Status: store.Failed, Reason: store.ReasonRefused}, func(err error) { failed <- err })
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	fail(before, results[0].Seq)
	replay, err := s.StartReplay(t.Context(), store.Replay{Filter: store.Query{Status: store.Failed}, Legs: []store.Leg{{DeliveryID: "SF"}}}, store.Act{By: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	fail(after, results[1].Seq)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := move(folderSide(fs, "store", exportOptions()), databaseSide(db.URL(), exportOptions())); err != nil {
		t.Fatal(err)
	}
	o := testOptions(t)
	o.Now = func() time.Time { return now }
	there, err := Open(t.Context(), db.URL(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	seqs := []uint64{results[0].Seq, results[1].Seq}
	got, err := there.Requeue(t.Context(), store.Requeue{Replay: replay.ID, Seqs: seqs, Leg: store.Leg{DeliveryID: "SF", Cursor: slices.Max(seqs), Done: true}})
	if err != nil || got.Requeued != 1 {
		t.Errorf("Requeue: %+v, %v", got, err)
	}
	for i, want := range []store.Status{store.Pending, store.Failed} {
		if p, err := there.Push(t.Context(), seqs[i]); err != nil || p.Status != want {
			t.Errorf("push %d is %s, %v; want %s", seqs[i], p.Status, err, want)
		}
	}
	checkStore(t, there)
}

// TestNoticesKeepNumbers: numbers that were left out in a database stay so, and a folder counts with them.
func TestNoticesKeepNumbers(t *testing.T) {
	t.Parallel()
	db, fs := schema.Start(t), vfs.NewMem()
	s, err := Open(t.Context(), db.URL(), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	oneOfEach(t, s) // Notices 1 and 2.
	if _, err := s.pool.Exec(t.Context(), "SELECT setval('notice_numbers', 6)"); err != nil {
		t.Fatal(err)
	}
	r, err := s.Apply(t.Context(), []state.Event{scanOf("2", 1, state.PickupDone)})
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, []*Store{s}, state.Waybill{DeliveryID: "SF", WaybillID: "2"}, r[0].Seq)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := move(databaseSide(db.URL(), exportOptions()), folderSide(fs, "store", exportOptions())); err != nil {
		t.Fatal(err)
	}
	folder, err := pebble.Open("store", pebble.Options{FS: fs, Notify: func() {}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	var numbers []uint64
	for _, told := range []uint64{0, 1, 4} {
		if err := folder.Told(t.Context(), told); err != nil {
			t.Fatal(err)
		}
		list, err := folder.Notices(t.Context(), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list {
			numbers = append(numbers, n.Number)
		}
		if report, err := folder.Check(t.Context()); err != nil || len(report.Problems) > 0 {
			t.Errorf("Check when all up to %d are told: %v, %v", told, report.Problems, err)
		}
	}
	if want := []uint64{1, 2, 7, 2, 7, 7}; !slices.Equal(numbers, want) {
		t.Errorf("the notices %v wait, want %v", numbers, want)
	}
}
