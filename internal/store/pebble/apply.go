package pebble

import (
	"context"
	"hash/maphash"
	"slices"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/content"
	"carrier/internal/store/engine"
)

// Apply decides events and keeps them with all their effects in one commit.
func (s *Store) Apply(ctx context.Context, events []state.Event) ([]store.Result, error) {
	if len(events) == 0 {
		return nil, nil
	}
	if err := s.disk.refusal(); err != nil {
		return nil, err
	}
	op := s.newApply(events)
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return nil, err
	}
	return op.results, nil
}

// prepared is an event with all that can be worked out of it without the writer.
type prepared struct {
	event   state.Event
	id      string
	idHash  uint64
	content content.Hash
	msgHash uint64
	body    []byte
}

type applyOp struct {
	engine.Waiter
	events  []prepared
	results []store.Result
}

// newApply does the work that needs no writer. It copies what the caller may change once it stops waiting.
func (s *Store) newApply(events []state.Event) *applyOp {
	op := &applyOp{events: make([]prepared, len(events)), results: make([]store.Result, len(events))}
	var scratch []byte
	for i := range events {
		scratch = op.events[i].prepare(s.w.seed, &events[i], scratch)
	}
	return op
}

// prepare fills p in; scratch is room to work in, and is given back.
func (p *prepared) prepare(seed maphash.Seed, e *state.Event, scratch []byte) []byte {
	p.event, p.id = *e, eventID(e)
	if !content.IsTrace(e.Trace) {
		p.event.Trace = ""
	}
	p.idHash = maphash.String(seed, p.id)
	p.body = encodeBody(make([]byte, 0, len(e.Msg)+len(e.WaybillID)+len(p.id)+traceBytes+32), &p.event)
	scratch = slices.Grow(scratch[:0], len(p.body)+len(e.Token)+8)
	p.content, p.msgHash = content.Of(scratch, e), content.Text(scratch, e.Msg)
	return scratch
}

func (o *applyOp) rows() int { return len(o.events) }

// run decides one event after the other. If one can't be decided, those before it stay; a repetition finds them.
func (o *applyOp) run(x *tx) {
	for i := range o.events {
		if o.results[i], o.Err = x.applyEvent(&o.events[i]); o.Err != nil {
			return
		}
	}
}

// applyEvent reads all that it takes first, as only that can fail, and then makes all changes.
func (x *tx) applyEvent(p *prepared) (store.Result, error) {
	seen, known, err := x.seen(p)
	if err != nil {
		return store.Result{}, err
	}
	w, err := x.waybill(p.event.Waybill())
	if err != nil {
		return store.Result{}, err
	}
	if known {
		return repeated(p, w, seen), nil
	}
	tokens, err := x.planToken(w, p.event.Token)
	if err != nil {
		return store.Result{}, err
	}
	v, err := x.decide(w, p)
	if err != nil {
		return store.Result{}, err
	}
	x.registerToken(w, tokens)
	return x.keep(w, p, v), nil
}

// seen tells whether an event with this id came before.
func (x *tx) seen(p *prepared) (f first, known bool, err error) {
	if !x.w.ids.maybe(p.idHash) {
		return f, false, nil
	}
	if f, known = x.ids[p.id]; known {
		return f, true, nil
	}
	known, err = x.get(idKey(nil, p.id), func(v []byte) error {
		f.seq, f.hash, err = decodeID(v)
		return err
	})
	if !known || err != nil {
		return f, known, err
	}
	rec, err := x.event(f.seq)
	f.verdict, f.reason = rec.first, rec.reason
	f.late, f.gap = rec.flags&flagLate != 0, rec.flags&flagGap != 0
	return f, true, err
}

// repeated answers an event whose id was seen before.
func repeated(p *prepared, w *waybill, f first) store.Result {
	if f.hash != p.content {
		return store.Result{Seq: f.seq, Verdict: state.Conflict, Stage: w.head.Stage}
	}
	return store.Result{
		Seq: f.seq, Verdict: state.Duplicate, Original: f.verdict, Stage: w.head.Stage,
		Reason: f.reason, Late: f.late, Gap: f.gap,
	}
}

// verdict is a decision with what it takes to carry it out.
type verdict struct {
	state.Decision
	head          state.Head
	before, after state.Timeline // nil if the head was enough.
	released      []eventRecord  // The events of Changed.
}

// decide asks the machine, and reads the timeline only if it must. It changes nothing.
func (x *tx) decide(w *waybill, p *prepared) (v verdict, err error) {
	e := state.Entry{Seq: x.w.next, Type: p.event.Type, Time: p.event.Time, MsgHash: p.msgHash}
	if d, head, ok := x.s.Terms().Machine.DecideInOrder(w.head, e); ok {
		return verdict{Decision: d, head: head}, nil
	}
	if v.before, err = x.timeline(w); err != nil {
		return v, err
	}
	v.after, v.Decision = x.s.Terms().Machine.Decide(slices.Clone(v.before), e, x.clock)
	v.released, err = x.eventsOf(v.Changed)
	return v, err
}

// eventsOf reads the events of entries.
func (x *tx) eventsOf(entries []state.Entry) ([]eventRecord, error) {
	events := make([]eventRecord, len(entries))
	for i := range entries {
		var err error
		if events[i], err = x.event(entries[i].Seq); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// keep writes a decided event and all its effects, and tells the lanes.
func (x *tx) keep(w *waybill, p *prepared, v verdict) store.Result {
	before := w.open
	r, opened := x.keepQuietly(w, p, v)
	x.feedOpened(w, before, opened)
	return r
}

// keepQuietly is keep without telling the lanes of the pushes that became open.
func (x *tx) keepQuietly(w *waybill, p *prepared, v verdict) (store.Result, []store.Push) {
	x.listName(w)
	seq := x.take()
	e := v.Entry
	rec := eventRecord{event: p.event, receivedAt: x.now, first: e.Verdict, reason: e.Reason, flags: entryFlags(&e)}
	rec.event.Token = ""
	if v.Cause != 0 || v.Allowed != nil {
		rec.flags |= flagWhy
		rec.from, rec.cause, rec.allowed = v.From, v.Cause, v.Allowed
	}
	if p.event.Trace != "" {
		rec.flags |= flagTraced
	}
	if e.Verdict == state.Accepted {
		e.Ord = seq
		if !w.lacksToken() {
			rec.flags |= flagNatural
		}
	}
	x.putEvent(seq, &rec, p)
	x.delta.events[e.Verdict]++

	var opened []store.Push
	if e.Verdict == state.Accepted {
		if push, ok := x.openPush(w, &e, &rec, true); ok {
			opened = append(opened, push)
		}
	}
	if e.Verdict == state.Rejected {
		x.noticeRejected(&e)
	}
	if v.after == nil {
		w.head = v.head
		x.putEntry(w, &e)
		x.moveFront(w, front{seq, v.Stage, !w.lacksToken()})
	} else {
		v.after = overlay(v.after, e)
		opened = append(opened, x.settleTimeline(w, v.before, v.after, v.Changed, v.released)...)
	}
	if e.Verdict == state.Held || e.Reason == state.RepeatsStage {
		x.waiting[seq] = rec
	}
	return store.ResultOf(v.Decision), opened
}

func entryFlags(e *state.Entry) (flags byte) {
	if e.Late {
		flags |= flagLate
	}
	if e.Gap {
		flags |= flagGap
	}
	return flags
}

// putEvent writes the event itself, and remembers its id.
func (x *tx) putEvent(seq uint64, rec *eventRecord, p *prepared) {
	x.key = seqKey(x.key[:0], tableEvents, seq)
	x.value = encodeEvent(x.value[:0], rec, p.body)
	x.set(x.key, x.value)

	x.key = idKey(x.key[:0], p.id)
	x.value = encodeID(x.value[:0], seq, p.content)
	x.set(x.key, x.value)

	x.indexEvent(seq, &p.event)
	x.w.ids.add(p.idHash)
	x.ids[p.id] = first{
		seq: seq, hash: p.content, verdict: rec.first, reason: rec.reason,
		late: rec.flags&flagLate != 0, gap: rec.flags&flagGap != 0,
	}
}
