package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// outcomeWait is for how long it is tried to find out what became of a commit.
const outcomeWait = 300 * time.Millisecond

// faults are how a connection breaks: alone, with all others for a moment, and for longer than the outcome of a commit is
// looked up.
var faults = []struct {
	name   string
	refuse time.Duration // No new connection gets through for so long.
}{
	{name: "once"},
	{name: "for a while", refuse: 30 * time.Millisecond},
	{name: "for long", refuse: 2 * outcomeWait},
}

// write is a call under test and what can be seen of it afterwards.
type write struct {
	name string
	call func(ctx context.Context, s *Store, w state.Waybill) error
	// kept tells how often the call's effect is there.
	kept func(t *testing.T, s *Store, w state.Waybill) int
}

var writes = []write{
	{
		name: "Apply",
		call: func(ctx context.Context, s *Store, w state.Waybill) error {
			_, err := s.Apply(ctx, []state.Event{scanOf(w.WaybillID, 2, state.Transit)})
			return err
		},
		kept: func(t *testing.T, s *Store, w state.Waybill) int { return len(storyOf(t, s, w).Timeline) - 1 },
	},
	{
		name: "Settle",
		call: func(ctx context.Context, s *Store, w state.Waybill) error {
			done := make(chan error, 1)
			lane, err := s.Lane(ctx, w)
			if err != nil {
				return fmt.Errorf("%w: %w", store.ErrUnavailable, err) // Nothing was tried.
			}
			o := store.Outcome{
				Seq: lane.Pushes[0].Seq, Waybill: w, Status: store.Delivered, Attempt: &store.Attempt{At: time.Now(), Errcode: new(0)},
			}
			s.Settle(o, func(err error) { done <- err })
			if err = <-done; err == nil || errors.Is(err, store.ErrUnavailable) {
				return err
			}
			// As a pusher does that does not know whether it was kept: again and again.
			o.Again = true
			for {
				s.Settle(o, func(err error) { done <- err })
				if err = <-done; !errors.Is(err, store.ErrUnavailable) {
					return err
				}
				time.Sleep(outcomeWait / 10) // PostgreSQL lets nobody in for so long, of real time.
			}
		},
		kept: func(t *testing.T, s *Store, w state.Waybill) int {
			p := storyOf(t, s, w).Timeline[0].Push
			if (p.Status == store.Delivered) != (len(p.Attempts) > 0) {
				t.Errorf("push %d is %s with %d attempts", p.Seq, p.Status, len(p.Attempts))
			}
			return len(p.Attempts)
		},
	},
	{
		name: "PutToken",
		call: func(ctx context.Context, s *Store, w state.Waybill) error {
			_, err := s.PutToken(ctx, w, "another", store.Act{By: "ops", Action: store.ActToken})
			return err
		},
		kept: func(t *testing.T, s *Store, w state.Waybill) (n int) {
			err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM audit WHERE waybill_id = $1", w.WaybillID).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			return n
		},
	},
}

func storyOf(t *testing.T, s *Store, w state.Waybill) store.Waybill {
	t.Helper()
	story, err := s.Waybill(t.Context(), w)
	if err != nil {
		t.Fatalf("Waybill(%s): %v", w, err)
	}
	return story
}

// TestBrokenConnections breaks the connection behind each message that a call sends, and sees that the call told the
// truth: what it says it kept is kept, once; where it says that nothing was kept, nothing is; and repeating it always
// leads to having it once.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		for _, w := range slices.Concat(writes, keptWrites) {
			t.Run(w.name+" "+fault.name, func(t *testing.T) {
				t.Parallel() // It mostly waits.
				p, address := newProxy(t, schema.Start(t).URL())
				o := Options{Logger: slog.New(slog.DiscardHandler), OutcomeWait: outcomeWait}
				s, err := Open(t.Context(), address, o)
				if err != nil {
					t.Fatalf("Open: %v", err)
				}
				defer s.Close()
				told := map[string]int{}
				for n := 0; ; n++ {
					name := state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprint(n)}
					if _, err := s.Apply(t.Context(), []state.Event{scanOf(name.WaybillID, 1, state.PickupDone)}); err != nil {
						t.Fatalf("Apply: %v", err)
					}
					p.arm(n, fault.refuse)
					err := w.call(t.Context(), s, name)
					broke := p.mend()
					if !broke && err != nil {
						t.Fatalf("break %d: nothing broke, and yet: %v", n, err)
					}
					told[w.check(t, s, name, n, err)]++
					if !broke {
						t.Logf("%d places; told: %v", n, told)
						return
					}
				}
			})
		}
	}
}

// check sees that err says the truth, and that the call can be repeated. It returns what err said.
func (wr *write) check(t *testing.T, s *Store, w state.Waybill, n int, err error) string {
	t.Helper()
	said, kept := "kept", 1
	switch {
	case errors.Is(err, store.ErrUnavailable):
		said, kept = "not kept", 0
	case err != nil:
		said, kept = "unknown", -1
	}
	got := wr.kept(t, s, w)
	if got > 1 || kept >= 0 && got != kept {
		t.Errorf("break %d: it says %q (%v), and was kept %d times", n, said, err, got)
	}
	if err != nil && wr.name != "Settle" { // That one has nothing left to settle if it was kept.
		if err := wr.call(t.Context(), s, w); err != nil {
			t.Errorf("break %d: repeated: %v", n, err)
		}
		if got := wr.kept(t, s, w); got != 1 {
			t.Errorf("break %d: after a repetition it is there %d times", n, got)
		}
	}
	return said
}
