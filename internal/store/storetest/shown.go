package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var shownTests = map[string]func(*fixture){
	"the newest version is kept":                 shownKept,
	"a repeat and an older one change nothing":   shownOlder,
	"a waybill that is not known otherwise":      shownAlone,
	"waybills whose names begin alike":           shownNames,
	"what can't be kept":                         shownUnfit,
	"many versions at once":                      shownAtOnce,
	"it goes with its waybill":                   shownRetention,
	"what nobody asks about goes too":            shownRetentionAlone,
	"its texts are expunged":                     shownExpunged,
	"old texts that are told anew":               shownExpungedThenTold,
	"expunged before anything was shown":         shownExpungedBefore,
	"when it was expunged is forgotten, in time": shownExpungedRetention,
	"a closed store takes none":                  shownClosed,
}

// shownOf is a version of what is shown, with an action for each time, now.
func (f *fixture) shownOf(version int64, times ...int64) store.Shown {
	s := store.Shown{Version: version, ReceivedAt: f.clock.Now(), OrderID: "order 1"}
	for _, at := range times {
		s.Actions = append(s.Actions, store.ShownAction{Time: at, Type: 300001, Msg: fmt.Sprintf("快件 <%d> & 【18666666666】", at)})
	}
	return s
}

// show keeps what is shown and expects whether that is new.
func (f *fixture) show(id string, s store.Shown, kept bool) {
	f.Helper()
	s.ReceivedAt = time.Time{} // The store gives it.
	got, err := f.store.PutShown(f.Context(), waybill(id), s)
	if err != nil || got != kept {
		f.Fatalf("PutShown(%s, version %d): %v, %v; want %v", id, s.Version, got, err, kept)
	}
}

// shows reads what is shown of a waybill, and compares it.
func (f *fixture) shows(id string, want store.Shown) {
	f.Helper()
	got, err := f.store.Shown(f.Context(), waybill(id))
	if err != nil || !got.ReceivedAt.Equal(want.ReceivedAt) {
		f.Errorf("Shown(%s): received at %s, %v; want %s", id, got.ReceivedAt, err, want.ReceivedAt)
	}
	got.ReceivedAt = want.ReceivedAt
	if !reflect.DeepEqual(got, want) {
		f.Errorf("Shown(%s) is\n%+v, want\n%+v", id, got, want)
	}
}

// showsNothing expects that nothing is known to be shown of a waybill.
func (f *fixture) showsNothing(id string) {
	f.Helper()
	if got, err := f.store.Shown(f.Context(), waybill(id)); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("Shown(%s): %+v, %v; want ErrNotFound", id, got, err)
	}
}

func shownKept(f *fixture) {
	f.showsNothing("1")
	first := f.shownOf(3, 100, 200)
	f.show("1", first, true)
	f.shows("1", first)
	f.clock.advance(time.Hour)
	second := f.shownOf(16, 100)
	second.OrderID, second.Actions[0].Msg = "", ""
	f.show("1", second, true)
	for range 2 {
		f.shows("1", second)
		f.reopen()
	}
	none := f.shownOf(17)
	f.show("1", none, true)
	f.shows("1", none)
}

func shownOlder(f *fixture) {
	first := f.shownOf(0, 100)
	f.show("1", first, true)
	f.show("1", f.shownOf(0, 100, 200), false)
	second := f.shownOf(5, 100, 200)
	f.show("1", second, true)
	f.clock.advance(time.Hour)
	for range 2 {
		for _, version := range []int64{5, 4, 0, -1} {
			f.show("1", f.shownOf(version, 300), false)
			f.shows("1", second)
		}
		f.reopen()
	}
}

// shownAlone: what WeChat tells of a waybill makes it known to nobody else, and nothing waits.
func shownAlone(f *fixture) {
	f.show("1", f.shownOf(1, 100), true)
	if got, err := f.store.Waybill(f.Context(), waybill("1")); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("Waybill: %+v, %v; want ErrNotFound", got, err)
	}
	if _, err := f.store.OrderOf(f.Context(), waybill("1")); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("OrderOf: %v, want ErrNotFound", err)
	}
	r := f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	if p := f.push(r.Seq); p.WaitingFor != store.WaitToken {
		f.Errorf("its first scan waits for %q, want a Token", p.WaitingFor)
	}
	f.shows("1", f.shownOf(1, 100))
}

func shownNames(f *fixture) {
	for i, id := range []string{"1", "10", "2"} {
		f.show(id, f.shownOf(int64(i), 100), true)
	}
	other := state.Waybill{DeliveryID: account + "1", WaybillID: "0"}
	if _, err := f.store.Shown(f.Context(), other); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("another account's: %v, want ErrNotFound", err)
	}
	f.expunge("1")
	for i, id := range []string{"10", "2"} {
		f.shows(id, f.shownOf(int64(i+1), 100))
	}
}

func shownUnfit(f *fixture) {
	most := f.shownOf(1)
	most.Actions = make([]store.ShownAction, store.MaxShownActions)
	most.Actions[7].Msg = strings.Repeat("x", store.MaxShownBytes-len(most.OrderID))
	many, long, longID := most, most, most
	many.Actions = append(many.Actions[:len(many.Actions):len(many.Actions)], store.ShownAction{})
	long.Actions = append([]store.ShownAction{}, most.Actions...)
	long.Actions[0].Msg = "x"
	longID.OrderID += "x"
	for name, c := range map[string]struct {
		w     state.Waybill
		shown store.Shown
	}{
		"too many actions":       {waybill("1"), many},
		"too long texts":         {waybill("1"), long},
		"too long an id":         {waybill("1"), longID},
		"no waybill":             {waybill(""), most},
		"a zero byte":            {waybill("1\x00"), most},
		"no account":             {state.Waybill{WaybillID: "1"}, most},
		"a zero byte in account": {state.Waybill{DeliveryID: "S\x00F", WaybillID: "1"}, most},
		"a very long account":    {state.Waybill{DeliveryID: strings.Repeat("S", 65), WaybillID: "1"}, most},
	} {
		kept, err := f.store.PutShown(f.Context(), c.w, c.shown)
		if kept || !errors.Is(err, store.ErrUnfit) || strings.Contains(err.Error(), "xxx") {
			f.Errorf("%s: %v, %.200v; want ErrUnfit", name, kept, err)
		}
	}
	f.showsNothing("1")
	f.show("1", most, true)
	f.reopen()
	most.ReceivedAt = f.clock.Now()
	f.shows("1", most)
}

// shownAtOnce tells many versions of few waybills at the same time, as an unstable network may: the newest stays.
func shownAtOnce(f *fixture) {
	const versions = 20
	var wg sync.WaitGroup
	for version := range int64(versions) {
		for _, id := range []string{"1", "2"} {
			for range 2 {
				wg.Go(func() {
					if _, err := f.store.PutShown(f.Context(), waybill(id), f.shownOf(version, 100+version)); err != nil {
						f.Errorf("PutShown: %v", err)
					}
				})
			}
		}
	}
	wg.Wait()
	for range 2 {
		for _, id := range []string{"1", "2"} {
			f.shows(id, f.shownOf(versions-1, 100+versions-1))
		}
		f.reopen()
	}
}

func shownRetention(f *fixture) {
	f.keepFor(keep)
	for _, id := range []string{"old", "fresh", "open"} {
		w, n := f.ready(id, 1)
		f.show(id, f.shownOf(1, 100), true)
		if id != "open" {
			f.deliver(w, n[0])
		}
	}
	open := f.shownOf(1, 100)
	f.clock.advance(keep)
	fresh := f.shownOf(2, 100, 200)
	f.show("fresh", fresh, true)
	f.pass(time.Millisecond)
	f.showsNothing("old")
	f.shows("open", open)
	f.shows("fresh", fresh) // Without its scans: it is as young as a Token would be.
	f.pass(keep)
	f.showsNothing("fresh")
	f.shows("open", open)
}

func shownRetentionAlone(f *fixture) {
	f.keepFor(keep)
	f.show("old", f.shownOf(1, 100), true)
	f.show("ordered", f.shownOf(1, 100), true)
	f.clock.advance(time.Hour)
	f.order(orderOf("1", "ordered"), "T", true)
	young := f.shownOf(1, 100)
	f.show("young", young, true)
	f.pass(keep - time.Hour + time.Millisecond)
	f.showsNothing("old")
	f.shows("young", young)
	if _, err := f.store.Shown(f.Context(), waybill("ordered")); err != nil {
		f.Errorf("of a waybill with a young order: %v", err)
	}
	f.pass(time.Hour)
	f.showsNothing("young")
	f.showsNothing("ordered")
}

// expungedShown is s as it is after its texts were forgotten.
func expungedShown(s store.Shown) store.Shown {
	s.Actions = append([]store.ShownAction{}, s.Actions...)
	for i := range s.Actions {
		s.Actions[i].Msg = ""
	}
	return s
}

func shownExpunged(f *fixture) {
	s := f.shownOf(3, 100, 200, f.clock.Now().Unix()+1000)
	f.show("1", s, true)
	if got, want := f.expunge("1"), (store.Expunged{Shown: 3}); got != want {
		f.Errorf("expunged %+v, want %+v", got, want)
	}
	for range 2 {
		f.show("1", s, false)
		f.shows("1", expungedShown(s))
		if got := f.expunge("1"); got != (store.Expunged{}) {
			f.Errorf("the second time it forgets %+v", got)
		}
		f.pass(time.Second)
		f.reopen()
	}
}

// shownExpungedThenTold: each message holds the whole list, with the texts from before.
func shownExpungedThenTold(f *fixture) {
	now := f.clock.Now().Unix()
	f.show("1", f.shownOf(3, 100, now-1), true)
	f.expunge("1")
	f.clock.advance(time.Hour)
	told := f.shownOf(4, 100, now-1, now, now+1, now+3600)
	want := f.shownOf(4, 100, now-1, now, now+1, now+3600)
	for i := range 3 {
		want.Actions[i].Msg = ""
	}
	f.show("1", told, true)
	for range 2 {
		f.shows("1", want)
		f.reopen()
	}
	if got := f.expunge("1"); got != (store.Expunged{Shown: 2}) {
		f.Errorf("what came since: %+v", got)
	}
}

func shownExpungedBefore(f *fixture) {
	f.one(f.scan("1", state.PickupDone, 100), state.Accepted)
	f.expunge("1")
	f.showsNothing("1")
	f.clock.advance(time.Hour)
	f.reopen()
	s := f.shownOf(-1, 100)
	f.show("1", s, true)
	f.shows("1", expungedShown(s))
}

func shownExpungedRetention(f *fixture) {
	f.keepFor(keep)
	f.token(waybill("1"), "T", true)
	f.expunge("1")
	f.pass(keep)
	if _, err := f.store.Expunge(f.Context(), waybill("1"), store.Act{}); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("a waybill of which nothing is left: %v, want ErrNotFound", err)
	}
	f.pass(time.Millisecond)
	s := f.shownOf(1, 100)
	f.show("1", s, true)
	f.shows("1", s)
}

func shownClosed(f *fixture) {
	if err := f.store.Close(); err != nil {
		f.Fatalf("Close: %v", err)
	}
	if _, err := f.store.PutShown(f.Context(), waybill("1"), f.shownOf(1, 100)); !errors.Is(err, store.ErrUnavailable) {
		f.Errorf("PutShown on a closed store: %v, want ErrUnavailable", err)
	}
	f.store = f.open(f.T, "store", f.opts)
	f.showsNothing("1")
}
