package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store"
)

// Finish makes the database one that can be served from: it counts what is there, and lets nodes commit.
func (i *Importer) Finish(ctx context.Context) error {
	err := i.transact(ctx, func(t pgx.Tx) error {
		if err := refuseAlive(ctx, t); err != nil {
			return err
		}
		w := &importing{Importer: i, ctx: ctx, t: t}
		if err := w.countRows(); err != nil {
			return err
		}
		var next uint64
		if err := t.QueryRow(ctx, "SELECT last_value + is_called::integer FROM numbers").Scan((*numberDest)(&next)); err != nil {
			return err
		}
		if err := i.s.partitions.coverOne(ctx, t, i.s.partitions.bound(next)); err != nil {
			return err
		}
		w.batch.Queue("UPDATE meta SET filling = false")
		w.batch.Queue("ALTER TABLE commits DROP CONSTRAINT IF EXISTS " + shutConstraint)
		return w.send()
	})
	if err == nil {
		// Without it, plans are made as if the tables were empty, until PostgreSQL comes by itself.
		err = i.analyze(ctx)
	}
	return i.s.readError(err)
}

func (i *Importer) analyze(ctx context.Context) error {
	return i.transact(ctx, func(t pgx.Tx) error {
		_, err := t.Exec(ctx, "ANALYZE waybills, events, event_ids, orders, shown, notices, audit, dead_letters")
		return err
	})
}

const (
	totalLetters = `UPDATE letter_totals t SET count = l.count, bytes = l.bytes
		FROM (SELECT count(*) AS count, coalesce(sum(` + letterBytes + `), 0) AS bytes FROM dead_letters) l`
	// lastNoticeNumber goes behind what waits. Where nothing does, the mark has set it.
	lastNoticeNumber = `SELECT setval('notice_numbers', number) FROM (SELECT max(number) AS number FROM notices) n WHERE number IS NOT NULL`
	countHeld        = `INSERT INTO counters SELECT '` + counterHeld + `', count(*) FROM events WHERE verdict = 2`
	countNotices     = `INSERT INTO counters SELECT '` + counterNotices + `', count(*) FROM notices`
)

// countRows counts what the engine counts as it writes.
func (w *importing) countRows() error {
	rows, err := w.t.Query(w.ctx, "SELECT delivery_id, status, count(*) FROM events WHERE status <> 0 GROUP BY delivery_id, status")
	if err != nil {
		return err
	}
	w.batch.Queue("DELETE FROM counters WHERE name IN ($1, $2) OR starts_with(name, 'p/')", counterHeld, counterNotices)
	var delivery string
	var status store.Status
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&delivery, &smallDest[store.Status]{&status}, &n}, func() error {
		w.count(pushCounter(status, delivery), n)
		return nil
	})
	for _, sql := range []string{countHeld, countNotices, totalLetters, lastNoticeNumber} {
		w.batch.Queue(sql)
	}
	return err
}
