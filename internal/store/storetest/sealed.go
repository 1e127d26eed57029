package storetest

import (
	"bytes"
	"strings"

	"carrier/internal/state"
	"carrier/internal/store"
)

var sealedTests = map[string]func(*fixture){
	"Tokens under a key":                        sealedKept,
	"keys are changed":                          sealedRotated,
	"a key that is lost stops no other waybill": sealedLost,
	"a new Token heals what is lost":            sealedHealed,
	"an expunged Token needs no key":            sealedExpunged,
}

// key is a key for Tokens.
func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// keys opens the store with some keys for Tokens.
func (f *fixture) keys(keys ...[]byte) {
	f.Helper()
	f.opts.TokenKeys = keys
	f.reopen()
}

func (f *fixture) laneToken(id, want string) {
	f.Helper()
	if lane := f.lane(waybill(id)); lane.Token != want || lane.Blocked() != (want == "") {
		f.Errorf("the Token of %s is %q (blocked: %v), want %q", id, lane.Token, lane.Blocked(), want)
	}
}

func sealedKept(f *fixture) {
	f.token(waybill("plain"), "P", true)
	f.keys(key(1))
	f.token(waybill("1"), "A", true)
	f.token(waybill("1"), "B", true)
	f.order(orderOf("1", "2"), "C", true)
	e := f.scan("3", state.PickupDone, 100)
	e.Token = "D"
	f.one(e, state.Accepted)
	for range 2 {
		for id, want := range map[string]string{"1": "B", "2": "C", "3": "D", "plain": "P"} {
			f.laneToken(id, want)
		}
		f.token(waybill("1"), "B", false)
		f.check()
		f.reopen()
	}
}

func sealedRotated(f *fixture) {
	f.token(waybill("0"), "T0", true)
	f.keys(key(1))
	f.token(waybill("1"), "T1", true)
	f.keys(key(2), key(1))
	f.token(waybill("2"), "T2", true)
	f.token(waybill("1"), "T1", false)
	f.keys(key(3), key(2), key(1))
	for id, want := range map[string]string{"0": "T0", "1": "T1", "2": "T2"} {
		f.laneToken(id, want)
		f.token(waybill(id), "NEW"+id, true)
		f.laneToken(id, "NEW"+id)
	}
	// All is written under the newest by now, so it is enough.
	f.keys(key(3))
	for _, id := range []string{"0", "1", "2"} {
		f.laneToken(id, "NEW"+id)
	}
}

// lose keeps a waybill's Token under a key, and opens the store without that key.
func (f *fixture) lose(id string) store.Result {
	f.Helper()
	f.keys(key(1))
	f.token(waybill(id), "LOST", true)
	r := f.one(f.scan(id, state.PickupDone, 100), state.Accepted)
	f.keys(key(2))
	return r
}

func sealedLost(f *fixture) {
	a := f.lose("1")
	f.fed()
	// One call, so that the one can't stop the other.
	y := f.scan("2", state.PickupDone, 100)
	y.Token = "T"
	r := f.apply(f.scan("1", state.Transit, 200), y)
	for _, x := range r {
		if x.Verdict != state.Accepted {
			f.Errorf("an event is %s", x.Verdict)
		}
	}
	for _, c := range f.fed() {
		if sealed := c.Waybill == waybill("1"); c.Blocked != sealed || sealed && c.Token != "" {
			f.Errorf("fed: %+v", c)
		}
	}
	f.openPushes(waybill("2"), r[1].Seq)
	f.openPushes(waybill("1"), a.Seq, r[0].Seq)
	f.laneToken("1", "")
	if story := f.waybill(waybill("1")); !story.TokenSet || len(story.Timeline) != 2 {
		f.Errorf("the waybill: %+v", story)
	}
	f.pass(2 * noTokenWait)
	f.openPushes(waybill("1"), a.Seq, r[0].Seq)
	report, err := f.store.Check(f.Context())
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "store.key_file") ||
		!strings.Contains(report.Problems[0], "SF/1") {
		f.Errorf("Check: %q, %v", report.Problems, err)
	}
	f.keys(key(2), key(1))
	f.laneToken("1", "LOST")
	f.openPushes(waybill("1"), a.Seq, r[0].Seq)
}

func sealedHealed(f *fixture) {
	a := f.lose("1")
	b := f.one(f.scan("1", state.Transit, 200), state.Accepted)
	f.fed()
	f.token(waybill("1"), "NEW", true)
	if fed := f.fed(); len(fed) != 1 || !fed[0].Reload || fed[0].Blocked {
		f.Errorf("fed: %+v, want one Reload", fed)
	}
	f.laneToken("1", "NEW")
	f.openPushes(waybill("1"), a.Seq, b.Seq)
}

func sealedExpunged(f *fixture) {
	f.lose("1")
	got := f.expunge("1")
	if want := (store.Expunged{Events: 1, Discarded: 1, Tokens: 1}); got != want {
		f.Errorf("expunged %+v, want %+v", got, want)
	}
	f.laneToken("1", "")
}
