package sandbox

import (
	"cmp"
	"slices"
	"time"
)

// Arrival is a push that was applied, in the order of arrival.
type Arrival struct {
	N          uint64    `json:"n"` // Counts from 1, over all waybills.
	At         time.Time `json:"at"`
	AppID      string    `json:"appid"`
	DeliveryID string    `json:"delivery_id,omitempty"`
	WaybillID  string    `json:"waybill_id"`
	ActionTime int64     `json:"action_time"`
	ActionType int64     `json:"action_type"`
	ActionMsg  string    `json:"action_msg"`
	// Repeat says that the waybill had this node already: the customer does not see it twice.
	Repeat bool `json:"repeat"`
	// Unanswered says that the client got no answer that it could read.
	Unanswered bool `json:"unanswered"`
	// Escaped says that the body held \u escapes. Upstream's pages ask for plain UTF-8.
	Escaped bool `json:"escaped,omitempty"`
	// Trace says that the node shows otherwise than it was pushed: drop, duplicate or change.
	Trace string `json:"trace,omitempty"`
}

// Node is a line of the trace that the customer sees.
type Node struct {
	ActionTime int64  `json:"action_time"`
	ActionType int64  `json:"action_type"`
	ActionMsg  string `json:"action_msg"`
}

// View is what is known of a waybill.
type View struct {
	WaybillID string    `json:"waybill_id"`
	Known     bool      `json:"known"`
	Arrivals  []Arrival `json:"arrivals"`
	Nodes     []Node    `json:"nodes"` // As they arrived, each once, and as faults show them. Upstream does not say that it sorts.
}

// Page is a part of all arrivals.
type Page struct {
	Arrivals  []Arrival `json:"arrivals"`
	Next      uint64    `json:"next"`      // What to ask for next, as since.
	Forgotten uint64    `json:"forgotten"` // Arrivals asked for that are no longer kept.
}

// Nodes is what is known of a waybill, of all companies that use its number.
func (s *Sandbox) Nodes(waybillID string) View { return s.ledger.view(waybillID, "") }

// Arrivals are those after number since, in order of arrival, at most limit.
func (s *Sandbox) Arrivals(since uint64, limit int) Page {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	p := Page{Arrivals: []Arrival{}, Next: since}
	start := since + 1
	if oldest := l.oldest(); start < oldest {
		p.Forgotten = oldest - max(start, 1)
		start = oldest
	}
	for n := start; n <= l.last && len(p.Arrivals) < limit; n++ {
		p.Arrivals = append(p.Arrivals, l.arrival(n))
		p.Next = n
	}
	return p
}

// view is what is known of a waybill; deliveryID, if given, chooses one company's.
func (l *ledger) view(id, deliveryID string) View {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := View{WaybillID: id, Arrivals: []Arrival{}, Nodes: []Node{}}
	for w := l.waybills.byID[id]; w != nil; w = w.next {
		if deliveryID != "" && w.DeliveryID != deliveryID {
			continue
		}
		v.Known = true
		for _, n := range w.nodes {
			v.Arrivals = append(v.Arrivals, l.arrival(n))
		}
		v.Nodes = append(v.Nodes, l.trace(w)...)
	}
	slices.SortFunc(v.Arrivals, func(a, b Arrival) int { return cmp.Compare(a.N, b.N) })
	return v
}

// changedText ends the text of a node that shows otherwise than it was pushed.
const changedText = "（文字已被沙箱改动）"

// trace is what the customer sees of a waybill: identical nodes once, but for those that a fault shows otherwise.
func (l *ledger) trace(w *waybill) []Node {
	var out []Node
	seen := map[Node]bool{}
	for _, n := range w.nodes {
		k := l.kept(n)
		node := k.node
		if k.trace == change {
			node.ActionMsg += changedText
		}
		if k.trace == drop || seen[node] {
			continue
		}
		seen[node] = true
		out = append(out, node)
		if k.trace == duplicate {
			out = append(out, node)
		}
	}
	return out
}

// traceOf is what the customer sees of a company's waybill, or of one that is any company's; false if there is none.
func (l *ledger) traceOf(deliveryID, id string) ([]Node, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.waybills.ordered(deliveryID, id)
	if w == nil {
		w = l.waybills.ordered("", id)
	}
	if w == nil {
		return nil, false
	}
	return append([]Node{}, l.trace(w)...), true
}

// arrival is kept arrival n in full.
func (l *ledger) arrival(n uint64) Arrival {
	k := l.kept(n)
	return Arrival{
		N: n, At: time.Unix(0, k.at).UTC(), AppID: k.appID, DeliveryID: k.w.DeliveryID, WaybillID: k.w.WaybillID,
		ActionTime: k.node.ActionTime, ActionType: k.node.ActionType, ActionMsg: k.node.ActionMsg,
		Repeat: k.repeat, Unanswered: k.unanswered, Escaped: k.escaped, Trace: string(k.trace),
	}
}
