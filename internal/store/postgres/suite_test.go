package postgres

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/postgres/pgtest"
	"carrier/internal/store/storetest"
)

// engine has what the engine lacks yet.
type engine struct {
	*Store
	rest
}

type rest struct {
	store.Store
	t testing.TB
}

func (e *engine) Check(context.Context) (store.Report, error) { return store.Report{}, nil }

func (e *engine) Events(ctx context.Context, q store.Query) (page store.Page[store.Event], err error) {
	rows, err := e.pool.Query(ctx, "SELECT "+eventFields+" FROM events e WHERE ($1 = 0 OR seq < $1) ORDER BY seq DESC LIMIT $2", int64(q.Before), q.Limit)
	if err != nil {
		return page, err
	}
	defer rows.Close()
	err = scanRows(rows, func(r *row) { page.Items = append(page.Items, r.storeEvent()) })
	if len(page.Items) == q.Limit {
		page.Next = page.Items[q.Limit-1].Seq
	}
	return page, err
}

func (e *engine) Notices(ctx context.Context, after uint64, limit int) (list []store.Notice, err error) {
	rows, err := e.pool.Query(ctx, "SELECT number, n.seq, nth, at, n.status, n.tries, n.errcode, n.reason, n.replay FROM notices n WHERE number > $1 ORDER BY number LIMIT $2", int64(after), limit)
	if err != nil {
		return nil, err
	}
	var n store.Notice
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&n.Number, &n.Seq, &n.Nth, &at, &smallDest[store.Status]{&n.Status}, &n.Tries, &n.Errcode, &n.Reason, &n.Replay}, func() error {
		n.At = fromMillis(at.UnixMilli())
		list = append(list, n)
		return nil
	})
	for i := range list {
		n := &list[i]
		r, err := e.readOne(ctx, n.Seq)
		if err != nil {
			return nil, err
		}
		n.Event, n.ReceivedAt = r.event, fromMillis(r.receivedAt)
		n.Event.Msg = ""
		if n.Status == store.NoPush && r.first.verdict == state.Rejected {
			n.From, n.Allowed, n.Cause = r.first.from, r.first.allowed, r.first.cause
		}
		if n.Status > store.Delivered && r.push.status == n.Status && r.push.ends == n.Nth && len(r.push.attempts) > 0 {
			n.Errmsg = r.push.attempts[len(r.push.attempts)-1].Errmsg
		}
	}
	return list, err
}

func (e *engine) readOne(ctx context.Context, seq uint64) (r *row, err error) {
	err = e.view(ctx, func(tx pgx.Tx) error {
		rows, err := readRows(ctx, tx, []uint64{seq})
		if len(rows) > 0 {
			r = rows[0]
		}
		return err
	})
	return r, err
}

func (e *engine) Told(ctx context.Context, number uint64) error {
	op := &toldOp{number: number}
	if err := e.write(ctx, 0, op, &op.waiter); err != nil {
		return err
	}
	return e.refresh(ctx)
}

type toldOp struct {
	waiter
	number uint64
}

func (o *toldOp) rows() int    { return 1 }
func (o *toldOp) needs(*needs) {}
func (o *toldOp) run(x *tx) {
	var n int64
	var batch pgx.Batch
	batch.Queue("SELECT count(*) FROM notices WHERE number <= $1", int64(o.number)).QueryRow(func(r pgx.Row) error { return r.Scan(&n) })
	if o.err = x.run(&batch); o.err == nil {
		x.delta[counterNotices] -= n
		x.write("DELETE FROM notices WHERE number <= $1", int64(o.number))
	}
}

// TestSuite runs what every engine must pass.
func TestSuite(t *testing.T) {
	var mu sync.Mutex
	databases := map[testing.TB]map[string]*pgtest.Database{}
	storetest.Run(t, func(t testing.TB, home string, o storetest.Options) storetest.Engine {
		t.Helper()
		mu.Lock()
		if databases[t] == nil {
			databases[t] = map[string]*pgtest.Database{}
		}
		db := databases[t][home]
		mu.Unlock()
		if db == nil {
			db = pgtest.Start(t)
			mu.Lock()
			databases[t][home] = db
			mu.Unlock()
		}
		s, err := Open(t.Context(), db.URL(), Options{
			Machine: o.Machine, NoTokenWait: o.NoTokenWait, Retention: o.Retention, Feed: o.Feed, Now: o.Now,
			DiscardUnknown: o.DiscardUnknown, TokenKeys: o.TokenKeys, Notify: o.Notify,
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), partitionRows: 64, Node: "suite",
		})
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		return &engine{Store: s, rest: rest{t: t}}
	})
}
