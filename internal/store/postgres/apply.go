package postgres

import (
	"context"
	"slices"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/content"
	"carrier/internal/store/engine"
)

// Apply decides events and keeps them with all their effects in one transaction.
func (s *Store) Apply(ctx context.Context, events []state.Event) ([]store.Result, error) {
	if len(events) == 0 {
		return nil, nil
	}
	op := newApply(events)
	if err := s.write(ctx, slotOf(events[0].Waybill()), op, &op.Waiter); err != nil {
		return nil, err
	}
	return op.results, nil
}

// prepared is an event with all that can be worked out of it without a committer.
type prepared struct {
	event   state.Event
	id      eventID
	content content.Hash
	msgHash uint64
}

type applyOp struct {
	engine.Waiter
	events  []prepared
	results []store.Result
}

// newApply does the work that needs no committer. It copies what the caller may change once it stops waiting.
func newApply(events []state.Event) *applyOp {
	op := &applyOp{events: make([]prepared, len(events)), results: make([]store.Result, len(events))}
	for i := range events {
		op.events[i] = prepare(&events[i])
	}
	return op
}

func prepare(e *state.Event) prepared {
	p := prepared{event: *e, id: eventID{e.Source, e.ID}, content: content.Of(nil, e), msgHash: content.Text(nil, e.Msg)}
	if !content.IsTrace(e.Trace) {
		p.event.Trace = ""
	}
	return p
}

func (o *applyOp) rows() int { return len(o.events) }

func (o *applyOp) needs(n *needs) {
	for i := range o.events {
		n.waybills[o.events[i].event.Waybill()] = true
		n.ids[o.events[i].id] = true
	}
	n.numbers += len(o.events)
}

// run decides one event after the other. If one can't be decided, those before it stay; a repetition finds them.
func (o *applyOp) run(x *tx) {
	o.Err = nil
	for i := range o.events {
		if o.results[i], o.Err = x.applyEvent(&o.events[i]); o.Err != nil {
			return
		}
	}
}

// applyEvent reads all that it takes first, as only that can fail, and then makes all changes.
func (x *tx) applyEvent(p *prepared) (store.Result, error) {
	seen, known, err := x.seen(p.id)
	if err != nil {
		return store.Result{}, err
	}
	w, err := x.waybill(p.event.Waybill())
	if err != nil {
		return store.Result{}, err
	}
	if known {
		return repeated(p, w, &seen), nil
	}
	plan, err := x.planToken(w, p.event.Token)
	if err != nil {
		return store.Result{}, err
	}
	v, err := x.decide(w, p)
	if err != nil {
		return store.Result{}, err
	}
	x.registerToken(w, plan)
	return x.keep(w, p, &v), nil
}

// repeated answers an event whose id was seen before.
func repeated(p *prepared, w *waybill, f *first) store.Result {
	stage := w.timeline.Stage()
	if !slices.Equal(f.hash, p.content[:]) {
		return store.Result{Seq: f.seq, Verdict: state.Conflict, Stage: stage}
	}
	return store.Result{
		Seq: f.seq, Verdict: state.Duplicate, Original: f.verdict, Stage: stage,
		Reason: f.reason, Late: f.late, Gap: f.gap,
	}
}

// verdict is a decision with what it takes to carry it out.
type verdict struct {
	state.Decision
	before, after state.Timeline
	released      []*row // The events of Changed.
}

// decide asks the machine. It changes nothing. The event's number is taken, and so are those that it takes to accept what
// the event releases.
func (x *tx) decide(w *waybill, p *prepared) (v verdict, err error) {
	seq, err := x.take()
	if err != nil {
		return v, err
	}
	e := state.Entry{Seq: seq, Type: p.event.Type, Time: p.event.Time, MsgHash: p.msgHash}
	v.before = w.timeline
	if d, _, ok := x.s.Terms().Machine.DecideInOrder(w.timeline.Head(), e); ok {
		v.Decision, v.after = d, slices.Clone(w.timeline).Insert(d.Entry)
		return v, nil
	}
	v.after, v.Decision = x.s.Terms().Machine.Decide(slices.Clone(w.timeline), e, x.now)
	v.released, err = x.release(v.Changed)
	return v, err
}

// release reads the events of entries that change with another one, and reserves their numbers.
func (x *tx) release(entries []state.Entry) ([]*row, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	seqs := gather(entries, func(e state.Entry) uint64 { return e.Seq })
	if err := x.want(seqs); err != nil {
		return nil, err
	}
	if err := x.reserve(len(entries)); err != nil {
		return nil, err
	}
	rows := make([]*row, len(entries))
	for i, seq := range seqs {
		if rows[i] = x.rows[seq]; rows[i] == nil {
			return nil, damaged("an event of a timeline is missing", codec.ErrRecord)
		}
	}
	return rows, nil
}

// keep writes a decided event and all its effects, and tells the lanes.
func (x *tx) keep(w *waybill, p *prepared, v *verdict) store.Result {
	before := len(w.open)
	r, opened := x.keepQuietly(w, p, v)
	x.feedOpened(w, before, opened)
	return r
}

// keepQuietly is keep without telling the lanes of the pushes that became open.
func (x *tx) keepQuietly(w *waybill, p *prepared, v *verdict) (store.Result, []*row) {
	e := v.Entry
	if e.Verdict == state.Accepted {
		e.Ord = e.Seq
	}
	r := &row{
		seq: e.Seq, slot: w.slot, event: p.event, receivedAt: x.now,
		first: answer{e.Verdict, e.Reason, e.Late, e.Gap, v.From, v.Allowed, v.Cause},
	}
	r.event.Token = ""
	x.add(r, p)
	x.delta[eventCounter(e.Verdict)]++
	if e.Verdict == state.Rejected {
		x.noticeRejected(&e)
	}
	*v.after.Find(e.Seq) = e
	opened := x.settleTimeline(w, v, r)
	return store.ResultOf(v.Decision), opened
}

// add notes a new event and its id.
func (x *tx) add(r *row, p *prepared) {
	x.rows[r.seq] = r
	x.made = append(x.made, r)
	hash := p.content[:]
	x.ids[p.id] = first{r.seq, hash, r.first}
	x.madeIDs = append(x.madeIDs, idRow{p.id, r.seq, hash})
}
