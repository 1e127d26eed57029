package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var byHandTests = map[string]func(*fixture){
	"every verb on everything":                     everyVerb,
	"a discarded push leaves the lane":             discardLeaves,
	"a discard says why":                           discardReason,
	"a failed push that is discarded":              discardFailed,
	"a push that is discarded while in flight":     discardInFlight,
	"a discard survives a restart":                 discardSurvives,
	"a retry that need not wait":                   retryNow,
	"what a retry does not concern":                retryNot,
	"a frozen waybill takes scans and sends none":  freezeHolds,
	"a thaw lets the waybill go":                   freezeThaws,
	"a freeze is kept once":                        freezeOnce,
	"a waybill that nobody knows can't be frozen":  freezeUnknown,
	"frozen and parked at the same time":           freezeParked,
	"a freeze outlives restarts and the retention": freezeOutlives,
	"an override of the newest event":              acceptNewest,
	"an override before others goes last":          acceptLate,
	"an override without a Token waits for one":    acceptWithoutToken,
	"an override releases what is held":            acceptReleases,
	"an override contradicts what is held":         acceptContradicts,
	"an override survives a restart":               acceptSurvives,
	"why an event was rejected":                    rejectedWhy,
	"many people at the same moment":               actsAtOnce,
	"a closed store refuses":                       actsClosed,
}

// settling is how far the clock must move after a replay of many pushes was made, for what ends then to be later.
const settling = 5 * time.Millisecond

// case of an event or a push that a verb is tried on. The errors are what each verb is to answer.
type verbCase struct {
	name                                   string
	make                                   func(f *fixture, id string) uint64
	discard, retry, accept, replay, forced error
}

func verbCases() []verbCase {
	state409, none := store.ErrState, error(nil)
	return []verbCase{
		{"pending", makePending, none, state409, state409, state409, state409},
		{"without a Token", makeNoToken, none, state409, state409, state409, state409},
		{"to be tried again", makeRetry, none, none, state409, state409, state409},
		{"to be tried again by now", makeRetryDue, none, state409, state409, state409, state409},
		{"to be tried again, frozen", makeRetryFrozen, none, state409, state409, state409, state409},
		{"to be tried again, parked", makeRetryParked, none, state409, state409, state409, state409},
		{"to be tried again, behind another", makeRetryBehind, none, state409, state409, state409, state409},
		{"delivered", makeDelivered, state409, state409, state409, state409, none},
		{"failed", makeFailed, none, state409, state409, none, none},
		{"discarded", makeDiscarded, state409, state409, state409, none, none},
		{"held", makeHeld, state409, state409, state409, state409, state409},
		{"ignored", makeIgnored, state409, state409, state409, state409, state409},
		{"rejected", makeRejected, state409, state409, none, state409, state409},
		{"not there", func(*fixture, string) uint64 { return 4711 },
			store.ErrNotFound, store.ErrNotFound, store.ErrNotFound, store.ErrNotFound, store.ErrNotFound},
	}
}

func makePending(f *fixture, id string) uint64 { _, n := f.ready(id, 1); return n[0] }

func makeNoToken(f *fixture, id string) uint64 {
	return f.one(f.scan(id, state.PickupDone, 100), state.Accepted).Seq
}

// again settles a push as to be tried again after a while.
func (f *fixture) again(w state.Waybill, seq uint64, wait time.Duration) {
	f.Helper()
	f.settle(store.Outcome{
		Seq: seq, Waybill: w, Status: store.Pending, Attempt: f.attempt(-1), Tries: 1, Used: time.Second,
		NextAt: f.clock.Now().Add(wait),
	})
}

func makeRetry(f *fixture, id string) uint64 {
	w, n := f.ready(id, 2)
	f.again(w, n[0], time.Minute)
	return n[0]
}

func makeRetryDue(f *fixture, id string) uint64 {
	w, n := f.ready(id, 1)
	f.again(w, n[0], 0)
	return n[0]
}

func makeRetryFrozen(f *fixture, id string) uint64 {
	seq := makeRetry(f, id)
	f.freeze(waybill(id), true, true)
	return seq
}

func makeRetryParked(f *fixture, id string) uint64 {
	w, n := f.ready(id, 2)
	f.again(w, n[0], time.Minute)
	f.fail(w, n[1], store.ReasonToken, 40199, true)
	return n[0]
}

func makeRetryBehind(f *fixture, id string) uint64 {
	w, n := f.ready(id, 2)
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	f.again(w, n[1], time.Minute)
	f.replay(n[0], false)
	return n[1]
}

func makeDelivered(f *fixture, id string) uint64 {
	w, n := f.ready(id, 1)
	f.deliver(w, n[0])
	return n[0]
}

func makeFailed(f *fixture, id string) uint64 {
	w, n := f.ready(id, 1)
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	return n[0]
}

func makeDiscarded(f *fixture, id string) uint64 {
	w, n := f.ready(id, 1)
	f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Discarded, Reason: store.ReasonOperator})
	return n[0]
}

func makeHeld(f *fixture, id string) uint64 {
	return f.one(f.scan(id, state.Signed, 100), state.Held).Seq
}

func makeIgnored(f *fixture, id string) uint64 {
	f.one(f.scan(id, state.PickupDone, 100), state.Accepted)
	return f.one(f.scan(id, state.PickupDone, 110), state.Ignored).Seq
}

func makeRejected(f *fixture, id string) uint64 {
	f.ready(id, 1)
	return f.one(f.scan(id, state.Cancelled, 900), state.Rejected).Seq
}

// everyVerb tries each verb on each case: what it answers, and that an error changes nothing at all.
func everyVerb(f *fixture) {
	ctx := f.Context()
	verbs := []struct {
		name string
		do   func(uint64) error
		want func(*verbCase) error
		to   store.Status // Of the push, if it works.
	}{
		{"discard", func(n uint64) error { _, err := f.store.Discard(ctx, n, by(store.ActDiscard)); return err },
			func(c *verbCase) error { return c.discard }, store.Discarded},
		{"retry", func(n uint64) error { _, err := f.store.RetryNow(ctx, n, by(store.ActRetry)); return err },
			func(c *verbCase) error { return c.retry }, store.Pending},
		{"accept", func(n uint64) error { _, err := f.store.Accept(ctx, n, by(store.ActAccept)); return err },
			func(c *verbCase) error { return c.accept }, store.Pending},
		{"replay", func(n uint64) error { _, err := f.store.Replay(ctx, n, false, by(store.ActReplay)); return err },
			func(c *verbCase) error { return c.replay }, store.Pending},
		{"replay by force", func(n uint64) error { _, err := f.store.Replay(ctx, n, true, by(store.ActReplay)); return err },
			func(c *verbCase) error { return c.forced }, store.Pending},
	}
	ids := 0
	for _, c := range verbCases() {
		for _, v := range verbs {
			ids++
			name, id := v.name+" of one that is "+c.name, fmt.Sprint(ids)
			seq := c.make(f, id)
			f.fed()
			before := f.look(id, seq)
			err := v.do(seq)
			if want := v.want(&c); !errors.Is(err, want) {
				f.Errorf("%s: %v, want %v", name, err, want)
				continue
			}
			after := f.look(id, seq)
			switch {
			case err != nil && !reflect.DeepEqual(before, after):
				f.Errorf("%s answered %v and changed what is kept: %q", name, err, changed(before, after))
			case err == nil && after.push.Status != v.to:
				f.Errorf("%s: the push is %s, want %s", name, after.push.Status, v.to)
			case err == nil && after.audited != before.audited+1:
				f.Errorf("%s left %d entries in the audit log, want one", name, after.audited-before.audited)
			case err == nil && after.fed != 1:
				f.Errorf("%s was fed %d times, want once", name, after.fed)
			}
		}
	}
}

// sight is all that an act may change.
type sight struct {
	push    store.Push
	lane    []uint64
	story   store.Waybill
	counts  map[string]map[store.Status]int64
	held    int64
	audited int
	replays int
	fed     int // Changes since the last look.
}

// changed names the fields of a sight that differ.
func changed(a, b sight) (names []string) {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if was, is := fmt.Sprintf("%+v", x.Field(i)), fmt.Sprintf("%+v", y.Field(i)); was != is {
			names = append(names, fmt.Sprintf("%s was %s and is %s", x.Type().Field(i).Name, was, is))
		}
	}
	return names
}

func (f *fixture) look(id string, seq uint64) sight {
	f.Helper()
	st := f.store.Stats()
	s := sight{counts: st.Pushes, held: st.Held, audited: len(f.audit(store.AuditQuery{})), fed: len(f.fed())}
	s.lane = seqs(f.lane(waybill(id)).Pushes)
	page, err := f.store.ListReplays(f.Context(), 0, store.MaxLimit)
	if err != nil {
		f.Fatalf("ListReplays: %v", err)
	}
	s.replays = len(page.Items)
	if seq == 4711 {
		return s
	}
	s.push, s.story = f.push(seq), f.waybill(waybill(id))
	return s
}

func (f *fixture) discard(seq uint64) store.Push {
	f.Helper()
	p, err := f.store.Discard(f.Context(), seq, by(store.ActDiscard))
	if err != nil {
		f.Fatalf("Discard(%d): %v", seq, err)
	}
	return p
}

func discardLeaves(f *fixture) {
	w, n := f.ready("1", 3)
	f.again(w, n[0], time.Minute)
	f.fed()
	f.clock.advance(time.Second)
	p := f.discard(n[0])
	want := f.push(n[0])
	if !reflect.DeepEqual(p, want) {
		f.Errorf("answered:\n%+v, kept:\n%+v", p, want)
	}
	if p.Status != store.Discarded || !p.DoneAt.Equal(f.clock.Now()) || !p.NextAt.IsZero() || len(p.Attempts) != 1 || p.WaitingFor != "" {
		f.Errorf("discarded: %+v", p)
	}
	if c := f.fed(); len(c) != 1 || !c[0].Reload || c[0].Blocked || c[0].Waybill != w {
		f.Errorf("the discard was fed as %+v, want one Reload", c)
	}
	f.openPushes(w, n[1], n[2])
	f.discard(n[2])
	f.openPushes(w, n[1])
	f.discard(n[1])
	f.openPushes(w)
	if st := f.store.Stats().Pushes[account]; st[store.Discarded] != 3 || st[store.Pending] != 0 {
		f.Errorf("counted: %v", st)
	}
	f.expect("discarded", f.pushes(store.Query{Status: store.Discarded}), n...)
	f.fed()
	next := f.one(f.scan("1", state.Transit, 900), state.Accepted)
	if c := f.fed(); len(c) != 1 || !c[0].Whole {
		f.Errorf("after all were discarded, a new push was fed as %+v, want Whole", c)
	}
	f.openPushes(w, next.Seq)
}

func discardReason(f *fixture) {
	_, n := f.ready("1", 2)
	f.discard(n[0])
	f.status(n[0], store.Discarded, by("").Reason)
	if _, err := f.store.Discard(f.Context(), n[1], store.Act{By: "ops", Action: store.ActSkip}); err != nil {
		f.Fatalf("Discard: %v", err)
	}
	f.status(n[1], store.Discarded, store.ReasonOperator)
}

func discardFailed(f *fixture) {
	w, n := f.ready("1", 2)
	f.fail(w, n[0], store.ReasonToken, 9300507, true)
	f.clock.advance(time.Second)
	if p := f.discard(n[0]); !p.DoneAt.Equal(f.clock.Now()) || len(p.Attempts) != 1 {
		f.Errorf("discarded: %+v", p)
	}
	f.expect("failed", f.pushes(store.Query{Status: store.Failed}))
	f.expect("discarded", f.pushes(store.Query{Status: store.Discarded}), n[0])
	if !f.openPushes(w, n[1]).Parked {
		f.Error("the Token is still refused, but the waybill is not parked")
	}
	f.token(w, "BETTER", true)
	f.openPushes(w, n[1]) // What is discarded stays so, also when a better Token comes.
	if st := f.store.Stats().Pushes[account]; st[store.Discarded] != 1 || st[store.Failed] != 0 || st[store.Pending] != 1 {
		f.Errorf("counted: %v", st)
	}
}

func discardInFlight(f *fixture) {
	w, n := f.ready("1", 3)
	for _, seq := range n {
		f.discard(seq)
	}
	// Answers that come after it: upstream took it; upstream refused it for good; upstream is to be asked again.
	f.deliver(w, n[0])
	f.fail(w, n[1], store.ReasonToken, 9300507, true)
	f.again(w, n[2], time.Minute)
	f.status(n[0], store.Delivered, "")
	for _, seq := range n[1:] {
		if p := f.status(seq, store.Discarded, by("").Reason); len(p.Attempts) != 1 || !p.NextAt.IsZero() {
			f.Errorf("its last attempt: %+v", p)
		}
	}
	if lane := f.openPushes(w); lane.Parked {
		f.Error("a refusal of what is discarded parked the waybill")
	}
	if st := f.store.Stats().Pushes[account]; st[store.Delivered] != 1 || st[store.Discarded] != 2 || st[store.Pending] != 0 {
		f.Errorf("counted: %v", st)
	}
}

func discardSurvives(f *fixture) {
	w, n := f.ready("1", 2)
	bare := makeNoToken(f, "2")
	f.discard(n[0])
	f.discard(bare)
	before := f.push(n[0])
	f.reopen()
	if after := f.push(n[0]); !reflect.DeepEqual(before, after) {
		f.Errorf("after a restart:\n%+v, before:\n%+v", after, before)
	}
	f.openPushes(w, n[1])
	f.openPushes(waybill("2"))
	f.pass(2 * noTokenWait)
	f.status(bare, store.Discarded, by("").Reason)
	f.check()
}

func retryNow(f *fixture) {
	w, n := f.ready("1", 2)
	f.again(w, n[0], time.Hour)
	f.fed()
	p, err := f.store.RetryNow(f.Context(), n[0], by(store.ActRetry))
	if err != nil {
		f.Fatalf("RetryNow: %v", err)
	}
	if !p.NextAt.IsZero() || p.Status != store.Pending || p.Tries != 1 || p.Used != time.Second || len(p.Attempts) != 1 {
		f.Errorf("answered: %+v, want only its wait gone", p)
	}
	if c := f.fed(); len(c) != 1 || !c[0].Reload || c[0].Blocked {
		f.Errorf("fed as %+v, want one Reload", c)
	}
	for range 2 {
		lane := f.openPushes(w, n...)
		if got := lane.Pushes[0]; !got.NextAt.IsZero() || got.Tries != 1 {
			f.Errorf("in the lane: %+v", got)
		}
		f.reopen()
	}
}

func retryNot(f *fixture) {
	// A push that waits for its next attempt, and for an earlier one of its waybill.
	seq := makeRetryBehind(f, "1")
	first := f.lane(waybill("1")).Pushes[0].Seq
	if _, err := f.store.RetryNow(f.Context(), seq, by(store.ActRetry)); !errors.Is(err, store.ErrState) {
		f.Errorf("behind another: %v, want ErrState", err)
	}
	f.deliver(waybill("1"), first)
	if _, err := f.store.RetryNow(f.Context(), seq, by(store.ActRetry)); err != nil {
		f.Errorf("as the first: %v", err)
	}
}

func (f *fixture) freeze(w state.Waybill, frozen, want bool) {
	f.Helper()
	action := store.ActFreeze
	if !frozen {
		action = store.ActThaw
	}
	changed, err := f.store.Freeze(f.Context(), w, frozen, by(action))
	if err != nil || changed != want {
		f.Fatalf("Freeze(%s, %v): changed %v, err %v; want changed %v", w, frozen, changed, err, want)
	}
}

func freezeHolds(f *fixture) {
	w, n := f.ready("1", 1)
	f.fed()
	f.freeze(w, true, true)
	if c := f.fed(); len(c) != 1 || !c[0].Reload || !c[0].Blocked || c[0].Waybill != w {
		f.Errorf("the freeze was fed as %+v, want one Reload, blocked", c)
	}
	held := f.one(f.scan("1", state.Signed, 900), state.Held)
	next := f.one(f.scan("1", state.Transit, 500), state.Accepted)
	late := f.one(f.scan("1", state.PickupAssigned, 50), state.Accepted)
	f.pass(window)
	for _, c := range f.fed() {
		if !c.Blocked {
			f.Errorf("a push of a frozen waybill was fed as sendable: %+v", c)
		}
	}
	if lane := f.openPushes(w, n[0], next.Seq, late.Seq, held.Seq); !lane.Frozen || lane.Parked || !lane.Blocked() {
		f.Errorf("the lane: %+v", lane)
	}
	story := f.waybill(w)
	if !story.Frozen || story.Parked || story.Held.By != "ops" || story.Held.Reason != by("").Reason || story.Stage != state.Delivered {
		f.Errorf("the story: %+v", story)
	}
	// What was in flight when the waybill was frozen still ends, and can be put right by hand.
	f.deliver(w, n[0])
	f.fail(w, next.Seq, store.ReasonRefused, 47001, false)
	f.replay(next.Seq, false)
	f.discard(late.Seq)
	if lane := f.openPushes(w, next.Seq, held.Seq); !lane.Frozen {
		f.Error("a replay has thawed the waybill")
	}
	f.token(w, "NEWER", true)
	if lane := f.openPushes(w, next.Seq, held.Seq); !lane.Frozen {
		f.Error("a Token has thawed the waybill")
	}
}

func freezeThaws(f *fixture) {
	w, n := f.ready("1", 2)
	f.freeze(w, true, true)
	f.pass(time.Second)
	f.fed()
	f.freeze(w, false, true)
	if c := f.fed(); len(c) != 1 || !c[0].Reload || c[0].Blocked {
		f.Errorf("the thaw was fed as %+v, want one Reload, not blocked", c)
	}
	for range 2 {
		if lane := f.openPushes(w, n...); lane.Frozen || lane.Blocked() {
			f.Errorf("the lane is blocked: %+v", lane)
		}
		if story := f.waybill(w); story.Frozen || story.Held != (store.Hold{}) {
			f.Errorf("the story: frozen %v, %+v", story.Frozen, story.Held)
		}
		if got := f.sweep(account); !slices.Equal(got, []string{"1"}) {
			f.Errorf("the sweep lists %v", got)
		}
		f.reopen()
	}
}

func freezeOnce(f *fixture) {
	w, _ := f.ready("1", 1)
	f.freeze(w, false, false)
	f.freeze(w, true, true)
	since := f.clock.Now()
	f.clock.advance(time.Hour)
	f.fed()
	changed, err := f.store.Freeze(f.Context(), w, true, store.Act{By: "night", Action: store.ActFreeze, Reason: "another"})
	if changed || err != nil {
		f.Errorf("a second freeze: changed %v, err %v", changed, err)
	}
	if got := f.waybill(w).Held; !got.Since.Equal(since) || got.By != "ops" || got.Reason != by("").Reason {
		f.Errorf("after it: %+v, want the first one", got)
	}
	if c := f.fed(); len(c) != 0 {
		f.Errorf("it was fed as %+v", c)
	}
	if got := f.audit(store.AuditQuery{}); len(got) != 1 {
		f.Errorf("the audit log has %d entries, want one", len(got))
	}
}

func freezeUnknown(f *fixture) {
	for _, frozen := range []bool{true, false} {
		changed, err := f.store.Freeze(f.Context(), waybill("1"), frozen, by(store.ActFreeze))
		if changed || !errors.Is(err, store.ErrNotFound) {
			f.Errorf("Freeze(%v): changed %v, err %v; want ErrNotFound", frozen, changed, err)
		}
	}
	f.token(waybill("1"), "T", true)
	f.freeze(waybill("1"), true, true)
	f.one(f.scan("2", state.Signed, 100), state.Held)
	f.freeze(waybill("2"), true, true)
	r := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	for range 2 {
		if lane := f.openPushes(waybill("1"), r.Seq); !lane.Frozen {
			f.Error("a waybill that was frozen before its first event is not frozen")
		}
		f.reopen()
	}
}

func freezeParked(f *fixture) {
	flags := func(id string, frozen, parked bool) {
		f.Helper()
		lane, story := f.lane(waybill(id)), f.waybill(waybill(id))
		if lane.Frozen != frozen || story.Frozen != frozen || (story.Held != store.Hold{}) != frozen {
			f.Errorf("waybill %s: frozen %v, %v, %+v; want %v", id, lane.Frozen, story.Frozen, story.Held, frozen)
		}
		if lane.Parked != parked || story.Parked != parked || lane.Blocked() != (frozen || parked) {
			f.Errorf("waybill %s: parked %v, %v, blocked %v; want %v", id, lane.Parked, story.Parked, lane.Blocked(), parked)
		}
	}
	for i, unpark := range []func(w state.Waybill, failed uint64){
		func(w state.Waybill, _ uint64) { f.token(w, "BETTER", true) },
		func(_ state.Waybill, failed uint64) { f.replay(failed, false) },
	} {
		first, second := fmt.Sprint("a", i), fmt.Sprint("b", i)
		w, n := f.ready(first, 2)
		f.fail(w, n[0], store.ReasonToken, 9300507, true)
		f.freeze(w, true, true)
		flags(first, true, true)
		f.fed()
		unpark(w, n[0])
		if c := f.fed(); len(c) != 1 || !c[0].Blocked {
			f.Errorf("what unparks a frozen waybill was fed as %+v, want blocked", c)
		}
		flags(first, true, false)
		f.freeze(w, false, true)
		flags(first, false, false)

		v, m := f.ready(second, 2)
		f.freeze(v, true, true)
		f.fail(v, m[0], store.ReasonToken, 9300507, true)
		f.reopen()
		f.fed()
		f.freeze(v, false, true)
		if c := f.fed(); len(c) != 1 || !c[0].Blocked {
			f.Errorf("the thaw of a parked waybill was fed as %+v, want blocked", c)
		}
		flags(second, false, true)
		unpark(v, m[0])
		flags(second, false, false)
		f.openPushes(v, m...)
		f.reopen()
		flags(first, false, false)
		flags(second, false, false)
	}
}

func freezeOutlives(f *fixture) {
	f.keepFor(keep)
	w, n := f.ready("frozen", 1)
	f.freeze(w, true, true)
	held := f.waybill(w).Held
	f.deliver(w, n[0])
	f.pass(2 * keep)
	f.reopen()
	f.pass(keep)
	story := f.waybill(w)
	if !story.Frozen || !story.Held.Since.Equal(held.Since) || story.Held.By != held.By || story.Held.Reason != held.Reason {
		f.Errorf("after the retention: %+v, want %+v", story.Held, held)
	}
	f.status(n[0], store.Delivered, "")
	f.freeze(w, false, true)
	f.pass(time.Hour)
	if _, err := f.store.Waybill(f.Context(), w); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("thawed, and old: %v, want ErrNotFound", err)
	}
	f.check()
	if e := f.scan("frozen", state.PickupDone, 100); f.one(e, state.Accepted).Seq == 0 || f.lane(w).Frozen {
		f.Error("a waybill that comes again is frozen")
	}
}

func (f *fixture) accept(seq uint64) store.Event {
	f.Helper()
	e, err := f.store.Accept(f.Context(), seq, by(store.ActAccept))
	if err != nil {
		f.Fatalf("Accept(%d): %v", seq, err)
	}
	return e
}

func acceptNewest(f *fixture) {
	w, n := f.ready("1", 1)
	f.deliver(w, n[0])
	r := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.clock.advance(time.Hour)
	f.fed()
	e := f.accept(r.Seq)
	if want := f.event(w, r.Seq); !reflect.DeepEqual(e, want) {
		f.Errorf("answered:\n%+v, kept:\n%+v", e, want)
	}
	if e.Verdict != state.Accepted || e.First != state.Rejected || !e.Override || e.Reason != 0 || e.Late || e.Status != store.Pending {
		f.Errorf("accepted: %+v", e)
	}
	c := f.fed()
	if len(c) != 1 || !c[0].Whole || c[0].Token != "TOKEN" || c[0].Blocked || !slices.Equal(seqs(c[0].Added), []uint64{r.Seq}) {
		f.Fatalf("fed: %+v", c)
	}
	p := f.openPushes(w, r.Seq).Pushes[0]
	if !reflect.DeepEqual(c[0].Added[0], p) {
		f.Errorf("fed:\n%+v, in the lane:\n%+v", c[0].Added[0], p)
	}
	if p.Ord <= r.Seq || !p.OpenedAt.Equal(f.clock.Now()) || p.Replay != 0 || p.Bulk {
		f.Errorf("its push: %+v, want an ord above %d and that it became pending now", p, r.Seq)
	}
	if story := f.waybill(w); story.Stage != state.Void {
		f.Errorf("the stage is %s", story.Stage)
	}
	if st := f.store.Stats(); st.Events[state.Rejected] != 1 || st.Events[state.Accepted] != 1 || st.Pushes[account][store.Pending] != 1 {
		f.Errorf("counted: %v %v; events are counted by their first verdict", st.Events, st.Pushes)
	}
	f.expect("rejected", f.events(store.Query{Verdict: state.Rejected}))
	f.expect("accepted", f.events(store.Query{Verdict: state.Accepted}), n[0], r.Seq)
	next := f.one(f.scan("2", state.PickupDone, 1), state.Accepted)
	if next.Seq <= p.Ord {
		f.Errorf("the number %d was given again after ord %d", next.Seq, p.Ord)
	}
}

func acceptLate(f *fixture) {
	w, n := f.ready("1", 3) // At 100, 101 and 102.
	r := f.one(f.scan("1", state.Cancelled, 100), state.Rejected)
	after := f.one(f.scan("1", state.DeliveryBegun, 500), state.Accepted)
	f.fed()
	if e := f.accept(r.Seq); !e.Late || !e.Override {
		f.Errorf("accepted: %+v, want late", e)
	}
	if c := f.fed(); len(c) != 1 || c[0].Whole || c[0].Reload || !slices.Equal(seqs(c[0].Added), []uint64{r.Seq}) {
		f.Errorf("fed: %+v, want one more push at the end", c)
	}
	f.openPushes(w, append(n, after.Seq, r.Seq)...) // By acceptance, not by time.
	story := f.waybill(w)
	if story.Stage != state.OutForDelivery || story.Timeline[1].Event.Seq != r.Seq {
		f.Errorf("stage %s, and second in the timeline is %d", story.Stage, story.Timeline[1].Event.Seq)
	}
	f.one(f.scan("1", state.Signed, 600), state.Accepted)
}

func acceptWithoutToken(f *fixture) {
	w := waybill("1")
	f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	r := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.pass(2 * noTokenWait) // Longer ago than a push waits for its Token.
	f.accept(r.Seq)
	f.pass(noTokenWait - time.Millisecond)
	f.status(r.Seq, store.Pending, "")
	f.pass(time.Millisecond)
	f.status(r.Seq, store.Failed, store.ReasonNoToken)
	f.token(w, "T", true)
	f.status(r.Seq, store.Pending, "")
}

func acceptReleases(f *fixture) {
	// Two pickups: the second meant nothing, until the order goes back to a courier between them.
	w := waybill("1")
	f.token(w, "T", true)
	first := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	again := f.one(f.scan("1", state.PickupDone, 300), state.Ignored)
	r := f.one(f.scan("1", state.PickupAssigned, 200), state.Rejected)
	last := f.one(f.scan("1", state.Transit, 400), state.Accepted)
	f.fed()
	f.accept(r.Seq)
	if c := f.fed(); len(c) != 1 || !slices.Equal(seqs(c[0].Added), []uint64{r.Seq, again.Seq}) {
		f.Errorf("fed: %+v, want the override and what it gives a meaning to", c)
	}
	f.openPushes(w, first.Seq, last.Seq, r.Seq, again.Seq)
	if e := f.event(w, again.Seq); e.Verdict != state.Accepted || e.First != state.Ignored || e.Override || !e.Late {
		f.Errorf("ignored before: %+v, want accepted, late", e)
	}

	// What is still held goes behind it, once its time is up or the missing scan comes.
	v := waybill("2")
	f.token(v, "T", true)
	early := f.one(f.scan("2", state.PickupDone, 100), state.Accepted)
	held := f.one(f.scan("2", state.Signed, 900), state.Held)
	back := f.one(f.scan("2", state.PickupAssigned, 200), state.Rejected)
	f.accept(back.Seq)
	f.heldCount(1)
	f.openPushes(v, early.Seq, back.Seq)
	f.check()
	f.pass(window)
	f.heldCount(0)
	f.openPushes(v, early.Seq, back.Seq, held.Seq)
	if got := f.waybill(v).Stage; got != state.Delivered {
		f.Errorf("the stage is %s", got)
	}
	f.reopen()
	f.openPushes(v, early.Seq, back.Seq, held.Seq)
}

func acceptContradicts(f *fixture) {
	w := waybill("1")
	f.token(w, "T", true)
	held := f.one(f.scan("1", state.Signed, 500), state.Held)
	r := f.one(f.scan("1", state.Cancelled, 400), state.Rejected)
	if r.Reason != state.ContradictsNext || r.Cause != held.Seq {
		f.Errorf("rejected: %+v, want because of event %d", r, held.Seq)
	}
	f.fed()
	f.accept(r.Seq)
	if c := f.fed(); len(c) != 1 || !slices.Equal(seqs(c[0].Added), []uint64{r.Seq}) {
		f.Errorf("fed: %+v, want the override alone", c)
	}
	f.heldCount(0)
	f.check()
	f.pass(window)
	f.openPushes(w, r.Seq)
	e := f.event(w, held.Seq)
	if e.Verdict != state.Rejected || e.First != state.Held || !e.HeldUntil.IsZero() || e.Allowed != nil {
		f.Errorf("held before: %+v, want rejected now", e)
	}
	// That one can be taken as well.
	if e := f.accept(held.Seq); e.Verdict != state.Accepted || e.First != state.Held || !e.Override {
		f.Errorf("accepted: %+v", e)
	}
	f.openPushes(w, r.Seq, held.Seq)
	if _, err := f.store.Accept(f.Context(), held.Seq, by(store.ActAccept)); !errors.Is(err, store.ErrState) {
		f.Errorf("again: %v, want ErrState", err)
	}
}

func acceptSurvives(f *fixture) {
	w, n := f.ready("1", 2)
	f.deliver(w, n[0])
	f.deliver(w, n[1])
	r := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	f.pass(time.Second)
	f.accept(r.Seq)
	before := f.event(w, r.Seq)
	for range 2 {
		f.reopen()
		f.openPushes(w, r.Seq)
		if after := f.event(w, r.Seq); !reflect.DeepEqual(before, after) {
			f.Errorf("after a restart:\n%+v, before:\n%+v", after, before)
		}
		if got := f.sweep(account); !slices.Equal(got, []string{"1"}) {
			f.Errorf("the sweep lists %v", got)
		}
	}
	f.one(f.scan("1", state.Transit, 950), state.Rejected) // The story goes on from where the operator has put it.
	f.deliver(w, r.Seq)
	f.reopen()
	f.openPushes(w)
}

func rejectedWhy(f *fixture) {
	w, n := f.ready("1", 2) // A pickup at 100 and a hub at 101.
	illegal := f.one(f.scan("1", state.PickupDone, 900), state.Rejected)
	contradicts := f.one(f.scan("1", state.Signed, 100), state.Rejected)
	repeats := f.one(f.scan("2", state.PickupDone, 100), state.Accepted)
	ignored := f.one(f.scan("2", state.PickupDone, 110), state.Ignored)
	v := waybill("3")
	f.one(f.scan("3", state.Cancelled, 100), state.Accepted)
	nothing := f.one(f.scan("3", state.Transit, 200), state.Rejected)
	if nothing.Allowed == nil {
		f.Error("nothing is allowed, and the list is missing")
	}
	for range 2 {
		e := f.event(w, illegal.Seq)
		if e.From != state.InTransit || e.Cause != n[1] || !slices.Equal(e.Allowed, illegal.Allowed) || len(e.Allowed) == 0 {
			f.Errorf("an illegal step: %+v, want from in_transit because of %d", e, n[1])
		}
		e = f.event(w, contradicts.Seq)
		if e.From != contradicts.From || e.Cause != n[1] || !slices.Equal(e.Allowed, contradicts.Allowed) {
			f.Errorf("one that contradicts: %+v, want as it was answered: %+v", e, contradicts)
		}
		if e := f.event(waybill("2"), ignored.Seq); e.Cause != repeats.Seq || e.Allowed != nil {
			f.Errorf("one that repeats: %+v, want because of %d", e, repeats.Seq)
		}
		if e := f.event(v, nothing.Seq); e.Allowed == nil || len(e.Allowed) != 0 || e.From != state.Void {
			f.Errorf("where nothing is allowed: %+v", e)
		}
		if e := f.event(w, n[0]); e.Cause != 0 || e.Allowed != nil || e.From != 0 {
			f.Errorf("one that was accepted: %+v", e)
		}
		page, err := f.store.Events(f.Context(), store.Query{Verdict: state.Rejected, WaybillID: "1", DeliveryID: account, Limit: 10})
		if err != nil || len(page.Items) != 2 || page.Items[1].Cause != n[1] || !slices.Equal(page.Items[1].Allowed, illegal.Allowed) {
			f.Errorf("in a list: %+v, %v", page.Items, err)
		}
		f.reopen()
	}
	// An override does not forget why it took one.
	f.accept(illegal.Seq)
	if e := f.event(w, illegal.Seq); e.From != state.InTransit || !slices.Equal(e.Allowed, illegal.Allowed) || e.Cause != n[1] {
		f.Errorf("after an override: %+v", e)
	}
}

// actsAtOnce lets many people do the same at once: what each finds is what the one before has left, also within one
// commit.
func actsAtOnce(f *fixture) {
	const people = 40
	w, n := f.ready("1", 3)
	f.fail(w, n[1], store.ReasonRefused, 47001, false)
	f.fail(w, n[2], store.ReasonRefused, 47001, false)
	rejected := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	a, b := f.start(sf()...), f.start(sf()...)
	ctx := f.Context()
	did := func(err error) bool {
		if err != nil && !errors.Is(err, store.ErrState) {
			f.Errorf("at once: %v", err)
		}
		return err == nil
	}
	acts := []struct {
		name string
		do   func(person int) bool
		want int64
	}{
		{"discard", func(int) bool { _, err := f.store.Discard(ctx, n[0], by(store.ActDiscard)); return did(err) }, 1},
		{"replay", func(int) bool { _, err := f.store.Replay(ctx, n[1], false, by(store.ActReplay)); return did(err) }, 1},
		{"accept", func(int) bool { _, err := f.store.Accept(ctx, rejected.Seq, by(store.ActAccept)); return did(err) }, 1},
		{"freeze", func(int) bool {
			changed, err := f.store.Freeze(ctx, w, true, by(store.ActFreeze))
			return did(err) && changed
		}, 1},
		{"step", func(person int) bool {
			id := []uint64{a.ID, b.ID}[person%2]
			_, err := f.store.Requeue(ctx, store.Requeue{Replay: id, Seqs: n[2:], Leg: upTo(n[2])})
			return did(err)
		}, people},
		{"record", func(int) bool { return did(f.store.Record(ctx, store.AuditEntry{Act: by(store.ActProbe)})) }, people},
	}
	worked := make([]atomic.Int64, len(acts))
	var wg sync.WaitGroup
	for person := range people {
		for i := range acts {
			wg.Go(func() {
				if acts[i].do(person) {
					worked[i].Add(1)
				}
			})
		}
	}
	wg.Wait()
	for i := range acts {
		if got := worked[i].Load(); got != acts[i].want {
			f.Errorf("%s worked %d times, want %d", acts[i].name, got, acts[i].want)
		}
	}
	f.status(n[0], store.Discarded, by("").Reason)
	f.openPushes(w, n[1], n[2], rejected.Seq)
	first, second := f.readReplay(a.ID), f.readReplay(b.ID)
	if first.Requeued+second.Requeued != 1 || first.Skipped+second.Skipped != people-1 {
		f.Errorf("two replays took the push %d times and skipped it %d times", first.Requeued+second.Requeued, first.Skipped+second.Skipped)
	}
	entries := f.audit(store.AuditQuery{})
	if len(entries) != 2+4+people {
		f.Errorf("the audit log has %d entries, want %d", len(entries), 2+4+people)
	}
	for i := range entries {
		if want := uint64(len(entries) - i); entries[i].Number != want {
			f.Fatalf("entry %d has number %d", want, entries[i].Number)
		}
	}
}

func actsClosed(f *fixture) {
	w, n := f.ready("1", 1)
	r := f.start(sf()...)
	if err := f.store.Close(); err != nil {
		f.Fatalf("Close: %v", err)
	}
	ctx, act := f.Context(), by(store.ActDiscard)
	_, discard := f.store.Discard(ctx, n[0], act)
	_, retry := f.store.RetryNow(ctx, n[0], act)
	_, freeze := f.store.Freeze(ctx, w, true, act)
	_, accept := f.store.Accept(ctx, n[0], act)
	_, start := f.store.StartReplay(ctx, store.Replay{Legs: sf()}, act)
	_, step := f.store.Requeue(ctx, store.Requeue{Replay: r.ID, Leg: end(9)})
	_, set := f.store.SetReplay(ctx, r.ID, store.ReplayPaused, act)
	for name, err := range map[string]error{
		"Discard": discard, "RetryNow": retry, "Freeze": freeze, "Accept": accept, "StartReplay": start, "Requeue": step,
		"SetReplay": set, "Record": f.store.Record(ctx, store.AuditEntry{Act: act}),
		"PutDeadLetter": f.store.PutDeadLetter(ctx, store.DeadLetter{}),
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			f.Errorf("%s on a closed store: %v, want ErrUnavailable", name, err)
		}
	}
	f.store = f.open(f.T, "store", f.opts)
	f.openPushes(w, n...)
	f.counted(r.ID, store.ReplayRunning, tally{})
	if got := f.audit(store.AuditQuery{}); len(got) != 1 {
		f.Errorf("the audit log has %d entries, want that of the start", len(got))
	}
	if got := f.letters(10); len(got) != 0 {
		f.Errorf("dead letters: %+v", got)
	}
}
