package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

const (
	// evaluateFor bounds the time that a dry run takes to judge pushes; beyond it they are counted only.
	evaluateFor = 10 * time.Second
	// maxSample is how many items a dry run shows.
	maxSample = 100
	// maxSeen bounds the waybills that a dry run remembers, so as not to read them again. It is a matter of speed only.
	maxSeen = 10_000
)

// Plan is what a replay would do.
type Plan struct {
	Matched   int             // Pushes that the filter finds. Always exact.
	Evaluated int             // Those that have a verdict.
	Complete  bool            // All of them have. If not, what follows is of those evaluated, the oldest that can be read.
	Totals    map[Verdict]int // Evaluated, by verdict.
	Calls     int             // Requests to upstream that are needed at least.
	Minutes   float64         // How long these take at the rate.
	Sample    []Item          // Some of every verdict that occurs, in order of seq; at most 100.
}

// DryRun says what a replay would do, and changes nothing. It is a forecast: rows change while it looks at them.
// It takes 10 s at most to judge pushes, and as long as it needs to count them.
func (r *Runner) DryRun(ctx context.Context, req Request) (Plan, error) {
	w := planner{
		runner: r, rule: r.ruleOf(req), until: time.Now().Add(evaluateFor),
		seen: map[state.Waybill]bool{}, samples: map[Verdict][]Item{},
		plan: Plan{Complete: true, Totals: map[Verdict]int{}},
	}
	if err := r.walk(ctx, &w.rule, func(p *store.Push) error { return w.visit(ctx, p) }); err != nil {
		return Plan{}, fmt.Errorf("dry run of a replay: %w", err)
	}
	w.plan.Minutes = minutes(w.plan.Calls, req.Rate)
	w.plan.Sample = sample(w.samples)
	return w.plan, nil
}

// DryRunOf is DryRun for pushes that were picked one by one: what it would do to replay each of them. One that is not
// there any more is not matched. It reads the waybill of each, so it is for a page of them, not for thousands.
func (r *Runner) DryRunOf(ctx context.Context, pushes []store.Push) (Plan, error) {
	w := planner{
		runner: r, rule: r.ruleOf(Request{}), until: time.Now().Add(evaluateFor),
		seen: map[state.Waybill]bool{}, samples: map[Verdict][]Item{},
		plan: Plan{Complete: true, Totals: map[Verdict]int{}},
	}
	w.rule.chosen = map[uint64]bool{}
	for i := range pushes {
		w.rule.chosen[pushes[i].Seq] = true
	}
	inOrder := slices.SortedFunc(slices.Values(pushes), func(a, b store.Push) int { return cmp.Compare(a.Seq, b.Seq) })
	for i := range inOrder {
		if err := w.visit(ctx, &inOrder[i]); err != nil {
			return Plan{}, fmt.Errorf("dry run of chosen pushes: %w", err)
		}
	}
	w.plan.Minutes = minutes(w.plan.Calls, 0)
	w.plan.Sample = sample(w.samples)
	return w.plan, nil
}

// planner judges the pushes of a filter, waybill by waybill.
type planner struct {
	runner  *Runner
	rule    rule
	until   time.Time // After that it only counts.
	late    bool      // It is after that.
	seen    map[state.Waybill]bool
	samples map[Verdict][]Item // The first maxSample of each.
	plan    Plan
}

// visit takes the next push that matches, oldest first. The first one of a waybill brings in all of them; so no set of
// all waybills is needed to judge each once.
func (w *planner) visit(ctx context.Context, p *store.Push) error {
	w.plan.Matched++
	if !w.late && !time.Now().Before(w.until) {
		w.late, w.plan.Complete = true, false
	}
	if w.late || w.seen[p.Event.Waybill()] {
		return nil
	}
	story, err := w.runner.store.Waybill(ctx, p.Event.Waybill())
	if errors.Is(err, store.ErrNotFound) {
		return nil // Its retention ended since the page was read.
	}
	if errors.Is(err, store.ErrDamaged) {
		w.plan.Complete = false // What can't be read has no verdict, and must not hide the others.
		return nil
	}
	if err != nil {
		return err
	}
	items := judge(&story, &w.rule)
	if slices.ContainsFunc(items, func(i Item) bool { return i.Push.Seq < p.Seq }) {
		return nil // Judged with its first one.
	}
	if len(w.seen) >= maxSeen {
		clear(w.seen)
	}
	w.seen[p.Event.Waybill()] = true
	w.take(items)
	return nil
}

func (w *planner) take(items []Item) {
	for _, item := range items {
		w.plan.Evaluated++
		w.plan.Totals[item.Verdict]++
		if w.rule.sent(item.Verdict) {
			w.plan.Calls++
		}
		if kept := w.samples[item.Verdict]; len(kept) < maxSample {
			if n := len(item.Push.Attempts); n > 1 {
				item.Push.Attempts = slices.Clone(item.Push.Attempts[n-1:]) // The others only cost memory.
			}
			w.samples[item.Verdict] = append(kept, item)
		}
	}
}

// minutes is how long calls take at a rate; 0: that of a replay that names none.
func minutes(calls int, rate float64) float64 { return float64(calls) / cmp.Or(rate, usualRate) / 60 }

// sample picks at most maxSample items, of each verdict as fair a share as there are.
func sample(of map[Verdict][]Item) []Item {
	picked := make([]Item, 0, maxSample)
	for i := 0; i < maxSample && len(picked) < maxSample; i++ {
		for _, v := range Verdicts() {
			if i < len(of[v]) && len(picked) < maxSample {
				picked = append(picked, of[v][i])
			}
		}
	}
	slices.SortFunc(picked, func(a, b Item) int { return cmp.Compare(a.Push.Seq, b.Push.Seq) })
	return picked
}

// walk calls visit with the pushes that a rule's filter finds, oldest first, up to the newest one that there is when it
// begins; so it ends however fast new ones come. It sets the rule's upTo to that one.
func (r *Runner) walk(ctx context.Context, of *rule, visit func(*store.Push) error) (err error) {
	q := of.filter
	if of.upTo, err = r.newest(ctx, q); of.upTo == 0 || err != nil {
		return err
	}
	q.Ascending, q.Before, q.Limit = true, of.upTo+1, store.MaxLimit
	for {
		page, err := r.store.Pushes(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if err := cmp.Or(visit(&page.Items[i]), context.Cause(ctx)); err != nil {
				return err
			}
		}
		if page.Next == 0 {
			return nil
		}
		q.After = page.Next
	}
}

// newest is the number of the newest push that a filter finds; 0 if there is none.
func (r *Runner) newest(ctx context.Context, q store.Query) (uint64, error) {
	q.Limit = 1
	for {
		page, err := r.store.Pushes(ctx, q)
		switch {
		case err != nil:
			return 0, err
		case len(page.Items) > 0:
			return page.Items[0].Seq, nil
		case page.Next == 0:
			return 0, nil
		}
		q.Before = page.Next
	}
}
