package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/engine"
)

// changeOp is an operation that says in place what it does.
type changeOp struct {
	engine.Waiter
	of []state.Waybill
	do func(x *tx) error
}

func (o *changeOp) rows() int { return 1 }
func (o *changeOp) run(x *tx) { o.Err = o.do(x) }
func (o *changeOp) needs(n *needs) {
	for _, w := range o.of {
		n.waybills[w] = true
	}
}

// change runs do in a transaction and waits until that is durable; of are the waybills that it is about. do may run
// again, in another transaction, if nothing was kept of the one before; what it gives its caller it sets each time.
// slot picks the committer: what waits for the same rows is best done by the same one.
func (s *Store) change(ctx context.Context, slot int16, do func(x *tx) error, of ...state.Waybill) error {
	op := &changeOp{of: of, do: do}
	return s.write(ctx, slot, op, &op.Waiter)
}

// changeOf is change of one waybill.
func (s *Store) changeOf(ctx context.Context, w state.Waybill, do func(x *tx) error) error {
	return s.change(ctx, slotOf(w), do, w)
}

// find reads a row into dest, and tells whether there is one. If that fails, so does the transaction.
func (x *tx) find(sql string, args []any, dest ...any) (found bool, err error) {
	x.trips++
	switch err := x.conn.QueryRow(x.ctx, sql, args...).Scan(dest...); {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, x.fail(x.lost(err))
	}
	return true, nil
}

// ask is find with a statement that writes.
func (x *tx) ask(sql string, args []any, dest ...any) (found bool, err error) {
	x.wrote = true
	return x.find(sql, args, dest...)
}

// exec runs a statement at once, and tells how many rows it changed. If that fails, so does the transaction.
func (x *tx) exec(sql string, args ...any) (rows int64, err error) {
	x.wrote = true
	x.trips++
	tag, err := x.conn.Exec(x.ctx, sql, args...)
	if err != nil {
		return 0, x.fail(x.lost(err))
	}
	return tag.RowsAffected(), nil
}

// notKept is the error of a read that a write begins with: it is certain that nothing was kept.
func notKept(err error) error {
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}
