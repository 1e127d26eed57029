package state_test

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	. "carrier/internal/state"

	"pgregory.net/rapid"
)

// oracleRank is the order of events of one second.
var oracleRank = map[ActionType]int{
	100003: 1, 100002: 2, 100001: 3, 200001: 4, 300002: 5, 300004: 6, 400002: 7, 300003: 8, 400001: 9,
}

// inTime orders entries by time, rank and arrival.
func inTime(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(oracleRank[a.Type], oracleRank[b.Type]),
		cmp.Compare(a.Seq, b.Seq))
}

// story folds entries in time order with promisedTable. illegal is the first entry that no cell allows.
func story(entries []Entry) (at string, illegal *Entry) {
	at = "created"
	for _, e := range slices.SortedFunc(slices.Values(entries), inTime) {
		c := lookup(at, e.Type)
		if c.out == Illegal && illegal == nil {
			illegal = &e
		}
		at = c.to
	}
	return at, illegal
}

// with picks the entries of some verdicts.
func with(t Timeline, verdicts ...Verdict) []Entry {
	var some []Entry
	for _, e := range t {
		if slices.Contains(verdicts, e.Verdict) {
			some = append(some, e)
		}
	}
	return some
}

// failer is what the tests of properties and the fuzz test have in common.
type failer interface {
	Fatalf(format string, args ...any)
}

// world is an engine in small: one waybill, a clock, and what was pushed so far, in that order. It checks the
// promises after every step.
type world struct {
	t      failer
	m      Machine
	line   Timeline
	now    int64
	seq    uint64
	pushed []Entry
	until  map[uint64]int64 // The deadline that each held event was given when it came.
	lazy   bool             // Expire is late: called only now and then, as a busy engine would.
}

func newWorld(t failer, reorder time.Duration) *world {
	return &world{t: t, m: Machine{ReorderWindow: reorder}, now: 1_700_000_000_000, until: map[uint64]int64{}}
}

// wait moves the clock; unless lazy, deadlines on the way are kept to the millisecond.
func (w *world) wait(d time.Duration) {
	end := w.now + d.Milliseconds()
	for !w.lazy {
		at := w.line.NextDeadline()
		if at == 0 || at > end {
			break
		}
		w.now = max(w.now, at)
		w.expire()
	}
	w.now = end
}

// drain waits until nothing is held any more.
func (w *world) drain() {
	for w.line.NextDeadline() != 0 {
		w.now = max(w.now, w.line.NextDeadline())
		w.expire()
	}
}

func (w *world) expire() {
	before := slices.Clone(w.line)
	changed := w.m.Expire(w.line, w.now)
	w.checkChanged(before, changed)
	for _, e := range w.line {
		if e.Verdict == Held && w.until[e.Seq] <= w.now {
			w.t.Fatalf("event %d should have been decided by %d; it is %d: %+v", e.Seq, w.until[e.Seq], w.now, w.line)
		}
	}
	w.check()
}

func (w *world) send(a ActionType, at int64, msg uint64) Decision {
	w.seq++
	before := slices.Clone(w.line)
	in := Entry{Seq: w.seq, Type: a, Time: at, MsgHash: msg}
	short, after, ok := w.m.DecideInOrder(before.Head(), in)

	var d Decision
	w.line, d = w.m.Decide(w.line, in, w.now)
	if ok && (!reflect.DeepEqual(short, d) || after != w.line.Head()) {
		w.t.Fatalf("DecideInOrder says\n%+v %+v, Decide says\n%+v %+v", short, after, d, w.line.Head())
	}
	if d.Entry.Verdict == Held {
		w.until[w.seq] = w.now + w.m.ReorderWindow.Milliseconds()
		if d.Entry.Until != w.until[w.seq] {
			w.t.Fatalf("held until %d, want %d: %+v", d.Entry.Until, w.until[w.seq], d.Entry)
		}
	}
	w.checkDecision(before, d)
	w.checkChanged(before.Insert(d.Entry), d.Changed)
	w.check()
	return d
}

// checkDecision checks what a decision says of its own event.
func (w *world) checkDecision(before Timeline, d Decision) {
	e := d.Entry
	if d.Stage != w.line.Stage() {
		w.t.Fatalf("decision says stage %s, the timeline %s", d.Stage, w.line.Stage())
	}
	if i := slices.Index(w.line, e); i < 0 {
		w.t.Fatalf("the decision's %+v is not in %+v", e, w.line)
	}
	if (e.Verdict == Rejected) != (d.Allowed != nil) {
		w.t.Fatalf("%s with allowed %#v", e.Verdict, d.Allowed)
	}
	switch e.Verdict {
	case Accepted:
		w.push(e)
	case Held, Ignored, Rejected:
		if e.Reason == 0 || e.Late || e.Gap {
			w.t.Fatalf("not accepted: %+v", e)
		}
	default:
		w.t.Fatalf("no verdict: %+v", e)
	}
	w.checkRejection(before, e)
}

// checkRejection: what is rejected makes an illegal step among what is known, what is accepted or held does not.
// What was ignored is known as well, where it means something.
func (w *world) checkRejection(before Timeline, e Entry) {
	_, illegal := story(append(with(before, Accepted, Held), e))
	ignored := slices.ContainsFunc(before, func(x Entry) bool { return x.Reason == RepeatsStage })
	switch {
	case (e.Verdict == Accepted || e.Verdict == Held) && illegal != nil:
		w.t.Fatalf("%+v is %s, but makes %+v illegal", e, e.Verdict, *illegal)
	case e.Verdict == Rejected && illegal == nil && !ignored:
		w.t.Fatalf("%+v is rejected, but all is legal with it: %+v", e, before)
	}
}

// checkChanged checks that changed is what changed, and nothing else did, and that it is in order of time.
func (w *world) checkChanged(before Timeline, changed []Entry) {
	if !slices.IsSortedFunc(changed, inTime) {
		w.t.Fatalf("changed out of order: %+v", changed)
	}
	told := map[uint64]Entry{}
	for _, e := range changed {
		told[e.Seq] = e
		if e.Verdict == Accepted {
			w.push(e)
		}
	}
	if len(before) != len(w.line) {
		w.t.Fatalf("%d entries became %d", len(before), len(w.line))
	}
	for i, was := range before {
		want, changes := told[was.Seq]
		if !changes {
			want = was
		} else if was.Verdict == want.Verdict || was.Verdict == Accepted {
			w.t.Fatalf("%+v became %+v", was, want)
		}
		if w.line[i] != want {
			w.t.Fatalf("the timeline has %+v, want %+v", w.line[i], want)
		}
	}
}

// push notes an accepted event. Each is accepted once, and marked late exactly if a newer one was accepted before it.
func (w *world) push(e Entry) {
	late := false
	for _, p := range w.pushed {
		if p.Seq == e.Seq {
			w.t.Fatalf("event %d is accepted twice", e.Seq)
		}
		late = late || inTime(e, p) < 0
	}
	if e.Late != late {
		w.t.Fatalf("%+v says late %v after %+v", e, e.Late, w.pushed)
	}
	if e.Until != 0 || e.Reason != 0 {
		w.t.Fatalf("accepted, but %+v", e)
	}
	w.pushed = append(w.pushed, e)
}

// check checks what holds of every timeline.
func (w *world) check() {
	if !slices.IsSortedFunc(w.line, inTime) {
		w.t.Fatalf("out of order: %+v", w.line)
	}
	accepted := with(w.line, Accepted)
	at, illegal := story(accepted)
	if illegal != nil {
		w.t.Fatalf("%+v is accepted but illegal: %+v", *illegal, accepted)
	}
	if got := w.line.Stage().String(); got != at {
		w.t.Fatalf("the stage is %s, the story leads to %s", got, at)
	}
	if len(accepted) != len(w.pushed) {
		w.t.Fatalf("%d are accepted, %d were told of", len(accepted), len(w.pushed))
	}
	var next int64
	for _, e := range with(w.line, Held) {
		if next == 0 || e.Until < next {
			next = e.Until
		}
	}
	if got := w.line.NextDeadline(); got != next {
		w.t.Fatalf("NextDeadline is %d, want %d", got, next)
	}
}

var reorderWindows = rapid.SampledFrom([]time.Duration{0, time.Second, window, time.Hour})

// walk draws a legal timeline: a random walk over the cells whose outcome is in outcomes, at increasing times.
func walk(t *rapid.T, outcomes ...Outcome) []Entry {
	var steps []Entry
	at, now := "created", int64(1000)
	for i := range rapid.IntRange(1, 12).Draw(t, "length") {
		var options []cell
		for _, c := range cells {
			if c.from == at && slices.Contains(outcomes, c.out) {
				options = append(options, c)
			}
		}
		if len(options) == 0 {
			break
		}
		c := rapid.SampledFrom(options).Draw(t, "step")
		now += rapid.Int64Range(1, 100).Draw(t, "seconds")
		steps = append(steps, Entry{Type: c.event, Time: now, MsgHash: uint64(i)})
		at = c.to
	}
	return steps
}

// arrive sends steps in an order of its own, lets every window pass, and returns the msg of what was accepted.
func arrive(t *rapid.T, w *world, steps []Entry) map[uint64]bool {
	for _, e := range steps {
		w.wait(time.Duration(rapid.Int64Range(0, int64(3*time.Minute)).Draw(t, "pause")))
		if d := w.send(e.Type, e.Time, e.MsgHash); d.Entry.Verdict == Rejected {
			t.Fatalf("%+v of a legal timeline is rejected: %+v", e, d)
		}
	}
	w.drain()
	accepted := map[uint64]bool{}
	for _, e := range with(w.line, Accepted) {
		accepted[e.MsgHash] = true
	}
	return accepted
}

func TestAnyOrderOfArrivalEndsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := walk(t, Legal, Gap)
		reorder := reorderWindows.Draw(t, "window")
		inOrder, shuffled := newWorld(t, reorder), newWorld(t, reorder)
		want := arrive(t, inOrder, steps)
		shuffled.lazy = rapid.Bool().Draw(t, "lazy")
		got := arrive(t, shuffled, rapid.Permutation(steps).Draw(t, "arrival"))
		if len(want) != len(steps) || !reflect.DeepEqual(got, want) {
			t.Fatalf("accepted %v, in order %v, of %d", got, want, len(steps))
		}
		if a, b := shuffled.line.Stage(), inOrder.line.Stage(); a != b {
			t.Fatalf("ends in %s, in order in %s", a, b)
		}
	})
}

// TestAnyOrderOfArrivalEndsTheSameWithRepeats: with repeats in the timeline the stage is the same again. What repeats
// a stage is accepted only where it came before what it repeats, and so was pushed before anybody could know.
func TestAnyOrderOfArrivalEndsTheSameWithRepeats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := walk(t, Legal, Gap, Repeat)
		reorder := reorderWindows.Draw(t, "window")
		inOrder, shuffled := newWorld(t, reorder), newWorld(t, reorder)
		want := arrive(t, inOrder, steps)
		shuffled.lazy = rapid.Bool().Draw(t, "lazy")
		got := arrive(t, shuffled, rapid.Permutation(steps).Draw(t, "arrival"))
		for msg := range want {
			if !got[msg] {
				t.Fatalf("%+v is accepted in order, but not so: %+v", steps[msg], shuffled.line)
			}
		}
		at := "created"
		for _, e := range steps {
			c := lookup(at, e.Type)
			if got[e.MsgHash] && !want[e.MsgHash] && c.out != Repeat {
				t.Fatalf("%+v is no repeat, and accepted only so: %+v", e, shuffled.line)
			}
			at = c.to
		}
		if got := shuffled.line.Stage().String(); got != at {
			t.Fatalf("ends in %s, want %s", got, at)
		}
	})
}

// anyCode is mostly one of the nine.
var anyCode = rapid.Custom(func(t *rapid.T) ActionType {
	if rapid.IntRange(0, 30).Draw(t, "unknown") == 0 {
		return ActionType(rapid.Int32().Draw(t, "code"))
	}
	return rapid.SampledFrom(codes).Draw(t, "code")
})

func TestAnySequenceKeepsThePromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, reorderWindows.Draw(t, "window"))
		w.lazy = rapid.Bool().Draw(t, "lazy")
		for range rapid.IntRange(1, 25).Draw(t, "length") {
			w.wait(time.Duration(rapid.Int64Range(0, int64(3*time.Minute)).Draw(t, "pause")))
			w.send(anyCode.Draw(t, "type"), rapid.Int64Range(0, 12).Draw(t, "time"),
				rapid.Uint64Range(0, 2).Draw(t, "msg"))
			if w.lazy && rapid.Bool().Draw(t, "expire") {
				w.expire()
			}
		}
		w.drain()
	})
}

func TestAllowedIsWhatWouldNotBeRejected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, window)
		// Each at a time of its own: among equal times another code has another place.
		times := rapid.SliceOfNDistinct(rapid.Int64Range(0, 100), 1, 16, rapid.ID[int64]).Draw(t, "times")
		for i, at := range times {
			before := slices.Clone(w.line)
			d := w.send(rapid.SampledFrom(codes).Draw(t, "type"), at, uint64(i))
			if d.Entry.Verdict != Rejected {
				continue
			}
			for _, a := range codes {
				in := Entry{Seq: w.seq, Type: a, Time: at, MsgHash: uint64(i)}
				_, other := w.m.Decide(slices.Clone(before), in, w.now)
				verdict := other.Entry.Verdict
				if listed := slices.Contains(d.Allowed, a); listed != (verdict == Accepted || verdict == Held) {
					t.Fatalf("%d@%d is rejected with allowed %v, but %d would be %s", d.Entry.Type, at, d.Allowed, a,
						verdict)
				}
			}
			if !slices.IsSortedFunc(d.Allowed, func(a, b ActionType) int {
				return slices.Index(codes, a) - slices.Index(codes, b)
			}) {
				t.Fatalf("allowed %v is not in the order of the table", d.Allowed)
			}
		}
	})
}

// TestOverridesKeepTheClockGoing: an operator may put any step into the timeline. Then the table no longer holds,
// but nothing waits for ever, both ways of deciding agree, and the stage is that of the newest accepted event.
func TestOverridesKeepTheClockGoing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDesk(t)
		for range rapid.IntRange(1, 20).Draw(t, "length") {
			d.now += rapid.Int64Range(0, 180_000).Draw(t, "pause")
			in := Entry{Seq: d.seq + 1, Type: anyCode.Draw(t, "type"), Time: rapid.Int64Range(0, 12).Draw(t, "time"),
				MsgHash: d.seq}
			short, after, ok := d.m.DecideInOrder(d.line.Head(), in)
			got := d.sendMsg(in.Type, in.Time, in.MsgHash)
			if ok && (!reflect.DeepEqual(short, got) || after != d.line.Head()) {
				t.Fatalf("DecideInOrder says\n%+v %+v, Decide says\n%+v %+v", short, after, got, d.line.Head())
			}
			if got.Entry.Verdict == Rejected && in.Type.Valid() && rapid.Bool().Draw(t, "override") {
				d.override(got.Entry.Seq)
			}
			checkNewest(t, d.line)
		}
		for at := d.line.NextDeadline(); at != 0; at = d.line.NextDeadline() {
			d.now = max(d.now, at)
			d.m.Expire(d.line, d.now)
			if next := d.line.NextDeadline(); next != 0 && next <= d.now {
				t.Fatalf("held beyond %d: %+v", d.now, d.line)
			}
		}
	})
}

// checkNewest checks that the stage is one that the newest accepted event leads to.
func checkNewest(t *rapid.T, line Timeline) {
	accepted := with(line, Accepted)
	if len(accepted) == 0 {
		return
	}
	newest := accepted[len(accepted)-1].Type
	got := line.Stage().String()
	if newest == 400002 && (got == "held_before_pickup" || got == "held_after_pickup") {
		return
	}
	if got != leadsTo[newest] {
		t.Fatalf("the stage is %s, the newest event is %d: %+v", got, newest, line)
	}
}

func TestNothingPanicsAtTheEdges(t *testing.T) {
	edges := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}
	for _, reorder := range []time.Duration{math.MinInt64, -1, 0, 1, math.MaxInt64} {
		for _, now := range edges {
			t.Run(fmt.Sprintf("window %d now %d", reorder, now), func(t *testing.T) {
				d := newDesk(t)
				d.m.ReorderWindow, d.now = reorder, now
				for i, at := range edges {
					d.send(codes[i], at)
					d.send(ActionType(at), at)
					d.sendMsg(ActionType(math.MaxInt32), at, math.MaxUint64)
				}
				d.m.Expire(d.line, math.MinInt64)
				d.m.Expire(d.line, math.MaxInt64)
				if n := len(with(d.line, Held)); n != 0 {
					t.Errorf("%d are held at the end of time", n)
				}
			})
		}
	}
}

func TestExpireOfNothing(t *testing.T) {
	var none Timeline
	if got := (Machine{}).Expire(none, math.MaxInt64); len(got) != 0 {
		t.Errorf("changed %v", got)
	}
	if none.Stage() != Created || none.NextDeadline() != 0 || none.Head() != (Head{Plain: true}) {
		t.Errorf("an empty timeline is %s, %d, %+v", none.Stage(), none.NextDeadline(), none.Head())
	}
}
