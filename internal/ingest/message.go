package ingest

import (
	"context"
	"net/http"
	"net/textproto"
	"slices"
	"time"

	"carrier/internal/problem"
	"carrier/internal/state"
)

// Message is one event that came by another way than HTTP; for TakeBatch, many.
type Message struct {
	Source string              // The name under which it came.
	Via    string              // The way that it came by, as the name of its span: "take carrier.events".
	Header map[string][]string // As sent; names are looked up in any letter case (NATS keeps the sender's).
	Body   []byte
}

// Reply is what became of a Message. It is one of three: Durable, to be sent Again, or of a kind that can never be
// taken, of which Problem says why.
type Reply struct {
	ID      string           // The event's; empty if it could not be read.
	Verdict state.Verdict    // 0 if the outcome is not known or the store did not take it.
	Answer  []byte           // The webhook's answer as JSON, if Problem is nil.
	Problem *problem.Problem // Otherwise. Not to be changed: several replies may share it.
}

// Durable tells whether the event is kept, or was before: it survives kill -9 and power loss. Of a rejected one that
// holds too, although there is a Problem.
func (r *Reply) Durable() bool {
	switch r.Verdict {
	case state.Accepted, state.Held, state.Ignored, state.Duplicate, state.Rejected:
		return true
	}
	return false
}

// Again tells whether the same message should be brought again, and after which time: the store did not take it, or it
// is not known whether it did.
func (r *Reply) Again() (after time.Duration, again bool) {
	if r.Problem == nil || !passes(r.Problem) {
		return 0, false
	}
	return r.Problem.RetryAfter, true
}

// passes tells whether a problem lies here and not with the event.
func passes(p *problem.Problem) bool {
	return p.Code == problem.StoreUnavailable || p.Code == problem.OutcomeUnknown
}

// notTaken is the reply to what did not get as far as a decision.
func notTaken(id string, p *problem.Problem) Reply {
	r := Reply{ID: id, Problem: p}
	if !passes(p) {
		r.Verdict = state.Invalid
	}
	return r
}

// Take reads messages and hands the readable ones to the store in one Apply, in the order given. Each message gets one
// Reply, at its place; what is wrong with one does not touch the others. It returns when what it says is durable.
//
// A message is read as a request to the webhook's POST /v1/events is, without credentials and a rate: who may send
// under which name is for the way to say that it came by. What differs is that a message without a content-type is
// taken for application/json, and that the header Nats-Msg-Id is the id of a plain event that has none itself (a
// CloudEvent must have its own).
func (d *Desk) Take(ctx context.Context, messages []Message) []Reply {
	replies := make([]Reply, len(messages))
	t := taking{
		events: make([]state.Event, 0, len(messages)), sources: make([]*source, 0, len(messages)),
		places: make([]int, 0, len(messages)),
	}
	room, now, present := d.store.Ready(), time.Now(), d.terms.Load()
	for i := range messages {
		q := request{terms: present, now: now}
		if p := d.open(&q, &messages[i], &singleMedia, room); p != nil {
			replies[i] = notTaken("", p)
			q.end(p)
			continue
		}
		got := d.readEvent(&q)
		if got.problem != nil {
			replies[i] = notTaken(got.id, got.problem)
			q.end(got.problem)
			continue
		}
		t.add(got.event, &q, i)
	}
	if len(t.events) > 0 {
		d.decide(ctx, &t, replies)
	}
	return replies
}

// TakeBatch takes a message that holds many events, in one of the forms that POST /v1/events/batch takes, and gives
// that route's answer, in the language that accept-language asks for. A message without a content-type is taken for
// an array as application/json. The problem is for the batch as a whole: of one that can't be read nothing was kept,
// for one that the store did not take see problem.StoreUnavailable and problem.OutcomeUnknown, and their RetryAfter.
func (d *Desk) TakeBatch(ctx context.Context, m Message) (answer []byte, p *problem.Problem) {
	q := request{terms: d.terms.Load(), now: time.Now()}
	defer func() { q.end(p) }()
	if p := d.open(&q, &m, &batchMedia, d.store.Ready()); p != nil {
		return nil, p
	}
	b, p := d.takeBatch(q.span.In(ctx), &q)
	if p != nil {
		return nil, p
	}
	return d.answerBatch(nil, &q, b), nil
}

// open lets a message in, as Webhook.letIn does a request.
func (d *Desk) open(q *request, m *Message, kinds *media, room error) *problem.Problem {
	var p *problem.Problem
	if q.source, p = q.terms.senders.find(m.Source); p != nil {
		d.observe(OtherSource, state.Invalid.String(), 1)
		return p
	}
	q.header, q.via = canonical(m.Header), m.Via
	if p := d.admit(q, kinds, room); p != nil {
		return p
	}
	if int64(len(m.Body)) > d.maxBody {
		d.observe(q.source.label, state.Invalid.String(), 1)
		return tooLarge(d.maxBody)
	}
	q.body = m.Body
	return nil
}

// taking is what one Take hands to the store: the events of the messages that could be read.
type taking struct {
	events  []state.Event
	sources []*source        // Of each event.
	places  []int            // Of each event's message among the messages.
	traced  map[int]*request // Requests whose spans are recorded, by the place of their events; nil: none.
}

func (t *taking) add(e state.Event, q *request, place int) {
	if q.span != nil {
		t.trace(q, len(t.events))
	}
	t.events, t.sources, t.places = append(t.events, e), append(t.sources, q.source), append(t.places, place)
}

// decide hands events to the store and fills in the replies to them.
func (d *Desk) decide(ctx context.Context, t *taking, replies []Reply) {
	results, p := d.apply(t.under(ctx), t.events)
	defer t.end(results, p)
	for i := range t.events {
		e, reply := &t.events[i], &replies[t.places[i]]
		if p != nil {
			d.observe(t.sources[i].label, Unavailable, 1)
			*reply = notTaken(e.ID, p)
			continue
		}
		reply.ID, reply.Verdict = e.ID, results[i].Verdict
		if reply.Problem = d.decided(t.sources[i], e, &results[i]); reply.Problem == nil {
			reply.Answer = appendAnswer(make([]byte, 0, usualAnswer), e, &results[i])
		}
	}
}

// canonical is a message's header as net/http would have given it: names that differ only by letter case are one, and
// have all their values; space around a value is no part of it. Without a content-type it says JSON: clients of NATS
// name no type, where every HTTP library does.
func canonical(sent map[string][]string) http.Header {
	if len(sent) == 0 {
		return plainHeader
	}
	h := make(http.Header, len(sent)+1)
	var mixed map[string]bool // Names that came in several spellings.
	for name, values := range sent {
		key := http.CanonicalHeaderKey(name)
		if len(h[key]) > 0 {
			if mixed == nil {
				mixed = map[string]bool{}
			}
			mixed[key] = true
		}
		for _, value := range values {
			h[key] = append(h[key], textproto.TrimString(value))
		}
	}
	for key := range mixed {
		slices.Sort(h[key]) // Else their order would be that of the map, another each time.
	}
	if h[contentTypeHeader] == nil {
		h[contentTypeHeader] = plainHeader[contentTypeHeader]
	}
	return h
}

const contentTypeHeader = "Content-Type"

// plainHeader is that of a message without one. It must not be changed.
var plainHeader = http.Header{contentTypeHeader: {contentType}}
