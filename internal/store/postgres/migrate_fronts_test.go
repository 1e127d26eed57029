package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/postgres/pgtest"
)

// TestMigrateFronts brings a database of schema 2 up, which knows nothing of where waybills stand.
func TestMigrateFronts(t *testing.T) {
	t.Parallel()
	db := pgtest.Start(t)
	config, err := pgx.ParseConfig(db.URL())
	if err != nil {
		t.Fatal(err)
	}
	err = withSchema(t.Context(), config, func(p *goose.Provider, _, _ int64) error {
		_, err := p.UpTo(t.Context(), 2)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	insert := func(id string, timeline []byte) {
		t.Helper()
		_, err := conn.Exec(t.Context(), `INSERT INTO waybills (delivery_id, waybill_id, slot, timeline, open, writer, tokens, token_at)
			VALUES ('SF', $1, 0, $2, '{}', '', '', NULL)`, id, timeline)
		if err != nil {
			t.Fatal(err)
		}
	}
	accepted := func(seq uint64, a state.ActionType, at int64) state.Entry {
		return state.Entry{Seq: seq, Ord: seq, Type: a, Time: at, Verdict: state.Accepted}
	}
	pickup := accepted(1, state.PickupDone, 100)
	for id, c := range map[string]struct {
		timeline state.Timeline
		stage    state.Stage
		newest   uint64
	}{
		"ordered":  {nil, state.Created, 0},
		"moving":   {state.Timeline{pickup, accepted(7, state.Transit, 200)}, state.InTransit, 7},
		"late":     {state.Timeline{accepted(9, state.PickupAssigned, 50), pickup}, state.PickedUp, 9},
		"rejected": {state.Timeline{pickup, {Seq: 8, Type: state.Cancelled, Time: 300, Verdict: state.Rejected}}, state.PickedUp, 1},
		"signed":   {state.Timeline{pickup, accepted(3, state.DeliveryBegun, 200), accepted(4, state.Signed, 300)}, state.Delivered, 4},
	} {
		insert(id, encodeTimeline(c.timeline))
		defer func() {
			var stage state.Stage
			var newest uint64
			err := conn.QueryRow(t.Context(), "SELECT stage, newest FROM waybills WHERE waybill_id = $1", id).
				Scan(&smallDest[state.Stage]{&stage}, (*numberDest)(&newest))
			if err != nil || stage != c.stage || newest != c.newest {
				t.Errorf("%s is %s since %d, %v; want %s since %d", id, stage, newest, err, c.stage, c.newest)
			}
		}()
	}
	insert("damaged", []byte{7})
	if _, err := conn.Exec(t.Context(), `INSERT INTO waybills (delivery_id, waybill_id, slot, timeline, open, writer)
		SELECT 'SF', 'many-' || n, 0, $1, '{}', '' FROM generate_series(1, $2::integer) n`, encodeTimeline(state.Timeline{pickup}), frontsAtOnce); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), db.URL(), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	page, err := s.Find(t.Context(), store.FindQuery{End: "MANY-4999", Limit: 5})
	if err != nil || len(page.Items) != 1 || page.Items[0].Stage != state.PickedUp {
		t.Errorf("%+v, %v", page, err)
	}
}
