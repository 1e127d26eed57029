package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestPartitionsAreDropped sees partitions go in which nothing is left, and no others.
func TestPartitionsAreDropped(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	var mu sync.Mutex
	o := testOptions(t)
	o.Retention, o.partitionRows, o.Notify = time.Hour, 16, nil
	o.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	s := openStore(t, o)
	const parcels, kept = 100, 40
	for n := range parcels {
		e := scanOf(fmt.Sprint(n), 1, state.PickupDone)
		r, err := s.Apply(t.Context(), []state.Event{e})
		if err != nil {
			t.Fatalf("Apply: %v", err)
		}
		if n != kept { // That one stays open.
			deliver(t, s, e.Waybill(), r[0].Seq)
		}
	}
	before := partitionBounds(t, s)
	mu.Lock()
	now = now.Add(2 * time.Hour)
	mu.Unlock()
	tick(t, s)
	if got := partitionBounds(t, s); !slices.Equal(got, before) {
		t.Errorf("partitions were dropped while their numbers may still be in use: %v of %v", got, before)
	}
	s.pruning.past.since = time.Now().Add(-passedAfter)
	tick(t, s)
	// The open one's number is 41: of the rest only what is not given yet is left.
	want := slices.DeleteFunc(slices.Clone(before), func(bound int64) bool { return bound <= parcels && bound != 48 })
	if got := partitionBounds(t, s); !slices.Equal(got, want) {
		t.Errorf("the partitions %v are left, want %v of %v", got, want, before)
	}
	checkStore(t, s)
	again := scanOf("7", 1, state.PickupDone)
	if r, err := s.Apply(t.Context(), []state.Event{again}); err != nil || r[0].Verdict != state.Accepted {
		t.Errorf("a deleted waybill comes again: %+v, %v", r, err)
	}
	if lane, err := s.Lane(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(kept)}); err != nil || len(lane.Pushes) != 1 {
		t.Errorf("the open one's lane: %+v, %v", lane, err)
	}
	checkStore(t, s)
}

func tick(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Tick(t.Context()); err != nil {
		t.Fatalf("Tick: %v", err)
	}
}

func partitionBounds(t *testing.T, s *Store) (bounds []int64) {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), listPartitions)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		var bound int64
		if err := rows.Scan(&table, &bound); err != nil {
			t.Fatal(err)
		}
		bounds = append(bounds, bound)
	}
	return bounds
}

// TestRetentionAmongScans lets old waybills be deleted while their scans come in on another node: a waybill is there as a
// whole, or not at all.
func TestRetentionAmongScans(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.UnixMilli(1_800_000_000_000)
	o := testOptions(t)
	o.Retention, o.Notify = time.Hour, nil
	o.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	nodes := openNodes(t, 2, o)
	const parcels = 60
	for n := range parcels {
		e := scanOf(fmt.Sprint(n), 1, state.PickupDone)
		r, err := nodes[0].Apply(t.Context(), []state.Event{e})
		if err != nil {
			t.Fatalf("Apply: %v", err)
		}
		deliver(t, nodes[0], e.Waybill(), r[0].Seq)
	}
	mu.Lock()
	now = now.Add(2 * time.Hour)
	mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := nodes[0].Tick(t.Context()); err != nil {
			t.Errorf("Tick: %v", err)
		}
	})
	for n := range parcels {
		wg.Go(func() {
			if _, err := nodes[1].Apply(t.Context(), []state.Event{scanOf(fmt.Sprint(n), 2, state.Transit)}); err != nil {
				t.Errorf("Apply: %v", err)
			}
		})
	}
	wg.Wait()
	checkStore(t, nodes[1])
	whole := map[int]int{}
	for n := range parcels {
		story, err := nodes[1].Waybill(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(n)})
		if err != nil {
			t.Fatalf("Waybill: %v", err)
		}
		whole[len(story.Timeline)]++
		for _, step := range story.Timeline {
			if len(story.Timeline) == 2 && step.Event.Verdict != state.Accepted {
				t.Errorf("event %d is %s", step.Event.Seq, step.Event.Verdict)
			}
		}
	}
	t.Logf("by how many events are there: %v", whole)
	if whole[1]+whole[2] != parcels {
		t.Errorf("waybills by how many events are there: %v", whole)
	}
}

// TestCheckFindsDamage spoils what is kept in ways that Check must tell of.
func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, sql, want string }{
		{"an id is gone", "DELETE FROM event_ids WHERE seq = 1", "its id is not known"},
		{"an id leads elsewhere", "UPDATE event_ids SET seq = 2 WHERE seq = 1", "its id leads to event 2"},
		{"an event is gone", "DELETE FROM events WHERE seq = 1", "is in the timeline of waybill SF/1, and is not there"},
		{"a text was changed", "UPDATE events SET msg = 'x' WHERE seq = 1", "the text of event 1"},
		{"a verdict was changed", "UPDATE events SET late = true WHERE seq = 1", "event 1 says"},
		{"a push was ended", "UPDATE events SET status = 3, done_at = now() WHERE seq = 2", "its open pushes are [2], and they are []"},
		{"an open push is not listed", "UPDATE waybills SET open = '{}'", "its open pushes are [], and they are [2]"},
		{"a waybill's slot", "UPDATE waybills SET slot = (slot + 1) % 256", "and it belongs in"},
		{"a timeline is damaged", `UPDATE waybills SET timeline = '\x07'`, "carrier store check"},
		{"a waybill is gone", "DELETE FROM waybills", "the timelines of waybills lead to 0"},
		{"a counter", "INSERT INTO counters VALUES ('held', 3)", "the counter held says 3, and it is 0"},
		{"a counter of events", "INSERT INTO counters VALUES ('e/held', 1)", "1 are gone"},
		{"a replay's counter", "UPDATE replays SET detail = jsonb_set(detail::jsonb, '{Requeued}', '7')::json", "counts 7 pushes that have not ended"},
		{"a replay is gone", "DELETE FROM replays", "in the name of replay 1, which is not there"},
		{"a replay's status", "UPDATE replays SET status = 4", "and is listed as done"},
		{"a notice of nothing", "UPDATE notices SET seq = 77", "its event is not known"},
		{"a notice too many", "UPDATE notices SET nth = 9", "has not ended so often"},
		{"a secret", `UPDATE secrets SET value = '\x09'`, "the secret a"},
		{"what is shown", `UPDATE shown SET detail = '[]'`, "what is shown of waybill SF/1"},
		{"a dead letter", "DELETE FROM dead_letters", "of dead letters, 1 are counted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, testOptions(t))
			oneOfEach(t, s)
			checkStore(t, s)
			if _, err := s.pool.Exec(t.Context(), c.sql); err != nil {
				t.Fatalf("%s: %v", c.sql, err)
			}
			report, err := s.Check(t.Context())
			if err != nil || !slices.ContainsFunc(report.Problems, func(p string) bool { return strings.Contains(p, c.want) }) {
				t.Errorf("Check finds %q (%v), want %q", report.Problems, err, c.want)
			}
		})
	}
}

// oneOfEach keeps a row of each kind: event 1 is delivered, event 2 is pending in the name of a replay.
func oneOfEach(t *testing.T, s *Store) {
	t.Helper()
	w := state.Waybill{DeliveryID: "SF", WaybillID: "1"}
	ctx := t.Context()
	_, err := s.Apply(ctx, []state.Event{scanOf("1", 1, state.PickupDone), scanOf("1", 2, state.Transit)})
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	deliver(t, s, w, 1)
	deliver(t, s, w, 2)
	_, replay := s.Replay(ctx, 2, true, store.Act{})
	_, shown := s.PutShown(ctx, w, store.Shown{Version: 1})
	if err := errors.Join(replay, shown, s.PutSecret(ctx, "a", []byte("b")), s.PutDeadLetter(ctx, store.DeadLetter{Body: []byte("{")})); err != nil {
		t.Fatal(err)
	}
}
