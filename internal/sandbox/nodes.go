package sandbox

import (
	"cmp"
	"slices"
)

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

// trace is what the customer sees of a waybill: identical nodes once.
func (l *ledger) trace(w *waybill) []Node {
	var out []Node
	seen := map[Node]bool{}
	for _, n := range w.nodes {
		if node := l.kept(n).node; !seen[node] {
			seen[node] = true
			out = append(out, node)
		}
	}
	return out
}
