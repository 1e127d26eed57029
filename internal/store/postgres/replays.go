package postgres

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// replayRecord is a row of replays within a transaction, which holds its lock.
type replayRecord struct {
	store.Replay
	made bool // By this transaction.
}

// newReplay makes a replay. Its number is taken at once: other replays wait until this transaction ends.
func (x *tx) newReplay(r store.Replay, act store.Act) (*replayRecord, error) {
	var batch pgx.Batch
	batch.Queue("UPDATE serials SET last = last + 1 WHERE name = 'replays' RETURNING last").QueryRow(func(row pgx.Row) error {
		return row.Scan((*numberDest)(&r.ID))
	})
	if err := x.run(&batch); err != nil {
		return nil, err
	}
	r.Begin(r.ID, act.By, codec.FromMillis(x.now))
	// What ends from here on ends after the replay was made. The number says so, and this node's clock where it matters.
	x.newest = r.ID
	if r.Single == 0 {
		x.s.notBefore(x.now + 1)
	}
	made := &replayRecord{Replay: r.Clone(), made: true}
	x.replays[r.ID] = made
	x.touchReplay(made)
	return made, nil
}

// replayOf locks a replay and gives it as it is within this transaction. Replays are locked after the waybills.
func (x *tx) replayOf(id uint64) (*replayRecord, error) {
	if r := x.replays[id]; r != nil {
		return r, nil
	}
	var found *replayRecord
	var batch pgx.Batch
	batch.Queue("SELECT detail::text FROM replays WHERE id = $1 FOR UPDATE", int64(id)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var detail []byte
			if err := rows.Scan(&detail); err != nil {
				return err
			}
			found = &replayRecord{}
			if err := json.Unmarshal(detail, &found.Replay); err != nil {
				return damaged(fmt.Sprintf("replay %d", id), err)
			}
		}
		return rows.Err()
	})
	if err := x.run(&batch); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("replay %d: %w", id, store.ErrNotFound)
	}
	x.replays[id] = found
	return found, nil
}

// touchReplay sees whether a replay that changed is through.
func (x *tx) touchReplay(r *replayRecord) { r.Conclude(codec.FromMillis(x.now)) }

// carryOut makes pushes pending in a replay's name.
func (x *tx) carryOut(r *replayRecord, w *waybill, rows []*row) {
	for _, row := range rows {
		x.reopen(w, row, r.ID, r.Single == 0)
	}
	w.parkedAt, w.dirty = 0, true
	x.feedReload(w)
}

// replayEnded counts the end of a push that a replay made pending; was is what was counted before, if it ends in another
// way after all. A replay that is gone must not keep pushes from ending.
func (x *tx) replayEnded(id uint64, was, to store.Status) {
	if id == 0 {
		return
	}
	r, err := x.replayOf(id)
	if err != nil {
		if x.broken == nil {
			x.s.reports.Once("a push ended, but not its replay", err)
		}
		return
	}
	r.CountEnd(was, to)
	x.touchReplay(r)
}

// queueReplays writes those that the transaction had at hand.
func (x *tx) queueReplays(batch *pgx.Batch) {
	for _, id := range slices.Sorted(maps.Keys(x.replays)) {
		r := x.replays[id]
		detail, err := json.Marshal(&r.Replay)
		if err != nil {
			continue // StartReplay has tried: what can't be written is refused there.
		}
		batch.Queue(`INSERT INTO replays (id, status, detail) VALUES ($1, $2, $3)
			ON CONFLICT (id) DO UPDATE SET status = excluded.status, detail = excluded.detail`,
			int64(id), int16(r.Status), string(detail))
	}
}
