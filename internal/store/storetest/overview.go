package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var overviewTests = map[string]func(*fixture){
	"waybills by the end of their number": findEnds,
	"found page by page":                  findPages,
	"what is told of those found":         findSummary,
	"only as long as something is kept":   findForgotten,
	"after how long each stage is silent": silentStages,
	"whose newest event moves":            silentMoves,
	"silent page by page":                 silentPages,
	"Tokens and accounts":                 silentFilters,
	"the oldest of each stage":            stageAges,
	"while it all comes at once":          silentAtOnce,
}

// found is the waybills whose number ends in a text, as account/number.
func (f *fixture) found(end string) string {
	f.Helper()
	var list []string
	q := store.FindQuery{End: end, Limit: 2}
	for range 100 {
		page, err := f.store.Find(f.Context(), q)
		if err != nil || len(page.Items) > q.Limit || page.Total != 0 {
			f.Fatalf("Find(%+v): %+v, %v", q, page, err)
		}
		for _, sum := range page.Items {
			list = append(list, sum.Waybill.DeliveryID+"/"+sum.Waybill.WaybillID)
		}
		if q.After = page.Next; q.After == "" {
			return strings.Join(list, " ")
		}
	}
	f.Fatalf("the pages of Find do not end")
	return ""
}

// silent is the waybills that moved before some moments last, in order.
func (f *fixture) silent(q store.SilentQuery) string {
	f.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	var list []string
	for _, sum := range silentAll(f, f.store, q) {
		list = append(list, sum.Waybill.WaybillID)
	}
	return strings.Join(list, " ")
}

// all are the waybills that are not at their end.
func (f *fixture) all() string {
	f.Helper()
	return f.silent(store.SilentQuery{Before: anyStage(f.clock.Now().Add(time.Millisecond)), NoToken: true})
}

func (f *fixture) is(what, got, want string) {
	f.Helper()
	if got != want {
		f.Errorf("%s: %q, want %q", what, got, want)
	}
}

func findEnds(f *fixture) {
	for _, id := range []string{"SF0042", "sf0042", "42", "A42B", "a42b", "0-42%", "0x42_", `0\42\`, "运单42号", "É42", "é42"} {
		f.one(f.scan(id, state.PickupDone, 100), state.Accepted)
	}
	other := f.scan("SF0042", state.PickupDone, 100)
	other.DeliveryID = "YTO"
	f.one(other, state.Accepted)
	for range 2 {
		f.is("digits", f.found("0042"), "SF/SF0042 SF/sf0042 YTO/SF0042")
		f.is("a whole number", f.found("42"), "SF/42 SF/SF0042 SF/sf0042 YTO/SF0042 SF/É42 SF/é42")
		f.is("either case", f.found("42B"), "SF/A42B SF/a42b")
		f.is("lower case", f.found("f0042"), "SF/SF0042 SF/sf0042 YTO/SF0042")
		f.is("a per cent sign", f.found("%"), "SF/0-42%")
		f.is("an underscore", f.found("_"), "SF/0x42_")
		f.is("a backslash", f.found(`\`), `SF/0\42\`)
		f.is("other scripts", f.found("单42号"), "SF/运单42号")
		f.is("what is not ASCII is itself", f.found("é42"), "SF/é42")
		f.is("the middle", f.found("004"), "")
		f.is("more than there is", f.found("XSF0042"), "")
		f.reopen()
	}
}

func findPages(f *fixture) {
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("%02d-0042", i)
		want = append(want, "SF/"+id)
		f.one(f.scan(id, state.PickupDone, 100), state.Accepted)
	}
	slices.SortFunc(want, func(a, b string) int { return strings.Compare(store.Reversed(a), store.Reversed(b)) })
	f.is("all", f.found("0042"), strings.Join(want, " "))
}

func findSummary(f *fixture) {
	begin := f.clock.Now()
	w, n := f.ready("1-0042", 3)
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.freeze(w, true, true)
	f.clock.advance(time.Minute)
	f.one(f.scan("1-0042", state.Cancelled, 900), state.Rejected)
	f.token(waybill("2-0042"), "T", true)
	page, err := f.store.Find(f.Context(), store.FindQuery{End: "0042", Limit: 10})
	if err != nil || len(page.Items) != 2 {
		f.Fatalf("%+v, %v", page, err)
	}
	got := page.Items[0]
	if got.Waybill != w || got.Stage != f.waybill(w).Stage || !got.TokenSet || got.Parked || !got.Frozen || got.Open != 1 || got.Failed != 1 {
		f.Errorf("%+v", got)
	}
	if !got.HeardAt.Equal(begin.Add(time.Minute)) || got.Newest == nil || got.Newest.Seq != n[2] || !got.Newest.ReceivedAt.Equal(begin) ||
		got.Newest.Event.Msg != f.event(w, n[2]).Event.Msg || got.Newest.Status != store.Pending {
		f.Errorf("heard of at %s, newest %+v", got.HeardAt, got.Newest)
	}
	if got := page.Items[1]; got != (store.Summary{Waybill: waybill("2-0042"), TokenSet: true}) {
		f.Errorf("a waybill that WeChat alone told of: %+v", got)
	}
}

// findForgotten: a waybill is found from its first event or Token on, until neither is kept.
func findForgotten(f *fixture) {
	f.keepFor(24 * time.Hour)
	f.order(orderOf("1", "ordered"), "", true)
	f.is("an order without a Token", f.found("ordered"), "")
	f.order(orderOf("2", "known"), "T", true)
	f.is("an order with one", f.found("known"), "SF/known")
	f.expunge("known")
	f.is("its Token is forgotten", f.found("known"), "")
	f.token(waybill("known"), "T2", true)
	f.is("it has a Token again", f.found("known"), "SF/known")
	w, n := f.ready("scanned", 1)
	f.deliver(w, n[0])
	f.expunge("scanned")
	f.is("expunged after a scan", f.found("scanned"), "SF/scanned")
	f.is("and not at its end", f.all(), "scanned")
	for range 2 {
		f.pass(23 * time.Hour)
		f.token(w, "later"+f.clock.Now().String(), true)
	}
	f.is("all old but one Token", f.found("n")+"|"+f.all(), "|")
	f.is("that Token", f.found("scanned"), "SF/scanned")
	f.pass(25 * time.Hour)
	f.is("all is old", f.found("scanned"), "")
}

func silentStages(f *fixture) {
	f.one(f.scan("picked", state.PickupDone, 100), state.Accepted)
	f.one(f.scan("moving", state.PickupDone, 100), state.Accepted)
	f.clock.advance(time.Hour)
	f.one(f.scan("moving", state.Transit, 200), state.Accepted)
	f.one(f.scan("young", state.PickupDone, 100), state.Accepted)
	f.clock.advance(time.Hour)
	f.one(f.scan("signed", state.PickupDone, 100), state.Accepted)
	f.one(f.scan("signed", state.DeliveryBegun, 200), state.Accepted)
	f.one(f.scan("signed", state.Signed, 300), state.Accepted)
	f.one(f.scan("gone", state.Cancelled, 300), state.Accepted)
	f.one(f.scan("held", state.Transit, 300), state.Held)
	f.token(waybill("ordered"), "T", true)
	now := f.clock.Now()
	ask := func(stages map[state.Stage]time.Time) string {
		return f.silent(store.SilentQuery{Before: stages, NoToken: true})
	}
	for range 2 {
		f.is("all", ask(anyStage(now.Add(time.Second))), "picked moving young")
		f.is("no stage", ask(nil), "")
		f.is("one stage", ask(map[state.Stage]time.Time{state.PickedUp: now}), "picked young")
		f.is("a moment for each", ask(map[state.Stage]time.Time{state.PickedUp: now.Add(-90 * time.Minute), state.InTransit: now}), "picked moving")
		f.is("that very moment", ask(map[state.Stage]time.Time{state.PickedUp: now.Add(-2 * time.Hour)}), "")
		f.is("just after it", ask(map[state.Stage]time.Time{state.PickedUp: now.Add(-2*time.Hour + time.Millisecond)}), "picked")
		f.is("those at their end", ask(map[state.Stage]time.Time{state.Delivered: now, state.Void: now, state.Created: now}), "")
		f.reopen()
	}
}

// silentMoves: late scans, held ones, an operator's word and the end move a waybill.
func silentMoves(f *fixture) {
	f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.one(f.scan("2", state.PickupDone, 100), state.Accepted)
	f.is("both", f.all(), "1 2")
	f.one(f.scan("1", state.DeliveryBegun, 500), state.Accepted)
	f.is("moved", f.all(), "2 1")
	late := f.one(f.scan("2", state.Detained, 90), state.Accepted)
	f.is("a late scan is a sign of life", f.all(), "1 2")
	if got := silentAll(f, f.store, store.SilentQuery{Before: anyStage(f.clock.Now().Add(time.Hour)), NoToken: true, Limit: 5}); len(got) != 2 ||
		got[1].Stage != state.PickedUp || got[1].Newest.Seq != late.Seq {
		f.Errorf("after a late scan: %+v", got)
	}
	f.one(f.scan("1", state.Signed, 600), state.Accepted)
	f.is("signed", f.all(), "2")
	rejected := f.one(f.scan("1", state.Transit, 700), state.Rejected)
	f.is("what is rejected changes nothing", f.all(), "2")
	f.accept(rejected.Seq)
	f.is("an operator sends it on", f.all(), "2 1")
	f.one(f.scan("3", state.Signed, 700), state.Held)
	f.one(f.scan("4", state.DeliveryBegun, 700), state.Held)
	f.is("held", f.all(), "2 1")
	f.pass(window)
	f.is("one is accepted, and one is at its end", f.all(), "2 1 4")
	f.order(orderOf("9", "5"), "T", true)
	f.one(f.scan("5", state.PickupAssigned, 100), state.Accepted)
	f.is("assigned", f.all(), "2 1 4 5")
	f.cancel("9", cancelOf("c", 200), state.Accepted, state.Void)
	f.is("cancelled", f.all(), "2 1 4")
}

func silentPages(f *fixture) {
	var events []state.Event
	var want []string
	for i := range 200 {
		id := fmt.Sprint(i)
		events = append(events, f.scan(id, state.PickupDone, 100))
		if want = append(want, id); i%3 == 0 {
			events = append(events, f.scan(id, state.DeliveryBegun, 200), f.scan(id, state.Signed, 300))
			want = want[:len(want)-1]
		}
	}
	f.apply(events...)
	q := store.SilentQuery{Before: anyStage(f.clock.Now().Add(time.Hour)), NoToken: true, Limit: 7}
	f.is("all pages", f.silent(q), strings.Join(want, " "))
	page, err := f.store.Silent(f.Context(), q)
	if err != nil || len(page.Items) != q.Limit || page.Next == "" {
		f.Fatalf("the first page: %+v, %v", page, err)
	}
	f.one(f.scan(want[0], state.Transit, 200), state.Accepted)
	f.one(f.scan(want[q.Limit], state.Transit, 200), state.Accepted)
	q.After = page.Next
	f.is("what moved meanwhile is at the end", f.silent(q), strings.Join(append(want[q.Limit+1:], want[0], want[q.Limit]), " "))
}

func silentFilters(f *fixture) {
	f.ready("with", 1)
	f.one(f.scan("without", state.PickupDone, 100), state.Accepted)
	other := f.scan("other", state.PickupDone, 100)
	other.DeliveryID, other.Token = "YTO", "T"
	f.one(other, state.Accepted)
	all := anyStage(f.clock.Now().Add(time.Hour))
	f.is("with a Token", f.silent(store.SilentQuery{Before: all}), "with other")
	f.is("with and without", f.silent(store.SilentQuery{Before: all, NoToken: true}), "with without other")
	f.is("one account", f.silent(store.SilentQuery{Before: all, DeliveryID: "YTO"}), "other")
	f.is("an account that is not there", f.silent(store.SilentQuery{Before: all, DeliveryID: "ZTO"}), "")
	f.token(waybill("without"), "T", true)
	f.expunge("with")
	for range 2 {
		f.is("a new Token, and one that was forgotten", f.silent(store.SilentQuery{Before: all}), "without other")
		f.reopen()
	}
}

func stageAges(f *fixture) {
	begin := f.clock.Now()
	f.ready("1", 1)
	f.clock.advance(time.Hour)
	f.ready("2", 1)
	f.one(f.scan("no-token", state.DeliveryFailed, 100), state.Held)
	other := f.scan("3", state.PickupAssigned, 100)
	other.DeliveryID, other.Token = "YTO", "T"
	f.one(other, state.Accepted)
	at := func(want ...store.StageAge) {
		f.Helper()
		silentAll(f, f.store, store.SilentQuery{Limit: 1}) // It is whole by then.
		got, err := f.store.StageAges(f.Context())
		same := slices.EqualFunc(got, want, func(a, b store.StageAge) bool {
			return a.DeliveryID == b.DeliveryID && a.Stage == b.Stage && a.OldestAt.Equal(b.OldestAt)
		})
		if err != nil || !same {
			f.Errorf("ages: %+v, %v; want %+v", got, err, want)
		}
	}
	stage := f.waybill(waybill("1")).Stage
	yto := store.StageAge{DeliveryID: "YTO", Stage: state.Assigned, OldestAt: begin.Add(time.Hour)}
	at(store.StageAge{DeliveryID: account, Stage: stage, OldestAt: begin}, yto)
	f.one(f.scan("1", state.DeliveryBegun, 9000), state.Accepted)
	f.one(f.scan("1", state.Signed, 9001), state.Accepted)
	f.reopen()
	at(store.StageAge{DeliveryID: account, Stage: stage, OldestAt: begin.Add(time.Hour)}, yto)
}

// silentAtOnce: one call brings a waybill from its first scan to its last, and others only some of the way.
func silentAtOnce(f *fixture) {
	a, b := f.scan("1", state.PickupDone, 100), f.scan("2", state.PickupDone, 100)
	a.Token = "T"
	f.apply(a, b, f.scan("1", state.DeliveryBegun, 200), f.scan("2", state.Transit, 200), f.scan("1", state.Signed, 300), f.scan("3", state.PickupDone, 100))
	f.is("all", f.all(), "2 3")
	f.is("found", f.found("1")+" "+f.found("2")+" "+f.found("3"), "SF/1 SF/2 SF/3")
}
