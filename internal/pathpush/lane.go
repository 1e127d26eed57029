package pathpush

import (
	"container/heap"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// lane is a waybill's open pushes in memory, complete and in order. The account's mutex guards it.
type lane struct {
	waybill state.Waybill
	token   string
	tokenAt time.Time // When token came.
	pushes  []store.Push
	bulk    int // How many of pushes are Bulk; while loading, how many there may be.
	where   place
	backlog bool // It was swept in, or waited parked, frozen or for upstream's return; no new event fed it.
	known   bool // It was read, or fed whole, before.

	// stale says that more than the end changed in the store: it is read again before the next push.
	stale bool
	// doubtful says that not even what is loaded may be right: nothing of it is sent before it is read again.
	doubtful bool
	// more says that there was no room for its new end, and that not all of that is Bulk.
	more bool
	// refusals counts the refusals of access_tokens in a row for the head.
	refusals int
	// again says that the head is to be sent again at once: the lane goes to the front of its queue.
	again bool

	class      class // while ready: whose queue it is in
	prev, next *lane // while ready: its neighbours there

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
	queues  [numClasses]queue
	waiting retries
	loaded  int // pushes in memory
	bulk    int // of them Bulk, and those that lanes being read may have
	resting int // of those: in lanes that wait for their head's next retry
	turns   turns
}

// add takes in a lane with its pushes and puts it where it belongs.
func (ls *lanes) add(l *lane, pushes []store.Push, now time.Time) {
	ls.all[l.waybill] = l
	ls.put(l, pushes)
	l.known = true
	ls.enqueue(l, now)
}

// put changes what a lane holds.
func (ls *lanes) put(l *lane, pushes []store.Push) {
	ls.loaded += len(pushes) - len(l.pushes)
	l.pushes = pushes
	ls.count(l, bulkOf(pushes))
}

// count notes how many of a lane's pushes are Bulk.
func (ls *lanes) count(l *lane, bulk int) {
	ls.bulk += bulk - l.bulk
	if l.where == waiting {
		ls.resting += bulk - l.bulk
	}
	l.bulk = bulk
}

// shift takes the head off.
func (ls *lanes) shift(l *lane) {
	if l.pushes[0].Bulk {
		ls.count(l, l.bulk-1)
	}
	l.pushes[0] = store.Push{} // lets its bytes go
	l.pushes = l.pushes[1:]
	l.refusals = 0
	ls.loaded--
}

// append adds pushes that became open to a lane's end.
func (ls *lanes) append(l *lane, added []store.Push) {
	l.meet(added)
	before := len(l.pushes)
	ls.loaded += l.append(added)
	ls.count(l, l.bulk+bulkOf(l.pushes[before:]))
	ls.classify(l)
}

// enqueue puts a lane with pushes in a queue, or lets it wait for its head's time.
func (ls *lanes) enqueue(l *lane, now time.Time) {
	if at := l.pushes[0].NextAt; at.After(now) {
		l.where, l.nextAt = waiting, at
		ls.resting += l.bulk
		heap.Push(&ls.waiting, l)
		return
	}
	l.where, l.class = ready, l.classNow()
	q := &ls.queues[l.class]
	if l.again {
		l.again = false
		q.pushFront(l)
		return
	}
	q.push(l)
}

// classify moves a lane that is ready to the queue where it belongs by now.
func (ls *lanes) classify(l *lane) {
	if l.where != ready || l.class == l.classNow() {
		return
	}
	ls.queues[l.class].remove(l)
	l.class = l.classNow()
	ls.queues[l.class].push(l)
}

// take makes a lane leave the queue or the heap that it is in; its caller says where it goes.
func (ls *lanes) take(l *lane) {
	switch l.where {
	case ready:
		ls.queues[l.class].remove(l)
	case waiting:
		heap.Remove(&ls.waiting, l.index)
		ls.wake(l)
	}
}

// age makes a backlog of what there is: what gathered during an outage comes behind what happens from now on.
func (ls *lanes) age() {
	for l := ls.queues[live].first; l != nil; l = ls.queues[live].first {
		l.backlog = true // So it is no live one.
		ls.classify(l)
	}
	for _, l := range ls.waiting {
		l.backlog = true
	}
}

// due moves lanes whose time has come into the queues, and says when the next one's comes (zero: never).
func (ls *lanes) due(now time.Time) time.Time {
	for len(ls.waiting) > 0 {
		l := ls.waiting[0]
		if l.nextAt.After(now) {
			return l.nextAt
		}
		heap.Pop(&ls.waiting)
		ls.wake(l)
		l.pushes[0].NextAt = time.Time{}
		ls.enqueue(l, now)
	}
	return time.Time{}
}

// wake notes that a lane has left the heap.
func (ls *lanes) wake(l *lane) {
	ls.resting -= l.bulk
	l.where = loading
}

// ready tells whether a lane of any class is.
func (ls *lanes) ready() bool {
	return ls.queues[live].len > 0 || ls.queues[old].len > 0 || ls.queues[bulk].len > 0
}

// pop takes the first lane of a class, whose turn it is. There must be one.
func (ls *lanes) pop(c class) *lane {
	ls.turns.taken(c, ls.queues[bulk].len > 0)
	l := ls.queues[c].first
	ls.queues[c].remove(l)
	l.where = inFlight
	return l
}

// drop forgets a lane; what of it is open stays in the store.
func (ls *lanes) drop(l *lane) {
	ls.take(l)
	ls.put(l, nil)
	delete(ls.all, l.waybill)
}
