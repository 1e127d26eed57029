package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"carrier/internal/state"
	"carrier/internal/store"
)

// aloneLeases are leases without a database.
func aloneLeases(feed store.Feed) *leases {
	return newLeases(leaseOptions{Lease: testLease, Log: slog.New(slog.DiscardHandler), Feed: feed})
}

// A node that is not registered owns nothing: what nobody owns is not its own.
func TestUnregisteredNodeOwnsNothing(t *testing.T) {
	w := state.Waybill{DeliveryID: "SF", WaybillID: "1"}
	x := &tx{s: &Store{leases: aloneLeases(nil)}, mine: map[int16]bool{}}
	var batch pgx.Batch
	x.queueOwnership(&batch, []state.Waybill{w})
	if batch.Len() != 0 {
		t.Error("it asks which slots are the number 0's, which are those that are free")
	}
}

// The lanes hear that waybills were lost before they hear that waybills came: nothing is gained while another goroutine
// is about to tell of a loss.
func TestLossIsToldFirst(t *testing.T) {
	var l *leases
	losses := 0
	l = aloneLeases(func([]store.Change) {
		losses++
		if l.telling.TryLock() {
			t.Error("slots may be gained, and that be told, meanwhile")
			l.telling.Unlock()
		}
	})
	l.hold(7)
	l.expire() // No renewal was ever granted.
	if losses != 1 {
		t.Errorf("a loss was told %d times", losses)
	}
}

// While the time of day says that the lease has ended, all is refused and passed over; so what is open is read again
// once it was renewed. What is under way is not cut off, as nobody else took it.
func TestTimeOfDayJumps(t *testing.T) {
	n := openNode(t, schema.Start(t).URL(), "a")
	w := n.ownedWaybill(t)
	lease, end, ok := n.Begin(w)
	if !ok {
		t.Fatal("a node alone may not push")
	}
	n.leases.mu.Lock()
	n.leases.renewed = n.leases.renewed.Round(0).Add(-time.Hour)
	n.leases.mu.Unlock()
	eventually(t, soon, "the lanes hear that all was lost", func() bool { return n.fed(lostOf(w)) == 1 })
	eventually(t, soon, "and that waybills came", func() bool { return n.fed(isSweep) > 0 && len(n.leases.owned()) == slots-1 })
	if lease.Err() != nil {
		t.Error("the push was cut off")
	}
	end()
	eventually(t, soon, "all is this node's again", func() bool { return len(n.leases.owned()) == slots })
}

// A renewal may be asked for in time and granted after the lease has ended, before that was noticed: what was refused in
// between was passed over, and is looked for again.
func TestRenewedTooLate(t *testing.T) {
	var told []store.Change
	l := aloneLeases(func(c []store.Change) { told = append(told, c...) })
	l.o.Lease = time.Hour // It ends when the test says so.
	w := state.Waybill{DeliveryID: "SF", WaybillID: "1"}
	l.extend(1, time.Now())
	l.hold(slotOf(w))
	if !l.owns(w) {
		t.Fatal("the node does not own what it holds")
	}
	lasts := l.o.Lease - l.margin()
	l.renewed = time.Now().Add(-lasts) // The timer of expire goes by what was, as if it were late.
	if _, _, ok := l.Begin(w); ok || l.owns(w) {
		t.Fatal("a push begins after the lease has ended")
	}
	l.extend(1, time.Now().Add(-lasts/2))
	if len(told) != 1 || !lostOf(w)(&told[0]) {
		t.Fatalf("told: %+v, want that all was lost", told)
	}
	v := &view{live: 1}
	for slot := range v.owners {
		v.owners[slot] = 1
	}
	l.adopt(v)
	if len(told) != 2 || !isSweep(&told[1]) || !l.owns(w) {
		t.Errorf("told: %+v, want that waybills came", told[1:])
	}
}

// What could not be told with a renewal that failed is told with the next one; of a breaker only what it is by then. A node
// that was away for longer than its lease tells nothing of what it met there.
func TestBreakerNewsOutliveARenewal(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), "postgres://127.0.0.1/none") // It connects when it is used.
	if err != nil {
		t.Fatal(err)
	}
	pool.Close()
	l := aloneLeases(nil)
	l.o.Pool, l.o.Lease, l.renewed = pool, time.Hour, time.Now()
	opened := func(host string) store.BreakerNews {
		return store.BreakerNews{DeliveryID: "SF", Host: host, Open: true}
	}
	l.Tell(opened("one"))
	l.Tell(opened("other"))
	for range 2 {
		if _, err := l.renew(t.Context()); err == nil {
			t.Fatal("a lease was renewed without a database")
		}
	}
	lost := l.news // As the next renewal takes them, and then fails.
	l.news = map[breakerName]store.BreakerNews{}
	closed := store.BreakerNews{DeliveryID: "SF", Host: "one"}
	l.Tell(closed)
	l.tellAgain(lost)
	want := map[breakerName]store.BreakerNews{{"SF", "one"}: closed, {"SF", "other"}: opened("other")}
	if !maps.Equal(l.news, want) {
		t.Errorf("to be told: %+v, want %+v", l.news, want)
	}
	l.renewed = time.Now().Add(l.margin() - l.o.Lease)
	if _, err := l.renew(t.Context()); err == nil || len(l.news) != 0 {
		t.Errorf("to be told after the lease has ended: %+v, and the renewal's error is %v", l.news, err)
	}
}

// What is open is looked for, whatever was told, soon after slots were gained, and now and then: by the time that has
// passed, not by the rounds, of which there are many at once when slots change hands.
func TestPolls(t *testing.T) {
	l := aloneLeases(nil)
	begun := time.Now()
	for _, round := range []struct {
		at     float64 // In regular rounds.
		gained int
		want   bool
	}{
		{0, 128, false}, {0.1, 0, false}, {0.2, 1, false}, {2.1, 0, false}, {2.3, 0, true}, {2.4, 0, false}, {10, 0, false},
		{17.4, 0, true}, {17.5, 0, false}, {32, 2, false}, {33.9, 0, false}, {35, 0, true}, {36, 0, false},
	} {
		at := begun.Add(time.Duration(round.at * float64(l.every())))
		if got := l.polls(at, round.gained); got != round.want {
			t.Errorf("after %v rounds, with %d slots gained: %v, want %v", round.at, round.gained, got, round.want)
		}
	}
}

// A duty that is granted to a node that does not want it any more is given back.
func TestDutyGrantedTooLate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 { // Either of what While waits for may come first.
		l := aloneLeases(nil)
		d := &duty{granted: make(chan context.Context, 1), working: true}
		mine, cut := context.WithCancelCause(t.Context())
		d.granted <- mine
		d.cut, l.duties[store.DutyReplays] = cut, d
		if err := l.While(ctx, store.DutyReplays, func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		v := &view{duties: map[string]int32{string(store.DutyReplays): 1}}
		if release, _ := l.planDuties(v, 1); len(release) != 1 || mine.Err() == nil {
			t.Fatalf("a duty that nobody does: %v is given back, and its context says %v", release, mine.Err())
		}
	}
}

// A slot that is idle is not handed over in the middle of a transaction that takes it for its own: what that changes
// would be told to no lane.
func TestHandOverWaitsForTransactions(t *testing.T) {
	db := schema.Start(t)
	a := openNode(t, db.URL(), "a")
	var all []state.Waybill // One of each slot at least.
	seen := map[int16]bool{}
	for i := 0; len(seen) < slots; i++ {
		w := state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(i)}
		seen[slotOf(w)] = true
		all = append(all, w)
	}
	begun, result := make(chan bool, 1), make(chan error, 1)
	go func() {
		result <- a.change(t.Context(), 0, func(x *tx) error {
			select {
			case begun <- true:
			default:
			}
			return untilHandOverWaits(x)
		}, all...)
	}()
	<-begun
	b := openNode(t, db.URL(), "b")
	if err := <-result; err != nil {
		t.Error(err)
	}
	eventually(t, soon, "two nodes share", func() bool { return shares(t, []*node{a, b}, 128, 128) })
}

// untilHandOverWaits stays in a transaction until another one waits for it; an error if slots were handed over that it
// takes for its own.
func untilHandOverWaits(x *tx) error {
	for len(x.mine) == slots { // Else it is another try of the transaction, after the first was ended for its length.
		var waiting bool
		var mine int
		err := x.s.pool.QueryRow(x.ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted),
			(SELECT count(*) FROM leases WHERE owner = $1)`, x.node).Scan(&waiting, &mine)
		switch {
		case err != nil:
			return err
		case mine != slots:
			return fmt.Errorf("%d slots are left of %d that the transaction takes for its node's", mine, slots)
		case waiting:
			return nil
		}
	}
	return nil
}
