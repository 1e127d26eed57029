package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// totals are the counters as the database had them when they were read last, and what this node's own transactions have
// added since. A snapshot tells which transactions it shows, so that none is counted twice or left out.
type totals struct {
	at  snapshot
	own []ownDelta // Of transactions that the snapshot does not show.
	all counters
}

// ownDelta is what one transaction of this node added.
type ownDelta struct {
	xid   int64
	delta counters
}

// add takes in a transaction of this node that has ended. It may have been read already.
func (t *totals) add(xid int64, delta counters) {
	if t.at.shows(xid) {
		return
	}
	t.own = append(t.own, ownDelta{xid, delta})
	t.all.add(delta)
}

// rebase takes in what a snapshot shows.
func (t *totals) rebase(base counters, at snapshot) {
	t.own = slices.DeleteFunc(t.own, func(d ownDelta) bool { return at.shows(d.xid) })
	t.at, t.all = at, base
	for _, d := range t.own {
		t.all.add(d.delta)
	}
}

// showsNotices tells whether the last snapshot is right about which notice waits longest, if it saw that some wait: this
// node's own transactions that it does not show have told none, and have made none that would be the first.
func (t *totals) showsNotices(some bool) bool {
	return !slices.ContainsFunc(t.own, func(d ownDelta) bool {
		n := d.delta[counterNotices]
		return n < 0 || n > 0 && !some
	})
}

// snapshot says which transactions a statement sees (PostgreSQL documentation, pg_current_snapshot).
type snapshot struct {
	xmin, xmax int64
	running    []int64
}

func (s *snapshot) shows(xid int64) bool {
	return xid < s.xmin || xid < s.xmax && !slices.Contains(s.running, xid)
}

const readSnapshot = `SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint,
	ARRAY(SELECT x::text::bigint FROM pg_snapshot_xip(s) x) FROM pg_current_snapshot() s`

const readCounters = `SELECT name, sum(n)::bigint FROM (
	SELECT name, n FROM counters UNION ALL SELECT u.name, u.n FROM commits c, unnest(c.names, c.deltas) AS u(name, n)
	) x GROUP BY name`

// refresh reads what other nodes have changed of the figures of Stats.
func (s *Store) refresh(ctx context.Context) error {
	s.refreshing.Lock() // What was read first is taken in first.
	defer s.refreshing.Unlock()
	base, oldest := counters{}, map[string]time.Time{}
	var at snapshot
	var untold pgtype.Timestamptz
	err := s.view(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, readSnapshot).Scan(&at.xmin, &at.xmax, &at.running); err != nil {
			return err
		}
		if err := scanCounters(ctx, tx, base); err != nil {
			return err
		}
		if err := scanOldest(ctx, tx, base.stats().Pushes, oldest); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT (SELECT at FROM notices ORDER BY number LIMIT 1)").Scan(&untold)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.totals.rebase(base, at)
	s.oldest = oldest
	if s.totals.showsNotices(untold.Valid) {
		s.untold = codec.FromMillis(stampOf(untold))
	}
	return nil
}

func stampOf(t pgtype.Timestamptz) int64 {
	if !t.Valid {
		return 0
	}
	return t.Time.UnixMilli()
}

func scanCounters(ctx context.Context, tx pgx.Tx, into counters) error {
	rows, err := tx.Query(ctx, readCounters)
	if err != nil {
		return err
	}
	var name string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&name, &n}, func() error {
		into[name] = n
		return nil
	})
	return err
}

// scanOldest finds when each account's oldest open push was received.
func scanOldest(ctx context.Context, tx pgx.Tx, pushes map[string]map[store.Status]int64, into map[string]time.Time) error {
	for delivery, counts := range pushes {
		if counts[store.Pending] == 0 {
			continue
		}
		var at pgtype.Timestamptz
		err := tx.QueryRow(ctx, `SELECT (SELECT received_at FROM events WHERE delivery_id = $1 AND status = 1
			ORDER BY seq LIMIT 1)`, delivery).Scan(&at)
		if err != nil {
			return err
		}
		if at.Valid {
			into[delivery] = codec.FromMillis(stampOf(at))
		}
	}
	return nil
}

// foldAge is how long a row of commits is kept. A transaction that is longer under way than that has been ended by one
// side or the other (idleTimeout, transactionTimeout), so nobody asks for the row any more.
const foldAge = 2 * time.Minute

// fold adds old rows of commits to counters. One node at a time does it.
func (s *Store) fold(ctx context.Context) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", foldLock).Scan(&mine); err != nil || !mine {
			return err
		}
		_, err := tx.Exec(ctx, `WITH old AS (DELETE FROM commits WHERE at < clock_timestamp() - $1::interval RETURNING names, deltas)
			INSERT INTO counters SELECT u.name, sum(u.n) FROM old, unnest(old.names, old.deltas) AS u(name, n) GROUP BY u.name
			ON CONFLICT (name) DO UPDATE SET n = counters.n + excluded.n`, foldAge)
		return err
	})
}

// count takes a transaction into the figures of Stats.
func (s *Store) count(x *tx, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.totals.add(x.xid, x.delta)
	s.commits++
	s.waited += took
	s.rows += uint64(x.size)
	s.trips += uint64(x.trips)
	if x.told != nil {
		s.untold = codec.FromMillis(x.told.oldest)
	}
	if len(x.notices) > 0 && s.untold.IsZero() {
		s.untold = codec.FromMillis(x.now)
	}
}

// Stats reads figures that are kept in memory. What other nodes change of them is at most a second late.
func (s *Store) Stats() store.Stats {
	nodes := s.leases.stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.totals.all.stats()
	st.Oldest = maps.Clone(s.oldest)
	st.OldestNotice = s.untold
	st.Commits, st.CommitTime, st.Rows = s.commits, s.waited, s.rows
	nodes.RoundTrips = s.trips
	st.Nodes = &nodes
	return st
}
