package replay

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestDryRun: totals, calls, minutes and a sample of every verdict, and nothing changes.
func TestDryRun(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		for i := range 400 {
			g.store.add(waybill("SF", i), store.Failed)
		}
		for i := range 200 {
			g.store.add(waybill("SF", i), store.Failed)
		}
		g.failed("YT", 60, 1)
		g.store.add(waybill("GONE", 1), store.Failed)
		g.store.add(waybill("SF", 1000), store.Delivered)
		g.store.add(waybill("SF", 1001), store.Pending)
		g.store.add(waybill("SF", 1002), store.Discarded)
		for i, w := range []state.Waybill{waybill("SF", 397), waybill("SF", 398), waybill("SF", 399)} {
			switch i {
			case 0:
				delete(g.store.tokens, w)
			case 1:
				g.store.frozen[w] = true
			case 2:
				p := g.store.add(w, store.Delivered)
				p.Event.Type = state.DeliveryBegun
				g.store.place(p)
			}
		}
		for _, short := range []int{0, 7, 150} {
			if short > 0 {
				g.store.short = func() int { return short }
			}
			plan, err := g.runner.DryRun(t.Context(), Request{Rate: 11})
			if err != nil {
				t.Fatal(err)
			}
			want := map[Verdict]int{
				Send: 397 + 60, WaitsBehind: 200, WaitsForToken: 1, WaitsForThaw: 1, Superseded: 1,
				AlreadyDelivered: 2, Pending: 1, Discarded: 1, NoAccount: 1,
			}
			if !maps.Equal(plan.Totals, want) {
				t.Errorf("totals %v, want %v", plan.Totals, want)
			}
			if plan.Matched != 665 || plan.Evaluated != 665 || !plan.Complete || plan.Calls != 660 || plan.Minutes != 1 {
				t.Errorf("matched %d, evaluated %d, complete %v, calls %d, minutes %v", plan.Matched, plan.Evaluated, plan.Complete,
					plan.Calls, plan.Minutes)
			}
			shown := map[Verdict]int{}
			for i, item := range plan.Sample {
				shown[item.Verdict]++
				if i > 0 && item.Push.Seq <= plan.Sample[i-1].Push.Seq {
					t.Errorf("item %d: %d after %d", i, item.Push.Seq, plan.Sample[i-1].Push.Seq)
				}
			}
			if len(plan.Sample) != maxSample || len(shown) != len(want) || shown[Send] < 40 || shown[WaitsBehind] < 40 {
				t.Errorf("%d items: %v", len(plan.Sample), shown)
			}
		}
		plan, err := g.runner.DryRun(t.Context(), Request{SkipSuperseded: true})
		if err != nil || plan.Calls != 659 || fmt.Sprintf("%.3f", plan.Minutes) != "0.022" {
			t.Errorf("superseded ones left out, no rate: %d calls, %v minutes, %v", plan.Calls, plan.Minutes, err)
		}
		if len(g.store.replays) != 0 || len(g.store.steps) != 0 {
			t.Error("a dry run changed something")
		}
	})
}

// TestDryRunIsBounded: beyond its time it only counts.
func TestDryRunIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.failed("SF", 3000, 2)
		g.store.reading = 5 * time.Millisecond
		began := time.Now()
		plan, err := g.runner.DryRun(t.Context(), Request{})
		if err != nil || plan.Complete || plan.Matched != 6000 || plan.Evaluated != 4000 || plan.Totals[Send] != 2000 {
			t.Errorf("%v, complete %v, matched %d, evaluated %d: %v", err, plan.Complete, plan.Matched, plan.Evaluated, plan.Totals)
		}
		if took := time.Since(began); took > evaluateFor+time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestDryRunOfNothing finds nothing.
func TestDryRunOfNothing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		plan, err := g.runner.DryRun(t.Context(), Request{})
		if got := fmt.Sprintf("%+v", plan); err != nil || got != "{Matched:0 Evaluated:0 Complete:true Totals:map[] Calls:0 Minutes:0 Sample:[]}" {
			t.Errorf("%s, %v", got, err)
		}
	})
}

// TestDryRunOfChosen: pushes picked one by one, in any order; a discarded one is sent, as whoever picked it saw what it is.
func TestDryRunOfChosen(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		var all []store.Push
		for _, status := range []store.Status{store.Failed, store.Failed, store.Discarded, store.Delivered, store.Pending} {
			all = append(all, *g.store.add(waybill("SF", len(all)/2), status))
		}
		plan, err := g.runner.DryRunOf(t.Context(), []store.Push{all[4], all[3], all[2], all[1], all[0]})
		if err != nil {
			t.Fatal(err)
		}
		want := map[Verdict]int{Send: 2, WaitsBehind: 1, AlreadyDelivered: 1, Pending: 1}
		if !maps.Equal(plan.Totals, want) || plan.Matched != 5 || plan.Evaluated != 5 || plan.Calls != 3 || len(plan.Sample) != 5 {
			t.Errorf("%+v", plan)
		}
		plan, err = g.runner.DryRunOf(t.Context(), all[1:2])
		if err != nil || plan.Matched != 1 || plan.Totals[Send] != 1 {
			t.Errorf("one of a waybill with two: %+v, %v", plan, err)
		}
	})
}
