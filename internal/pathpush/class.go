package pathpush

import (
	"time"

	"carrier/internal/store"
)

// class is what a lane shares the account with the others by.
type class uint8

const (
	live class = iota // Fed by new events, Tokens, or by what a person did to this waybill.
	old               // Swept in, or parked until a bulk replay came.
	bulk              // All that is open was put there by bulk replays.

	numClasses
)

const (
	// liveShare of every liveShare+1 pushes go to live lanes while old ones are ready too: today's scans are not late
	// because of a backlog, and a backlog does not starve.
	liveShare = 4
	// Bulk replays take what the others leave, and every bulkEvery-th turn besides: a replay of last week's failures
	// may take its time, but under a permanent load it must not stand still.
	bulkEvery = 16
	// bulkShare is the part of the limit of pushes in flight that bulk replays may have, so that a live event finds a
	// free place however many of them there are.
	bulkShare = 2
)

// bulkLimit is how many pushes of bulk replays may be in flight at a limit for all.
func bulkLimit(limit int) int { return max(1, limit/bulkShare) }

// classNow is the class of a lane with pushes.
func (l *lane) classNow() class {
	switch {
	case l.bulk == len(l.pushes) && !l.more:
		return bulk
	case l.backlog:
		return old
	}
	return live
}

// meet takes note of pushes that come in: a scan that finds replayed pushes before it makes its lane live, for it must
// not be late because of them.
func (l *lane) meet(added []store.Push) {
	if l.bulk > 0 && bulkOf(added) < len(added) {
		l.backlog = false
	}
}

// origin says of a lane just read in which there are pushes of bulk replays and others, whether it belongs to the
// backlog: not if another came in after the replay had put the first one there. What was there before, and is not known
// from before the reading, was parked or frozen or left in the store; it has waited already.
func (l *lane) origin(pushes []store.Push) {
	var replayed, newest time.Time // The first replay, and the newest of the others.
	for i := range pushes {
		at := openedAt(&pushes[i])
		switch {
		case !pushes[i].Bulk && at.After(newest):
			newest = at
		case pushes[i].Bulk && (replayed.IsZero() || at.Before(replayed)):
			replayed = at
		}
	}
	switch {
	case replayed.IsZero() || newest.IsZero():
	case !newest.Before(replayed):
		l.backlog = false
	case !l.known:
		l.backlog = true
	}
}

// openedAt is when a push became pending.
func openedAt(p *store.Push) time.Time {
	if p.OpenedAt.IsZero() {
		return p.ReceivedAt
	}
	return p.OpenedAt
}

// bulkOf counts the pushes that bulk replays made pending.
func bulkOf(pushes []store.Push) int {
	n := 0
	for i := range pushes {
		if pushes[i].Bulk {
			n++
		}
	}
	return n
}

// turns says which class is next.
type turns struct {
	live int // of live and old lanes, since an old one's
	bulk int // of the others, since a bulk one's
}

// turn is one push's chance to go.
type turn struct {
	class class
	// spare says that a bulk lane has it because no other was ready: it may take only what is not missed.
	spare bool
}

// turn says whose it is; false if no lane is ready that may go. bulkMay says whether bulk lanes may.
func (ls *lanes) turn(bulkMay bool) (turn, bool) {
	fed, swept := ls.queues[live].len > 0, ls.queues[old].len > 0
	bulkMay = bulkMay && ls.queues[bulk].len > 0
	switch {
	case bulkMay && !fed && !swept:
		return turn{bulk, true}, true
	case bulkMay && ls.turns.bulk >= bulkEvery-1:
		return turn{bulk, false}, true
	case swept && (!fed || ls.turns.live == liveShare):
		return turn{old, false}, true
	case fed:
		return turn{live, false}, true
	}
	return turn{}, false
}

// taken notes whose turn it was. bulkReady tells whether bulk lanes were ready.
func (t *turns) taken(c class, bulkReady bool) {
	if c == bulk {
		t.bulk = 0
		return
	}
	if bulkReady {
		t.bulk++
	}
	if t.live++; t.live > liveShare {
		t.live = 0
	}
}
