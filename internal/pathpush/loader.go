package pathpush

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"carrier/internal/durations"
	"carrier/internal/state"
	"carrier/internal/store"
)

// sweep is where the reading of open pushes from the store stands. The account's mutex guards it.
type sweep struct {
	at   store.Place
	done bool // The end was reached: all that was open when it began is, or was, in memory.
	// again says that since it began something was left in the store for want of room: it must begin anew.
	again bool
}

// loadRetry is how long the loader waits when the store can't be read.
const loadRetry = time.Second

// unread are lanes that could not be read: a damaged row must not keep the other waybills from being sent. Only the
// loader uses it.
type unread struct {
	waybills []state.Waybill
	since    time.Time // When the first of them failed, of those to be tried again together.
	err      error     // Of the last one.
}

// note takes in what came of reading a lane.
func (u *unread) note(w state.Waybill, err error) {
	if err == nil {
		return
	}
	if len(u.waybills) == 0 {
		u.since = time.Now()
	}
	u.waybills, u.err = append(u.waybills, w), err
}

// due gives those whose time to be tried again has come.
func (u *unread) due() (again []state.Waybill) {
	if len(u.waybills) > 0 && time.Since(u.since) >= loadRetry {
		again, u.waybills = u.waybills, nil
	}
	return again
}

// load reads lanes that are wanted, and sweeps in the backlog while there is room, until ctx ends.
func (a *account) load(ctx context.Context) error {
	failing := "" // What it fails for, so that it is told once.
	for {
		busy, err := a.loadSome(ctx)
		if ctx.Err() != nil {
			return nil
		}
		trouble := err
		if len(a.unread.waybills) > 0 {
			trouble = cmp.Or(err, a.unread.err)
		}
		if text := fmt.Sprint(trouble); trouble == nil {
			failing = ""
		} else if text != failing {
			failing = text
			a.log.Error("reading open pushes from the store; trying again", "err", trouble)
		}
		switch {
		case err != nil:
			if durations.Wait(ctx, loadRetry) != nil {
				return nil
			}
		case !busy && !a.awaitLoad(ctx):
			return nil
		}
	}
}

// awaitLoad waits until there is something to read; false if ctx ended first.
func (a *account) awaitLoad(ctx context.Context) bool {
	var again <-chan time.Time
	if len(a.unread.waybills) > 0 {
		again = time.After(loadRetry)
	}
	select {
	case <-ctx.Done():
		return false
	case <-a.wakeLoad:
	case <-again:
	}
	return true
}

// loadSome reads the wanted lanes, or else one page of the sweep. It says whether there was anything to do.
func (a *account) loadSome(ctx context.Context) (busy bool, err error) {
	a.mu.Lock()
	wanted := append(a.wanted, a.unread.due()...)
	a.wanted = nil
	a.mu.Unlock()
	a.loadLanes(ctx, wanted)
	if len(wanted) > 0 {
		return true, nil
	}
	return a.sweepSome(ctx)
}

// roomForBacklog tells whether more of the backlog should be read: up to a limit, and beyond it whenever nothing of it
// is left in the queue. Otherwise a flood of new events that keeps the memory full would let the backlog starve.
func (a *account) roomForBacklog(limit int) bool {
	if a.sweep.done && !a.sweep.again {
		return false
	}
	if a.lanes.loaded < limit {
		return true
	}
	// Not if it is bulk replays that fill the room: they may wait in the store as well, and live events need it.
	return a.lanes.queues[old].len == 0 && a.lanes.bulk < a.maxLoaded/4 && a.lanes.loaded < a.maxLoaded+a.maxLoaded/4
}

// sweepSome reads one page of the backlog if there is room. Half of the room is left for what is new.
func (a *account) sweepSome(ctx context.Context) (busy bool, err error) {
	a.mu.Lock()
	if a.sweep.done && a.sweep.again {
		a.sweep = sweep{}
	}
	at, room := a.sweep.at, a.roomForBacklog(a.maxLoaded/2)
	a.mu.Unlock()
	if !room {
		return false, nil
	}
	page, next, done, err := a.store.Sweep(ctx, a.id, at)
	if err != nil {
		return true, err
	}
	var claimed []state.Waybill
	for _, w := range page {
		if a.claim(w) {
			claimed = append(claimed, w)
		}
	}
	a.loadLanes(ctx, claimed)
	a.mu.Lock()
	a.sweep.at, a.sweep.done = next, done
	a.mu.Unlock()
	return true, nil
}

// claim makes a lane for w, to be read, unless there is one.
func (a *account) claim(w state.Waybill) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lanes.all[w] != nil {
		return false
	}
	a.lanes.all[w] = &lane{waybill: w, where: loading, backlog: true}
	return true
}

// readsAtOnce is how many lanes are read at the same time: enough for an engine that reads many in one round trip.
const readsAtOnce = 64

// loadLanes reads lanes whose place is loading, lets them go on in their order, and notes those that could not be read.
func (a *account) loadLanes(ctx context.Context, wanted []state.Waybill) {
	for some := range slices.Chunk(wanted, readsAtOnce) {
		kept, errs := a.readLanes(ctx, some)
		for i, w := range some {
			if errs[i] == nil {
				a.place(w, &kept[i])
			}
			a.unread.note(w, errs[i])
		}
	}
}

// readLanes reads lanes at the same time. What comes in from now on makes them stale.
func (a *account) readLanes(ctx context.Context, wanted []state.Waybill) (kept []store.Lane, errs []error) {
	kept, errs = make([]store.Lane, len(wanted)), make([]error, len(wanted))
	a.mu.Lock()
	for _, w := range wanted {
		l := a.lanes.all[w]
		l.stale, l.doubtful, l.more = false, false, false
	}
	a.mu.Unlock()
	var reads sync.WaitGroup
	for i, w := range wanted {
		reads.Go(func() { kept[i], errs[i] = a.store.Lane(ctx, w) })
	}
	reads.Wait()
	return kept, errs
}

// place puts a lane that was read where it belongs.
func (a *account) place(w state.Waybill, kept *store.Lane) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lanes.all[w]
	if l.stale {
		// Something came in while it was read.
		a.want(l)
		return
	}
	if len(kept.Pushes) == 0 || kept.Blocked() {
		a.lanes.drop(l)
		return
	}
	now := time.Now()
	l.token, l.tokenAt = kept.Token, kept.TokenAt
	l.origin(kept.Pushes)
	kept.Pushes[0].NextAt = a.retryAt(kept.Pushes[0].NextAt, now)
	a.lanes.add(l, kept.Pushes, now)
	a.poke()
}

// retryAt makes a stored time of the next attempt independent of the clock from now on. No retry waits longer than the
// longest backoff; one that seems to was noted by a clock that was ahead.
func (a *account) retryAt(kept, now time.Time) time.Time {
	wait := kept.Sub(now)
	if wait <= 0 || wait > a.policy.Load().retry.Max {
		return time.Time{}
	}
	return now.Add(wait)
}
