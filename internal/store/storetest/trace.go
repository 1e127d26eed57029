package storetest

import "carrier/internal/state"

var traceTests = map[string]func(*fixture){
	"the trace of an event is kept": traceKept,
	"what is no trace is not kept":  traceNone,
	"a trace makes no other event":  traceIsNoContent,
}

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func traceKept(f *fixture) {
	w := waybill("1")
	f.token(w, "T", true)
	e := f.scan("1", state.PickupDone, 100)
	e.Trace = traceparent
	f.fed()
	a := f.one(e, state.Accepted)
	if c := f.fed(); len(c) != 1 || c[0].Added[0].Event.Trace != traceparent {
		f.Errorf("fed: %+v", c)
	}
	held := f.scan("1", state.Signed, 500)
	held.Trace = traceparent[:53] + "00"
	h := f.one(held, state.Held)
	rejected := f.scan("1", state.Cancelled, 600)
	rejected.Trace = traceparent
	r := f.one(rejected, state.Rejected)
	for range 2 {
		for seq, want := range map[uint64]string{a.Seq: e.Trace, h.Seq: held.Trace, r.Seq: rejected.Trace} {
			if got := f.event(w, seq).Event.Trace; got != want {
				f.Errorf("the trace of event %d is %q, want %q", seq, got, want)
			}
			if got := f.push(seq).Event.Trace; got != want {
				f.Errorf("the trace of push %d is %q, want %q", seq, got, want)
			}
		}
		if got := f.lane(w).Pushes[0].Event.Trace; got != traceparent {
			f.Errorf("in the lane the trace is %q", got)
		}
		if got := f.event(w, r.Seq); got.From != state.Delivered || got.Cause != h.Seq {
			f.Errorf("why it was rejected is not kept beside the trace: %+v", got)
		}
		f.reopen()
	}
	f.expunge("1")
	if got := f.event(w, a.Seq).Event; got.Trace != traceparent || got.Msg != "" {
		f.Errorf("expunged: %+v", got)
	}
}

func traceNone(f *fixture) {
	w := waybill("1")
	for i, trace := range []string{
		"", "x", traceparent[1:], traceparent + "0", "01" + traceparent[2:], "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7001",
	} {
		e := f.scan("1", state.PickupAssigned, int64(100+i))
		e.Trace = trace
		r := f.one(e, state.Accepted)
		if got := f.event(w, r.Seq).Event; got.Trace != "" || got.Msg != e.Msg {
			f.Errorf("with the trace %q it is kept as %+v", trace, got)
		}
	}
}

func traceIsNoContent(f *fixture) {
	e := f.scan("1", state.PickupDone, 100)
	e.Trace = traceparent
	r := f.one(e, state.Accepted)
	for _, trace := range []string{"", traceparent[:53] + "00"} {
		e.Trace = trace
		f.one(e, state.Duplicate)
	}
	if got := f.push(r.Seq).Event.Trace; got != traceparent {
		f.Errorf("the trace is %q now", got)
	}
}
