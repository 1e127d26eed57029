package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"

	"carrier/internal/state"
)

// migrationsInGo are those that SQL alone can't do.
var migrationsInGo = []*goose.Migration{
	goose.NewGoMigration(3, &goose.GoFunc{RunTx: migrateFronts}, nil),
}

const (
	addFronts = `
		SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
		-- Where the timeline leads (a state.Stage), and of the accepted events the one that came last; 0: none was.
		ALTER TABLE waybills ADD stage smallint NOT NULL DEFAULT 0 CHECK (stage BETWEEN 0 AND 10);
		ALTER TABLE waybills ADD newest bigint NOT NULL DEFAULT 0 CHECK (newest >= 0);`
	nextFronts = `SELECT delivery_id, waybill_id, timeline FROM waybills WHERE (delivery_id, waybill_id) > ($1, $2)
		ORDER BY delivery_id, waybill_id LIMIT $3`
	fillFronts = `UPDATE waybills w SET stage = k.stage, newest = k.newest
		FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[]) AS k(delivery_id, waybill_id, stage, newest)
		WHERE w.delivery_id = k.delivery_id AND w.waybill_id = k.waybill_id`
	indexFronts = `
		-- Waybills that may fall silent, that is not created, delivered or cancelled, by when they moved last.
		CREATE INDEX waybills_fronts ON waybills (delivery_id, stage, (token_at IS NOT NULL), newest) WHERE stage NOT IN (0, 9, 10);
		-- Waybills by the end of their number; see store.Reversed.
		CREATE INDEX waybills_reversed ON waybills (reverse(lower(waybill_id)), delivery_id, waybill_id);`
	// frontsAtOnce is how many waybills are read at a time.
	frontsAtOnce = 5000
)

// migrateFronts adds what silent waybills and those with a number's last digits are found by.
func migrateFronts(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, addFronts); err != nil {
		return err
	}
	for from := (state.Waybill{}); ; {
		n, err := fillSomeFronts(ctx, tx, &from)
		if err != nil {
			return fmt.Errorf("where waybill %s stands: %w", from, err)
		}
		if n < frontsAtOnce {
			break
		}
	}
	_, err := tx.ExecContext(ctx, indexFronts)
	return err
}

// fillSomeFronts fills the columns of some waybills behind one, and moves that on.
func fillSomeFronts(ctx context.Context, tx *sql.Tx, from *state.Waybill) (n int, err error) {
	rows, err := tx.QueryContext(ctx, nextFronts, from.DeliveryID, from.WaybillID, frontsAtOnce)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var deliveries, ids []string
	var stages []int16
	var numbers []int64
	for ; rows.Next(); n++ {
		var encoded []byte
		if err := rows.Scan(&from.DeliveryID, &from.WaybillID, &encoded); err != nil {
			return n, err
		}
		t, err := decodeTimeline(encoded)
		if err != nil {
			continue // carrier store check tells of it; the others must be kept in order all the same.
		}
		stage, newest := front(t)
		if newest == 0 {
			continue
		}
		deliveries, ids = append(deliveries, from.DeliveryID), append(ids, from.WaybillID)
		stages, numbers = append(stages, stage), append(numbers, int64(newest))
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return n, err
	}
	_, err = tx.ExecContext(ctx, fillFronts, deliveries, ids, stages, numbers)
	return n, err
}
