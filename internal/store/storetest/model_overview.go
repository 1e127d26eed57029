package storetest

import (
	"cmp"
	"context"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// compareOverview compares what finds waybills.
func (m *model) compareOverview() {
	for _, end := range []string{"1", "2", "12"} {
		page, err := m.store.Find(context.Background(), store.FindQuery{End: end, Limit: 10})
		if err != nil || page.Next != "" {
			m.Fatalf("Find(%q): next %q, %v", end, page.Next, err)
		}
		var want []store.Summary
		for _, w := range m.waybills() {
			if strings.HasSuffix(w.WaybillID, end) && (len(m.timelines[w]) > 0 || m.tokens[w] != "") {
				want = append(want, m.summary(w))
			}
		}
		slices.SortFunc(want, byReversed)
		m.sameSummaries("Find("+end+")", page.Items, want)
	}
	m.compareSilent()
}

// compareSilent compares the waybills that are not at their end.
func (m *model) compareSilent() {
	var want []store.Summary
	for _, w := range m.waybills() {
		if sum := m.summary(w); sum.Newest != nil && !sum.Stage.Final() {
			want = append(want, sum)
		}
	}
	slices.SortFunc(want, func(a, b store.Summary) int { return cmp.Compare(a.Newest.Seq, b.Newest.Seq) })
	q := store.SilentQuery{Before: anyStage(m.clock.Now().Add(time.Hour)), NoToken: true, Limit: 10}
	all := silentAll(m, m.store, q)
	m.sameSummaries("Silent", all, want)
	type place struct {
		delivery string
		stage    state.Stage
	}
	oldest := map[place]time.Time{}
	for _, sum := range all {
		p := place{sum.Waybill.DeliveryID, sum.Stage}
		if at := oldest[p]; sum.TokenSet && (at.IsZero() || sum.Newest.ReceivedAt.Before(at)) {
			oldest[p] = sum.Newest.ReceivedAt
		}
	}
	ages, err := m.store.StageAges(context.Background())
	if err != nil {
		m.Fatalf("StageAges: %v", err)
	}
	got := map[place]time.Time{}
	for _, a := range ages {
		got[place{a.DeliveryID, a.Stage}] = a.OldestAt
	}
	if len(ages) != len(oldest) || !reflect.DeepEqual(got, oldest) {
		m.Fatalf("StageAges: %v, want %v", ages, oldest)
	}
}

// waybills lists those that the model has heard of.
func (m *model) waybills() (list []state.Waybill) {
	known := map[state.Waybill]bool{}
	for w := range m.timelines {
		known[w] = true
	}
	for w := range m.tokens {
		known[w] = true
	}
	for w := range known {
		list = append(list, w)
	}
	return list
}

// summary is what a store must say of a waybill, but for times and texts.
func (m *model) summary(w state.Waybill) store.Summary {
	t := m.timelines[w]
	sum := store.Summary{Waybill: w, Stage: t.Stage(), TokenSet: m.tokens[w] != "", Parked: m.parked[w], Frozen: m.frozen[w]}
	for _, e := range t {
		if e.Verdict == state.Accepted && (sum.Newest == nil || e.Seq > sum.Newest.Seq) {
			sum.Newest = &store.Event{Seq: e.Seq}
		}
	}
	for _, p := range m.pushes {
		switch {
		case p.waybill != w:
		case p.status == store.Pending:
			sum.Open++
		case p.status == store.Failed:
			sum.Failed++
		}
	}
	return sum
}

func (m *model) sameSummaries(what string, got, want []store.Summary) {
	plain := func(list []store.Summary) (out []store.Summary) {
		for _, sum := range list {
			sum.HeardAt = time.Time{}
			if sum.Newest != nil {
				sum.Newest = &store.Event{Seq: sum.Newest.Seq}
			}
			out = append(out, sum)
		}
		return out
	}
	if g, w := plain(got), plain(want); !reflect.DeepEqual(g, w) {
		m.Fatalf("%s: %+v, want %+v", what, g, w)
	}
}

func byReversed(a, b store.Summary) int {
	return cmp.Or(
		strings.Compare(store.Reversed(a.Waybill.WaybillID), store.Reversed(b.Waybill.WaybillID)),
		strings.Compare(a.Waybill.DeliveryID, b.Waybill.DeliveryID), strings.Compare(a.Waybill.WaybillID, b.Waybill.WaybillID),
	)
}

// anyStage is SilentQuery.Before of all stages.
func anyStage(before time.Time) map[state.Stage]time.Time {
	all := map[state.Stage]time.Time{}
	for _, stage := range state.Stages() {
		all[stage] = before
	}
	return all
}

// silentAll reads all pages of a list of silent waybills, once the engine has it whole.
func silentAll(t interface{ Fatalf(string, ...any) }, s Engine, q store.SilentQuery) (all []store.Summary) {
	for range 10_000 {
		page, err := s.Silent(context.Background(), q)
		switch {
		case err != nil:
			t.Fatalf("Silent(%+v): %v", q, err)
		case len(page.Items) > q.Limit:
			t.Fatalf("Silent gives %d waybills, the limit is %d", len(page.Items), q.Limit)
		case page.Total != 0:
			if page.Read > page.Total {
				t.Fatalf("Silent has read %d of %d", page.Read, page.Total)
			}
			all, q.After = nil, ""
			runtime.Gosched()
			continue
		}
		if all = append(all, page.Items...); page.Next == "" {
			return all
		}
		q.After = page.Next
	}
	t.Fatalf("the pages of Silent do not end, or it is never read")
	return nil
}
