package store_test

import (
	"errors"
	"math"
	"testing"
	"time"

	. "carrier/internal/store"
)

func TestReplayStatusByHand(t *testing.T) {
	for _, from := range ReplayStatuses() {
		for _, to := range ReplayStatuses() {
			r := Replay{Status: from}
			err := r.Set(to)
			if may := from.MayBecome(to); may != (err == nil) || may != (r.Status == to && from != to) {
				t.Errorf("%s becomes %s: it is %s, %v", from, to, r.Status, err)
			}
			if err != nil && !errors.Is(err, ErrState) {
				t.Errorf("%s becomes %s: %v, want ErrState", from, to, err)
			}
		}
		r := Replay{Status: from}
		if err := r.Running(); (err == nil) != (from == ReplayRunning) || err != nil && !errors.Is(err, ErrState) {
			t.Errorf("%s is running: %v", from, err)
		}
	}
}

func TestReplayConcludes(t *testing.T) {
	now, before := time.UnixMilli(2000), time.UnixMilli(1000)
	done, open := []Leg{{Done: true}}, []Leg{{Done: true}, {}}
	for _, c := range []struct {
		name  string
		r     Replay
		want  ReplayStatus
		ended time.Time
	}{
		{"nothing to do", Replay{Status: ReplayRunning}, ReplayDone, now},
		{"a leg is not through", Replay{Status: ReplayRunning, Legs: open}, ReplayRunning, time.Time{}},
		{"a push is open", Replay{Status: ReplayRunning, Legs: done, Requeued: 2, Delivered: 1}, ReplayRunning, time.Time{}},
		{"all have ended", Replay{Status: ReplayRunning, Legs: done, Requeued: 3, Delivered: 1, Failed: 1, Discarded: 1}, ReplayDone, now},
		{"of one push that was not sent yet", Replay{Status: ReplayRunning, Single: 7}, ReplayRunning, time.Time{}},
		{"of one push that has ended", Replay{Status: ReplayRunning, Single: 7, Requeued: 1, Failed: 1}, ReplayDone, now},
		{"paused", Replay{Status: ReplayPaused, Legs: done}, ReplayPaused, time.Time{}},
		{"cancelled", Replay{Status: ReplayCancelled, Legs: open}, ReplayCancelled, now},
		{"cancelled before", Replay{Status: ReplayCancelled, EndedAt: before}, ReplayCancelled, before},
	} {
		c.r.Conclude(now)
		if c.r.Status != c.want || !c.r.EndedAt.Equal(c.ended) {
			t.Errorf("%s: it is %s, since %v; want %s, %v", c.name, c.r.Status, c.r.EndedAt, c.want, c.ended)
		}
	}
}

func TestReplayConcerns(t *testing.T) {
	of := func(s Status) Replay { return Replay{UpTo: 10, Filter: Query{Status: s}} }
	for _, c := range []struct {
		name   string
		r      Replay
		seq    uint64
		status Status
		want   bool
	}{
		{"failed", of(Failed), 10, Failed, true},
		{"failed, and the filter says nothing of that", of(NoPush), 1, Failed, true},
		{"too new", of(Failed), 11, Failed, false},
		{"delivered", of(Failed), 1, Delivered, false},
		{"pending again", of(Failed), 1, Pending, false},
		{"discarded", of(Failed), 1, Discarded, false},
		{"discarded, which it is of", of(Discarded), 1, Discarded, true},
		{"no push", of(Failed), 1, NoPush, false},
	} {
		if got := c.r.Concerns(c.seq, c.status); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestReplayCounts(t *testing.T) {
	r := Replay{Requeued: 3}
	r.CountEnd(Pending, Failed)
	r.CountEnd(Pending, Discarded)
	r.CountEnd(Discarded, Delivered) // It was in flight when it was discarded.
	if r.Delivered != 1 || r.Failed != 1 || r.Discarded != 0 || r.Open() != 1 {
		t.Errorf("counted: %+v", r)
	}
	r.Begin(7, "ops", time.UnixMilli(1))
	if r.ID != 7 || r.By != "ops" || r.Status != ReplayRunning || r.Requeued+r.Delivered+r.Failed != 0 {
		t.Errorf("begun: %+v", r)
	}
}

func TestReplayLegs(t *testing.T) {
	r := Replay{Legs: []Leg{{DeliveryID: "SF"}, {DeliveryID: "YTO", Cursor: 3}}}
	before := r.Clone()
	r.Advance(Leg{DeliveryID: "YTO", Cursor: 5, Done: true})
	r.Advance(Leg{DeliveryID: "ZTO", Cursor: 5})
	if r.Legs[0].Cursor != 0 || r.Legs[1].Cursor != 5 || !r.Legs[1].Done || len(r.Legs) != 2 {
		t.Errorf("advanced: %+v", r.Legs)
	}
	if before.Legs[1].Cursor != 3 {
		t.Error("the clone has changed with it")
	}
}

func TestReplayFits(t *testing.T) {
	for rate, want := range map[float64]bool{0: true, 12.5: true, math.Inf(1): false, math.NaN(): false} {
		r := Replay{Rate: rate}
		if err := r.Fit(); (err == nil) != want {
			t.Errorf("a rate of %v: %v", rate, err)
		}
	}
}
