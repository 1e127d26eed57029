package apptest

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Plan is one waybill's scans in the order of sending, and what must come of them.
type Plan struct {
	WaybillID string
	Token     string // Sent with the first scan, or with the last.
	Signed    bool   // Sent by the depot, else by the scanner.
	Requests  [][]Scan
	// Upstream are the ids of the events that must be pushed, in the order of their first arrival.
	Upstream []string
}

// Scan is one event of a plan.
type Scan struct {
	Event
	Want  string // The verdict: accepted, held, ignored or rejected.
	Twice bool   // Sent again once it is answered.
}

// planner makes plans from a seed.
type planner struct {
	rng        *rand.Rand
	deliveryID string
	base       int64 // Unix seconds of the first scans.
}

// NewPlan makes the plan of waybill number n: the same for the same seed.
func NewPlan(seed uint64, n int, deliveryID string, base int64) Plan {
	p := planner{rand.New(rand.NewPCG(seed, uint64(n))), deliveryID, base}
	return p.plan(fmt.Sprintf("W%d-%06d", seed%1000, n))
}

func (p *planner) plan(waybill string) Plan {
	way, stage := p.walk()
	plan := Plan{WaybillID: waybill, Token: fmt.Sprintf("token-%s", waybill), Signed: p.rng.IntN(3) == 0}
	events := make([]Event, len(way))
	for i, action := range way {
		events[i] = p.event(waybill, fmt.Sprint(i+1), action, int64(i+1)*100)
		plan.Upstream = append(plan.Upstream, events[i].ID)
	}
	scans := p.order(&plan, way, events)
	if p.rng.IntN(4) == 0 { // The same scan from another device: word for word, under another id.
		echo := events[p.rng.IntN(len(events))]
		echo.ID += "-echo"
		scans = append(scans, Scan{Event: echo, Want: "ignored"})
	}
	if forbidden := p.illegal(stage); forbidden != 0 && p.rng.IntN(3) == 0 {
		e := p.event(waybill, "x", forbidden, int64(len(way)+5)*100)
		scans = append(scans, Scan{Event: e, Want: "rejected"})
	}
	for i := range scans {
		scans[i].Twice = p.rng.IntN(8) == 0
	}
	withToken := 0
	if p.rng.IntN(10) == 0 {
		withToken = len(scans) - 1 // Until then its pushes wait for the Token.
	}
	scans[withToken].Token = plan.Token
	plan.Requests = p.cut(scans)
	return plan
}

// walk goes some legal steps from a new waybill.
func (p *planner) walk() (way []int, stage string) {
	stage = "created"
	for length := 2 + p.rng.IntN(6); len(way) < length; {
		var steps []Cell
		for _, c := range Cells() {
			if c.Stage == stage && c.Mark == 'Y' {
				steps = append(steps, c)
			}
		}
		if len(steps) == 0 {
			break
		}
		step := steps[p.rng.IntN(len(steps))]
		if step.Action == 400001 && p.rng.IntN(3) > 0 {
			continue // Cancellations end a story; not too many.
		}
		way, stage = append(way, step.Action), step.To
	}
	return way, stage
}

func (p *planner) event(waybill, n string, action int, after int64) Event {
	return Event{
		ID: waybill + "-" + n, DeliveryID: p.deliveryID, WaybillID: waybill,
		ActionType: action, ActionTime: p.base + after, ActionMsg: fmt.Sprintf("扫描 %s of %s <&>", n, waybill),
	}
}

// order puts the scans in an order of sending: as they happened, with a neighbour before its turn, or one very late.
func (p *planner) order(plan *Plan, way []int, events []Event) []Scan {
	scans := make([]Scan, len(events))
	for i, e := range events {
		scans[i] = Scan{Event: e, Want: "accepted"}
	}
	switch at := p.rng.IntN(len(way)); p.rng.IntN(3) {
	case 0:
		if at+1 < len(way) && next(stageAfter(way[:at]), way[at+1]).Mark == 'G' {
			// The second one implies the first: it is held until that comes, and upstream sees them in time order.
			scans[at], scans[at+1] = scans[at+1], scans[at]
			scans[at].Want = "held"
		}
	case 1:
		rest := slices.Delete(slices.Clone(way), at, at+1)
		if at+1 < len(way) && way[at] == 200001 && legal(rest) {
			// It comes after everything else: upstream sees it last, with its own time.
			scans, plan.Upstream = toEnd(scans, at), toEnd(plan.Upstream, at)
		}
	}
	return scans
}

// toEnd moves element i to the end.
func toEnd[T any](list []T, i int) []T {
	moved := list[i]
	return append(slices.Delete(list, i, i+1), moved)
}

// illegal is a code that the table refuses in a stage; 0 if there is none.
func (p *planner) illegal(stage string) int {
	var codes []int
	for _, c := range Cells() {
		if c.Stage == stage && c.Mark == '-' {
			codes = append(codes, c.Action)
		}
	}
	if len(codes) == 0 {
		return 0
	}
	return codes[p.rng.IntN(len(codes))]
}

// cut divides scans into requests: single ones, or batches.
func (p *planner) cut(scans []Scan) [][]Scan {
	if p.rng.IntN(4) > 0 {
		return slices.Collect(slices.Chunk(scans, 1))
	}
	return slices.Collect(slices.Chunk(scans, 2+p.rng.IntN(6)))
}

func stageAfter(way []int) string {
	stage := "created"
	for _, action := range way {
		stage = next(stage, action).To
	}
	return stage
}

// legal tells whether a way has nothing but legal steps with nothing missing.
func legal(way []int) bool {
	stage := "created"
	for _, action := range way {
		c := next(stage, action)
		if c.Mark != 'Y' {
			return false
		}
		stage = c.To
	}
	return true
}
