package storetest

import (
	"errors"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// tellNobody opens the store without notices, or with them again.
func (f *fixture) tellNobody(off bool) {
	f.Helper()
	f.opts.Notify = func() { f.notified.Add(1) }
	if off {
		f.opts.Notify = nil
	}
	f.reopen()
}

func noticeOff(f *fixture) {
	f.untold = true
	w, n := f.ready("1", 3)
	f.fail(w, n[0], store.ReasonRefused, 47001, false)
	f.deliver(w, n[1])
	f.tellNobody(true)
	f.replay(n[0], false)
	f.deliver(w, n[0])
	f.replay(n[0], true)
	rejected := f.one(f.scan("1", state.Cancelled, 900), state.Rejected)
	left := f.ends(ending{n[0], 1, store.Failed, store.ReasonRefused}, ending{n[1], 1, store.Delivered, ""})
	f.told(left[0].Number)
	f.ends(ending{n[1], 1, store.Delivered, ""})
	f.tellNobody(false)
	f.deliver(w, n[0])
	f.accept(rejected.Seq)
	f.deliver(w, n[2])
	f.deliver(w, rejected.Seq)
	f.ends( // What ended meanwhile counts, and is not told.
		ending{n[1], 1, store.Delivered, ""}, ending{n[0], 3, store.Delivered, ""}, ending{n[2], 1, store.Delivered, ""},
		ending{rejected.Seq, 2, store.Delivered, ""},
	)
}

func noticeRetention(f *fixture) {
	f.untold = true
	f.keepFor(keep)
	w, n := f.ready("1", 1)
	f.deliver(w, n[0])
	f.clock.advance(time.Second)
	r := f.one(f.scan("2", state.Cancelled, 100), state.Accepted)
	rejected := f.one(f.scan("2", state.Transit, 200), state.Rejected)
	f.token(waybill("2"), "T", true)
	f.deliver(waybill("2"), r.Seq)
	f.clock.advance(time.Second)
	v, m := f.ready("3", 1)
	f.discard(m[0])
	f.pass(2 * keep)
	all := f.ends(
		ending{n[0], 1, store.Delivered, ""}, ending{rejected.Seq, 1, store.NoPush, "illegal_transition"},
		ending{r.Seq, 1, store.Delivered, ""}, ending{m[0], 1, store.Discarded, by("").Reason},
	)
	gone := func(w state.Waybill, want bool) {
		f.Helper()
		_, err := f.store.Waybill(f.Context(), w)
		if got := errors.Is(err, store.ErrNotFound); got != want {
			f.Errorf("waybill %s is gone: %v (%v), want %v", w, got, err, want)
		}
	}
	for i, left := range []struct{ one, two, three bool }{ // After each notice that is told.
		{false, false, false}, {true, false, false}, {true, false, false}, {true, true, false}, {true, true, true},
	} {
		if i > 0 {
			f.told(all[i-1].Number)
		}
		f.pass(time.Minute)
		gone(w, left.one)
		gone(waybill("2"), left.two)
		gone(v, left.three)
		f.check()
	}
}

func noticeRetentionOff(f *fixture) {
	f.untold = true
	f.keepFor(keep)
	w, n := f.ready("1", 1)
	f.deliver(w, n[0])
	f.clock.advance(keep / 2)
	v, m := f.ready("2", 1)
	f.deliver(v, m[0])
	f.tellNobody(true)
	f.pass(keep - time.Millisecond)
	f.ends(ending{m[0], 1, store.Delivered, ""})
	if _, err := f.store.Waybill(f.Context(), w); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("what nobody will be told of is kept: %v", err)
	}
	f.status(m[0], store.Delivered, "")
	f.pass(keep)
	f.ends()
	if _, err := f.store.Waybill(f.Context(), v); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("what nobody will be told of is kept: %v", err)
	}
}
