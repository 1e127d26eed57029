package ingest

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"carrier/internal/problem"
	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
)

// takeBatch takes the events of a request that holds many: those that are well go to the store at once, and what is
// wrong with the others is told of each by itself.
func (d *Desk) takeBatch(ctx context.Context, q *request) (*batch, *problem.Problem) {
	texts, p := split(q.body, q.format)
	if p != nil {
		d.observe(q.source.label, state.Invalid.String(), 1)
		return nil, p
	}
	q.source.charge(q.now, len(texts)-1)
	q.span.Set(spans.Events(len(texts)))
	b := &batch{items: make([]reading, len(texts)), events: make([]state.Event, 0, len(texts))}
	for i, text := range texts {
		b.items[i] = d.readItem(text, q)
		if b.items[i].problem == nil {
			b.events = append(b.events, b.items[i].event)
		}
	}
	if len(b.events) > 0 {
		if b.results, p = d.apply(ctx, b.events); p != nil {
			d.observe(q.source.label, Unavailable, len(b.events))
			return nil, p
		}
	}
	return b, nil
}

// answerBatch appends the answer to dst, which may be the memory of the body, and tells what became of the events.
func (d *Desk) answerBatch(dst []byte, q *request, b *batch) []byte {
	b.language = problem.Negotiate(q.header.Get("Accept-Language"))
	dst = b.append(dst)
	d.tell(q.source, b)
	return dst
}

// split cuts a batch into its events, without looking into them. The lines of NDJSON are not checked at all, the
// elements of an array are valid JSON.
func split(body []byte, f format) ([][]byte, *problem.Problem) {
	if f == formatNDJSON {
		return splitLines(body)
	}
	if p := readable(body); p != nil {
		return nil, p
	}
	body = bytes.TrimSpace(body)
	if kindOf(body) != kindArray {
		errs := fieldErrors{ruleType.on("", kindWords[kindArray], kindWords[kindOf(body)])}
		return nil, invalid(errs)
	}
	var texts [][]byte
	for a := walk(body); ; {
		text, ok := a.element()
		if !ok {
			return texts, nil
		}
		if texts = append(texts, text); len(texts) > MaxBatch {
			return nil, tooMany()
		}
	}
}

func splitLines(body []byte) ([][]byte, *problem.Problem) {
	var texts [][]byte
	for line := range bytes.SplitSeq(body, []byte{'\n'}) {
		if line = bytes.Trim(line, " \t\r"); len(line) == 0 {
			continue
		}
		if texts = append(texts, line); len(texts) > MaxBatch {
			return nil, tooMany()
		}
	}
	return texts, nil
}

func tooMany() *problem.Problem {
	return problem.New(problem.BatchTooLarge).Sayf(
		"The batch holds more than %d events; none was kept. Split it.",
		"该批次超过 %d 个事件，未保存任何事件。请拆分后发送。", MaxBatch).
		With("verdict", state.Invalid).With("max_events", MaxBatch)
}

// readItem reads one of a batch's events, as split has cut it out.
func (d *Desk) readItem(text []byte, q *request) (got reading) {
	if q.format == formatNDJSON {
		got = q.terms.rules.read(text, q.format, nil, q.source, q.now)
	} else {
		got = q.terms.rules.readValue(text, q.format, nil, q.source, q.now)
	}
	if got.problem == nil {
		q.mark(&got.event)
	}
	return got
}

// batch is a batch that was read and decided.
type batch struct {
	items    []reading
	events   []state.Event  // Of the items without a problem, in their order.
	results  []store.Result // One an event.
	language problem.Language

	counts [len(allVerdicts)]int // Filled in by append.
}

// allVerdicts are the keys of the counts, in this order; a test compares them with state.Verdicts.
var allVerdicts = [...]state.Verdict{
	state.Accepted, state.Held, state.Ignored, state.Duplicate, state.Rejected, state.Invalid, state.Conflict,
}

// append writes the answer.
func (b *batch) append(dst []byte) []byte {
	dst = append(dst, `{"results":[`...)
	next := 0 // In events and results.
	for i := range b.items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"index":`...), int64(i), 10)
		dst = append(dst, ',')
		if b.items[i].problem != nil {
			dst = b.appendInvalid(dst, &b.items[i])
		} else {
			dst = b.appendDecided(dst, &b.events[next], &b.results[next])
			next++
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `],"counts":{`...)
	for i, v := range allVerdicts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendWord(dst, v.String()), ':')
		dst = strconv.AppendInt(dst, int64(b.counts[i]), 10)
	}
	return append(dst, `}}`...)
}

func (b *batch) appendInvalid(dst []byte, item *reading) []byte {
	b.count(state.Invalid)
	dst = appendText(append(dst, `"id":`...), item.id)
	return item.problem.AppendMembers(append(dst, ','), b.language)
}

func (b *batch) appendDecided(dst []byte, e *state.Event, r *store.Result) []byte {
	b.count(r.Verdict)
	if p := refusal(e, r); p != nil {
		return p.AppendMembers(dst, b.language)
	}
	return appendMembers(dst, e, r)
}

func (b *batch) count(v state.Verdict) {
	for i := range allVerdicts {
		if allVerdicts[i] == v {
			b.counts[i]++
		}
	}
}

// of is how many events had the verdict.
func (b *batch) of(v state.Verdict) int {
	for i := range allVerdicts {
		if allVerdicts[i] == v {
			return b.counts[i]
		}
	}
	return 0
}

// tell counts a batch for the metrics, and logs in one line if some of it was refused.
func (d *Desk) tell(s *source, b *batch) {
	for i, v := range allVerdicts {
		if b.counts[i] > 0 {
			d.observe(s.label, v.String(), b.counts[i])
		}
	}
	now := time.Now()
	for i := range b.results {
		d.aged(s, &b.events[i], &b.results[i], now)
	}
	refused := b.of(state.Invalid) + b.of(state.Rejected) + b.of(state.Conflict)
	if refused == 0 {
		return
	}
	d.log.Info("events of a batch refused", "source", s.name, "events", len(b.items),
		"rejected", b.of(state.Rejected), "conflict", b.of(state.Conflict), "invalid", b.of(state.Invalid))
}
