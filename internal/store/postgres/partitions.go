package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// partitionRows is how many numbers a partition of events covers.
const partitionRows = 1 << 20

// partitions sees to it that events find a partition. They are made ahead of the numbers.
type partitions struct {
	pool *pgxpool.Pool
	size int64

	mu      sync.Mutex   // Held while one is made.
	covered atomic.Int64 // There are partitions for all numbers below.
}

// Locks that keep nodes from doing the same at once (pg_advisory_xact_lock).
const (
	partitionLock = 0x63617272 // "carr"
	foldLock      = partitionLock + 1
)

// cover makes the partition of a number, and all before it, unless they are there.
func (p *partitions) cover(ctx context.Context, seq uint64) error {
	for int64(seq) >= p.covered.Load() {
		if err := p.makeNext(ctx); err != nil {
			return fmt.Errorf("make a partition for event %d: %w", seq, err)
		}
	}
	return nil
}

// makeNext makes the next partition that is missing.
func (p *partitions) makeNext(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var covered int64
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) (err error) {
		if _, err = tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", partitionLock); err != nil {
			return err
		}
		if covered, err = coveredBy(ctx, tx); err != nil || covered > p.covered.Load() {
			return err
		}
		covered += p.size
		return makePartition(ctx, tx, covered-p.size, covered)
	})
	if err == nil {
		p.covered.Store(covered)
	}
	return err
}

// coveredBy is the number below which all are in a partition; each partition's name ends in its upper bound.
func coveredBy(ctx context.Context, tx pgx.Tx) (bound int64, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(max(substring(c.relname FROM '[0-9]+$')::bigint), 0)
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass`).Scan(&bound)
	return bound, err
}

// bound is the upper bound of a number's partition.
func (p *partitions) bound(seq uint64) int64 { return (int64(seq)/p.size + 1) * p.size }

// coverOne makes the partition with an upper bound, unless it is there. Only who has the database alone leaves gaps.
func (p *partitions) coverOne(ctx context.Context, tx pgx.Tx, bound int64) error {
	var there bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", partitionName(bound)).Scan(&there); err != nil || there {
		return err
	}
	return makePartition(ctx, tx, bound-p.size, bound)
}

// makePartition makes a table beside events and attaches it then: that locks out nobody who writes, as making it in one
// step would. The check spares PostgreSQL a look at its rows.
func makePartition(ctx context.Context, tx pgx.Tx, from, to int64) error {
	table := partitionName(to)
	for _, sql := range []string{
		"CREATE TABLE %[1]s (LIKE events INCLUDING ALL, CONSTRAINT bounds CHECK (seq >= %[2]d AND seq < %[3]d)) WITH (fillfactor = 80)",
		"ALTER TABLE events ATTACH PARTITION %[1]s FOR VALUES FROM (%[2]d) TO (%[3]d)",
		"ALTER TABLE %[1]s DROP CONSTRAINT bounds",
	} {
		if _, err := tx.Exec(ctx, fmt.Sprintf(sql, table, from, to)); err != nil {
			return err
		}
	}
	return nil
}

// partitionName is the table of the numbers below a bound.
func partitionName(to int64) string { return fmt.Sprintf("events_%019d", to) }
