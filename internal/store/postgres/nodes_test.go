package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
)

// sharers are nodes on one database, and what their callers were told.
type sharers struct {
	*testing.T
	nodes []*Store

	mu    sync.Mutex
	first map[string]store.Result // By the id of an event: what the one was told that was no duplicate.
	dups  map[string][]store.Result
}

// TestNodesShareWaybills lets two nodes do everything at once to the same few waybills, and sees that it comes out as if
// one had done one thing after the other.
func TestNodesShareWaybills(t *testing.T) {
	db := schema.Start(t)
	f := &sharers{T: t, first: map[string]store.Result{}, dups: map[string][]store.Result{}}
	for _, name := range []string{"a", "b"} {
		o := testOptions(t)
		o.Node, o.partitionRows, o.Logger = name, 512, slog.New(slog.DiscardHandler)
		s, err := Open(t.Context(), db.URL(), o)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		defer s.Close()
		f.nodes = append(f.nodes, s)
	}
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() { f.caller(rand.New(rand.NewPCG(1, uint64(i))), f.nodes[i%2]) })
	}
	callers.Wait()
	for id, dups := range f.dups {
		for _, d := range dups {
			if d.Seq != f.first[id].Seq || d.Original != f.first[id].Verdict {
				t.Errorf("event %s: a duplicate was told %d, %s; it was %+v", id, d.Seq, d.Original, f.first[id])
			}
		}
	}
	f.checkRows()
	f.checkFigures()
}

// caller does a hundred random things.
func (f *sharers) caller(r *rand.Rand, s *Store) {
	for range 100 {
		w := state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(r.IntN(6))}
		var err error
		switch r.IntN(8) {
		case 0:
			_, err = s.PutToken(f.Context(), w, fmt.Sprint(r.IntN(3)), store.Act{By: "ops", Action: store.ActToken})
		case 1:
			_, err = s.Freeze(f.Context(), w, r.IntN(2) == 0, store.Act{By: "ops", Action: store.ActFreeze})
		case 2, 3, 4:
			err = f.settle(r, s, w)
		default:
			err = f.apply(r, s)
		}
		// A waybill may become the other node's between the look at its lane and the outcome.
		if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrState) && !errors.Is(err, store.ErrNotOwner) {
			f.Errorf("%v", err)
			return
		}
	}
}

// apply sends events that others may be sending, too.
func (f *sharers) apply(r *rand.Rand, s *Store) error {
	events := make([]state.Event, 1+r.IntN(5))
	for i := range events {
		n := r.IntN(300)
		events[i] = state.Event{
			ID: fmt.Sprint(n), Source: "app", DeliveryID: "SF", WaybillID: fmt.Sprint(n % 6), Time: int64(n / 4), Msg: "m",
			Type: state.ActionTypes[n%len(state.ActionTypes)],
		}
	}
	results, err := s.Apply(f.Context(), events)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, res := range results {
		id := events[i].ID
		switch _, known := f.first[id]; {
		case res.Verdict == state.Duplicate:
			f.dups[id] = append(f.dups[id], res)
		case known:
			f.Errorf("event %s was decided twice", id)
		default:
			f.first[id] = res
		}
	}
	return err
}

func (f *sharers) settle(r *rand.Rand, s *Store, w state.Waybill) error {
	lane, err := s.Lane(f.Context(), w)
	if err != nil || len(lane.Pushes) == 0 {
		return err
	}
	head := lane.Pushes[0]
	if r.IntN(4) == 0 {
		_, err := s.Discard(f.Context(), head.Seq, store.Act{By: "ops", Action: store.ActDiscard})
		return err
	}
	o := store.Outcome{
		Seq: head.Seq, Waybill: w, Attempt: &store.Attempt{At: time.Now(), Errcode: new(0)}, Token: lane.Token,
		Status: store.Statuses()[r.IntN(3)],
	}
	if o.Status == store.Failed {
		o.Reason, o.Park = store.ReasonToken, r.IntN(2) == 0
	}
	done := make(chan error, 1)
	s.Settle(o, func(err error) { done <- err })
	return <-done
}

// checkRows compares what is kept twice: timelines and events, what is open and pushes, ids and events, notices and ends.
func (f *sharers) checkRows() {
	s := f.nodes[0]
	err := s.view(f.Context(), func(tx pgx.Tx) error {
		events := map[state.Waybill]map[uint64]*row{}
		rows, err := tx.Query(f.Context(), "SELECT "+eventFields+" FROM events e")
		if err != nil {
			return err
		}
		defer rows.Close()
		n := 0
		err = scanRows(rows, func(r *row) {
			n++
			w := r.event.Waybill()
			if events[w] == nil {
				events[w] = map[uint64]*row{}
			}
			events[w][r.seq] = r
		})
		if n != len(f.first) {
			f.Errorf("%d events are kept, and %d were told that they are", n, len(f.first))
		}
		if err != nil {
			return err
		}
		return f.checkWaybills(tx, s, events)
	})
	if err != nil {
		f.Fatal(err)
	}
}

func (f *sharers) checkWaybills(tx pgx.Tx, s *Store, events map[state.Waybill]map[uint64]*row) error {
	found, err := tx.Query(f.Context(), "SELECT "+waybillFields+" FROM waybills w")
	if err != nil {
		return err
	}
	defer found.Close()
	return s.scanWaybills(found, func(w *waybill) {
		if w.damage != nil {
			f.Error(w.damage)
		}
		var open []*row
		for _, e := range w.timeline {
			r := events[w.name][e.Seq]
			if r == nil {
				f.Errorf("event %d of %s is missing", e.Seq, w.name)
				continue
			}
			if e.MsgHash = 0; e != r.entry {
				f.Errorf("event %d of %s is %+v in the timeline, and %+v", e.Seq, w.name, e, r.entry)
			}
			if r.push.Status == store.Pending {
				open = append(open, r)
			}
		}
		if len(w.timeline) != len(events[w.name]) {
			f.Errorf("%s has %d events, and %d in its timeline", w.name, len(events[w.name]), len(w.timeline))
		}
		slices.SortFunc(open, func(a, b *row) int { return int(a.entry.Ord) - int(b.entry.Ord) })
		if want := gather(open, func(r *row) uint64 { return r.seq }); !slices.Equal(want, w.open) {
			f.Errorf("open of %s are %v, and listed %v", w.name, want, w.open)
		}
	})
}

// checkFigures sees that what is counted is what is there, on both nodes.
func (f *sharers) checkFigures() {
	for _, s := range f.nodes {
		if err := s.fold(f.Context()); err != nil {
			f.Fatal(err)
		}
		if err := s.refresh(f.Context()); err != nil {
			f.Fatal(err)
		}
		st := s.Stats()
		count := func(what string, got int64, sql string, args ...any) {
			f.Helper()
			var want int64
			if err := s.pool.QueryRow(f.Context(), sql, args...).Scan(&want); err != nil {
				f.Fatal(err)
			}
			if got != want {
				f.Errorf("node %s counts %d %s; there are %d", s.opts.Node, got, what, want)
			}
		}
		for _, status := range store.Statuses() {
			count(status.String(), st.Pushes["SF"][status], "SELECT count(*) FROM events WHERE status = $1", int16(status))
		}
		for _, v := range []state.Verdict{state.Accepted, state.Held, state.Ignored, state.Rejected} {
			count(v.String(), st.Events[v], "SELECT count(*) FROM events WHERE first_verdict = $1", int16(v))
		}
		count("held", st.Held, "SELECT count(*) FROM events WHERE verdict = 2")
		count("notices", st.Notices, "SELECT count(*) FROM notices")
		count("ends", st.Notices, "SELECT coalesce(sum(ends), 0) FROM (SELECT greatest(ends, (verdict = 5)::integer) AS ends FROM events) x")
		count("ids", st.Events[state.Accepted]+st.Events[state.Held]+st.Events[state.Ignored]+st.Events[state.Rejected],
			"SELECT count(*) FROM event_ids JOIN events USING (seq)")
	}
}

// TestFiguresOfOneNodeAreExact reads figures all the while transactions end: none is ever counted twice or left out.
func TestFiguresOfOneNodeAreExact(t *testing.T) {
	s := openStore(t, testOptions(t))
	ctx, stop := context.WithCancel(t.Context())
	var refreshing sync.WaitGroup
	refreshing.Go(func() {
		for ctx.Err() == nil {
			if err := errors.Join(s.refresh(t.Context()), s.fold(t.Context())); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range 200 {
		if _, err := s.Apply(t.Context(), []state.Event{scanOf(fmt.Sprint(n), 1, state.PickupDone)}); err != nil {
			t.Fatal(err)
		}
		if got := s.Stats().Pushes["SF"][store.Pending]; got != int64(n+1) {
			t.Fatalf("%d pushes are pending after %d events", got, n+1)
		}
	}
	stop()
	refreshing.Wait()
	// What a commit needs is read in one go, and written in another.
	if st := s.Stats(); st.Nodes == nil || st.Nodes.RoundTrips != 2*st.Commits || st.Nodes.Slots != slots {
		t.Errorf("%d commits; the node stands at %+v", st.Commits, st.Nodes)
	}
}
