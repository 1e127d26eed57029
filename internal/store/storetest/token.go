package storetest

import (
	"fmt"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var tokenTests = map[string]func(*fixture){
	"only a new Token changes something":       tokenChanges,
	"a push without a Token waits for one":     tokenReleases,
	"a push gives up waiting for a Token":      tokenNeverCame,
	"many pushes give up at once":              tokenNeverCameMany,
	"a Token that comes late":                  tokenCameLate,
	"a new Token unparks and revives":          tokenUnparks,
	"a new Token forgives refusals":            tokenForgives,
	"an event's Token is registered before it": tokenOfEvent,
	"a Token is known by when it came":         tokenTimes,
}

func tokenChanges(f *fixture) {
	w := waybill("1")
	f.token(w, "A", true)
	f.token(w, "A", false)
	f.token(w, "B", true)
	f.reopen()
	f.token(w, "B", false)
	f.token(w, "A", true)
	for i := range 20 {
		f.token(w, fmt.Sprint(i), true)
	}
	if lane := f.lane(w); lane.Token != "19" {
		f.Errorf("the newest Token is %q", lane.Token)
	}
	if story := f.waybill(w); !story.TokenSet || len(story.Timeline) != 0 || story.Stage != state.Created {
		f.Errorf("a waybill with only a Token: %+v", story)
	}
}

func tokenTimes(f *fixture) {
	w := waybill("1")
	if lane := f.lane(w); !lane.TokenAt.IsZero() {
		f.Errorf("a lane without a Token has one of %v", lane.TokenAt)
	}
	for _, token := range []string{"A", "B"} {
		f.clock.advance(time.Minute)
		came := f.clock.Now().Truncate(time.Millisecond)
		f.token(w, token, true)
		f.clock.advance(time.Minute)
		f.token(w, token, false)
		f.fed()
		r := f.one(f.scan("1", state.PickupAssigned, f.clock.Now().Unix()), state.Accepted)
		if c := f.fed(); len(c) != 1 || c[0].Token != token || !c[0].TokenAt.Equal(came) {
			f.Errorf("fed: %+v, want the Token of %v", c, came)
		}
		for range 2 {
			if lane := f.lane(w); lane.Token != token || !lane.TokenAt.Equal(came) {
				f.Errorf("the lane's Token came at %v, want %v", lane.TokenAt, came)
			}
			if story := f.waybill(w); !story.TokenAt.Equal(came) {
				f.Errorf("the waybill's Token came at %v, want %v", story.TokenAt, came)
			}
			f.reopen()
		}
		f.deliver(w, r.Seq)
	}
}

func tokenReleases(f *fixture) {
	w := waybill("1")
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	b := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	if lane := f.openPushes(w, a.Seq, b.Seq); lane.Token != "" || !lane.Blocked() {
		f.Error("a lane without a Token is not blocked")
	}
	if p := f.push(a.Seq); p.WaitingFor != store.WaitToken {
		f.Errorf("the push waits for %q, want the Token", p.WaitingFor)
	}
	f.fed()
	f.token(w, "T", true)
	if c := f.fed(); len(c) != 1 || !c[0].Reload || c[0].Waybill != w || c[0].Blocked {
		f.Errorf("the Token was fed as %+v, want one Reload", c)
	}
	if lane := f.openPushes(w, a.Seq, b.Seq); lane.Blocked() {
		f.Error("the lane is still blocked")
	}
	if got := f.sweep(account); len(got) != 1 {
		f.Errorf("the sweep lists %v, want the waybill", got)
	}
	f.pass(2 * noTokenWait)
	f.openPushes(w, a.Seq, b.Seq)
	f.reopen()
	f.openPushes(w, a.Seq, b.Seq)
}

func tokenNeverCame(f *fixture) {
	w := waybill("1")
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.clock.advance(time.Minute)
	b := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	f.pass(noTokenWait - time.Minute - time.Millisecond)
	f.openPushes(w, a.Seq, b.Seq)
	f.pass(time.Millisecond)
	f.openPushes(w, b.Seq)
	if p := f.status(a.Seq, store.Failed, store.ReasonNoToken); p.DoneAt.IsZero() || len(p.Attempts) != 0 {
		f.Errorf("given up: %+v", p)
	}
	f.reopen()
	f.pass(time.Minute)
	f.openPushes(w)
	f.status(b.Seq, store.Failed, store.ReasonNoToken)
	if st := f.store.Stats(); st.Pushes[account][store.Failed] != 2 || st.Pushes[account][store.Pending] != 0 {
		f.Errorf("counted: %v", st.Pushes)
	}
}

func tokenNeverCameMany(f *fixture) {
	const n = 1500
	for i := range n / 500 {
		events := make([]state.Event, 500)
		for k := range events {
			events[k] = f.scan(fmt.Sprint(i*500+k), state.PickupDone, 100)
		}
		f.apply(events...)
	}
	f.pass(noTokenWait)
	if got := f.store.Stats().Pushes[account][store.Failed]; got != n {
		f.Errorf("%d failed, want %d", got, n)
	}
}

func tokenCameLate(f *fixture) {
	w := waybill("1")
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.pass(noTokenWait)
	f.status(a.Seq, store.Failed, store.ReasonNoToken)
	f.token(w, "T", true)
	f.status(a.Seq, store.Pending, "")
	f.openPushes(w, a.Seq)
	f.pass(noTokenWait)
	f.openPushes(w, a.Seq)
}

func tokenUnparks(f *fixture) {
	w := waybill("1")
	f.token(w, "BAD", true)
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	b := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	c := f.one(f.scan("1", state.Transit, 300), state.Accepted)
	f.fail(w, a.Seq, store.ReasonRefused, 47001, false)
	f.fail(w, b.Seq, store.ReasonToken, 9300507, true)
	f.reopen()
	if lane := f.openPushes(w, c.Seq); !lane.Parked || !lane.Blocked() || !f.waybill(w).Parked {
		f.Errorf("the waybill is not parked")
	}
	if p := f.push(c.Seq); p.WaitingFor != store.WaitWaybill {
		f.Errorf("a push of a parked waybill waits for %q", p.WaitingFor)
	}
	f.token(w, "BAD", false)
	if !f.lane(w).Parked {
		f.Error("the Token that was refused unparked the waybill")
	}
	f.token(w, "GOOD", true)
	if lane := f.openPushes(w, b.Seq, c.Seq); lane.Parked || lane.Blocked() {
		f.Error("a new Token did not unpark the waybill")
	}
	p := f.status(b.Seq, store.Pending, "")
	if p.Tries != 0 || p.Refusals != 0 || p.Used != 0 || !p.NextAt.IsZero() || !p.DoneAt.IsZero() || len(p.Attempts) != 1 {
		f.Errorf("revived: %+v, want fresh retries and the attempts kept", p)
	}
	f.status(a.Seq, store.Failed, store.ReasonRefused)
}

func tokenForgives(f *fixture) {
	w := waybill("1")
	f.token(w, "BAD", true)
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.settle(store.Outcome{
		Seq: a.Seq, Waybill: w, Status: store.Pending, Attempt: f.attempt(9300507), Tries: 1, Refusals: 1,
		NextAt: f.clock.Now().Add(time.Hour),
	})
	f.token(w, "GOOD", true)
	if p := f.push(a.Seq); p.Refusals != 0 || !p.NextAt.IsZero() || p.Tries != 1 {
		f.Errorf("after a new Token: %+v, want no refusals and no wait", p)
	}
}

func tokenOfEvent(f *fixture) {
	w := waybill("1")
	a := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	e := f.scan("1", state.Transit, 200)
	e.Token = "T"
	f.fed()
	b := f.one(e, state.Accepted)
	if lane := f.openPushes(w, a.Seq, b.Seq); lane.Token != "T" {
		f.Error("the event's Token is not known")
	}
	reload := false
	for _, c := range f.fed() {
		reload = reload || c.Reload
	}
	if !reload {
		f.Error("a Token with an event did not make the lane be read again")
	}
	f.pass(2 * noTokenWait)
	f.openPushes(w, a.Seq, b.Seq)
}
