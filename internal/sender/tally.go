package sender

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"carrier/internal/state"
)

// Progress is how far a sending has come.
type Progress struct {
	Events  int   // Answered, or refused unsent.
	Refused int   // Of those.
	Bytes   int64 // Of the input that they took.
	// Waiting is the failure that is being waited out, for Wait; nil when things move.
	Waiting error
	Wait    time.Duration
}

// tally counts what becomes of events, for all lanes.
type tally struct {
	mu       sync.Mutex // Guards all below; Progress and Refused are called under it.
	progress func(Progress)
	refused  func(Refused) error
	begun    time.Time
	s        Summary
	bytes    int64
	well     int // Found well formed by a dry run.
	next     int // The line to read next.
	ended    bool
	first    int // The first line that was left; 0 if none was.
}

// newTally counts from a line on.
func newTally(o *Options, from int) *tally {
	t := &tally{progress: o.Progress, refused: o.Refused, begun: time.Now(), next: max(1, from)}
	t.s.Counts = make(map[state.Verdict]int)
	for _, v := range state.Verdicts() {
		t.s.Counts[v] = 0
	}
	return t
}

// taken counts an event that was read.
func (t *tally) taken(item *Item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Events++
	t.next = item.Next
}

// complete notes that the input was read to its end.
func (t *tally) complete() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}

// unsendable counts an item that can't be sent.
func (t *tally) unsendable(item *Item) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes += item.Bytes
	t.s.Counts[state.Invalid]++
	err := t.refuse(item.Refused)
	t.progress(t.now())
	return err
}

// answered counts a batch's verdicts; results has one for each event.
func (t *tally) answered(b *batch, results []result) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var failed error
	for i := range results {
		e, r := &b.entries[i], &results[i]
		t.bytes += e.bytes
		t.s.Counts[r.Verdict]++
		if !r.refused() {
			continue
		}
		// All are counted, whether or not they can be handed on: they are settled.
		failed = cmp.Or(failed, t.refuse(&Refused{
			Line: e.line, ID: cmp.Or(r.ID, e.id), Waybill: e.waybill, Verdict: r.Verdict, Code: r.Code, Message: r.Detail,
			Errors: r.Errors,
		}))
	}
	t.progress(t.now())
	return failed
}

// tooLarge counts the only event of a batch that the service finds too large.
func (t *tally) tooLarge(b *batch, why error) error {
	return t.answered(b, []result{{Verdict: state.Invalid, Code: codeTooLarge, Detail: why.Error()}})
}

// refuse hands on a refused event, and keeps it if it is among the first lines. The caller holds mu.
func (t *tally) refuse(r *Refused) error {
	t.s.Refusals++
	at, _ := slices.BinarySearchFunc(t.s.Refused, r.Line, func(r Refused, line int) int { return cmp.Compare(r.Line, line) })
	t.s.Refused = slices.Insert(t.s.Refused, at, *r)
	t.s.Refused = t.s.Refused[:min(listed, len(t.s.Refused))]
	return t.refused(*r)
}

// leave counts events without an answer.
func (t *tally) leave(b *batch) {
	if len(b.entries) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Unanswered += len(b.entries)
	if line := b.entries[0].line; t.first == 0 || line < t.first {
		t.first = line
	}
}

// waiting tells of a failure that is being waited out.
func (t *tally) waiting(err error, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.now()
	p.Waiting, p.Wait = err, wait
	t.progress(p)
}

// now is the progress. The caller holds mu.
func (t *tally) now() Progress {
	return Progress{Events: t.s.Events - t.outstanding(), Refused: t.s.Refusals, Bytes: t.bytes}
}

// outstanding is how many events were read and have no answer yet. The caller holds mu.
func (t *tally) outstanding() int {
	n := t.s.Events - t.well
	for _, count := range t.s.Counts {
		n -= count
	}
	return n
}

// sum is the Summary, once all lanes have ended.
func (t *tally) sum() *Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.s
	if s.NextLine = t.first; t.first == 0 && !t.ended {
		s.NextLine = t.next
	}
	s.Refused = append([]Refused{}, s.Refused...) // [] in JSON, not null.
	s.Seconds = time.Since(t.begun).Seconds()
	return &s
}

// check checks an item for a dry run, and counts it.
func (t *tally) check(item *Item) error {
	t.taken(item)
	if item.Refused == nil {
		item.checkJSON()
	}
	if item.Refused != nil {
		return t.unsendable(item)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes += item.Bytes
	t.well++
	t.progress(t.now())
	return nil
}

// checked is the Summary of a dry run.
func (t *tally) checked() *Summary {
	s := t.sum()
	s.DryRun, s.WellFormed = true, &t.well
	s.Counts = map[state.Verdict]int{state.Invalid: s.Counts[state.Invalid]}
	return s
}
