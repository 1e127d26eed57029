package verify

import (
	"cmp"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// Compare lays upstream's trace beside a waybill's pushes. Pushes that are delivered are expected to show, if that was not
// later than settled. The others only explain what upstream shows: it may have taken one whose answer was lost. Events
// without a push are passed over. It changes neither list.
func Compare(pushes []store.Push, upstream []wechat.PathItem, settled time.Time) Report {
	c := newComparison(pushes, upstream)
	c.matchEqual()
	c.matchForgotten()
	c.matchChanged()
	moved, order := c.outOfOrder()
	return Report{Lines: c.lines(moved, settled), Order: order}
}

// PushesOf lists the pushes of a waybill's events, for Compare.
func PushesOf(story *store.Waybill) []store.Push {
	pushes := make([]store.Push, len(story.Timeline))
	for i := range story.Timeline {
		pushes[i] = story.Timeline[i].Push
	}
	return pushes
}

// none is the place of a push that upstream does not show.
const none = -1

// comparison is the state of one Compare.
type comparison struct {
	sent  []sent
	shown []wechat.PathItem
	taken []bool // By place upstream: a push explains the node.
}

// sent is a push, and the place of its node upstream.
type sent struct {
	push    *store.Push
	node    wechat.PathItem
	at      int
	shares  bool // The node at that place is another push's, too.
	changed bool // The texts differ.
}

func (s *sent) expected() bool { return s.push.Status == store.Delivered }

// forgotten tells whether the push's text was expunged: a real one is never empty.
func (s *sent) forgotten() bool { return s.node.ActionMsg == "" }

func newComparison(pushes []store.Push, upstream []wechat.PathItem) *comparison {
	c := &comparison{shown: upstream, taken: make([]bool, len(upstream))}
	for i := range pushes {
		p := &pushes[i]
		if p.Status == store.NoPush {
			continue
		}
		node := wechat.PathItem{ActionTime: p.Event.Time, ActionType: int64(p.Event.Type), ActionMsg: p.Event.Msg}
		c.sent = append(c.sent, sent{push: p, node: node, at: none})
	}
	slices.SortStableFunc(c.sent, func(a, b sent) int { return cmp.Compare(a.push.Ord, b.push.Ord) })
	return c
}

func (c *comparison) take(s *sent, at int) { s.at, c.taken[at] = at, true }

// matchEqual finds each push's node among those that are equal to it. Where there are fewer nodes than equal pushes,
// they share the last one.
func (c *comparison) matchEqual() {
	places := map[wechat.PathItem][]int{}
	for at, node := range c.shown {
		places[node] = append(places[node], at)
	}
	match := func(s *sent) {
		equal := places[s.node]
		if len(equal) == 0 || s.forgotten() {
			return
		}
		s.shares = c.taken[equal[0]]
		c.take(s, equal[0])
		if len(equal) > 1 {
			places[s.node] = equal[1:]
		}
	}
	for _, expected := range []bool{true, false} { // What was delivered comes first.
		for i := range c.sent {
			if c.sent[i].expected() == expected {
				match(&c.sent[i])
			}
		}
	}
}

// moment is what a node still tells when its text is not known, or another one.
type moment struct{ time, kind int64 }

func momentOf(node *wechat.PathItem) moment { return moment{node.ActionTime, node.ActionType} }

// open lists, by time and type, the places that no push explains yet.
func (c *comparison) open() map[moment][]int {
	open := map[moment][]int{}
	for at := range c.shown {
		if !c.taken[at] {
			m := momentOf(&c.shown[at])
			open[m] = append(open[m], at)
		}
	}
	return open
}

// matchForgotten gives pushes whose text was expunged the nodes of their time and type.
func (c *comparison) matchForgotten() {
	open := c.open()
	for i := range c.sent {
		s := &c.sent[i]
		m := momentOf(&s.node)
		if s.forgotten() && len(open[m]) > 0 {
			c.take(s, open[m][0])
			open[m] = open[m][1:]
		}
	}
}

// matchChanged gives pushes that were delivered nodes of their time and type with other texts: of several, those that
// are most alike.
func (c *comparison) matchChanged() {
	open := c.open()
	missed := map[moment][]*sent{}
	for i := range c.sent {
		s := &c.sent[i]
		if m := momentOf(&s.node); s.at == none && s.expected() && len(open[m]) > 0 {
			missed[m] = append(missed[m], s)
		}
	}
	for m, pushes := range missed {
		places := open[m]
		for len(pushes) > 0 && len(places) > 0 {
			i, j := c.mostAlike(pushes, places)
			c.take(pushes[i], places[j])
			pushes[i].changed = true
			pushes, places = slices.Delete(pushes, i, i+1), slices.Delete(places, j, j+1)
		}
	}
}

// mostAlike finds the push and the place whose texts have most in common.
func (c *comparison) mostAlike(pushes []*sent, places []int) (push, place int) {
	best := -1.0
	for i, s := range pushes {
		for j, at := range places {
			if a := alike(s.node.ActionMsg, c.shown[at].ActionMsg); a > best {
				push, place, best = i, j, a
			}
		}
	}
	return push, place
}

// alike is the share of two texts, 0 to 1, that is the same at their beginnings and at their ends.
func alike(a, b string) float64 {
	long, short := max(len(a), len(b)), min(len(a), len(b))
	if long == 0 {
		return 1
	}
	front := 0
	for front < short && a[front] == b[front] {
		front++
	}
	back := 0
	for back < short-front && a[len(a)-1-back] == b[len(b)-1-back] {
		back++
	}
	return float64(front+back) / float64(long)
}

// outOfOrder finds the fewest pushes that must be elsewhere for the others to be in order, by the order that needs
// fewer.
func (c *comparison) outOfOrder() (moved map[*sent]bool, order Order) {
	var placed []*sent
	for i := range c.sent {
		// One that was sent again may stand where it was first, or where it arrived last: its place tells nothing. Nor
		// does that of one that was not answered, or of a node that stands for several.
		if s := &c.sent[i]; s.at != none && !s.shares && s.expected() && s.push.Replay == 0 {
			placed = append(placed, s)
		}
	}
	moved = notInOrder(placed)
	slices.SortStableFunc(placed, func(a, b *sent) int { return cmp.Compare(a.node.ActionTime, b.node.ActionTime) })
	if byTime := notInOrder(placed); len(byTime) < len(moved) {
		return byTime, ByTime
	}
	return moved, ByAcceptance
}

// notInOrder leaves out the longest part of a row whose places rise (patience sorting).
func notInOrder(row []*sent) map[*sent]bool {
	var ends []int // By length: where in row the part ends that has the lowest last place.
	before := make([]int, len(row))
	for i, s := range row {
		n, _ := slices.BinarySearchFunc(ends, s.at, func(end, at int) int { return cmp.Compare(row[end].at, at) })
		before[i] = none
		if n > 0 {
			before[i] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, i)
		}
		ends[n] = i
	}
	left := make(map[*sent]bool, len(row))
	for _, s := range row {
		left[s] = true
	}
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i != none; i = before[i] {
			delete(left, row[i])
		}
	}
	return left
}

// lines puts what upstream shows beside the pushes into lines, each node behind the one that it follows upstream.
func (c *comparison) lines(moved map[*sent]bool, settled time.Time) []Line {
	behind := map[int][]Line{} // By the place of the node that they follow; none: the trace begins with them.
	last := none
	for at := range c.shown {
		if c.taken[at] {
			last = at
			continue
		}
		behind[last] = append(behind[last], Line{Kind: unexplained(&c.shown[at]), Upstream: &c.shown[at]})
	}
	lines := slices.Clone(behind[none])
	for i := range c.sent {
		s := &c.sent[i]
		if s.at == none && !s.expected() {
			continue // Nobody said that it is there.
		}
		lines = append(lines, c.line(s, moved[s], settled))
		if s.at != none && !s.shares {
			lines = append(lines, behind[s.at]...)
		}
	}
	return lines
}

// line is a push's.
func (c *comparison) line(s *sent, moved bool, settled time.Time) Line {
	l := Line{Kind: Same, Seq: s.push.Seq, Status: s.push.Status, Delivered: &s.node}
	if s.at != none {
		l.Upstream = &c.shown[s.at]
	}
	switch {
	case s.at == none && s.push.DoneAt.After(settled):
		l.Kind = Pending
	case s.at == none:
		l.Kind = Missing
	case s.changed:
		l.Kind = Changed
	case moved:
		l.Kind = Moved
	}
	return l
}

// unexplained is the kind of a node that no push explains.
func unexplained(node *wechat.PathItem) Kind {
	if kind := state.ActionType(node.ActionType); int64(kind) == node.ActionType && kind.Valid() {
		return Extra
	}
	return Own
}
