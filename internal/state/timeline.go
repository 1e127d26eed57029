package state

import (
	"math"
	"slices"
	"time"
)

// Entry is an event as its waybill's timeline keeps it.
type Entry struct {
	Seq     uint64 // The event's number.
	Ord     uint64 // Its place in the order of acceptance; 0 until accepted.
	Type    ActionType
	Time    int64  // action_time, Unix seconds.
	MsgHash uint64 // Tells texts apart (RepeatsEvent).

	Verdict  Verdict // Accepted, Held, Ignored or Rejected: as it stands now.
	Reason   Reason
	Until    int64 // Held: Unix milliseconds until which it waits.
	Late     bool  // Accepted into its place before others.
	Gap      bool  // Accepted although a scan before it is missing.
	Override bool  // Accepted by an operator against the table.
}

// counts tells whether e takes part in the waybill's story.
// What repeats another event word for word never does, nor does what was rejected.
func (e *Entry) counts() bool {
	return e.Verdict == Accepted || e.Verdict == Held || e.Verdict == Ignored && e.Reason == RepeatsStage
}

// before orders entries: by time, then by stage rank, then by arrival.
func (e *Entry) before(other *Entry) bool {
	if e.Time != other.Time {
		return e.Time < other.Time
	}
	if a, b := e.Type.rank(), other.Type.rank(); a != b {
		return a < b
	}
	return e.Seq < other.Seq
}

// step is the stage after e, given the one before it.
//
// What an operator accepted against the table is legal. It can make a step illegal that was accepted after it in time
// and before it by arrival; that one was pushed, so it still leads where it leads: the stage does not move back.
func (e *Entry) step(s Stage) (Stage, Outcome) {
	to, out := Next(s, e.Type)
	if out == Illegal && e.Verdict == Accepted {
		to = target(s, e.Type)
		if e.Override {
			out = Legal
		}
	}
	return to, out
}

// Timeline is a waybill's entries in order of time, stage rank and arrival.
type Timeline []Entry

// Stage folds the accepted entries: what the customer is to see.
func (t Timeline) Stage() Stage {
	s := Created
	for i := range t {
		if t[i].Verdict == Accepted {
			s, _ = t[i].step(s)
		}
	}
	return s
}

// Insert puts e in its place and returns the longer timeline.
func (t Timeline) Insert(e Entry) Timeline { return slices.Insert(t, t.place(&e), e) }

// Find gives the entry with a number, which may be changed in place; nil if there is none.
func (t Timeline) Find(seq uint64) *Entry {
	i := slices.IndexFunc(t, func(e Entry) bool { return e.Seq == seq })
	if i < 0 {
		return nil
	}
	return &t[i]
}

// place is the index that e takes.
func (t Timeline) place(e *Entry) int {
	i := len(t)
	for i > 0 && e.before(&t[i-1]) {
		i--
	}
	return i
}

// known finds an entry that says the same as e, word for word, and takes part in the story.
func (t Timeline) known(e *Entry) (uint64, bool) {
	for i := range t {
		x := &t[i]
		if x.counts() && x.Type == e.Type && x.Time == e.Time && x.MsgHash == e.MsgHash {
			return x.Seq, true
		}
	}
	return 0, false
}

// NextDeadline is the earliest moment, in Unix milliseconds, at which a held entry waits no longer; 0 if none is held.
func (t Timeline) NextDeadline() int64 {
	var at int64
	for i := range t {
		if t[i].Verdict == Held && (at == 0 || t[i].Until < at) {
			at = t[i].Until
		}
	}
	return at
}

// Head is all that must be remembered of a timeline to decide an event that comes in order of time.
type Head struct {
	Stage Stage
	Type  ActionType // of the newest accepted entry; 0 if there is none
	Time  int64      // of the newest accepted entry
	// Plain says that nothing is held and nothing was ignored for repeating a stage,
	// so that an event in order can neither release nor revive another.
	Plain bool
}

// Head sums t up.
func (t Timeline) Head() Head {
	h := Head{Stage: t.Stage(), Plain: true}
	for i := range t {
		switch {
		case t[i].Verdict == Accepted:
			h.Type, h.Time = t[i].Type, t[i].Time
		case t[i].counts():
			h.Plain = false
		}
	}
	return h
}

// After tells whether an event of type a at time at comes after everything that h sums up.
func (h Head) after(a ActionType, at int64) bool {
	return h.Type == 0 || at > h.Time || at == h.Time && a.rank() > h.Type.rank()
}

// Decision is what an event means for its waybill.
type Decision struct {
	Entry Entry // The event as the timeline keeps it: Verdict, Reason, Late, Gap, Until.
	Stage Stage // The waybill's stage afterwards.

	// Changed are other entries whose verdict changed, as they are now, in order of time:
	// held ones that are accepted (or turned out to repeat a stage, or to contradict what an operator accepted),
	// ignored ones that mean something now. They are accepted after Entry, in this order.
	Changed []Entry

	From    Stage        // Rejected: the stage at the event's time.
	Allowed []ActionType // Rejected: what would have been legal at the event's place; never nil then.
	Cause   uint64       // The event that put the waybill there, that it repeats, or that it contradicts; 0 if none.
}

// Machine decides events. It is a value without state.
type Machine struct {
	// ReorderWindow is how long an event that implies a missing scan waits for it; 0 does not wait.
	ReorderWindow time.Duration
}

// DecideInOrder is Decide for the common case, without the timeline: an event after all others of a plain
// timeline, legal, with nothing missing. ok is false when the timeline is needed.
func (m Machine) DecideInOrder(h Head, e Entry) (d Decision, after Head, ok bool) {
	if !h.Plain || !h.after(e.Type, e.Time) {
		return Decision{}, h, false
	}
	to, out := Next(h.Stage, e.Type)
	if out != Legal {
		return Decision{}, h, false
	}
	e.Verdict = Accepted
	return Decision{Entry: e, Stage: to}, Head{Stage: to, Type: e.Type, Time: e.Time, Plain: true}, true
}

// Decide takes a new event into t. It needs Seq, Type, Time and MsgHash of e and returns the timeline with e in
// its place. t itself may be changed. now is in Unix milliseconds.
//
// A held entry before e whose time is up is left to Expire, and e waits behind it: what changes with e is accepted
// after e, and the order of time must hold.
func (m Machine) Decide(t Timeline, e Entry, now int64) (Timeline, Decision) {
	at := t.place(&e)
	if cause, ok := t.known(&e); ok {
		e.Verdict, e.Reason = Ignored, RepeatsEvent
		return t.keep(at, e, Decision{Cause: cause})
	}
	from, cause := t[:at].all()
	reason, cause := t.verify(at, from, &e, cause)
	switch reason {
	case IllegalStep, ContradictsNext:
		e.Verdict, e.Reason = Rejected, reason
		return t.keep(at, e, Decision{From: from, Allowed: t.allowed(at, from, &e), Cause: cause})
	case RepeatsStage:
		e.Verdict, e.Reason = Ignored, reason
		return t.keep(at, e, Decision{Cause: cause})
	}
	_, out := e.step(from)
	switch {
	case t[at:].hasAccepted():
		// Late: the customer has seen what came after, so waiting for a missing scan would help nobody.
		e.Verdict, e.Late, e.Gap = Accepted, true, out == Gap
	case out == Gap:
		e.Verdict, e.Reason, e.Until = Held, MissingScan, now+m.ReorderWindow.Milliseconds()
	default:
		e.Verdict, e.Reason, e.Until = Held, BehindHeld, now+m.ReorderWindow.Milliseconds()
	}
	t = slices.Insert(t, at, e)
	changed := t.settle(at, now) // It accepts e as well, unless e has to wait.
	d := Decision{Entry: t[at], Stage: t.Stage()}
	for _, x := range changed {
		if x.Seq != e.Seq {
			d.Changed = append(d.Changed, x)
		}
	}
	return t, d
}

// keep inserts e, which changes nothing else, at index at, and completes its decision.
func (t Timeline) keep(at int, e Entry, d Decision) (Timeline, Decision) {
	t = slices.Insert(t, at, e)
	d.Entry, d.Stage = e, t.Stage()
	return t, d
}

// Hasten goes on from a decision by Decide that left its event held in t: the event is accepted at once, in t itself, and what
// is held before it too, as if their time were up.
func (m Machine) Hasten(t Timeline, d Decision) Decision {
	own := d.Entry.Seq
	for _, e := range m.Expire(t, math.MaxInt64) {
		if e.Seq != own {
			d.Changed = append(d.Changed, e)
		}
	}
	d.Entry, d.Stage = *t.Find(own), t.Stage()
	return d
}

// Expire accepts, in t itself, what has waited long enough, and returns the entries whose verdict changed in the
// order in which they are accepted. now is in Unix milliseconds.
func (m Machine) Expire(t Timeline, now int64) []Entry { return t.settle(0, now) }

// Override accepts, in t itself, a rejected entry against the table, as an operator decided. It returns the entries whose
// verdict changed in the order in which they are accepted, that one first; nil if there is no such entry or it was not
// rejected. now is in Unix milliseconds.
func (m Machine) Override(t Timeline, seq uint64, now int64) (changed []Entry) {
	i := slices.IndexFunc(t, func(e Entry) bool { return e.Seq == seq && e.Verdict == Rejected })
	if i < 0 {
		return nil
	}
	e := &t[i]
	e.Verdict, e.Reason, e.Override = Accepted, 0, true
	e.Late = t[i+1:].hasAccepted()
	return append([]Entry{*e}, t.settle(0, now)...)
}

// all is the stage with held entries counted as if they were accepted, and the event that led there.
// Held events are known facts: what contradicts them is rejected, whatever arrives first.
func (t Timeline) all() (Stage, uint64) {
	s, cause := Created, uint64(0)
	for i := range t {
		if !t[i].counts() {
			continue
		}
		if to, out := t[i].step(s); out == Legal || out == Gap || to != s {
			s, cause = to, t[i].Seq
		}
	}
	return s, cause
}

// verify says why e can't stand at index at, where the stage is from; 0 if it can. cause put the waybill there.
// It blames e only for steps that are not illegal without e: an operator may have allowed some.
func (t Timeline) verify(at int, from Stage, e *Entry, cause uint64) (Reason, uint64) {
	s, out := e.step(from)
	switch out {
	case Illegal:
		return IllegalStep, cause
	case Repeat:
		return RepeatsStage, cause
	}
	without := from
	for i := at; i < len(t); i++ {
		x := &t[i]
		if !x.counts() {
			continue
		}
		was, wasOut := x.step(without)
		to, out := x.step(s)
		// What was ignored was not pushed, so it can't be contradicted.
		if out == Illegal && wasOut != Illegal && x.Verdict != Ignored {
			return ContradictsNext, x.Seq
		}
		without, s = was, to
	}
	return 0, 0
}

// allowed lists the codes that would be legal at index at.
func (t Timeline) allowed(at int, from Stage, e *Entry) []ActionType {
	allowed := []ActionType{}
	for _, a := range Allowed(from) {
		x := *e
		x.Type = a
		if reason, _ := t.verify(at, from, &x, 0); reason == 0 {
			allowed = append(allowed, a)
		}
	}
	return allowed
}

func (t Timeline) hasAccepted() bool {
	return slices.ContainsFunc(t, func(e Entry) bool { return e.Verdict == Accepted })
}

// settle walks t in order and gives every entry the verdict that it has by now; it returns those that changed.
// A held entry is accepted when nothing before it is missing, or when it, or one after it, has waited long enough;
// the latter holds only from index first on.
func (t Timeline) settle(first int, now int64) []Entry {
	var changed []Entry
	s, blocked := Created, false
	for i := range t {
		x := &t[i]
		if !x.counts() {
			continue
		}
		to, out := x.step(s)
		switch {
		case x.Verdict == Accepted:
			s = to
			continue
		case x.Verdict == Ignored && (blocked || out != Legal):
			continue
		case blocked || out == Gap && (i < first || !t[i:].expired(now)):
			blocked = true
			s = to // As if accepted, so that those after it are judged by what they add.
			continue
		case out == Repeat:
			x.Verdict, x.Reason = Ignored, RepeatsStage
		case out == Illegal:
			// Decide lets nothing in that makes it so, but an operator may.
			x.Verdict, x.Reason = Rejected, IllegalStep
		default:
			x.Verdict, x.Reason, x.Gap = Accepted, 0, out == Gap
			x.Late = t[i+1:].hasAccepted()
		}
		x.Until = 0
		s = to
		changed = append(changed, *x)
	}
	return changed
}

// expired tells whether a held entry of t has waited long enough.
func (t Timeline) expired(now int64) bool {
	return slices.ContainsFunc(t, func(e Entry) bool { return e.Verdict == Held && e.Until <= now })
}
