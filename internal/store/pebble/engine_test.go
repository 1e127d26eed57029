package pebble

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/content"
)

// TestDeadlinesByThemselves sees that the background does what the suite asks Tick for, at the very moment.
func TestDeadlinesByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t, vfs.NewMem())
		o.NoTokenWait = time.Hour
		o.Retention = 3 * time.Hour
		s := mustOpen(t, "data", o)
		w := state.Waybill{DeliveryID: "SF", WaybillID: "1"}
		e := scanOf("1", 0)
		e.Type, e.Token = state.Signed, ""
		r := mustApply(t, s, e)
		if r[0].Verdict != state.Held {
			t.Fatalf("%+v, want held", r[0])
		}
		open := func(want int) {
			t.Helper()
			synctest.Wait()
			lane, err := s.Lane(t.Context(), w)
			if err != nil || len(lane.Pushes) != want {
				t.Errorf("%d pushes are open (%v), want %d", len(lane.Pushes), err, want)
			}
		}
		time.Sleep(2*time.Minute - time.Millisecond)
		open(0)
		time.Sleep(2 * time.Millisecond)
		open(1)
		time.Sleep(time.Hour - 2*time.Millisecond) // Of its own: it was no push while it was held.
		open(1)
		time.Sleep(2 * time.Millisecond)
		open(0)
		p, err := s.Push(t.Context(), r[0].Seq)
		if err != nil || p.Status != store.Failed || p.Reason != store.ReasonNoToken {
			t.Errorf("push: %+v, %v", p, err)
		}
		if err := settleNow(s, store.Outcome{Seq: r[0].Seq, Waybill: w, Status: store.Discarded}); err != nil {
			t.Errorf("Settle: %v", err)
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if _, err := s.Waybill(t.Context(), w); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after the retention: %v, want ErrNotFound", err)
		}
		mustClose(t, s)
	})
}

// TestCheckNotices breaks one thing kept twice after the other.
func TestCheckNotices(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(b *cdb.Batch) error
		want   string
	}{
		{"an event is altered", func(b *cdb.Batch) error { return b.Set(seqKey(nil, tableEvents, 1), []byte("x"), nil) }, "event 1"},
		{"an id is gone", func(b *cdb.Batch) error { return b.Delete(idKey(nil, "app\x00a-0"), nil) }, "its id is not known"},
		{"an id too many", func(b *cdb.Batch) error { return b.Set(idKey(nil, "app\x00z"), encodeID(nil, 1, content.Hash{}), nil) }, "table d"},
		{"an id of another event", func(b *cdb.Batch) error {
			return b.Set(idKey(nil, "app\x00a-0"), encodeID(nil, 2, content.Hash{}), nil)
		}, "leads to event 2"},
		{"a timeline is gone", func(b *cdb.Batch) error {
			return b.Delete(timelineKey(nil, state.Waybill{DeliveryID: "SF", WaybillID: "a"}, 1), nil)
		}, "not in its waybill's timeline"},
		{"a push is gone", func(b *cdb.Batch) error { return b.Delete(seqKey(nil, tablePushes, 1), nil) }, "counters by status"},
		{"a push too many", func(b *cdb.Batch) error {
			return b.Set(seqKey(nil, tablePushes, 99), encodePush(nil, &pushRecord{}), nil)
		}, "table r"},
		{"a failed one is not listed", func(b *cdb.Batch) error {
			return b.Delete(termKey(nil, statusTerm(store.Failed), 3), nil)
		}, "event 3 is missing from the list"},
		{"a list of what is not", func(b *cdb.Batch) error {
			return b.Set(termKey(nil, statusTerm(store.Failed), 1), nil, nil)
		}, "table i"},
		{"a queued one is not listed", func(b *cdb.Batch) error { return b.Delete(seqKey(nil, tableQueued, 4), nil) }, "push 4 is missing"},
		{"one that is listed and not open", func(b *cdb.Batch) error { return b.Set(seqKey(nil, tableQueued, 1), []byte("SF\x00a"), nil) }, "table q"},
		{"a held one is not listed", func(b *cdb.Batch) error {
			return b.DeleteRange([]byte{tableHeld}, []byte{tableHeld + 1}, nil)
		}, "held event 6"},
		{"a wait for a Token is not listed", func(b *cdb.Batch) error {
			return b.DeleteRange([]byte{tableNoToken}, []byte{tableNoToken + 1}, nil)
		}, "push 5"},
		{"a mark above an open push", func(b *cdb.Batch) error { return b.Set(metaLow, []byte{0, 0, 0, 0, 0, 0, 0, 9}, nil) }, "below the low-water mark"},
		{"a waybill is not found by its number", func(b *cdb.Batch) error {
			return b.Delete(nameKey(nil, state.Waybill{DeliveryID: "SF", WaybillID: "a"}), nil)
		}, "waybill SF/a is not found by the end of its number"},
		{"a number of no waybill", func(b *cdb.Batch) error {
			return b.Set(nameKey(nil, state.Waybill{DeliveryID: "SF", WaybillID: "zz"}), nil, nil)
		}, "table N"},
		{"a counter of pushes", func(b *cdb.Batch) error {
			return b.Set(counterKey(nil, "p/pending/SF"), []byte{0, 0, 0, 0, 0, 0, 0, 9}, nil)
		}, "counters by status"},
		{"a counter of events", func(b *cdb.Batch) error {
			return b.Set(counterKey(nil, "e/accepted"), []byte{0, 0, 0, 0, 0, 0, 0, 1}, nil)
		}, "counter of accepted"},
		{"the counter of held events", func(b *cdb.Batch) error { return b.Set(counterKey(nil, "held"), []byte{0, 0, 0, 0, 0, 0, 0, 9}, nil) }, "counter of held"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustOpen(t, "data", options(t, vfs.NewMem()))
			oneOfEach(t, s)
			wantFound(t, s, c.damage, c.want)
		})
	}
}

// oneOfEach makes events 1 to 7: delivered, natural and tried, failed, replayed, without a Token, held, untried.
func oneOfEach(t *testing.T, s *Store) {
	t.Helper()
	noToken, held := scanOf("b", 0), scanOf("c", 0)
	noToken.Token, held.Token, held.Type = "", "", state.Signed
	mustApply(t, s, scanOf("a", 0), scanOf("a", 1), scanOf("a", 2), scanOf("a", 3), noToken, held, scanOf("a", 4))
	w := state.Waybill{DeliveryID: "SF", WaybillID: "a"}
	for seq, status := range []store.Status{1: store.Delivered, 2: store.Pending, 3: store.Failed, 4: store.Failed} {
		if seq == 0 {
			continue
		}
		o := store.Outcome{Seq: uint64(seq), Waybill: w, Status: status, Attempt: &store.Attempt{Errcode: new(1)}}
		if err := settleNow(s, o); err != nil {
			t.Fatalf("Settle(%d): %v", seq, err)
		}
	}
	if _, err := s.Replay(t.Context(), 4, false, store.Act{}); err != nil {
		t.Fatalf("Replay: %v", err)
	}
}

// TestUnreadableRow sees that a damaged event fails those who ask for it, and nobody else.
func TestUnreadableRow(t *testing.T) {
	s := mustOpen(t, "data", options(t, vfs.NewMem()))
	r := mustApply(t, s, scanOf("a", 0), scanOf("b", 0))
	if err := s.db.Set(seqKey(nil, tableEvents, r[0].Seq), []byte("damaged"), cdb.Sync); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lane(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: "a"}); err == nil || !strings.Contains(err.Error(), "store check") {
		t.Errorf("Lane with a damaged event: %v", err)
	}
	if _, err := s.Push(t.Context(), r[0].Seq); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a damaged event: %v, want store.ErrDamaged", err)
	}
	_, err := s.Apply(t.Context(), []state.Event{scanOf("b", 1), scanOf("a", 0), scanOf("b", 2)})
	if err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a duplicate of a damaged event: %v, want an error of unknown outcome", err)
	}
	if r := mustApply(t, s, scanOf("b", 1), scanOf("b", 2)); r[0].Verdict != state.Duplicate || r[1].Verdict != state.Accepted {
		t.Errorf("the same call again, without it: %+v", r)
	}
	if lane, err := s.Lane(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: "b"}); err != nil || len(lane.Pushes) != 3 {
		t.Errorf("another waybill: %v, %v", lane.Pushes, err)
	}
	waybills, _, _, err := s.Sweep(t.Context(), "SF", store.Place{Phase: sweepEvents})
	if err != nil || len(waybills) != 1 || waybills[0].WaybillID != "b" {
		t.Errorf("Sweep: %v, %v, want to pass over the damaged event", waybills, err)
	}
	for _, q := range []store.Query{{Limit: 10}, {Limit: 10, Status: store.Pending}} {
		if page, err := s.Pushes(t.Context(), q); err != nil || len(page.Items) != 3 {
			t.Errorf("Pushes: %d, %v, want the three whole ones", len(page.Items), err)
		}
	}
}

// TestDamagedDeadline sees that a deadline that can't be carried out holds up no others.
func TestDamagedDeadline(t *testing.T) {
	o := options(t, vfs.NewMem())
	var now atomic.Int64
	now.Store(1_800_000_000_000)
	o.Now = func() time.Time { return time.UnixMilli(now.Load()) }
	s := mustOpen(t, "data", o)
	var r []store.Result
	for i := range 3 {
		e := scanOf(fmt.Sprint(i), 0)
		e.Type = state.Signed
		r = append(r, mustApply(t, s, e)...)
	}
	if err := s.db.Set(seqKey(nil, tableEvents, r[0].Seq), []byte("damaged"), cdb.Sync); err != nil {
		t.Fatal(err)
	}
	now.Add(time.Hour.Milliseconds())
	if err := s.Tick(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("event %d of SF/0", r[0].Seq)) {
		t.Errorf("Tick: %v, want an error that names the event", err)
	}
	for _, r := range r[1:] {
		if p, err := s.Push(t.Context(), r.Seq); err != nil || p.Status != store.Pending {
			t.Errorf("push %d is %s, %v; want pending", r.Seq, p.Status, err)
		}
	}
}

// TestStragglers sees that a push that stays open does not hold the mark, and is found all the same.
func TestStragglers(t *testing.T) {
	fs := vfs.NewMem()
	o := options(t, fs)
	o.maxNatural = 50
	s := mustOpen(t, "data", o)
	for i := range 300 {
		r := mustApply(t, s, scanOf(fmt.Sprint(i), 0))
		if i%10 != 0 {
			w := state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(i)}
			if err := settleNow(s, store.Outcome{Seq: r[0].Seq, Waybill: w, Status: store.Delivered}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Tick(t.Context()); err != nil {
		t.Fatalf("Tick: %v", err)
	}
	if low := s.low.Load(); low < 250 {
		t.Errorf("the mark is at %d of 300, want it near the end", low)
	}
	for range 2 {
		mustCheck(t, s)
		found := 0
		for place, done := (store.Place{}), false; !done; {
			var page []state.Waybill
			var err error
			if page, place, done, err = s.Sweep(t.Context(), "SF", place); err != nil {
				t.Fatalf("Sweep: %v", err)
			}
			found += len(page)
		}
		if found != 30 {
			t.Errorf("the sweep lists %d waybills, want 30", found)
		}
		mustClose(t, s)
		s = mustOpen(t, "data", o)
	}
	if s.low.Load() < 250 {
		t.Errorf("after a restart the mark is at %d", s.low.Load())
	}
}
