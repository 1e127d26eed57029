package postgres

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestBackupSaysHow: what PostgreSQL's tools do is not done here.
func TestBackupSaysHow(t *testing.T) {
	t.Parallel()
	s := openStore(t, testOptions(t))
	if err := s.Backup(t.Context(), t.TempDir()); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("Backup: %v", err)
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
		{"where a waybill stands", "UPDATE waybills SET stage = 9", "silent waybills are not found"},
		{"its newest event", "UPDATE waybills SET newest = 1", "silent waybills are not found"},
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
	deliver(t, []*Store{s}, w, 1)
	deliver(t, []*Store{s}, w, 2)
	_, replay := s.Replay(ctx, 2, true, store.Act{})
	_, shown := s.PutShown(ctx, w, store.Shown{Version: 1})
	if err := errors.Join(replay, shown, s.PutSecret(ctx, "a", []byte("b")), s.PutDeadLetter(ctx, store.DeadLetter{Body: []byte("{")})); err != nil {
		t.Fatal(err)
	}
}
