package state_test

import (
	"reflect"
	"slices"

	. "carrier/internal/state"

	"pgregory.net/rapid"
)

// desk is one waybill, decided as an engine does it: one event after the other, on a clock that the test moves.
type desk struct {
	t    rapid.TB
	m    Machine
	line Timeline
	now  int64 // Unix milliseconds.
	seq  uint64
	last int64 // action_time of the latest event of bring.
}

func newDesk(t rapid.TB) *desk {
	return &desk{t: t, m: Machine{ReorderWindow: window}, now: 1_700_000_000_000}
}

// send decides an event whose text no other event has.
func (d *desk) send(a ActionType, at int64) Decision { return d.sendMsg(a, at, d.seq+1000) }

// sendMsg decides an event; msg stands for its text.
func (d *desk) sendMsg(a ActionType, at int64, msg uint64) Decision {
	d.t.Helper()
	d.seq++
	before := len(d.line)
	var got Decision
	d.line, got = d.m.Decide(d.line, Entry{Seq: d.seq, Type: a, Time: at, MsgHash: msg}, d.now)
	if len(d.line) != before+1 {
		d.t.Errorf("the timeline has %d entries after %d", len(d.line), before)
	}
	if e := got.Entry; e.Seq != d.seq || e.Type != a || e.Time != at || e.MsgHash != msg {
		d.t.Errorf("event %d came back as %+v", d.seq, e)
	}
	if e := d.entry(d.seq); e != got.Entry {
		d.t.Errorf("the timeline keeps %+v, the decision says %+v", e, got.Entry)
	}
	if s := d.line.Stage(); s != got.Stage {
		d.t.Errorf("the timeline's stage is %s, the decision says %s", s, got.Stage)
	}
	return got
}

// bring leads the waybill into a stage and returns the number of the event that put it there, 0 for none.
func (d *desk) bring(key string) uint64 {
	d.t.Helper()
	for _, a := range wayTo[key] {
		d.last += 60
		if got := d.send(a, d.last); got.Entry.Verdict != Accepted || got.Entry.Gap || got.Entry.Late {
			d.t.Fatalf("on the way to %s: %+v", key, got)
		}
	}
	if got := d.line.Stage().String(); got != key {
		d.t.Fatalf("the stage is %s, want %s", got, key)
	}
	return d.seq
}

// entry is the entry of an event as the timeline has it now.
func (d *desk) entry(seq uint64) Entry {
	d.t.Helper()
	i := slices.IndexFunc(d.line, func(e Entry) bool { return e.Seq == seq })
	if i < 0 {
		d.t.Fatalf("event %d is not in the timeline", seq)
	}
	return d.line[i]
}

// order is the numbers of the timeline's entries from the first to the last.
func (d *desk) order() []uint64 { return seqs(d.line) }

// override accepts a rejected event and returns what else changed.
func (d *desk) override(seq uint64) []Entry {
	d.t.Helper()
	changed := d.m.Override(d.line, seq, d.now)
	if len(changed) == 0 {
		d.t.Fatalf("event %d is %s, not rejected", seq, d.entry(seq).Verdict)
	}
	if e := d.entry(seq); changed[0] != e || e.Verdict != Accepted || !e.Override {
		d.t.Errorf("overridden, event %d is %+v, and changed first is %+v", seq, e, changed[0])
	}
	return changed[1:]
}

// same compares a decision with one whose Entry holds only what was decided.
func (d *desk) same(got, want Decision) {
	d.t.Helper()
	e := got.Entry
	want.Entry.Seq, want.Entry.Type, want.Entry.Time, want.Entry.MsgHash = e.Seq, e.Type, e.Time, e.MsgHash
	d.sameDecision(got, want)
}

func (d *desk) sameDecision(got, want Decision) {
	d.t.Helper()
	if !reflect.DeepEqual(got, want) {
		d.t.Errorf("decided\n got %+v\nwant %+v", got, want)
	}
}

// verdict checks what became of an event, and the stage.
func (d *desk) verdict(got Decision, v Verdict, r Reason, key string) {
	d.t.Helper()
	if got.Entry.Verdict != v || got.Entry.Reason != r || got.Stage.String() != key {
		d.t.Errorf("%d@%d is %s (%s) in stage %s, want %s (%s) in %s", got.Entry.Type, got.Entry.Time,
			got.Entry.Verdict, got.Entry.Reason, got.Stage, v, r, key)
	}
}

func seqs(entries []Entry) []uint64 {
	list := []uint64{}
	for _, e := range entries {
		list = append(list, e.Seq)
	}
	return list
}
