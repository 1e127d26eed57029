package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"carrier/internal/problem"
	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Desk takes events in, whichever way they came: it reads them, has the store decide and keep them, and says what
// became of each. It is safe for concurrent use and keeps nothing of events between calls.
type Desk struct {
	store   Store
	terms   atomic.Pointer[terms] // Replaced as a whole: see Webhook.Prepare.
	maxBody int64
	log     *slog.Logger
	trouble trouble
	noise   noise // Of messages.
	observe func(source, verdict string, n int)
	// observeAge is told of events that are kept; see Options.
	observeAge func(source string, age time.Duration)
	spans      *spans.Tracer
}

// request is what is known of an HTTP request, or of a message, on its way in.
type request struct {
	terms  *terms // As they were when it came.
	source *source
	format format
	header http.Header // With the names as HTTP writes them, wherever it came from.
	via    string      // The way that it came by, for its span.
	trace  string      // Its traceparent; empty: none.
	span   *spans.Span
	body   []byte
	now    time.Time
	buf    *[]byte // Of HTTP: the body while it is read, and then the answer. nil: it is a message.
}

// admit lets in a request whose source is known: in what form it is, and whether there is room for it. room is the
// store's word on that.
func (d *Desk) admit(q *request, m *media, room error) *problem.Problem {
	var p *problem.Problem
	if q.format, p = m.of(q.header); p != nil {
		d.observe(q.source.label, state.Invalid.String(), 1)
		return p
	}
	if room != nil {
		d.observe(q.source.label, Unavailable, 1)
		return d.trouble.problem(room)
	}
	q.trace = headerTrace(q.header)
	q.span = d.begin(q)
	return nil
}

// readEvent reads the one event that the body is, and tells if it is none.
func (d *Desk) readEvent(q *request) reading {
	got := q.terms.rules.read(q.body, q.format, q.header, q.source, q.now)
	if got.problem == nil {
		q.mark(&got.event)
		return got
	}
	q.span.Set(spans.Verdict(state.Invalid.String()))
	if got.id != "" {
		got.problem.With("id", got.id)
	}
	d.observe(q.source.label, state.Invalid.String(), 1)
	d.logInvalid(q, &got)
	return got
}

// apply hands events to the store. Its problem is for all of them.
func (d *Desk) apply(ctx context.Context, events []state.Event) ([]store.Result, *problem.Problem) {
	ctx, span := d.beginCommit(ctx, len(events))
	defer span.End()
	results, err := d.store.Apply(ctx, events)
	if err == nil && len(results) != len(events) {
		err = miscounted(len(events), len(results))
	}
	if err != nil {
		p := d.trouble.problem(err)
		span.Fail(string(p.Code))
		return nil, p
	}
	d.trouble.over()
	return results, nil
}

// decided tells what became of an event that came by itself. A problem is the answer to it; without one that is
// appendAnswer's.
func (d *Desk) decided(s *source, e *state.Event, r *store.Result) *problem.Problem {
	d.observe(s.label, r.Verdict.String(), 1)
	d.aged(s, e, r, time.Now())
	p := refusal(e, r)
	if p != nil {
		d.logRefused(s, e, r)
	}
	return p
}

// aged tells how old an event was when it came. One that came before tells nothing: it is as old as its repetition.
func (d *Desk) aged(s *source, e *state.Event, r *store.Result, now time.Time) {
	switch r.Verdict {
	case state.Accepted, state.Held, state.Ignored, state.Rejected:
		d.observeAge(s.label, now.Sub(time.Unix(e.Time, 0)))
	}
}

// logInvalid names an event that was not kept. Of one that came by HTTP the log is the only trace. Of messages one a
// minute and source is named, with the number of the others: who brought them has a dead letter, or an answer, of each.
func (d *Desk) logInvalid(q *request, got *reading) {
	if !d.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	withheld, ok := 0, true
	if q.buf == nil {
		withheld, ok = d.noise.next(q.source.label, q.now)
	}
	if !ok {
		return
	}
	attrs := []any{"source", q.source.name, "verdict", state.Invalid.String(), "event_id", got.id,
		"code", string(got.problem.Code), "fields", fieldCodes(got.problem.Errors)}
	if withheld > 0 {
		attrs = append(attrs, "times_not_logged", withheld)
	}
	d.log.Info("event refused", attrs...)
}

func (d *Desk) logRefused(s *source, e *state.Event, r *store.Result) {
	attrs := []any{"source", s.name, "verdict", r.Verdict.String(), "event_id", e.ID,
		"delivery_id", e.DeliveryID, "waybill_id", e.WaybillID, "action_type", int(e.Type),
		"reason", r.Reason.String(), "seq", r.Seq}
	d.log.Info("event refused", spans.Log(attrs, e.Trace)...)
}

// fieldCodes is field errors in a few words.
func fieldCodes(errs []problem.FieldError) string {
	words := make([]string, len(errs))
	for i, e := range errs {
		words[i] = e.Field + ":" + e.Code
	}
	return strings.Join(words, " ")
}
