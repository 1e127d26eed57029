package apptest

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Sent is what the generator knows of one event: that it was to be sent, and what was answered.
type Sent struct {
	Source     string
	Event      Event
	Want       string
	Verdict    string // The final verdict answered; empty if there never was an answer.
	Seq        uint64
	Unanswered int // Requests with it that brought no answer.
}

// Acked tells whether the service promised to have it.
func (s *Sent) Acked() bool { return s.Verdict != "" }

// Generator sends plans through a service that may die under it: what had no answer is sent again.
type Generator struct {
	Plan    func(n int) Plan
	Workers int
	Rate    float64 // Events a second.
	// Client is where the service is at the moment.
	Client func() *Client
	// Before is told of each plan before its first event. May be nil.
	Before func(*Plan)

	plans   atomic.Int64
	stopped atomic.Bool
	limit   *rate.Limiter

	mu    sync.Mutex
	log   []*Sent
	order map[string][]string // waybill -> ids as they must arrive
	wrong []string            // What no honest service answers.

	Requests, Repeats, Cut atomic.Int64
}

// Run sends plans until Stop, or until ctx ends; then each worker finishes the plan that it has begun, unless ctx ended.
func (g *Generator) Run(ctx context.Context) {
	g.limit = rate.NewLimiter(rate.Limit(g.Rate), 64)
	g.order = map[string][]string{}
	var workers sync.WaitGroup
	for range g.Workers {
		workers.Go(func() {
			for !g.stopped.Load() && ctx.Err() == nil {
				plan := g.Plan(int(g.plans.Add(1)))
				g.play(ctx, &plan)
			}
		})
	}
	workers.Wait()
}

// Stop has the workers finish what they have begun.
func (g *Generator) Stop() { g.stopped.Store(true) }

func (g *Generator) play(ctx context.Context, p *Plan) {
	if g.Before != nil {
		g.Before(p)
	}
	g.mu.Lock()
	g.order[p.WaybillID] = p.Upstream
	g.mu.Unlock()
	for _, scans := range p.Requests {
		intents := g.intend(p, scans)
		if !g.untilAnswered(ctx, p, scans, intents) {
			return
		}
		for i, s := range scans {
			if s.Twice {
				g.Repeats.Add(1)
				if !g.untilAnswered(ctx, p, scans[i:i+1], intents[i:i+1]) {
					return
				}
			}
		}
	}
}

// intend writes down what is to be sent, before it is.
func (g *Generator) intend(p *Plan, scans []Scan) []*Sent {
	source := Scanner
	if p.Signed {
		source = Depot
	}
	intents := make([]*Sent, len(scans))
	for i, s := range scans {
		intents[i] = &Sent{Source: source, Event: s.Event, Want: s.Want}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = append(g.log, intents...)
	return intents
}

// untilAnswered sends one request again and again until it is answered with verdicts. It is false if ctx ended first.
func (g *Generator) untilAnswered(ctx context.Context, p *Plan, scans []Scan, intents []*Sent) bool {
	for ctx.Err() == nil {
		if g.limit.WaitN(ctx, len(scans)) != nil {
			return false
		}
		answers, err := g.send(ctx, p, scans)
		g.Requests.Add(1)
		if g.note(intents, answers, err) {
			return true
		}
		select { // Nobody there, or not now: not a hot loop.
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	return false
}

func (g *Generator) send(ctx context.Context, p *Plan, scans []Scan) ([]Answer, error) {
	c := g.Client()
	if len(scans) > 1 {
		events := make([]Event, len(scans))
		for i, s := range scans {
			events[i] = s.Event
		}
		return c.PostBatch(ctx, events, p.Signed)
	}
	send := c.Post
	if p.Signed {
		send = c.PostSigned
	}
	a, err := send(ctx, scans[0].Event)
	return []Answer{a}, err
}

// note writes down what was answered. It is true if that was verdicts.
func (g *Generator) note(intents []*Sent, answers []Answer, err error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.Cut.Add(1)
		for _, s := range intents {
			s.Unanswered++
		}
		return false
	}
	if answers[0].HTTP == http.StatusServiceUnavailable {
		if answers[0].Head.Get("Retry-After") == "" {
			g.complain("503 without Retry-After: %s", answers[0].Body)
		}
		return false
	}
	for i, a := range answers {
		g.compare(intents[i], &a)
	}
	return true
}

// compare holds a verdict against the plan's, and against the one given before.
func (g *Generator) compare(s *Sent, a *Answer) {
	final := a.Final()
	switch {
	case final != s.Want:
		g.complain("event %s (%d): verdict %q (status %d, reason %q), the table says %q: %s", s.Event.ID, s.Event.ActionType,
			final, a.HTTP, a.Reason, s.Want, a.Body)
	case s.Verdict != "" && a.Verdict != "duplicate":
		g.complain("event %s: the verdict was %q, and now is %q: it was forgotten", s.Event.ID, s.Verdict, a.Verdict)
	case s.Seq != 0 && a.Seq != s.Seq:
		g.complain("event %s: its number was %d, and now is %d", s.Event.ID, s.Seq, a.Seq)
	}
	if final == "" {
		return
	}
	s.Verdict, s.Seq = final, a.Seq
}

func (g *Generator) complain(format string, args ...any) {
	if len(g.wrong) < 20 {
		g.wrong = append(g.wrong, fmt.Sprintf(format, args...))
	}
}

// Log is what was sent and answered so far, the order in which each waybill's events must arrive upstream, and the
// answers that were wrong in themselves.
func (g *Generator) Log() (log []Sent, order map[string][]string, wrong []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	log = make([]Sent, len(g.log))
	for i, s := range g.log {
		log[i] = *s
	}
	return log, g.order, g.wrong
}

// Acked counts the events that have been answered with a verdict.
func (g *Generator) Acked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, s := range g.log {
		if s.Acked() {
			n++
		}
	}
	return n
}
