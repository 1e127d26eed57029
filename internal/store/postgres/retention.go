package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
)

const (
	pruneRead  = 2000                  // Rows that are read at a time to find old waybills.
	pruneBatch = 64                    // Waybills that are deleted in one transaction.
	prunePause = 10 * time.Millisecond // Between transactions, so that events never wait long.
)

// pruning is what retention remembers between two runs.
type pruning struct {
	mu   sync.Mutex // Held for a run: the background's, or Tick's.
	done time.Time  // When the background's last one began.
	past passed
}

// prune deletes what is older than the retention. Nodes that do so at the same time are in each other's way, and no more.
func (s *Store) prune(ctx context.Context) error {
	if s.opts.Retention <= 0 {
		return nil
	}
	s.pruning.mu.Lock()
	defer s.pruning.mu.Unlock()
	now, err := s.agreedTime(ctx)
	if err != nil {
		return err
	}
	horizon := now.Add(-s.opts.Retention).UnixMilli()
	return errors.Join(s.pruneLetters(ctx, horizon), s.pruneAll(ctx, horizon))
}

// agreedTime is the earlier of this node's time and the database's. What is deleted is deleted for all nodes, so one whose
// clock is ahead must not do so early. Who is late in deleting does no harm.
func (s *Store) agreedTime(ctx context.Context) (time.Time, error) {
	now := s.opts.Now()
	if !s.opts.realTime {
		return now, nil
	}
	var theirs time.Time
	err := s.view(ctx, func(t pgx.Tx) error { return t.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&theirs) })
	if err != nil {
		return now, s.readError(err)
	}
	if theirs.Before(now) {
		return theirs, nil
	}
	return now, nil
}

// pruneAll deletes waybills of which everything is older than the horizon (Unix ms) and settled: no push is open or failed,
// nothing is held, and nothing is to be told. A waybill goes as a whole, so that a late scan never meets half a timeline.
// Partitions go once nothing is left in them.
func (s *Store) pruneAll(ctx context.Context, horizon int64) error {
	if err := s.pruneNotices(ctx, horizon); err != nil {
		return err
	}
	for _, find := range []finder{s.oldScanned, s.byName(oldScanless), s.byName(oldShown)} {
		for from := (place{}); !from.end; {
			old, next, err := find(ctx, from, horizon)
			if err != nil {
				return err
			}
			if err := s.pruneWaybills(ctx, old, horizon); err != nil {
				return err
			}
			from = next
		}
	}
	return s.dropPartitions(ctx)
}

func (s *Store) pruneWaybills(ctx context.Context, old []state.Waybill, horizon int64) error {
	for batch := range slices.Chunk(old, pruneBatch) {
		err := s.change(ctx, slotOf(batch[0]), func(x *tx) error { return x.prune(batch, horizon) }, batch...)
		if err != nil {
			return err
		}
		select {
		case <-s.stop.Done():
			return errStopped
		case <-time.After(prunePause):
		}
	}
	return nil
}

// place is where a finder stands.
type place struct {
	seq     uint64
	waybill state.Waybill
	end     bool
}

// finder lists waybills that may be old, a bounded number of rows at a time.
type finder func(ctx context.Context, from place, horizon int64) (old []state.Waybill, next place, err error)

const oldEvents = `SELECT delivery_id, waybill_id, seq, received_at < $2 AND verdict <> 2 AND status NOT IN (1, 3), received_at < $2
	FROM events WHERE seq > $1 ORDER BY seq LIMIT $3`

// oldScanned lists waybills of old events. It ends where no event is old any more.
func (s *Store) oldScanned(ctx context.Context, from place, horizon int64) (old []state.Waybill, next place, err error) {
	next, seen, rowsRead, anyOld := from, map[state.Waybill]bool{}, 0, false
	err = s.view(ctx, func(t pgx.Tx) error {
		rows, err := t.Query(ctx, oldEvents, int64(from.seq), timestamp(horizon), pruneRead)
		if err != nil {
			return err
		}
		var w state.Waybill
		var settled, isOld bool
		_, err = pgx.ForEachRow(rows, []any{&w.DeliveryID, &w.WaybillID, (*numberDest)(&next.seq), &settled, &isOld}, func() error {
			rowsRead, anyOld = rowsRead+1, anyOld || isOld
			if settled && !seen[w] {
				seen[w], old = true, append(old, w)
			}
			return nil
		})
		return err
	})
	next.end = rowsRead < pruneRead || !anyOld
	return old, next, s.readError(err)
}

// Waybills without events, in the order of their names: ordered, or given a Token, and never scanned; and those of which
// nothing is known but what was shown. An order's waybill always has a row; an empty timeline is its version and the number 0.
const (
	oldScanless = `SELECT delivery_id, waybill_id, timeline = '\x0100' AND (token_at IS NULL OR token_at < $3) FROM waybills
		WHERE (delivery_id, waybill_id) > ($1, $2) ORDER BY delivery_id, waybill_id LIMIT $4`
	oldShown = `SELECT s.delivery_id, s.waybill_id, w.timeline IS NULL AND coalesce(greatest(s.received_at, s.expunged_at), '-infinity') < $3
		FROM shown s LEFT JOIN waybills w ON w.delivery_id = s.delivery_id AND w.waybill_id = s.waybill_id
		WHERE (s.delivery_id, s.waybill_id) > ($1, $2) ORDER BY s.delivery_id, s.waybill_id LIMIT $4`
)

// byName is a finder that goes through a table in the order of waybills' names.
func (s *Store) byName(sql string) finder {
	return func(ctx context.Context, from place, horizon int64) (old []state.Waybill, next place, err error) {
		next, rowsRead := from, 0
		err = s.view(ctx, func(t pgx.Tx) error {
			rows, err := t.Query(ctx, sql, from.waybill.DeliveryID, from.waybill.WaybillID, timestamp(horizon), pruneRead)
			if err != nil {
				return err
			}
			var isOld bool
			w := &next.waybill
			_, err = pgx.ForEachRow(rows, []any{&w.DeliveryID, &w.WaybillID, &isOld}, func() error {
				if rowsRead++; isOld {
					old = append(old, *w)
				}
				return nil
			})
			return err
		})
		next.end = rowsRead < pruneRead
		return old, next, s.readError(err)
	}
}

// pruneNotices forgets notices from before the horizon (Unix ms) that nobody will be told any more.
func (s *Store) pruneNotices(ctx context.Context, horizon int64) error {
	if s.opts.Notify != nil {
		return nil
	}
	var last int64
	err := s.view(ctx, func(t pgx.Tx) error {
		// They are in the order of time, but for the clocks of nodes.
		return t.QueryRow(ctx, `SELECT coalesce((SELECT number FROM notices WHERE at < $1 ORDER BY number DESC LIMIT 1), 0)`, timestamp(horizon)).Scan(&last)
	})
	if err != nil || last == 0 {
		return s.readError(err)
	}
	s.opts.Logger.Warn("notices of ends are off; those that were never told and are older than the retention are forgotten",
		"up_to", last)
	return s.Told(ctx, uint64(last))
}
