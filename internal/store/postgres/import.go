package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// importLock keeps two processes from filling a database at once (pg_try_advisory_lock).
const importLock = foldLock + 1

var errHalfFilled = errors.New("carrier store migrate has not filled it to the end: run that again, or drop the database and make it anew")

// Importer fills a database; see store.Importer. It is not safe for concurrent use.
type Importer struct {
	s *Store
	// conn holds importLock, and makes all changes: whoever loses the lock can change nothing any more.
	conn *pgxpool.Conn
	open []openReplay // Replays that have not ended, by number; nil: they are to be read.
}

// OpenImporter opens a database to be filled, or to be filled on, from the store whose instance is named, and makes its
// tables where they are missing. One that holds a store of its own, or that of another source, is refused.
func OpenImporter(ctx context.Context, url, source string, o Options) (*Importer, error) {
	s, config, err := connectOnly(ctx, url, o)
	if err != nil {
		return nil, err
	}
	i := &Importer{s: s}
	if err := i.begin(ctx, config, source); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", s.where, &oneLineError{err}), i.Close())
	}
	return i, nil
}

func (i *Importer) begin(ctx context.Context, config *pgxpool.Config, source string) (err error) {
	if err := i.s.checkServer(ctx); err != nil {
		return err
	}
	if err := i.refuseServed(ctx); err != nil {
		return err
	}
	if err := bringUp(ctx, config.ConnConfig); err != nil {
		return err
	}
	if i.conn, err = i.s.pool.Acquire(ctx); err != nil {
		return err
	}
	var mine bool
	if err := i.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", importLock).Scan(&mine); err != nil {
		return err
	}
	if !mine {
		return fmt.Errorf("%w: another carrier store migrate is filling it; wait for that one, or stop it", store.ErrInUse)
	}
	return i.transact(ctx, func(t pgx.Tx) error { return i.claim(ctx, t, source) })
}

// refuseServed refuses a database that nodes serve from, before anything of it is touched: they may be of an older version.
func (i *Importer) refuseServed(ctx context.Context) error {
	var made bool
	if err := i.s.pool.QueryRow(ctx, "SELECT to_regclass('nodes') IS NOT NULL").Scan(&made); err != nil || !made {
		return err
	}
	return refuseAlive(ctx, i.s.pool)
}

// transact runs a transaction that may take its time.
func (i *Importer) transact(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, i.conn, func(t pgx.Tx) error {
		if _, err := t.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		return do(t)
	})
}

// isFresh tells whether nothing was ever kept. Signed requests that came before are no reason to keep a database.
const isFresh = `SELECT NOT (SELECT is_called FROM numbers) AND NOT EXISTS (SELECT FROM waybills) AND NOT EXISTS (SELECT FROM accounts)
	AND NOT EXISTS (SELECT FROM audit) AND NOT EXISTS (SELECT FROM shown) AND NOT EXISTS (SELECT FROM differences)
	AND NOT EXISTS (SELECT FROM secrets) AND NOT EXISTS (SELECT FROM dead_letters)`

// claim sees that the database may be filled, and that nobody serves from it until it is.
func (i *Importer) claim(ctx context.Context, t pgx.Tx, source string) error {
	if err := refuseAlive(ctx, t); err != nil {
		return err
	}
	if err := shut(ctx, t); err != nil {
		return err
	}
	m, err := readMeta(ctx, t)
	if err != nil {
		return err
	}
	i.s.instance = m.instance
	var fresh bool
	if err := t.QueryRow(ctx, isFresh).Scan(&fresh); err != nil {
		return err
	}
	switch {
	case m.movedTo != "":
		return m.moved()
	case m.filledFrom == "" && !fresh:
		return errors.New("it holds a store already: migrate into an empty database")
	case m.filledFrom != "" && m.filledFrom != source:
		return fmt.Errorf("it was filled from another store (%s, not %s): migrate into an empty database", m.filledFrom, source)
	}
	_, err = t.Exec(ctx, "UPDATE meta SET filled_from = $1, filling = true", source)
	return err
}

// Export calls use with every record that was imported.
func (i *Importer) Export(ctx context.Context, use func(*store.Record) error) error {
	_, err := i.s.export(ctx, true, use)
	return err
}

// Close ends the connections, and with them the lock.
func (i *Importer) Close() error {
	if i.conn != nil {
		i.conn.Release()
	}
	i.s.pool.Close()
	return nil
}

// Import keeps records in place of those with the same key, and forgets those with the keys in gone.
func (i *Importer) Import(ctx context.Context, records []*store.Record, gone []string) error {
	err := i.transact(ctx, func(t pgx.Tx) error {
		w := &importing{Importer: i, ctx: ctx, t: t, keep: records, forget: map[string][]string{}}
		w.sort(gone)
		return w.run()
	})
	return i.s.readError(err)
}

// importing is one transaction of an import.
type importing struct {
	*Importer
	ctx   context.Context
	t     pgx.Tx
	batch pgx.Batch

	keep     []*store.Record
	waybills []*store.WaybillRecord // Of keep.
	forget   map[string][]string    // Keys without their kind, by kind: of keep, too.
}

func (w *importing) sort(gone []string) {
	forget := func(key string) {
		kind, name, _ := strings.Cut(key, "/")
		w.forget[kind] = append(w.forget[kind], name)
	}
	for _, key := range gone {
		forget(key)
	}
	for _, r := range w.keep {
		forget(r.Key())
		if r.Waybill != nil {
			w.waybills = append(w.waybills, r.Waybill)
		}
	}
	if len(w.forget["replay"]) > 0 {
		w.open = nil
	}
}

// run deletes what was there before anything is written: an event id may have gone from one waybill to another.
func (w *importing) run() error {
	if err := w.forgetSmall(); err != nil {
		return err
	}
	if err := w.forgetWaybills(w.forget["waybill"]); err != nil {
		return err
	}
	for _, r := range w.keep {
		if err := w.keepSmall(r); err != nil {
			return err
		}
	}
	if err := w.send(); err != nil || len(w.waybills) == 0 {
		return err
	}
	if err := w.loadOpen(); err != nil {
		return err
	}
	if err := w.keepWaybills(w.waybills); err != nil {
		return err
	}
	return w.send()
}

// send carries out what is queued.
func (w *importing) send() error {
	err := w.t.SendBatch(w.ctx, &w.batch).Close()
	w.batch = pgx.Batch{}
	return err
}

// forgetSmall forgets all but waybills and marks, which are never gone.
func (w *importing) forgetSmall() error {
	for kind, sql := range map[string]string{
		"account": "DELETE FROM accounts WHERE delivery_id = ANY ($1::text[])", "secret": "DELETE FROM secrets WHERE name = ANY ($1::text[])",
		"use": "DELETE FROM uses WHERE hash IN (SELECT decode(h, 'hex') FROM unnest($1::text[]) h)",
	} {
		if names := w.forget[kind]; len(names) > 0 {
			w.batch.Queue(sql, names)
		}
	}
	for kind, sql := range map[string]string{
		"act": "DELETE FROM audit WHERE number = ANY ($1::bigint[])", "letter": "DELETE FROM dead_letters WHERE number = ANY ($1::bigint[])",
		"notice": "DELETE FROM notices WHERE number = ANY ($1::bigint[])", "replay": "DELETE FROM replays WHERE id = ANY ($1::bigint[])",
	} {
		numbers, err := numbersOf(w.forget[kind])
		if err != nil {
			return err
		}
		if len(numbers) > 0 {
			w.batch.Queue(sql, numbers)
		}
	}
	return nil
}

// numbersOf reads the numbers of keys.
func numbersOf(names []string) (numbers []int64, err error) {
	for _, name := range names {
		var n int64
		if _, err := fmt.Sscanf(name, "%x", &n); err != nil {
			return nil, fmt.Errorf("the key %q has no number: %w", name, err)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// keepSmall queues a record of which nothing is there.
func (w *importing) keepSmall(r *store.Record) error {
	switch {
	case r.Account != nil:
		w.batch.Queue("INSERT INTO accounts (delivery_id, version, state) VALUES ($1, 1, $2)", r.Account.DeliveryID, encodeAccount(&r.Account.Account))
	case r.Act != nil:
		w.batch.Queue(importAudit, append(arrays(auditColumns, []*store.AuditEntry{r.Act}), int64(r.Act.Number))...)
	case r.Letter != nil:
		d := r.Letter
		w.batch.Queue(keepLetter, int64(d.Number), timestamp(codec.Millis(d.ReceivedAt)), text(d.Source), text(d.Subject), text(d.Code), text(d.Reason),
			append([]byte{}, d.Body...), text(d.ReasonZh)) // The body is never null.
	case r.Marks != nil:
		w.marks(r.Marks)
	case r.Notice != nil:
		n := importNotice(r.Notice)
		w.batch.Queue(keepNotice, append(arrays(noticeColumns, []*notice{n}), int64(r.Notice.Number))...)
	case r.Replay != nil:
		return w.replay(r.Replay)
	case r.Secret != nil:
		w.batch.Queue("INSERT INTO secrets VALUES ($1, $2)", r.Secret.Name, w.s.keys.SealSecret(secretPlace(r.Secret.Name), r.Secret.Value))
	case r.Use != nil:
		w.batch.Queue("INSERT INTO uses VALUES ($1, $2, $3)", r.Use.Signature[:], r.Use.Digest[:], timestamp(r.Use.Until))
	}
	return nil
}

// These keep the number that a row had elsewhere, which comes behind all other parameters.
var (
	importAudit = keyedSQL("audit", "number", fmt.Sprintf("$%d::bigint", len(auditColumns)+1), "", auditColumns)
	keepNotice  = keyedSQL("notices", "number", fmt.Sprintf("$%d::bigint", len(noticeColumns)+1), "", noticeColumns)
)

func importNotice(n *store.NoticeRecord) *notice {
	return &notice{
		seq: n.Seq, nth: n.Nth, at: n.At, status: n.Status, tries: n.Tries, errcode: n.Errcode, reason: text(n.Reason), replay: n.Replay,
		difference: n.Difference,
	}
}

// marks keeps what was counted elsewhere. A sequence is no part of a transaction: this goes first where it is undone, and
// is repeated then.
func (w *importing) marks(m *store.Marks) {
	sequence := func(name string, last uint64) {
		w.batch.Queue("SELECT setval($1::regclass, greatest($2::bigint, 1), $2::bigint > 0)", name, int64(last))
	}
	sequence("numbers", max(m.Next, 1)-1)
	sequence("notice_numbers", m.Told)
	w.batch.Queue("UPDATE meta SET clock = $1", timestamp(m.Clock))
	w.batch.Queue("UPDATE serials SET last = CASE name WHEN 'audit' THEN $1::bigint ELSE $2::bigint END WHERE name IN ('audit', 'replays')",
		int64(m.Audits), int64(m.Replays))
	w.batch.Queue("UPDATE letter_totals SET last = $1", int64(m.Letters))
	w.batch.Queue("DELETE FROM counters WHERE name = $1 OR starts_with(name, $2)", counterPruned, eventCounters)
	w.count(counterPruned, m.Pruned)
	for verdict, n := range m.Events {
		w.count(eventCounters+verdict, n)
	}
}

func (w *importing) count(name string, n int64) {
	w.batch.Queue("INSERT INTO counters VALUES ($1, $2)", name, n)
}
