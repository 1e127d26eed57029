package pathpush

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// reserving is a bubble in which a share of a limit is kept; one pickup is sent, so that the limit is known.
func reserving(t *testing.T, limit int64, reserve float64, test func(t *testing.T, r *rig)) {
	t.Helper()
	bubble(t, func(o *Options) { o.QuotaReserve, o.MaxLoaded = reserve, 40 }, func(t *testing.T, r *rig) {
		r.quota.takesDaily(limit)
		r.store.scan(state.Waybill{DeliveryID: "SF", WaybillID: "FIRST"}, false, state.PickupDone)
		time.Sleep(time.Second)
		test(t, r)
	})
}

// allOpen are the pushes that are pending, by waybill.
func (s *fakeStore) allOpen() map[state.Waybill][]store.Push {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[state.Waybill][]store.Push{}
	for w := range s.byKey {
		if open := s.open(w); len(open) > 0 {
			all[w] = open
		}
	}
	return all
}

// sentOf are the numbers of the pushes of a waybill that were sent.
func (u *fakeUpstream) sentOf(w state.Waybill) []int64 {
	var seqs []int64
	for _, c := range u.seen() {
		if c.update.WaybillID == w.WaybillID {
			seqs = append(seqs, c.update.ActionTime)
		}
	}
	return seqs
}

// TestReserve: when the rest is short, waybills of which only transit scans are open wait, and the others go on, transit
// scans before the main scan first.
func TestReserve(t *testing.T) {
	reserving(t, 100, 0.5, func(t *testing.T, r *rig) {
		for w := range 80 {
			r.store.accept(waybill(w), 1, false)
		}
		time.Sleep(time.Minute)
		sent := len(r.upstream.seen())
		if sent < 48 || sent > 50 { // One that was under way when upstream was asked may be counted twice.
			t.Fatalf("%d calls were made, want half of the 100", sent)
		}
		s := r.pusher.Snapshots()[0]
		if s.Paused || s.Quota.HeldSince.IsZero() || s.Quota.Remaining > s.Quota.Reserved || s.Quota.Reserved != 50 ||
			s.Quota.DayEnds().Format(time.RFC3339) != "2000-01-02T00:00:00+08:00" {
			t.Errorf("the account is %+v", s)
		}
		if s.Loaded != 0 {
			t.Errorf("%d pushes that wait are in memory", s.Loaded)
		}
		if got := r.pusher.Held("SF", true); got != store.WaitAccount {
			t.Errorf("transit scans wait for %q", got)
		}
		if got := r.pusher.Held("SF", false); got != store.WaitNothing {
			t.Errorf("main scans wait for %q", got)
		}

		// A main scan behind a transit scan, and one of a waybill that is new.
		waits := 0 // Which of the waybills were sent is chance.
		for len(r.upstream.sentOf(waybill(waits))) > 0 {
			waits++
		}
		held := waybill(waits)
		r.store.scan(held, false, state.Transit)
		r.store.scan(held, false, state.DeliveryBegun, state.Transit)
		r.store.scan(waybill(100), false, state.PickupDone, state.Transit)
		time.Sleep(time.Second)
		if got, want := r.upstream.sentOf(held), []int64{int64(waits) + 2, 82, 83}; !slices.Equal(got, want) {
			t.Errorf("of a waybill with a main scan %v were sent, want %v and not the transit scan behind it", got, want)
		}
		if got, want := r.upstream.sentOf(waybill(100)), []int64{85}; !slices.Equal(got, want) {
			t.Errorf("of a new waybill %v were sent, want %v", got, want)
		}

		// A restart changes nothing.
		r.stop()
		r.begin(t)
		r.store.accept(waybill(101), 1, false)
		time.Sleep(time.Hour)
		if got := len(r.upstream.seen()); got != sent+4 {
			t.Errorf("after a restart %d more were sent", got-sent-4)
		}
	})
}

// TestReserveReleased: transit scans go on with the next day, with a higher limit, and when an operator resumes.
func TestReserveReleased(t *testing.T) {
	tests := []struct {
		name    string
		release func(*testing.T, *rig)
	}{
		{"the next day", func(t *testing.T, _ *rig) {
			untilBeijing(t, "23:59:59.900")
			time.Sleep(10 * time.Second)
		}},
		{"the limit is raised", func(_ *testing.T, r *rig) {
			r.quota.takesDaily(1000)
			time.Sleep(11 * time.Minute)
		}},
		{"an operator resumes", func(t *testing.T, r *rig) {
			if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
		}},
		{"an operator resumes, and a restart", func(t *testing.T, r *rig) {
			if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
				t.Fatal(err)
			}
			r.stop()
			r.begin(t)
			time.Sleep(10 * time.Second)
		}},
		{"upstream does not say that it is raised, an operator resumes", func(t *testing.T, r *rig) {
			r.quota.fails(errTimeout)
			if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reserving(t, 100, 0.5, func(t *testing.T, r *rig) {
				for w := range 90 {
					r.store.accept(waybill(w), 1, false)
				}
				time.Sleep(time.Hour)
				if n := len(r.upstream.seen()); n > 50 {
					t.Fatalf("%d calls were made before", n)
				}
				tt.release(t, r)
				if open := r.store.allOpen(); len(open) != 0 {
					t.Errorf("%d waybills still wait: %+v", len(open), r.pusher.Snapshots()[0].Quota)
				}
				if s := r.pusher.Snapshots()[0].Quota; !s.HeldSince.IsZero() {
					t.Errorf("transit scans are still held: %+v", s)
				}
			})
		})
	}
}

// TestReserveReleasesNew: what comes in while transit scans wait goes out when they go on, too.
func TestReserveReleasesNew(t *testing.T) {
	reserving(t, 10, 1, func(t *testing.T, r *rig) {
		r.store.accept(waybill(1), 2, false)
		time.Sleep(time.Minute)
		if n, s := len(r.upstream.seen()), r.pusher.Snapshots()[0]; n != 1 || s.Loaded != 0 || s.Quota.HeldSince.IsZero() {
			t.Fatalf("%d calls were made, want only the first; the account is %+v", n, s)
		}
		if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got, want := r.upstream.sentOf(waybill(1)), []int64{2, 3}; !slices.Equal(got, want) {
			t.Errorf("%v were sent, want %v", got, want)
		}
	})
}

// TestReserveAfterWaiver: when the rest of a much higher limit gets short, that is no longer what an operator waived.
func TestReserveAfterWaiver(t *testing.T) {
	reserving(t, 20, 0.5, func(t *testing.T, r *rig) {
		r.store.accept(waybill(1), 15, false)
		time.Sleep(time.Minute)
		if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(r.upstream.seen()); n != 16 {
			t.Fatalf("%d calls were made, want all 16", n)
		}
		r.quota.takesDaily(80)
		time.Sleep(20 * time.Minute)
		r.store.accept(waybill(1), 30, false)
		time.Sleep(time.Minute)
		if n := len(r.upstream.seen()); n < 38 || n > 40 {
			t.Errorf("%d calls were made, want half of the 80", n)
		}
	})
}

// TestReserveProbe: a probe takes what there is, lest an account without main scans waits for one.
func TestReserveProbe(t *testing.T) {
	reserving(t, 2, 0.5, func(t *testing.T, r *rig) {
		r.store.accept(waybill(1), 2, false)
		time.Sleep(time.Minute)
		if n := len(r.upstream.seen()); n != 1 {
			t.Fatalf("%d calls were made, want none but the first", n)
		}
		r.upstream.mu.Lock()
		r.upstream.answer = func(n int, _ call) (wechat.Answer, error) {
			if n < 5 {
				return code(40164)
			}
			return code(0)
		}
		r.upstream.mu.Unlock()
		r.store.scan(waybill(2), false, state.Cancelled)
		time.Sleep(time.Hour)
		if s := r.pusher.Snapshots()[0]; s.Paused {
			t.Errorf("the account is still paused: %s", s.PauseReason)
		}
		if open := r.store.allOpen(); len(open) != 1 || len(open[waybill(1)]) == 0 {
			t.Errorf("open are %v, want transit scans of one waybill", open)
		}
	})
}

// TestReserveLeavesRoom: what waits takes no room in memory from what may go.
func TestReserveLeavesRoom(t *testing.T) {
	reserving(t, 10, 0.9, func(t *testing.T, r *rig) {
		for w := range 500 {
			r.store.accept(waybill(w), 2, w%2 == 0)
		}
		time.Sleep(time.Second)
		for w := range 600 {
			r.store.scan(waybill(w), false, state.DeliveryFailed)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		for w, open := range r.store.allOpen() {
			t.Errorf("%s still has %d pushes open", w, len(open))
		}
	})
}

// TestReserveKeepsOrder lets waybills of any mix of scans come while the quota gets short and is raised again, with
// little room in memory, a slow store and restarts. The fakes fail the test if a push is sent out of order.
func TestReserveKeepsOrder(t *testing.T) {
	types := []state.ActionType{state.Transit, state.Transit, state.Transit, state.PickupDone, state.DeliveryBegun, state.Signed, state.Detained}
	rapid.Check(t, func(rt *rapid.T) {
		room := rapid.IntRange(4, 40).Draw(rt, "room")
		reserve := rapid.Float64Range(0.1, 1).Draw(rt, "reserve")
		limit := rapid.Int64Range(1, 80).Draw(rt, "limit")
		takes := rapid.IntRange(0, 40).Draw(rt, "ms to read a lane")
		bubble(t, func(o *Options) {
			o.QuotaReserve, o.MaxLoaded, o.Accounts[0].Concurrency = reserve, room, 4
			o.Store.(*fakeStore).laneTakes = time.Duration(takes) * time.Millisecond
		}, func(t *testing.T, r *rig) {
			r.quota.takesDaily(limit)
			k := &keeper{rig: r, t: rt}
			rt.Repeat(map[string]func(*rapid.T){
				"": func(*rapid.T) { k.check() },
				"scans": func(rt *rapid.T) {
					w := waybill(rapid.IntRange(0, 7).Draw(rt, "waybill"))
					r.store.scan(w, rapid.Bool().Draw(rt, "while it was down"), rapid.SliceOfN(rapid.SampledFrom(types), 1, 5).Draw(rt, "types")...)
				},
				"sleep": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 300).Draw(rt, "ms")) * time.Millisecond)
				},
				"settle": func(*rapid.T) { k.settle(t) },
				"raise":  func(rt *rapid.T) { r.quota.takesDaily(rapid.Int64Range(1, 200).Draw(rt, "limit")) },
				"resume": func(rt *rapid.T) {
					if err := r.pusher.Resume(t.Context(), "SF", 0); err != nil {
						rt.Fatal(err)
					}
				},
				"restart": func(*rapid.T) { k.restart(t) },
			})
			k.settle(t)
			r.quota.takesDaily(1_000_000)
			time.Sleep(30 * time.Minute)
			k.restart(t)
			if reserve == 1 {
				return // All is kept, so transit scans never go by themselves.
			}
			time.Sleep(time.Minute)
			if open := r.store.allOpen(); len(open) > 0 {
				rt.Errorf("in the end %v are open; the quota is %+v", open, r.pusher.Snapshots()[0].Quota)
			}
		})
	})
}

// keeper watches what the reserve does.
type keeper struct {
	*rig
	t *rapid.T
}

// restart begins anew, which finds what came in while the pusher was down.
func (k *keeper) restart(t *testing.T) {
	k.stop()
	if k.err != nil {
		k.t.Fatalf("stopped with %v", k.err)
	}
	k.begin(t)
	synctest.Wait() // It has read what was kept.
}

// check sees that the count is no lower than what was sent.
func (k *keeper) check() {
	today := int64(0)
	for _, c := range k.upstream.seen() {
		if dayOf(c.at).Equal(dayOf(time.Now())) {
			today++
		}
	}
	if s := k.pusher.Snapshots()[0].Quota; s.Used < today {
		k.t.Errorf("%d calls are counted of the %d that were sent", s.Used, today)
	}
}

// settle gives all that may go the time to go, and sees that nothing else is left: no main scan waits, and transit
// scans do only while the rest is short, and not for a main scan behind them.
func (k *keeper) settle(t *testing.T) {
	k.restart(t)
	time.Sleep(30 * time.Second)
	if k.wrong() != "" {
		time.Sleep(10 * time.Second) // It was raised at this very moment.
	}
	if wrong := k.wrong(); wrong != "" {
		k.t.Error(wrong)
	}
	since, before := k.pusher.Snapshots()[0].Quota.HeldSince, len(k.upstream.seen())
	time.Sleep(30 * time.Second)
	if n := len(k.upstream.seen()) - before; n > 0 && k.pusher.Snapshots()[0].Quota.HeldSince.Equal(since) {
		k.t.Errorf("%d more were sent", n)
	}
}

// wrong says what waits and should not.
func (k *keeper) wrong() string {
	held := k.pusher.Snapshots()[0].Quota.HeldSince
	for w, open := range k.store.allOpen() {
		if !transitOnly(open) {
			return fmt.Sprintf("main scans of %s wait: %s", w, kinds(open))
		}
		if held.IsZero() {
			return fmt.Sprintf("%s waits although nothing is held: %s", w, kinds(open))
		}
	}
	return ""
}

func kinds(pushes []store.Push) string {
	text := ""
	for i := range pushes {
		text += fmt.Sprintf(" %d:%s", pushes[i].Seq, pushes[i].Event.Type)
	}
	return text
}
