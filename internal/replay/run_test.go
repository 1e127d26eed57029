package replay

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestReplay is the plain case: all of two accounts, in order, done in the end; what does not concern it stays.
func TestReplay(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 300, 3)
		g.failed("YT", 5, 4)
		g.failed("GONE", 2, 2)
		g.store.add(waybill("SF", 1), store.Delivered)
		g.store.add(waybill("SF", 2), store.Discarded)
		g.store.add(waybill("SF", 3), store.Pending)
		g.begin()
		r := g.start(t, Request{Reason: "the Token was mended"})
		g.deliver(50)
		is(t, r, "running 927 matched, 0 requeued, 0 skipped, 0 delivered")
		if r.By != "ops" || r.Reason != "the Token was mended" || len(r.Legs) != 3 || r.UpTo != 927 {
			t.Errorf("started %+v", r)
		}
		is(t, g.after(time.Minute, r.ID), "done 927 matched, 920 requeued, 7 skipped, 920 delivered")
		g.orderly(t)
		if waits := g.runner.Waiting(r.ID); waits != nil {
			t.Errorf("a replay that is done waits for %v", waits)
		}
		if n := g.leftovers(); n != 0 {
			t.Errorf("%d jobs and notes are left", n)
		}
	})
}

// TestProgress: what is left alone from the start on counts with the first step, not at the end.
func TestProgress(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 10, 1)
		for i := range 30 {
			g.store.add(waybill("SF", i), store.Delivered)
		}
		g.begin()
		r := g.start(t, Request{Rate: 1})
		is(t, g.after(3500*time.Millisecond, r.ID), "running 40 matched, 4 requeued, 30 skipped, 0 delivered")
	})
}

// TestNothingToSend: replays that find nothing, or nothing that is sent, end by themselves.
func TestNothingToSend(t *testing.T) {
	for _, c := range []struct {
		name   string
		filter store.Query
		want   string
	}{
		{"nothing matches", store.Query{WaybillID: "another"}, "done 0 matched, 0 requeued, 0 skipped, 0 delivered"},
		{"delivered ones", store.Query{Status: store.Delivered}, "done 2 matched, 0 requeued, 2 skipped, 0 delivered"},
		{"an account that is gone", store.Query{DeliveryID: "GONE"}, "done 1 matched, 0 requeued, 1 skipped, 0 delivered"},
		{"discarded ones, asked for", store.Query{Status: store.Discarded}, "done 1 matched, 1 requeued, 0 skipped, 1 delivered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				g.store.add(waybill("SF", 1), store.Delivered)
				g.store.add(waybill("YT", 2), store.Delivered)
				g.store.add(waybill("GONE", 1), store.Failed)
				g.store.add(waybill("SF", 3), store.Discarded)
				g.store.add(waybill("SF", 4), store.Failed)
				g.begin()
				g.deliver(5)
				r := g.start(t, Request{Filter: c.filter})
				is(t, g.after(2*time.Second, r.ID), c.want)
			})
		})
	}
}

// TestRate: pushes become pending at the rate, over all accounts and from the first second on.
func TestRate(t *testing.T) {
	for _, c := range []struct {
		name          string
		rate          float64
		perWaybill    int
		after         time.Duration
		atLeast, most int64
	}{
		{"one a second", 1, 1, 10500 * time.Millisecond, 10, 12}, // Two legs begin with one each.
		{"a hundred a second", 100, 1, 4 * time.Second, 390, 420},
		{"beyond what a step holds", 1000, 1, time.Second, 900, 1200},
		{"slower than one a second", 0.1, 1, 60 * time.Second, 6, 8},
		{"waybills larger than a step", 10, 7, 20 * time.Second, 195, 215},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				g.failed("SF", 700/c.perWaybill, c.perWaybill)
				g.failed("YT", 700/c.perWaybill, c.perWaybill)
				g.begin()
				g.deliver(1000)
				r := g.start(t, Request{Rate: c.rate})
				if got := g.after(c.after, r.ID).Requeued; got < c.atLeast || got > c.most {
					t.Errorf("%d are pending after %s, want %d to %d", got, c.after, c.atLeast, c.most)
				}
				// Whoever looks is told why the rest waits.
				time.Sleep(10 * time.Millisecond)
				if waits := g.runner.Waiting(r.ID); c.rate < 100 && (len(waits) != 2 || !strings.Contains(waits[0].En, "rate")) {
					t.Errorf("waits: %+v", waits)
				}
			})
		})
	}
}

// TestRoom: at the highest rate an account never has more than maxBulk on its way, and is never idle.
func TestRoom(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 1000, 4)
		g.begin()
		r := g.start(t, Request{Rate: 10_000})
		is(t, g.after(5*time.Second, r.ID), "running 4000 matched, 512 requeued, 0 skipped, 0 delivered")
		waits := g.runner.Waiting(r.ID)
		if len(waits) != 1 || waits[0].DeliveryID != "SF" || !strings.Contains(waits[0].En, "512") || !strings.Contains(waits[0].Zh, "512") {
			t.Errorf("waits: %+v", waits)
		}
		g.deliver(100)
		if r := g.after(2050*time.Millisecond, r.ID); r.Delivered != 2000 || r.Open() < maxBulk-maxPushes || r.Open() > maxBulk {
			t.Errorf("%+v: want 2000 delivered, and the account full", r)
		}
		is(t, g.after(time.Minute, r.ID), "done 4000 matched, 4000 requeued, 0 skipped, 4000 delivered")
		g.orderly(t)
	})
}

// TestLargeWaybill: one with more pushes than a step holds is one step.
func TestLargeWaybill(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 1, 700)
		g.failed("SF", 3, 1)
		g.begin()
		g.deliver(100)
		r := g.start(t, Request{})
		is(t, g.after(time.Minute, r.ID), "done 703 matched, 703 requeued, 0 skipped, 703 delivered")
		if n := len(g.store.steps[0].Seqs); n != 701 {
			t.Errorf("the first step has %d pushes, want all 701 of its waybill", n)
		}
	})
}

// TestHeldAccount: an account that is paused, or whose breaker is open, waits and says why; the other one goes on.
func TestHeldAccount(t *testing.T) {
	for held, why := range map[store.WaitingFor]string{store.WaitAccount: "paused: because", store.WaitBreaker: "breaker is open"} {
		t.Run(string(held), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				g.failed("SF", 50, 2)
				g.failed("YT", 50, 2)
				g.store.hold("SF", held)
				g.begin()
				g.deliver(50)
				r := g.start(t, Request{})
				r = g.after(time.Hour, r.ID)
				is(t, r, "running 200 matched, 100 requeued, 0 skipped, 100 delivered")
				if r.Legs[0].Done || !r.Legs[1].Done {
					t.Errorf("legs %+v: want that of YT done", r.Legs)
				}
				waits := g.runner.Waiting(r.ID)
				if len(waits) != 1 || waits[0].DeliveryID != "SF" || !strings.Contains(waits[0].En, why) || waits[0].Zh == "" {
					t.Errorf("waits: %+v, want %q", waits, why)
				}
				g.store.hold("SF", store.WaitNothing)
				is(t, g.after(time.Minute, r.ID), "done 200 matched, 200 requeued, 0 skipped, 200 delivered")
			})
		})
	}
}

// TestSet pauses, resumes and cancels.
func TestSet(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 1000, 1)
		g.begin()
		g.deliver(100)
		r := g.start(t, Request{Rate: 10})
		set := func(to store.ReplayStatus, wantErr error) {
			t.Helper()
			if _, err := g.runner.Set(t.Context(), r.ID, to, store.Act{By: "ops"}); !errors.Is(err, wantErr) {
				t.Errorf("Set to %s: %v, want %v", to, err, wantErr)
			}
		}
		time.Sleep(5050 * time.Millisecond)
		set(store.ReplayPaused, nil)
		paused := g.after(time.Second, r.ID)
		if paused.Requeued < 50 || paused.Requeued > 52 {
			t.Errorf("%d were made pending in 5 s at 10 a second", paused.Requeued)
		}
		if again := g.after(time.Hour, r.ID); again.Requeued != paused.Requeued || again.Delivered != paused.Requeued {
			t.Errorf("while it is paused %d became %d, of them %d delivered", paused.Requeued, again.Requeued, again.Delivered)
		}
		if waits := g.runner.Waiting(r.ID); waits != nil {
			t.Errorf("a paused replay waits for %v", waits)
		}
		set(store.ReplayPaused, store.ErrState)
		set(store.ReplayRunning, nil)
		resumed := g.after(5050*time.Millisecond, r.ID)
		if n := resumed.Requeued - paused.Requeued; n < 50 || n > 52 {
			t.Errorf("%d were made pending in 5 s after it was resumed", n)
		}
		set(store.ReplayCancelled, nil)
		cancelled := g.after(time.Hour, r.ID)
		if cancelled.Requeued > resumed.Requeued+1 || cancelled.Status != store.ReplayCancelled {
			t.Errorf("after it was cancelled: %+v", cancelled)
		}
		set(store.ReplayRunning, store.ErrState)
	})
}

// TestQuickResume pauses and resumes without any time between: the new job must not meet the old one.
func TestQuickResume(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 400, 2)
		g.store.commit = 30 * time.Millisecond
		g.begin()
		g.deliver(60)
		r := g.start(t, Request{})
		for range 20 {
			time.Sleep(17 * time.Millisecond)
			for _, to := range []store.ReplayStatus{store.ReplayPaused, store.ReplayRunning} {
				if _, err := g.runner.Set(t.Context(), r.ID, to, store.Act{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		is(t, g.after(time.Minute, r.ID), "done 800 matched, 800 requeued, 0 skipped, 800 delivered")
	})
}

// TestPausedByOthers: a step of a replay that somebody paused without a word to the runner is refused, and that is all.
func TestPausedByOthers(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 100, 1)
		g.begin()
		g.deliver(100)
		r := g.start(t, Request{Rate: 10})
		time.Sleep(time.Second)
		if _, err := g.store.SetReplay(t.Context(), r.ID, store.ReplayPaused, store.Act{}); err != nil {
			t.Fatal(err)
		}
		before := g.after(time.Minute, r.ID).Requeued
		if _, err := g.store.SetReplay(t.Context(), r.ID, store.ReplayRunning, store.Act{}); err != nil {
			t.Fatal(err)
		}
		if n := g.after(time.Minute, r.ID).Requeued; n != before {
			t.Errorf("%d became %d without a Wake", before, n)
		}
		g.runner.Wake()
		is(t, g.after(time.Minute, r.ID), "done 100 matched, 100 requeued, 0 skipped, 100 delivered")
		if errs := g.logs.errors(); len(errs) > 0 {
			t.Errorf("logged %q", errs)
		}
	})
}

// TestRestart stops the process in the middle, at any moment, several times.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 150, 3)
		g.failed("YT", 20, 3)
		g.begin()
		r := g.start(t, Request{Rate: 40})
		for i := range 7 {
			time.Sleep(time.Duration(700+i) * time.Millisecond)
			g.stop()
			before := g.store.replay(r.ID)
			time.Sleep(time.Minute)
			if after := g.store.replay(r.ID); after.Requeued != before.Requeued {
				t.Fatalf("it went on while it was stopped: %+v, %+v", before, after)
			}
			g.make()
			g.begin()
		}
		if n := g.store.replay(r.ID).Requeued; n < 100 || n > 400 {
			t.Errorf("%d were made pending in about 5 s at 40 a second", n)
		}
		g.deliver(100)
		is(t, g.after(time.Minute, r.ID), "done 510 matched, 510 requeued, 0 skipped, 510 delivered")
		g.orderly(t)
	})
}

// TestTwoReplays of the same rows: each row is sent once, whichever takes it; and they share the account.
func TestTwoReplays(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 1000, 2)
		g.begin()
		a := g.start(t, Request{})
		b, err := g.runner.Start(t.Context(), Request{}, store.Act{By: "another"})
		if err != nil {
			t.Fatal(err)
		}
		g.deliver(50)
		a, b = g.after(time.Hour, a.ID), g.after(0, b.ID)
		if a.Status != store.ReplayDone || b.Status != store.ReplayDone || a.Requeued+b.Requeued != 2000 {
			t.Errorf("%+v\n%+v\nwant 2000 in all", a, b)
		}
		if a.Requeued+a.Skipped != a.Matched || b.Requeued+b.Skipped != b.Matched {
			t.Errorf("not all is accounted for:\n%+v\n%+v", a, b)
		}
		if n := len(g.store.sent); n != 2000 {
			t.Errorf("%d were sent, want 2000", n)
		}
	})
}

// TestFairness: replays of one account take turns, and so does one that comes late.
func TestFairness(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 3000, 1)
		for i := range 3000 {
			g.store.add(waybill("SF", 10_000+i), store.Failed).Event.Type = state.PickupAssigned
		}
		g.begin()
		g.deliver(20)
		first := g.start(t, Request{Filter: store.Query{Type: state.Transit}})
		time.Sleep(time.Second)
		before := g.store.replay(first.ID).Requeued
		second := g.start(t, Request{Filter: store.Query{Type: state.PickupAssigned}})
		time.Sleep(10 * time.Second)
		a, b := g.store.replay(first.ID).Requeued-before, g.store.replay(second.ID).Requeued
		if max(a-b, b-a) > 2*maxPushes || a+b < 1800 {
			t.Errorf("since the second began, %d and %d were taken", a, b)
		}
	})
}

// TestFailsAgain: what a replay sent and failed again is not sent by it once more, whatever the clock says.
func TestFailsAgain(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 100, 3)
		g.store.answer = func(p *store.Push) store.Status {
			p.DoneAt = time.Now().Add(-time.Hour) // The clock was set back.
			return store.Failed
		}
		g.begin()
		g.deliver(10)
		r := g.start(t, Request{Rate: 20})
		r = g.after(10*time.Minute, r.ID)
		is(t, r, "done 300 matched, 300 requeued, 0 skipped, 0 delivered")
		if r.Failed != 300 {
			t.Errorf("%d failed, want 300", r.Failed)
		}
	})
}

// TestSkipSuperseded leaves out what a later stage has overtaken.
func TestSkipSuperseded(t *testing.T) {
	for _, skip := range []bool{true, false} {
		bubble(t, func(t *testing.T, g *rig) {
			for i := range 300 {
				g.store.add(waybill("SF", i), store.Failed)
			}
			for i := range 100 {
				p := g.store.add(waybill("SF", i), store.Delivered)
				p.Event.Type = state.DeliveryBegun
				g.store.place(p)
			}
			g.begin()
			g.deliver(100)
			r := g.start(t, Request{SkipSuperseded: skip, Filter: store.Query{Status: store.Failed}})
			want := "done 300 matched, 300 requeued, 0 skipped, 300 delivered"
			if skip {
				want = "done 300 matched, 200 requeued, 100 skipped, 200 delivered"
			}
			is(t, g.after(time.Minute, r.ID), want)
		})
	}
}

// TestStoreFails now and then at every call, before or after it is carried out; that ends nothing.
func TestStoreFails(t *testing.T) {
	for _, call := range []string{"Pushes", "Waybill", "Requeue", "ReadReplay", "ListReplays"} {
		for name, how := range map[string]fault{"not done": notDone, "done all the same": doneAllTheSame} {
			t.Run(call+" "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T, g *rig) {
					g.failed("SF", 100, 2)
					g.deliver(100)
					r := g.start(t, Request{})
					chance := rand.New(rand.NewPCG(1, 2))
					g.store.fails = func(c string) fault {
						if c != call || chance.IntN(3) == 0 {
							return well
						}
						return how
					}
					g.begin()
					is(t, g.after(10*time.Minute, r.ID), "done 200 matched, 200 requeued, 0 skipped, 200 delivered")
					if len(g.logs.errors()) == 0 {
						t.Error("nobody is told")
					}
					g.orderly(t)
				})
			})
		}
	}
}

// TestDamagedWaybill: what can't be read is left out and told of, and a replay goes on to its end.
func TestDamagedWaybill(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 5, 2)
		g.store.damaged = waybill("SF", 1)
		plan, err := g.runner.DryRun(t.Context(), Request{})
		if err != nil || plan.Matched != 10 || plan.Evaluated != 8 || plan.Complete {
			t.Errorf("dry run: %+v, %v; want 8 of 10 evaluated", plan, err)
		}
		g.begin()
		g.deliver(100)
		r := g.start(t, Request{})
		is(t, g.after(time.Minute, r.ID), "done 10 matched, 8 requeued, 2 skipped, 8 delivered")
		g.orderly(t)
		if errs := g.logs.errors(); len(errs) == 0 {
			t.Error("nothing is logged")
		}
	})
}

// TestOutage: a store that fails for an hour is told of once, and by Waiting.
func TestOutage(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 100, 2)
		r := g.start(t, Request{Rate: 10})
		g.begin()
		time.Sleep(time.Second)
		g.store.mu.Lock()
		g.store.fails = func(string) fault { return notDone }
		g.store.mu.Unlock()
		time.Sleep(time.Hour)
		if errs := g.logs.errors(); len(errs) == 0 || len(errs) > 3 { // In different words at different calls.
			t.Errorf("logged %d times: %q", len(errs), errs)
		}
		if waits := g.runner.Waiting(r.ID); len(waits) != 1 || !strings.Contains(waits[0].En, "store") {
			t.Errorf("waits: %+v", waits)
		}
		g.store.mu.Lock()
		g.store.fails = nil
		g.store.mu.Unlock()
		g.deliver(100)
		is(t, g.after(time.Minute, r.ID), "done 200 matched, 200 requeued, 0 skipped, 200 delivered")
	})
}

// TestStartFails: nothing begins when it can't be counted or kept.
func TestStartFails(t *testing.T) {
	for _, call := range []string{"Pushes", "StartReplay"} {
		bubble(t, func(t *testing.T, g *rig) {
			g.failed("SF", 3, 1)
			g.store.fails = func(c string) fault {
				if c == call {
					return notDone
				}
				return well
			}
			g.begin()
			if _, err := g.runner.Start(t.Context(), Request{}, store.Act{}); !errors.Is(err, errBroken) {
				t.Errorf("%s fails: %v", call, err)
			}
			if _, err := g.runner.DryRun(t.Context(), Request{}); call == "Pushes" && !errors.Is(err, errBroken) {
				t.Errorf("dry run: %v", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 3, 1)
		if _, err := g.runner.Start(ctx, Request{}, store.Act{}); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who is gone: %v", err)
		}
	})
}

// TestManyReplays: ended ones are listed once, and paused ones are found however old they are.
func TestManyReplays(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 1, 1)
		g.failed("YT", 1, 1)
		g.begin()
		g.deliver(10)
		old := g.start(t, Request{Filter: store.Query{DeliveryID: "YT"}})
		if _, err := g.runner.Set(t.Context(), old.ID, store.ReplayPaused, store.Act{}); err != nil {
			t.Fatal(err)
		}
		var last store.Replay
		for range 20 {
			last = g.start(t, Request{Filter: store.Query{DeliveryID: "SF"}})
		}
		is(t, g.after(time.Second, last.ID), "done 1 matched, 0 requeued, 1 skipped, 0 delivered")
		synctest.Wait()
		if g.runner.oldest > old.ID {
			t.Errorf("lists from %d on, although %d is paused", g.runner.oldest, old.ID)
		}
		if _, err := g.runner.Set(t.Context(), old.ID, store.ReplayRunning, store.Act{}); err != nil && !errors.Is(err, store.ErrState) {
			t.Fatal(err)
		}
		old = g.after(time.Minute, old.ID)
		if old.Status != store.ReplayDone {
			t.Errorf("%+v: want it done", old)
		}
		if g.runner.oldest <= last.ID {
			t.Errorf("lists from %d on, although all up to %d have ended", g.runner.oldest, last.ID)
		}
	})
}

// TestNew: what it needs.
func TestNew(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a runner without a store")
	}
	if v := Verdicts(); len(v) != 9 || len(slices.Compact(slices.Sorted(slices.Values(v)))) != 9 {
		t.Errorf("verdicts %v", v)
	}
}
