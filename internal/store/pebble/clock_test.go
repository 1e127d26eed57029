package pebble

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
)

// clock is one that a test sets.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(1_700_000_000_000)
	return c
}

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// TestReplayAfterTheClockWentBack sees that a replay finds what ended by a clock that was ahead, also when the service was
// restarted as the clock was put right, and leaves alone what ends after it was made.
func TestReplayAfterTheClockWentBack(t *testing.T) {
	mem, c := vfs.NewMem(), newClock()
	o := options(t, mem)
	o.Now = c.now
	s := mustOpen(t, "data", o)
	w := state.Waybill{DeliveryID: "SF", WaybillID: "0"}
	seq := mustApply(t, s, scanOf("0", 0))[0].Seq
	fail := store.Outcome{
		Seq: seq, Waybill: w, Status: store.Failed, Reason: store.ReasonExhausted, Attempt: &store.Attempt{},
	}
	c.advance(time.Hour)
	if err := settleNow(s, fail); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	c.advance(-2 * time.Hour)
	s = mustOpen(t, "data", o)
	first := mustStart(t, s)
	r, err := s.Requeue(t.Context(), store.Requeue{Replay: first.ID, Seqs: []uint64{seq}})
	if err != nil || r.Requeued != 1 {
		t.Fatalf("Requeue: %+v, %v; want the push pending", r, err)
	}
	mustClose(t, s)
	c.advance(-time.Hour)
	s = mustOpen(t, "data", o)
	if err := settleNow(s, fail); err != nil {
		t.Fatal(err)
	}
	r, err = s.Requeue(t.Context(), store.Requeue{Replay: first.ID, Seqs: []uint64{seq}})
	if err != nil || r.Requeued != 1 || r.Skipped != 1 {
		t.Errorf("Requeue of what failed again: %+v, %v; want it left alone", r, err)
	}
	mustCheck(t, s)
}

// TestRetryNowAfterTheClockWentBack sees that what waits by the clock can be let go, though commits are dated later.
func TestRetryNowAfterTheClockWentBack(t *testing.T) {
	c := newClock()
	o := options(t, vfs.NewMem())
	o.Now = c.now
	s := mustOpen(t, "data", o)
	seq := mustApply(t, s, scanOf("0", 0))[0].Seq
	c.advance(-time.Hour)
	err := settleNow(s, store.Outcome{
		Seq: seq, Waybill: state.Waybill{DeliveryID: "SF", WaybillID: "0"}, Status: store.Pending,
		NextAt: c.now().Add(time.Minute), Attempt: &store.Attempt{},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.RetryNow(t.Context(), seq, store.Act{By: "ops", Action: store.ActRetry})
	if err != nil || !p.NextAt.IsZero() {
		t.Errorf("RetryNow: %+v, %v", p, err)
	}
}

// TestUseAfterTheClockWentBack sees that a signed request is not forgotten because commits are dated later than now.
func TestUseAfterTheClockWentBack(t *testing.T) {
	c := newClock()
	o := options(t, vfs.NewMem())
	o.Now = c.now
	s := mustOpen(t, "data", o)
	mustApply(t, s, scanOf("0", 0))
	c.advance(-time.Hour)
	for content, want := range []bool{true, false} {
		got, err := s.FirstUse(t.Context(), "signature", [32]byte{byte(content)}, c.now().Add(10*time.Minute))
		if err != nil || got != want {
			t.Errorf("content %d: %v, %v; want %v", content, got, err, want)
		}
	}
}

// TestClockJumps lets the clock jump to and fro by hours and days while events come in, some of which wait for a missing
// scan, and while the store is opened anew. What waits is released once its time has passed on the clock that there is
// by then, nothing is lost, and numbers keep the order of arrival.
func TestClockJumps(t *testing.T) {
	jumps := []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, time.Second, time.Minute}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 15))
		c, o := newClock(), options(t, vfs.NewMem())
		o.Now = c.now
		s := mustOpen(t, "data", o)
		newest := uint64(0)
		var held []state.Waybill
		for n := range 40 {
			c.advance(jumps[rng.IntN(len(jumps))])
			if rng.IntN(8) == 0 {
				mustClose(t, s)
				s = mustOpen(t, "data", o)
			}
			e := scanOf(fmt.Sprint(n), 1+rng.IntN(2)*-1)
			r := mustApply(t, s, e)[0]
			if r.Seq <= newest {
				t.Fatalf("seed %d: number %d comes after %d", seed, r.Seq, newest)
			}
			newest = r.Seq
			if r.Verdict == state.Held {
				held = append(held, e.Waybill())
			}
		}
		c.advance(o.Machine.ReorderWindow + time.Second)
		if err := s.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, w := range held {
			if lane, err := s.Lane(t.Context(), w); err != nil || len(lane.Pushes) != 1 {
				t.Errorf("seed %d: waybill %s still waits for a scan %v after its event came (%v)", seed, w, o.Machine.ReorderWindow, err)
			}
		}
		if len(held) == 0 {
			t.Errorf("seed %d is void: nothing waited", seed)
		}
		mustCheck(t, s)
	}
}
