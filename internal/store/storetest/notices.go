package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

var noticeTests = map[string]func(*fixture){
	"every end leaves one":                  noticeEveryEnd,
	"every field is right":                  noticeFields,
	"a rejected event leaves one":           noticeRejected,
	"a held event that becomes rejected":    noticeHeldRejected,
	"a push that went on is told as it was": noticeOfThePast,
	"expunged events are told":              noticeExpunged,
	"what is told is gone for good":         noticeTold,
	"pages":                                 noticePages,
	"numbers go on after a restart":         noticeNumbers,
	"whoever tells is woken":                noticeWakes,
	"where nobody is told":                  noticeOff,
	"retention leaves what is not told":     noticeRetention,
	"retention where nobody is told":        noticeRetentionOff,
	"ends of many at once":                  noticeMany,
	"on a closed store":                     noticeClosed,
}

// readNotices reads all that wait, limit at a time, and sees that they are in order.
func readNotices(ctx context.Context, s store.Store, limit int) (all []store.Notice, err error) {
	after := uint64(0)
	for {
		page, err := s.Notices(ctx, after, limit)
		if err != nil || len(page) == 0 {
			return all, err
		}
		if len(page) > limit {
			return all, fmt.Errorf("%d notices on a page of %d", len(page), limit)
		}
		for i := range page {
			if page[i].Number <= after {
				return all, fmt.Errorf("notice %d comes after %d", page[i].Number, after)
			}
			after = page[i].Number
		}
		all = append(all, page...)
	}
}

// ending is an end as a test expects it.
type ending struct {
	seq    uint64
	nth    int
	status store.Status
	reason string
}

// ends expects the notices that wait; within a commit they may come in any order but that of one event's.
func (f *fixture) ends(want ...ending) []store.Notice {
	f.Helper()
	notices := f.notices()
	got := make([]ending, len(notices))
	for i, n := range notices {
		got[i] = ending{n.Seq, n.Nth, n.Status, n.Reason}
	}
	bySeq := func(a, b ending) int { return cmp.Compare(a.seq, b.seq) }
	slices.SortStableFunc(got, bySeq)
	slices.SortStableFunc(want, bySeq)
	if !slices.Equal(got, want) {
		f.Errorf("the ends are\n%v, want\n%v", got, want)
	}
	return notices
}

func sameNotices(a, b []store.Notice) bool {
	return slices.EqualFunc(a, b, func(a, b store.Notice) bool {
		if !a.At.Equal(b.At) || !a.ReceivedAt.Equal(b.ReceivedAt) {
			return false
		}
		a.At, a.ReceivedAt = b.At, b.ReceivedAt
		return reflect.DeepEqual(a, b)
	})
}

func noticeFields(f *fixture) {
	f.untold = true
	w := waybill("1")
	first, second := f.scan("1", state.PickupDone, 100), f.scan("1", state.Transit, 200)
	first.Token, first.Trace = "TOKEN", traceparent
	came := f.clock.Now()
	a, b := f.one(first, state.Accepted), f.one(second, state.Accepted)
	f.clock.advance(time.Second)
	f.fail(w, a.Seq, store.ReasonRefused, 9300526, false)
	f.clock.advance(time.Second)
	f.settle(store.Outcome{Seq: b.Seq, Waybill: w, Status: store.Delivered, Attempt: f.attempt(0), Tries: 2})
	f.replay(a.Seq, false)
	f.clock.advance(time.Second)
	blind := store.Attempt{At: f.clock.Now(), Errmsg: "no answer in 10s", Scope: "upstream", Unknown: true}
	f.settle(store.Outcome{Seq: a.Seq, Waybill: w, Status: store.Failed, Reason: store.ReasonExhausted, Attempt: &blind, Tries: 7})

	first.Token, first.Msg, second.Msg = "", "", ""
	want := []store.Notice{
		{
			Seq: a.Seq, Nth: 1, At: came.Add(time.Second), Status: store.Failed, Event: first, ReceivedAt: came, Tries: 3,
			Errcode: 9300526, Reason: store.ReasonRefused,
		},
		{Seq: b.Seq, Nth: 1, At: came.Add(2 * time.Second), Status: store.Delivered, Event: second, ReceivedAt: came, Tries: 2},
		{
			Seq: a.Seq, Nth: 2, At: came.Add(3 * time.Second), Status: store.Failed, Event: first, ReceivedAt: came, Tries: 7,
			Errmsg: blind.Errmsg, Reason: store.ReasonExhausted, Replay: 1,
		},
	}
	for range 2 {
		got := f.notices()
		for i := range want {
			want[i].Number = got[min(i, len(got)-1)].Number
		}
		if !sameNotices(got, want) {
			f.Errorf("the notices are\n%+v, want\n%+v", got, want)
		}
		f.reopen()
	}
}

func noticeRejected(f *fixture) {
	f.untold = true
	w, n := f.ready("1", 2) // A pickup at 100 and a hub at 101.
	e := f.scan("1", state.PickupDone, 900)
	e.Trace = traceparent
	r := f.one(e, state.Rejected)
	f.one(e, state.Duplicate)
	changed := e
	changed.Msg += "!"
	f.one(changed, state.Conflict)
	contradicts := f.one(f.scan("1", state.Signed, 100), state.Rejected)
	e.Msg = ""
	want := store.Notice{
		Seq: r.Seq, Nth: 1, At: f.clock.Now(), Event: e, ReceivedAt: f.clock.Now(), Reason: "illegal_transition",
		From: state.InTransit, Allowed: r.Allowed, Cause: n[1],
	}
	got := f.ends(
		ending{r.Seq, 1, store.NoPush, "illegal_transition"}, ending{contradicts.Seq, 1, store.NoPush, "contradicts_later_event"},
	)
	if want.Number = got[0].Number; !sameNotices(got[:1], []store.Notice{want}) {
		f.Errorf("the notice is\n%+v, want\n%+v", got[0], want)
	}
	if got[1].Cause != n[1] || !slices.Equal(got[1].Allowed, contradicts.Allowed) {
		f.Errorf("the notice is\n%+v, the answer was\n%+v", got[1], contradicts)
	}
	// An override does not change what it was rejected for; the end of its push is the second.
	f.accept(r.Seq)
	f.deliver(w, r.Seq)
	got = f.ends(
		ending{r.Seq, 1, store.NoPush, "illegal_transition"}, ending{contradicts.Seq, 1, store.NoPush, "contradicts_later_event"},
		ending{r.Seq, 2, store.Delivered, ""},
	)
	if !sameNotices(got[:1], []store.Notice{want}) || got[2].Allowed != nil || got[2].From != 0 || got[2].Cause != 0 {
		f.Errorf("after the override:\n%+v", got)
	}
}

func noticeHeldRejected(f *fixture) {
	f.untold = true
	w := waybill("1")
	f.token(w, "T", true)
	held := f.one(f.scan("1", state.Signed, 500), state.Held)
	r := f.one(f.scan("1", state.Cancelled, 400), state.Rejected)
	f.told(f.ends(ending{r.Seq, 1, store.NoPush, "contradicts_later_event"})[0].Number)
	f.clock.advance(time.Second)
	f.accept(r.Seq)
	n := f.ends(ending{held.Seq, 1, store.NoPush, "illegal_transition"})
	if n[0].Allowed != nil || n[0].From != 0 || n[0].Cause != 0 || !n[0].At.Equal(f.clock.Now()) {
		f.Errorf("the notice: %+v", n[0])
	}
	// That one can be taken as well.
	f.accept(held.Seq)
	f.deliver(w, r.Seq)
	f.reopen()
	f.deliver(w, held.Seq)
	f.ends(
		ending{held.Seq, 1, store.NoPush, "illegal_transition"}, ending{r.Seq, 2, store.Delivered, ""}, ending{held.Seq, 2, store.Delivered, ""},
	)
}

// noticeOfThePast sees that what came after an end does not show in its notice.
func noticeOfThePast(f *fixture) {
	f.untold = true
	w, n := f.ready("1", 1)
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	if got := f.notices()[0]; got.Errmsg != "the upstream's words" {
		f.Errorf("the notice: %+v, want upstream's words", got)
	}
	f.replay(n[0], false)
	other := f.attempt(-1)
	other.Errmsg = "other words"
	f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Pending, Attempt: other, Tries: 1})
	if got := f.notices()[0]; got.Errmsg != "" || got.Errcode != 47001 || got.Tries != 3 || got.Reason != store.ReasonRefused {
		f.Errorf("while it is pending again: %+v", got)
	}
	f.settle(store.Outcome{Seq: n[0], Waybill: w, Status: store.Failed, Reason: store.ReasonExhausted, Attempt: other, Tries: 2})
	got := f.ends(ending{n[0], 1, store.Failed, store.ReasonRefused}, ending{n[0], 2, store.Failed, store.ReasonExhausted})
	if got[0].Errmsg != "" || got[0].Errcode != 47001 || got[1].Errmsg != "other words" || got[1].Errcode != -1 {
		f.Errorf("the notices: %+v", got)
	}
	// An answer that comes after the end is not what it ended with.
	v, m := f.ready("2", 1)
	f.settle(store.Outcome{Seq: m[0], Waybill: v, Status: store.Pending, Attempt: f.attempt(-1), Tries: 1})
	f.discard(m[0])
	f.fail(v, m[0], store.ReasonRefused, 47001, false)
	if got := f.notices()[2]; got.Errcode != -1 || got.Errmsg != "" {
		f.Errorf("the notice: %+v, want what upstream answered last before", got)
	}
}

func noticeExpunged(f *fixture) {
	f.untold = true
	w, n := f.ready("1", 2)
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	f.deliver(w, n[1])
	f.expunge("1")
	for range 2 {
		for _, got := range f.ends(
			ending{n[0], 1, store.Failed, store.ReasonRefused}, ending{n[1], 1, store.Delivered, ""},
			ending{n[0], 2, store.Discarded, store.ReasonExpunged},
		) {
			if got.Event.Msg != "" || got.Errmsg != "" || got.Event.WaybillID != "1" || got.Event.ID == "" {
				f.Errorf("the notice: %+v", got)
			}
		}
		f.reopen()
	}
}

func noticeTold(f *fixture) {
	f.untold = true
	w, n := f.ready("1", 4)
	for _, seq := range n[:3] {
		f.clock.advance(time.Second)
		f.deliver(w, seq)
	}
	all := f.notices()
	f.told(all[1].Number)
	for range 2 {
		f.ends(ending{n[2], 1, store.Delivered, ""})
		f.told(all[0].Number) // Told long ago.
		f.told(0)
		f.reopen()
	}
	// What was not shown is not forgotten, whatever number is told.
	f.told(1 << 62)
	f.ends()
	f.deliver(w, n[3])
	got := f.ends(ending{n[3], 1, store.Delivered, ""})
	if got[0].Number <= all[2].Number {
		f.Errorf("the number %d comes after %d", got[0].Number, all[2].Number)
	}
}

func noticePages(f *fixture) {
	f.untold = true
	w, n := f.ready("1", 7)
	for _, seq := range n {
		f.deliver(w, seq)
	}
	all := f.notices()
	for _, limit := range []int{1, 2, 7, 8, store.MaxLimit, 1 << 30} {
		got, err := readNotices(f.Context(), f.store, limit)
		if err != nil || !sameNotices(got, all) {
			f.Errorf("%d at a time: %+v, %v; want %+v", limit, got, err, all)
		}
	}
	f.told(all[2].Number)
	for _, c := range []struct {
		name  string
		after uint64
		want  []store.Notice
	}{
		{"after none", 0, all[3:]}, {"after one that was told", all[0].Number, all[3:]}, {"after one that was not", all[4].Number, all[5:]},
		{"after the last", all[6].Number, nil}, {"after all there will be", 1 << 62, nil},
	} {
		if got, err := f.store.Notices(f.Context(), c.after, 100); err != nil || !sameNotices(got, c.want) {
			f.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

func noticeNumbers(f *fixture) {
	f.untold = true
	w, n := f.ready("1", 6)
	last := uint64(0)
	for i, seq := range n {
		f.deliver(w, seq)
		got := f.ends(ending{seq, 1, store.Delivered, ""})[0].Number
		if got <= last {
			f.Errorf("the number %d comes after %d", got, last)
		}
		last = got
		f.told(got)
		if i%2 == 0 {
			f.reopen() // With nothing left that has a number.
		}
		f.ends()
	}
}

func noticeWakes(f *fixture) {
	f.untold = true
	w, n := f.ready("1", 2)
	f.wasNotified(0)
	for i, act := range []func(){
		func() { f.deliver(w, n[0]) },
		func() { f.one(f.scan("1", state.Cancelled, 900), state.Rejected) },
		func() { f.discard(n[1]) },
	} {
		act()
		f.wasNotified(int64(i + 1))
	}
	f.told(f.notices()[2].Number)
	f.one(f.scan("2", state.PickupDone, 100), state.Accepted)
	f.wasNotified(3)
}

// wasNotified sees that Notify was called so often by the time that whoever made the end hears of it.
func (f *fixture) wasNotified(want int64) {
	f.Helper()
	if got := f.notified.Load(); got != want {
		f.Errorf("Notify was called %d times, want %d", got, want)
	}
}

func noticeMany(f *fixture) {
	f.untold = true
	const waybills, scans = 20, 10
	want := map[uint64]bool{}
	done := make(chan error, waybills*scans)
	for i := range waybills {
		w, n := f.ready(fmt.Sprint(i), scans)
		for _, seq := range n {
			want[seq] = true
			f.store.Settle(store.Outcome{Seq: seq, Waybill: w, Status: store.Delivered, Attempt: f.attempt(0)}, func(err error) { done <- err })
		}
	}
	read, after := 0, uint64(0)
	for n := 0; read < waybills*scans; {
		select {
		case err := <-done:
			if err != nil {
				f.Fatalf("Settle: %v", err)
			}
			n++
		default:
		}
		page, err := f.store.Notices(f.Context(), after, 7)
		if err != nil {
			f.Fatalf("Notices: %v", err)
		}
		for _, notice := range page {
			if !want[notice.Seq] || notice.Number <= after {
				f.Fatalf("after %d comes %+v", after, notice)
			}
			delete(want, notice.Seq)
			after = notice.Number
		}
		if read += len(page); len(page) > 0 {
			f.told(after)
		}
		if n == waybills*scans && len(page) == 0 && read < n {
			f.Fatalf("all %d have ended, and %d notices came", n, read)
		}
	}
	f.ends()
}

func noticeClosed(f *fixture) {
	f.untold = true
	w, n := f.ready("1", 1)
	f.deliver(w, n[0])
	if err := f.store.Close(); err != nil {
		f.Fatalf("Close: %v", err)
	}
	if got, err := f.store.Notices(f.Context(), 0, 10); !errors.Is(err, store.ErrUnavailable) {
		f.Errorf("Notices: %+v, %v; want ErrUnavailable", got, err)
	}
	if err := f.store.Told(f.Context(), 1); !errors.Is(err, store.ErrUnavailable) {
		f.Errorf("Told: %v, want ErrUnavailable", err)
	}
	f.store = f.open(f.T, "store", f.opts)
	f.ends(ending{n[0], 1, store.Delivered, ""})
}
