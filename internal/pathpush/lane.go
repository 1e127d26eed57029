package pathpush

import (
	"container/heap"
	"slices"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// lane is a waybill's open pushes in memory, complete and in order. The account's mutex guards it.
type lane struct {
	waybill state.Waybill
	token   string
	pushes  []store.Push
	where   place
	backlog bool // It was swept in, not fed by a new event.

	// stale says that more than the end changed in the store: it is read again before the next push.
	stale bool
	// refusals counts the refusals of access_tokens in a row for the head.
	refusals int
	// again says that the head is to be sent again at once: the lane goes to the front of its queue.
	again bool

	nextAt time.Time // while waiting
	index  int       // in the heap of waiting lanes
}

// place says where a lane is; it is in one place at a time.
type place uint8

const (
	loading  place = iota // being read from the store
	ready                 // in a queue
	inFlight              // its head is being sent, or the outcome made durable
	waiting               // for its head's next retry
)

// append adds pushes that became open after those it has.
func (l *lane) append(added []store.Push) int {
	n := len(l.pushes)
	if n+len(added) > cap(l.pushes) {
		// An outage leaves a mass of short lanes behind: doubling their room each time would leave nearly half of it
		// empty.
		l.pushes = append(make([]store.Push, 0, n+len(added)+n/4), l.pushes...)
	}
	for i := range added {
		if m := len(l.pushes); m == 0 || added[i].Ord > l.pushes[m-1].Ord {
			l.pushes = append(l.pushes, added[i])
		}
	}
	return len(l.pushes) - n
}

// queue is a first-in-first-out list of lanes.
type queue struct {
	lanes []*lane
	head  int
}

func (q *queue) len() int     { return len(q.lanes) - q.head }
func (q *queue) push(l *lane) { q.lanes = append(q.lanes, l) }
func (q *queue) pushFront(l *lane) {
	if q.head == 0 {
		q.lanes = slices.Insert(q.lanes, 0, l)
		return
	}
	q.head--
	q.lanes[q.head] = l
}
func (q *queue) pop() *lane {
	l := q.lanes[q.head]
	q.lanes[q.head] = nil
	q.head++
	switch {
	case q.head == len(q.lanes):
		q.lanes, q.head = q.lanes[:0], 0
	case q.head >= 1024 && q.head*2 >= len(q.lanes):
		q.lanes, q.head = slices.Delete(q.lanes, 0, q.head), 0
	}
	return l
}

// retries is a heap of waiting lanes, the next one first.
type retries []*lane

func (r retries) Len() int           { return len(r) }
func (r retries) Less(i, j int) bool { return r[i].nextAt.Before(r[j].nextAt) }
func (r retries) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].index, r[j].index = i, j
}
func (r *retries) Push(x any) {
	l := x.(*lane)
	l.index = len(*r)
	*r = append(*r, l)
}
func (r *retries) Pop() any {
	old := *r
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*r = old[:len(old)-1]
	return l
}

// lanes are an account's lanes in memory.
type lanes struct {
	all     map[state.Waybill]*lane
	live    queue // fed by new events
	old     queue // swept in
	waiting retries
	loaded  int // pushes in memory
	turn    int
}

// liveShare of every liveShare+1 pushes go to live lanes while both kinds are ready: today's scans are not late
// because of a backlog, and a backlog does not starve.
const liveShare = 4

// add takes in a new lane and puts it where it belongs.
func (ls *lanes) add(l *lane, now time.Time) {
	ls.all[l.waybill] = l
	ls.loaded += len(l.pushes)
	ls.enqueue(l, now)
}

// enqueue puts a lane with pushes in a queue, or lets it wait for its head's time.
func (ls *lanes) enqueue(l *lane, now time.Time) {
	if at := l.pushes[0].NextAt; at.After(now) {
		l.where, l.nextAt = waiting, at
		heap.Push(&ls.waiting, l)
		return
	}
	q := &ls.live
	if l.backlog {
		q = &ls.old
	}
	l.where = ready
	if l.again {
		l.again = false
		q.pushFront(l)
		return
	}
	q.push(l)
}

// due moves lanes whose time has come into the queues, and says when the next one's comes (zero: never).
func (ls *lanes) due(now time.Time) time.Time {
	for len(ls.waiting) > 0 {
		l := ls.waiting[0]
		if l.nextAt.After(now) {
			return l.nextAt
		}
		heap.Pop(&ls.waiting)
		l.pushes[0].NextAt = time.Time{}
		ls.enqueue(l, now)
	}
	return time.Time{}
}

func (ls *lanes) ready() bool { return ls.live.len() > 0 || ls.old.len() > 0 }

// next takes the lane whose turn it is. There must be one.
func (ls *lanes) next() *lane {
	q := &ls.live
	if q.len() == 0 || ls.old.len() > 0 && ls.turn == liveShare {
		q = &ls.old
	}
	if ls.turn++; ls.turn > liveShare {
		ls.turn = 0
	}
	l := q.pop()
	l.where = inFlight
	return l
}

// drop forgets a lane; what of it is open stays in the store.
func (ls *lanes) drop(l *lane) {
	if l.where == waiting {
		heap.Remove(&ls.waiting, l.index)
	}
	ls.loaded -= len(l.pushes)
	l.pushes = nil
	delete(ls.all, l.waybill)
}
