package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
)

// runQueries does random things to a store, as runModel does, and compares random lists of it, page by page, with a
// plain filter over all rows.
func runQueries(t *testing.T, open Opener) {
	runs := newBudget(t)
	rapid.Check(t, func(rt *rapid.T) {
		if !runs.another() {
			return
		}
		m := newModel(t, open, fmt.Sprintf("queries-%d", runs.n))
		defer m.close()
		m.T = rt
		m.crowd(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"apply":    m.apply,
			"token":    m.token,
			"settle":   m.settle,
			"late":     m.settleEnded,
			"replay":   m.replay,
			"discard":  m.discard,
			"retry":    m.retryNow,
			"freeze":   m.freeze,
			"override": m.override,
			"start":    m.startReplay,
			"step":     m.stepReplay,
			"order":    m.putOrder,
			"cancel":   m.cancel,
			"expunge":  m.expunge,
			"unknown":  m.switchUnknown,
			"pass":     m.pass,
			"reopen":   m.reopen,
			"list":     m.list,
			"walk":     m.walk,
		})
		m.list(rt)
		m.compareAll()
		runs.passed = true
	})
}

// crowd sends enough events of many waybills that an engine that lists by blocks of numbers has several.
func (m *model) crowd(t *rapid.T) {
	var events []state.Event
	first := len(m.sent)
	for range rapid.IntRange(0, 200).Draw(t, "crowd") {
		e := m.draw(t)
		e.WaybillID = fmt.Sprint(10 + len(m.sent)%40)
		events = append(events, e)
		m.sent = append(m.sent, sent{event: e})
	}
	results, err := m.store.Apply(context.Background(), events)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	for i := range results {
		m.expect(t, &m.sent[first+i], results[i])
	}
}

// stored are all events and pushes, by number, read waybill by waybill.
func (m *model) stored(t *rapid.T) []store.Step {
	var all []store.Step
	for w := range m.timelines {
		story, err := m.store.Waybill(context.Background(), w)
		if err != nil {
			t.Fatalf("Waybill(%s): %v", w, err)
		}
		all = append(all, story.Timeline...)
	}
	slices.SortFunc(all, func(a, b store.Step) int { return int(a.Event.Seq) - int(b.Event.Seq) })
	return all
}

// plain are the numbers of the rows that match a query, in the query's order, from all of them.
func plain(all []store.Step, q *store.Query, pushes bool) []uint64 {
	seqs := []uint64{}
	for i := range all {
		if matches(&all[i], q, pushes) {
			seqs = append(seqs, all[i].Event.Seq)
		}
	}
	if !q.Ascending {
		slices.Reverse(seqs)
	}
	return seqs
}

func matches(r *store.Step, q *store.Query, pushes bool) bool {
	e, p := &r.Event, &r.Push
	reasons := []string{p.Reason}
	if !pushes {
		reasons = append(reasons, e.Reason.String())
	}
	code := p.Last().Errcode
	return (!pushes || p.Status != store.NoPush) &&
		(q.Status == store.NoPush || p.Status == q.Status) &&
		(q.WaitingFor == store.WaitNothing || p.Status == store.Pending && waits(p, q) == q.WaitingFor) &&
		(q.Verdict == 0 || e.Verdict == q.Verdict) &&
		(q.Errcode == nil || code != nil && *code == *q.Errcode) &&
		(q.Reason == "" || slices.Contains(reasons, q.Reason)) &&
		(q.DeliveryID == "" || e.Event.DeliveryID == q.DeliveryID) &&
		(q.WaybillID == "" || e.Event.WaybillID == q.WaybillID) &&
		(q.Type == 0 || e.Event.Type == q.Type) &&
		(q.Source == "" || e.Event.Source == q.Source) &&
		(q.Since.IsZero() || !e.ReceivedAt.Before(q.Since)) &&
		(q.Until.IsZero() || e.ReceivedAt.Before(q.Until)) &&
		(q.Before == 0 || e.Seq < q.Before) && e.Seq > q.After
}

// waits is what a push waits for when its account is taken into account, too.
func waits(p *store.Push, q *store.Query) store.WaitingFor {
	if p.WaitingFor == store.WaitToken || p.WaitingFor == store.WaitWaybill || q.Held == nil {
		return p.WaitingFor
	}
	if w := q.Held(p.Event.DeliveryID, p.TransitOnly); w != store.WaitNothing {
		return w
	}
	return p.WaitingFor
}

// query draws up to three conditions, and the rest.
func (m *model) query(t *rapid.T) store.Query {
	q := store.Query{
		Limit: rapid.SampledFrom([]int{7, 20, 1000}).Draw(t, "limit"), Ascending: rapid.Bool().Draw(t, "ascending"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "conditions") {
		rapid.SampledFrom(conditions).Draw(t, "condition")(m, t, &q)
	}
	held, kept := map[string]store.WaitingFor{}, map[string]bool{}
	for _, delivery := range []string{account, "YTO"} {
		waiting := []store.WaitingFor{store.WaitNothing, store.WaitNothing, store.WaitBreaker, store.WaitAccount}
		held[delivery] = rapid.SampledFrom(waiting).Draw(t, "held "+delivery)
		kept[delivery] = rapid.Bool().Draw(t, "quota kept "+delivery)
	}
	if rapid.Bool().Draw(t, "held") {
		q.Held = func(delivery string, transitOnly bool) store.WaitingFor {
			if held[delivery] == store.WaitNothing && transitOnly && kept[delivery] {
				return store.WaitAccount
			}
			return held[delivery]
		}
	}
	return q
}

// conditions set one condition each to a value that some row may have.
var conditions = []func(*model, *rapid.T, *store.Query){
	func(_ *model, t *rapid.T, q *store.Query) {
		q.Status = rapid.SampledFrom(store.Statuses()).Draw(t, "status")
	},
	func(_ *model, t *rapid.T, q *store.Query) {
		q.WaitingFor = rapid.SampledFrom([]store.WaitingFor{
			store.WaitRetry, store.WaitBreaker, store.WaitAccount, store.WaitToken, store.WaitWaybill,
		}).Draw(t, "waiting for")
	},
	func(_ *model, t *rapid.T, q *store.Query) {
		q.Verdict = rapid.SampledFrom([]state.Verdict{state.Accepted, state.Held, state.Ignored, state.Rejected}).Draw(t, "verdict")
	},
	func(_ *model, t *rapid.T, q *store.Query) {
		q.Errcode = new(rapid.SampledFrom(modelErrcodes).Draw(t, "errcode"))
	},
	func(_ *model, t *rapid.T, q *store.Query) {
		q.Reason = rapid.SampledFrom([]string{
			store.ReasonToken, store.ReasonRefused, longReason, state.IllegalStep.String(), state.MissingScan.String(),
			state.RepeatsEvent.String(),
		}).Draw(t, "reason")
	},
	func(_ *model, t *rapid.T, q *store.Query) {
		q.DeliveryID = rapid.SampledFrom([]string{account, "YTO", "ZTO"}).Draw(t, "delivery")
	},
	func(_ *model, t *rapid.T, q *store.Query) {
		q.WaybillID = rapid.SampledFrom([]string{"1", "2", "12"}).Draw(t, "waybill")
	},
	func(_ *model, t *rapid.T, q *store.Query) {
		q.Type = rapid.SampledFrom(state.ActionTypes[:]).Draw(t, "type")
	},
	func(_ *model, t *rapid.T, q *store.Query) {
		q.Source = rapid.SampledFrom(modelSources).Draw(t, "source")
	},
	func(m *model, t *rapid.T, q *store.Query) {
		q.Since = m.clock.Now().Add(-rapid.SampledFrom([]time.Duration{0, time.Second, window}).Draw(t, "since"))
	},
	func(m *model, t *rapid.T, q *store.Query) {
		q.Until = m.clock.Now().Add(-rapid.SampledFrom([]time.Duration{-time.Second, 0, time.Second, window}).Draw(t, "until"))
	},
	func(m *model, t *rapid.T, q *store.Query) {
		q.Before = rapid.Uint64Range(1, uint64(len(m.sent)+2)).Draw(t, "before")
	},
	func(m *model, t *rapid.T, q *store.Query) {
		q.After = rapid.Uint64Range(0, uint64(len(m.sent)+2)).Draw(t, "after")
	},
}

// page reads one page of pushes or events, and moves the query to the next.
func (m *model) page(t *rapid.T, q *store.Query, pushes bool) (seqs []uint64, more bool) {
	next, err := uint64(0), error(nil)
	if pushes {
		var page store.Page[store.Push]
		page, err = m.store.Pushes(context.Background(), *q)
		next = page.Next
		for _, p := range page.Items {
			seqs = append(seqs, p.Seq)
		}
	} else {
		var page store.Page[store.Event]
		page, err = m.store.Events(context.Background(), *q)
		next = page.Next
		for _, e := range page.Items {
			seqs = append(seqs, e.Seq)
		}
	}
	if err != nil || len(seqs) > q.Limit {
		t.Fatalf("%d rows on a page of %d, err %v", len(seqs), q.Limit, err)
	}
	if q.Ascending {
		q.After = next
	} else {
		q.Before = next
	}
	return seqs, next != 0
}

// list compares all pages of a query with the plain filter.
func (m *model) list(t *rapid.T) {
	pushes, q := rapid.Bool().Draw(t, "pushes"), m.query(t)
	want := plain(m.stored(t), &q, pushes)
	got, asked := []uint64{}, q
	for more := true; more; {
		var seqs []uint64
		seqs, more = m.page(t, &q, pushes)
		got = append(got, seqs...)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("list (pushes: %v) of %+v: %v, want %v", pushes, asked, got, want)
	}
}

// walk reads a list page by page while rows change. What matched all the time is on it once.
func (m *model) walk(t *rapid.T) {
	pushes, q := rapid.Bool().Draw(t, "pushes"), m.query(t)
	q.Limit = rapid.IntRange(1, 5).Draw(t, "rows")
	asked := q
	always := plain(m.stored(t), &asked, pushes)
	var got []uint64
	for more := true; more; {
		var seqs []uint64
		seqs, more = m.page(t, &q, pushes)
		got = append(got, seqs...)
		if rapid.IntRange(0, 3).Draw(t, "change") == 0 {
			m.disturb(t)
			now := plain(m.stored(t), &asked, pushes)
			always = slices.DeleteFunc(always, func(seq uint64) bool { return !slices.Contains(now, seq) })
		}
	}
	for i, seq := range got {
		if slices.Contains(got[:i], seq) {
			t.Fatalf("%d is twice on the list (pushes: %v) of %+v: %v", seq, pushes, asked, got)
		}
	}
	for _, seq := range always {
		if !slices.Contains(got, seq) {
			t.Fatalf("%d matched all the time and is not on the list (pushes: %v) of %+v: %v", seq, pushes, asked, got)
		}
	}
}

// disturb changes something, whatever there is.
func (m *model) disturb(t *rapid.T) {
	ended, pending := false, false
	for _, p := range m.pushes {
		ended, pending = ended || p.status != store.Pending, pending || p.status == store.Pending
	}
	switch n := rapid.IntRange(0, 3).Draw(t, "which"); {
	case n == 0 && pending:
		m.settle(t)
	case n == 1 && ended:
		m.replay(t)
	case n == 2:
		m.token(t)
	default:
		m.apply(t)
	}
}
