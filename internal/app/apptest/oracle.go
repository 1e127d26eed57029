package apptest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"carrier/internal/sandbox"
)

// Outage is a time in which the service was dead.
type Outage struct {
	Killed time.Time
	Up     time.Time // When the next process was ready.
}

// Run is the three logs of a run: what the sender intended and was answered, what the service keeps, what upstream
// received.
type Run struct {
	Sent     []Sent
	Order    map[string][]string // waybill -> ids, as they must first arrive
	Stored   []StoredEvent
	Pushes   []ListedPush
	Arrivals []sandbox.Arrival
	Outages  []Outage
	// Upstream is what upstream counted; with none, L8 and L9 are not judged.
	Upstream sandbox.Stats
	// Starts is how many processes asked upstream for an access_token of their own; 0: L8 is not judged.
	Starts int
}

// Violations compares the logs. Each violation begins with the law that it breaks:
//
//	L1  every acknowledged event is kept exactly once, as it was sent
//	L2  every acknowledged event that is to be pushed is delivered, or given up with a reason
//	L3  nothing arrives that was never sent
//	L4  per waybill, what arrives upstream never goes back (an exact repeat of the newest is none)
//	L5  what arrives twice did so because the outcome of the first sending was unknown
//	L6  nothing arrives that the table forbids
//	L7  a rejected event has no push
//	L8  an access_token is fetched at a start, after a fetch that failed, and after a refusal of the one in use
//	L9  what upstream refuses for what it says is not sent again
func (r *Run) Violations() []string {
	o := oracle{run: r, sent: map[eventKey]*Sent{}, nodes: map[node]*Sent{}, stored: map[eventKey][]*StoredEvent{}}
	o.index()
	o.kept()
	o.pushed()
	o.arrived()
	o.fetched()
	o.refused()
	return o.found
}

type eventKey struct{ source, id string }

// node is a scan as upstream sees it.
type node struct {
	waybill string
	action  int
	at      int64
	msg     string
}

type oracle struct {
	run    *Run
	sent   map[eventKey]*Sent
	nodes  map[node]*Sent // The event that a node is of; not the echoes under other ids.
	stored map[eventKey][]*StoredEvent
	found  []string
}

func (o *oracle) blame(format string, args ...any) {
	o.found = append(o.found, fmt.Sprintf(format, args...))
}

func nodeOf(e *Event) node { return node{e.WaybillID, e.ActionType, e.ActionTime, e.ActionMsg} }

func (o *oracle) index() {
	for i := range o.run.Sent {
		s := &o.run.Sent[i]
		o.sent[eventKey{s.Source, s.Event.ID}] = s
		if n := nodeOf(&s.Event); o.nodes[n] == nil || s.Want == "accepted" || s.Want == "held" {
			o.nodes[n] = s
		}
	}
	for i := range o.run.Stored {
		e := &o.run.Stored[i]
		k := eventKey{e.Source, e.EventID}
		o.stored[k] = append(o.stored[k], e)
	}
}

// kept checks L1.
func (o *oracle) kept() {
	for k, s := range o.sent {
		kept := o.stored[k]
		switch {
		case s.Acked() && len(kept) == 0:
			o.blame("L1: %s was answered %q and is lost", k.id, s.Verdict)
		case len(kept) > 1:
			o.blame("L1: %s is kept %d times", k.id, len(kept))
		case len(kept) == 1:
			e := kept[0]
			if got := (node{e.WaybillID, e.ActionType, e.ActionTime, e.ActionMsg}); got != nodeOf(&s.Event) {
				o.blame("L1: %s is kept as %+v, sent was %+v", k.id, got, nodeOf(&s.Event))
			}
			if s.Acked() && e.Seq != s.Seq {
				o.blame("L1: %s was answered as number %d and is kept as %d", k.id, s.Seq, e.Seq)
			}
		}
	}
	for k, kept := range o.stored {
		if o.sent[k] == nil {
			o.blame("L3: %s (number %d) is kept and was never sent", k.id, kept[0].Seq)
		}
	}
}

// pushed checks L2 and L7.
func (o *oracle) pushed() {
	arrived := map[node]bool{}
	for _, a := range o.run.Arrivals {
		arrived[arrivalNode(&a)] = true
	}
	pushes := map[eventKey]*ListedPush{}
	for i := range o.run.Pushes {
		p := &o.run.Pushes[i]
		pushes[eventKey{p.Source, p.EventID}] = p
	}
	for k, s := range o.sent {
		p := pushes[k]
		switch {
		case s.Verdict == "rejected" || s.Verdict == "ignored":
			if p != nil {
				o.blame("L7: %s was %s and has a push (%s)", k.id, s.Verdict, p.Status)
			}
		case !s.Acked():
		case p == nil:
			o.blame("L2: %s was answered %q and has no push", k.id, s.Verdict)
		case p.Status == "delivered" && !arrived[nodeOf(&s.Event)]:
			o.blame("L2: %s is delivered, they say, and never arrived", k.id)
		case p.Status == "delivered":
		case (p.Status == "failed" || p.Status == "discarded") && p.Reason != "":
		default:
			o.blame("L2: %s was answered %q, and its push is %s (waiting for %q, reason %q)", k.id, s.Verdict, p.Status, p.WaitingFor, p.Reason)
		}
	}
}

func arrivalNode(a *sandbox.Arrival) node {
	return node{a.WaybillID, int(a.ActionType), a.ActionTime, a.ActionMsg}
}

// arrived checks L3 to L6, waybill by waybill.
func (o *oracle) arrived() {
	byWaybill := map[string][]*sandbox.Arrival{}
	var waybills []string
	for i := range o.run.Arrivals {
		a := &o.run.Arrivals[i]
		if byWaybill[a.WaybillID] == nil {
			waybills = append(waybills, a.WaybillID)
		}
		byWaybill[a.WaybillID] = append(byWaybill[a.WaybillID], a)
	}
	for _, w := range waybills {
		slices.SortFunc(byWaybill[w], func(a, b *sandbox.Arrival) int { return cmp.Compare(a.N, b.N) })
		o.waybill(w, byWaybill[w])
	}
}

func (o *oracle) waybill(id string, arrivals []*sandbox.Arrival) {
	seen := map[node]bool{}
	var order []string
	for i, a := range arrivals {
		n := arrivalNode(a)
		s := o.nodes[n]
		if s == nil {
			o.blame("L3: waybill %s: %+v arrived and was never sent", id, n)
			continue
		}
		if s.Want == "rejected" || s.Want == "ignored" {
			o.blame("L6: waybill %s: %s is %s and arrived", id, s.Event.ID, s.Want)
		}
		switch {
		case !seen[n]:
			order = append(order, s.Event.ID)
		case arrivalNode(arrivals[i-1]) != n:
			o.blame("L4: waybill %s: %s arrived again after %s", id, s.Event.ID, o.name(arrivals[i-1]))
		case !o.unknown(arrivals[i-1], a):
			o.blame("L5: waybill %s: %s arrived twice although its first sending had been answered", id, s.Event.ID)
		}
		seen[n] = true
	}
	if want := wanted(o.run.Order[id], order); !slices.Equal(order, want) {
		o.blame("L4: waybill %s: arrived in the order %v, accepted in the order %v", id, order, want)
	}
	o.foldable(id, seen)
}

func (o *oracle) name(a *sandbox.Arrival) string {
	if s := o.nodes[arrivalNode(a)]; s != nil {
		return s.Event.ID
	}
	return "something unknown"
}

// wanted are the ids of order that arrived, in the order in which they had to.
func wanted(order, arrived []string) []string {
	var want []string
	for _, id := range order {
		if slices.Contains(arrived, id) {
			want = append(want, id)
		}
	}
	return want
}

// unknown tells whether the service could not know what became of the first of two sendings: its answer got lost, or
// the service was killed between them. (That nothing else of the waybill arrived in between is L4: a lane goes on only
// when the outcome of its head is durable.)
func (o *oracle) unknown(first, second *sandbox.Arrival) bool {
	if first.Unanswered {
		return true
	}
	return slices.ContainsFunc(o.run.Outages, func(out Outage) bool {
		return !first.At.After(out.Up) && !second.At.Before(out.Killed)
	})
}

// foldable checks that what arrived makes a legal story when put in order of time.
func (o *oracle) foldable(id string, seen map[node]bool) {
	nodes := make([]node, 0, len(seen))
	for n := range seen {
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Compare(a.at, b.at) })
	stage := "created"
	for _, n := range nodes {
		c := next(stage, n.action)
		if c.Mark == '-' {
			o.blame("L6: waybill %s: %d arrived, which %s forbids", id, n.action, stage)
			return
		}
		stage = c.To
	}
}

var (
	// credentialCodes say that the access_token is not, or no longer, good; contentCodes that the event is not
	// (README, Errcodes).
	credentialCodes = []int{40001, 40014, 42001, 41001}
	contentCodes    = []int{40097, 47001, 44002, 9300526}
)

// fetched checks L8. Many refusals may be of one access_token, so this is a bound from above.
func (o *oracle) fetched() {
	up := &o.run.Upstream
	if o.run.Starts == 0 {
		return
	}
	grounds := uint64(o.run.Starts)
	for _, code := range credentialCodes {
		grounds += up.Errcodes[code]
	}
	for code, n := range up.TokenErrors {
		if code != 0 {
			grounds += n
		}
	}
	for _, n := range up.TokenFaults {
		grounds += n
	}
	if up.TokenFetches > grounds {
		o.blame("L8: %d access_tokens were fetched, for which there were %d grounds", up.TokenFetches, grounds)
	}
}

// refused checks L9. A refusal that a crash kept from being recorded leads to another one, so runs with outages are not
// judged.
func (o *oracle) refused() {
	if len(o.run.Outages) > 0 {
		return
	}
	refusals, failed := uint64(0), uint64(0)
	for _, code := range contentCodes {
		refusals += o.run.Upstream.Errcodes[code]
	}
	for i := range o.run.Pushes {
		if p := &o.run.Pushes[i]; p.Errcode != nil && slices.Contains(contentCodes, *p.Errcode) {
			failed++
		}
	}
	if refusals > failed {
		o.blame("L9: upstream refused %d pushes for what they say, and %d ended with that", refusals, failed)
	}
}
