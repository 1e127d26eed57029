package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// schema is a database with the newest schema, which most tests begin with: to migrate one takes longer than they do.
var schema = pgtest.Template{Fill: func(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	return bringUp(ctx, config)
}}

// openStore opens a store in an empty database.
func openStore(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), schema.Start(t).URL(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func testOptions(t testing.TB) Options {
	return Options{
		Machine: state.Machine{ReorderWindow: time.Minute}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Notify: func() {},
	}
}

func scanOf(waybill string, n int, a state.ActionType) state.Event {
	return state.Event{
		ID: fmt.Sprintf("%s-%d", waybill, n), Source: "app", DeliveryID: "SF", WaybillID: waybill, Type: a, Time: int64(1000 + n),
		Msg: "丽影邓丽君", Token: "T",
	}
}

func TestApply(t *testing.T) {
	s := openStore(t, testOptions(t))
	events := []state.Event{
		scanOf("1", 1, state.PickupDone), scanOf("2", 1, state.PickupDone), scanOf("1", 3, state.Signed), scanOf("1", 2, state.DeliveryBegun),
		scanOf("1", 9, state.PickupDone),
	}
	events = append(events, events[0])
	results, err := s.Apply(t.Context(), events)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	for i, want := range []state.Verdict{state.Accepted, state.Accepted, state.Held, state.Accepted, state.Rejected, state.Duplicate} {
		if results[i].Verdict != want {
			t.Errorf("event %d is %s (%s), want %s", i, results[i].Verdict, results[i].Reason, want)
		}
	}
	st := s.Stats()
	if got := st.Pushes["SF"][store.Pending]; got != 4 || st.Held != 0 || st.Events[state.Held] != 1 {
		t.Errorf("Stats: %d pending, %d held, %v", got, st.Held, st.Events)
	}
}
