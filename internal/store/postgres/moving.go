package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"carrier/internal/store"
)

// meta is the row of meta.
type meta struct {
	instance   string
	filledFrom string
	filling    bool
	movedTo    string
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func readMeta(ctx context.Context, q querier) (m meta, err error) {
	err = q.QueryRow(ctx, "SELECT instance::text, coalesce(filled_from, ''), filling, coalesce(moved_to, '') FROM meta").
		Scan(&m.instance, &m.filledFrom, &m.filling, &m.movedTo)
	return m, err
}

// moved says where the store has gone, and how to undo that.
func (m *meta) moved() error {
	return fmt.Errorf("it was moved to %s: set store.url to that. To go back to how it was before, run in psql: "+
		"UPDATE meta SET moved_to = NULL; ALTER TABLE commits DROP CONSTRAINT %s; what was taken since is not in it, "+
		"and WeChat would be told everything again that was sent since", m.movedTo, shutConstraint)
}

// checkFilled refuses a database that is filled only in part. One that has moved is still whole.
func (s *Store) checkFilled(ctx context.Context) error {
	m, err := readMeta(ctx, s.pool)
	if err == nil && m.filling {
		err = errHalfFilled
	}
	return err
}

// checkOpen says why nobody may use the database: it has moved, or is filled only in part.
func (s *Store) checkOpen(ctx context.Context) error {
	m, err := readMeta(ctx, s.pool)
	if err != nil {
		return err
	}
	s.instance = m.instance
	switch {
	case m.movedTo != "":
		return m.moved()
	case m.filling:
		return errHalfFilled
	}
	return nil
}

// shutConstraint is on commits while nobody may commit.
const shutConstraint = "shut_by_store_migrate"

// shut lets no node commit anything from the end of the transaction on, and until then makes all wait: one that was taken
// for dead may come back at any moment, and take scans in before it hears of anything.
func shut(ctx context.Context, t pgx.Tx) error {
	_, err := t.Exec(ctx, "ALTER TABLE commits DROP CONSTRAINT IF EXISTS "+shutConstraint+
		", ADD CONSTRAINT "+shutConstraint+" CHECK (false) NOT VALID")
	return err
}

// alive lists the nodes that are.
func alive(ctx context.Context, q querier) ([]string, error) {
	rows, err := q.Query(ctx, "SELECT name FROM nodes WHERE expires_at > clock_timestamp() ORDER BY name")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func refuseAlive(ctx context.Context, q querier) error {
	names, err := alive(ctx, q)
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("%w: these nodes serve from it: %s. Stop them; one that was killed is known to be gone within its "+
			"store.lease", store.ErrInUse, strings.Join(names, ", "))
	}
	return err
}

// beginServing notes that what is here from now on is this database's own: it can't be filled on any more.
func (s *Store) beginServing(ctx context.Context) error {
	if err := s.checkOpen(ctx); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, "UPDATE meta SET filled_from = NULL WHERE filled_from IS NOT NULL AND NOT filling")
	return err
}

// errShut is why a commit fails while the database is shut. Nothing is kept: senders try again, where the service is by then.
var errShut = errors.New("carrier store migrate has moved this store, or is filling it: stop this node")

func isShut(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.ConstraintName == shutConstraint
}
