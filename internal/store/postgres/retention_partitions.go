package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// dropWait bounds how long others may wait for a partition to be dropped: that takes a moment alone with events, and
	// whoever comes waits in line behind it.
	dropWait = 100 * time.Millisecond
	// passedAfter is how long after a number was given no transaction that took it can be under way any more.
	passedAfter = 2 * transactionTimeout
)

// passed remembers a number that was given a while ago: by now all up to it are there, or never will be.
type passed struct {
	number, candidate int64
	since             time.Time
}

// see takes in the last number that was given.
func (p *passed) see(last int64, now time.Time) {
	switch {
	case p.since.IsZero():
		p.candidate, p.since = last, now
	case now.Sub(p.since) >= passedAfter:
		p.number, p.candidate, p.since = p.candidate, last, now
	}
}

const listPartitions = `SELECT c.relname, substring(c.relname FROM '[0-9]+$')::bigint
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass ORDER BY 2`

// dropPartitions drops partitions in which nothing is left, and nothing will come any more: that gives the disk its room
// back at once, without a vacuum.
func (s *Store) dropPartitions(ctx context.Context) error {
	var last int64
	if err := s.pool.QueryRow(ctx, "SELECT last_value FROM numbers").Scan(&last); err != nil {
		return s.readError(err)
	}
	s.pruning.past.see(last, time.Now())
	rows, err := s.pool.Query(ctx, listPartitions)
	if err != nil {
		return s.readError(err)
	}
	type partition struct {
		Table string
		Bound int64
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[partition])
	if err != nil {
		return s.readError(err)
	}
	for _, p := range list {
		if p.Bound > s.pruning.past.number {
			break
		}
		if err := s.dropIfEmpty(ctx, p.Table); err != nil && code(err) != lockNotFree {
			return fmt.Errorf("drop the partition %s: %w", p.Table, err)
		}
	}
	return nil
}

var errNotEmpty = errors.New("it is not empty")

// dropIfEmpty drops a partition; if it can't be had alone soon, the next round tries again.
func (s *Store) dropIfEmpty(ctx context.Context, table string) error {
	name := pgx.Identifier{table}.Sanitize()
	err := pgx.BeginFunc(ctx, s.pool, func(t pgx.Tx) error {
		var some bool
		if err := t.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+name+")").Scan(&some); err != nil {
			return err
		}
		if some {
			return errNotEmpty
		}
		if _, err := t.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", dropWait.Milliseconds())); err != nil {
			return err
		}
		_, err := t.Exec(ctx, "DROP TABLE "+name)
		return err
	})
	if errors.Is(err, errNotEmpty) {
		return nil
	}
	if err == nil {
		s.opts.Logger.Info("a partition of old events was dropped", "table", table)
	}
	return err
}
