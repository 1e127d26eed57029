package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// Export calls use with every record, in the order of their keys, in one snapshot.
func (s *Store) Export(ctx context.Context, use func(*store.Record) error) error {
	_, err := s.export(ctx, false, use)
	return err
}

// Exporter gives away what a database holds, and is no node meanwhile: it may read beside those that are; see store.Source.
type Exporter struct {
	s    *Store
	read *version // What Export read last; nil: it did not come to its end.
}

// OpenExporter opens a database to be read. TokenKeys is the only option that matters.
func OpenExporter(ctx context.Context, url string, o Options) (*Exporter, error) {
	s, err := openToRead(ctx, url, o, (*Store).checkOpen)
	if err != nil {
		return nil, err
	}
	return &Exporter{s: s}, nil
}

// openToRead opens a database that this binary can read and that check does not refuse, and is no node.
func openToRead(ctx context.Context, url string, o Options, check func(*Store, context.Context) error) (*Store, error) {
	s, config, err := connectOnly(ctx, url, o)
	if err != nil {
		return nil, err
	}
	err = unreachable(s.pool.Ping(ctx))
	if err == nil {
		err = checkSchema(ctx, config.ConnConfig)
	}
	if err == nil {
		err = check(s, ctx)
	}
	if err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("store %s: %w", s.where, &oneLineError{err})
	}
	return s, nil
}

// connectOnly makes a store that takes no part: it has connections, and nothing runs in the background.
func connectOnly(ctx context.Context, url string, o Options) (*Store, *pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, nil, fmt.Errorf("this is no PostgreSQL address (postgres://USER:PASSWORD@HOST:PORT/DATABASE): %w", err)
	}
	s := newStore(o.withDefaults(), config.ConnConfig)
	if err := s.connect(ctx, config); err != nil {
		return nil, nil, err
	}
	return s, config, nil
}

// Instance is the database's own name, a UUID.
func (e *Exporter) Instance() string { return e.s.instance }

// Export calls use with every record, in the order of their keys, in one snapshot.
func (e *Exporter) Export(ctx context.Context, use func(*store.Record) error) (err error) {
	e.read = nil
	e.read, err = e.s.export(ctx, false, use)
	return err
}

// Serving tells who serves from the database; empty: nobody does.
func (e *Exporter) Serving(ctx context.Context) (names []string, err error) {
	names, err = alive(ctx, e.s.pool)
	return names, e.s.readError(err)
}

// Size is what the database takes, in bytes.
func (e *Exporter) Size(ctx context.Context) (size uint64, err error) {
	err = e.s.pool.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan((*numberDest)(&size))
	return size, e.s.readError(err)
}

// Moved notes where all of it has gone. No node can commit anything from then on. It fails with store.ErrInUse while nodes
// are alive, and if anything was written since Export last read.
func (e *Exporter) Moved(ctx context.Context, to string) error {
	if e.read == nil {
		return errors.New("a store that was not read to its end has not moved")
	}
	err := pgx.BeginFunc(ctx, e.s.pool, func(t pgx.Tx) error {
		if err := refuseAlive(ctx, t); err != nil {
			return err
		}
		// It waits for whoever is committing, and until the end of this transaction nobody begins to.
		if err := shut(ctx, t); err != nil {
			return err
		}
		now, err := readVersion(ctx, t)
		if err != nil {
			return err
		}
		if *now != *e.read {
			return fmt.Errorf("%w: a node was started meanwhile, or wrote to it", store.ErrInUse)
		}
		_, err = t.Exec(ctx, "UPDATE meta SET moved_to = $1", to)
		return err
	})
	if err != nil {
		return fmt.Errorf("store %s: note that it has moved: %w", e.s.where, e.s.readError(err))
	}
	return nil
}

// Close ends the connections.
func (e *Exporter) Close() error {
	e.s.pool.Close()
	return nil
}

// version tells whether anything was written between two looks: a transaction leaves a row in commits, which only nodes
// that are alive take away, and every node that comes alive takes a number.
type version struct{ commits, nodes int64 }

func readVersion(ctx context.Context, t pgx.Tx) (*version, error) {
	v := &version{}
	err := t.QueryRow(ctx, `SELECT last_value, (SELECT count(*) FROM commits) FROM nodes_number_seq`).Scan(&v.nodes, &v.commits)
	return v, err
}

// exporter reads a database as records, in one transaction.
type exporter struct {
	ctx context.Context
	s   *Store
	t   pgx.Tx
	use func(*store.Record) error
	// filling says that the database is being filled: what an interrupted import left incomplete is given as it is, to be
	// mended by the next.
	filling bool
}

func (s *Store) export(ctx context.Context, filling bool, use func(*store.Record) error) (read *version, err error) {
	err = s.view(ctx, func(t pgx.Tx) (err error) {
		// Whoever takes the records may take their time.
		_, err = t.Exec(ctx, "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
		if err != nil {
			return err
		}
		if read, err = readVersion(ctx, t); err != nil {
			return err
		}
		x := &exporter{ctx: ctx, s: s, t: t, filling: filling}
		x.use = func(r *store.Record) error {
			if err := context.Cause(ctx); err != nil {
				return &usedError{err}
			}
			if err := use(r); err != nil {
				return &usedError{err}
			}
			return nil
		}
		return x.all()
	})
	if used, ok := errors.AsType[*usedError](err); ok {
		return nil, used.err
	}
	if err != nil {
		return nil, s.readError(err)
	}
	return read, nil
}

// usedError is an error of whoever takes the records, to be told from those of the database.
type usedError struct{ err error }

func (e *usedError) Error() string { return e.err.Error() }

// all gives the records in the order of store.Record.Key.
func (x *exporter) all() error {
	for _, part := range []func() error{
		x.accounts, x.acts, x.letters, x.marks, x.notices, x.replays, x.secrets, x.uses, x.waybills,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// rows gives a record for each row of a query as the rows come in: none is held longer than that.
func (x *exporter) rows(sql string, record func(pgx.CollectableRow) (*store.Record, error)) error {
	rows, err := x.t.Query(x.ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := record(rows)
		if err == nil {
			err = x.use(r)
		}
		if err != nil {
			return err
		}
	}
	return rows.Err()
}

// accounts have no versions elsewhere, and need none: nobody changes them meanwhile.
func (x *exporter) accounts() error {
	return x.rows("SELECT delivery_id, state::text FROM accounts ORDER BY delivery_id", func(row pgx.CollectableRow) (*store.Record, error) {
		a := &store.AccountRecord{}
		var state []byte
		if err := row.Scan(&a.DeliveryID, &state); err != nil {
			return nil, err
		}
		var err error
		if a.Account, err = decodeAccount(state); err != nil {
			err = damaged("account "+a.DeliveryID, err)
		}
		return &store.Record{Account: a}, err
	})
}

func (x *exporter) acts() error {
	return x.rows("SELECT "+auditFields+" FROM audit ORDER BY number", func(row pgx.CollectableRow) (*store.Record, error) {
		e, err := scanAudit(row)
		return &store.Record{Act: &e}, err
	})
}

func (x *exporter) letters() error {
	return x.rows("SELECT "+letterFields+" FROM dead_letters ORDER BY number", func(row pgx.CollectableRow) (*store.Record, error) {
		d, err := scanLetter(row)
		return &store.Record{Letter: &d}, err
	})
}

// readMarks: a sequence that was never used says that its first number was not called. Ends may be newer than all else.
const readMarks = `SELECT
	(SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM numbers),
	(SELECT greatest(m.clock, e.received, e.done) FROM meta m, (SELECT max(received_at) AS received, max(done_at) AS done FROM events) e),
	coalesce((SELECT min(number) - 1 FROM notices), (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM notice_numbers)),
	(SELECT last FROM serials WHERE name = 'audit'), (SELECT last FROM serials WHERE name = 'replays'), (SELECT last FROM letter_totals)`

func (x *exporter) marks() error {
	m := &store.Marks{Events: map[string]int64{}}
	err := x.t.QueryRow(x.ctx, readMarks).Scan((*numberDest)(&m.Next), (*stampDest)(&m.Clock), (*numberDest)(&m.Told),
		(*numberDest)(&m.Audits), (*numberDest)(&m.Replays), (*numberDest)(&m.Letters))
	if err != nil {
		return err
	}
	kept := counters{}
	if err := scanCounters(x.ctx, x.t, kept); err != nil {
		return err
	}
	for name, n := range kept {
		if verdict, ok := strings.CutPrefix(name, eventCounters); ok && n != 0 {
			m.Events[verdict] = n
		}
	}
	m.Pruned = kept[counterPruned]
	return x.use(&store.Record{Marks: m})
}

func (x *exporter) notices() error {
	const all = `SELECT ` + noticeFields + ` FROM notices ORDER BY number`
	return x.rows(all, func(row pgx.CollectableRow) (*store.Record, error) {
		n, err := scanNotice(row)
		r := &store.NoticeRecord{Number: n.Number, At: codec.Millis(n.At), Difference: n.Difference}
		if n.Difference == nil {
			r.Seq, r.Status, r.Nth, r.Tries, r.Errcode, r.Replay, r.Reason = n.Seq, n.Status, n.Nth, n.Tries, n.Errcode, n.Replay, n.Reason
		}
		return &store.Record{Notice: r}, err
	})
}

func (x *exporter) replays() error {
	return x.rows("SELECT id, detail::text FROM replays ORDER BY id", func(row pgx.CollectableRow) (*store.Record, error) {
		var id int64
		var detail []byte
		if err := row.Scan(&id, &detail); err != nil {
			return nil, err
		}
		r := &store.Replay{}
		if err := json.Unmarshal(detail, r); err != nil {
			return nil, damaged(fmt.Sprintf("replay %d", id), err)
		}
		return &store.Record{Replay: r}, nil
	})
}

func (x *exporter) secrets() error {
	return x.rows("SELECT name, value FROM secrets ORDER BY name", func(row pgx.CollectableRow) (*store.Record, error) {
		var name string
		var value []byte
		if err := row.Scan(&name, &value); err != nil {
			return nil, err
		}
		secret, err := x.s.keys.OpenSecret(secretPlace(name), value)
		if err != nil {
			return nil, fmt.Errorf("the secret %s: %w", name, err)
		}
		return &store.Record{Secret: &store.SecretRecord{Name: name, Value: secret}}, nil
	})
}

func (x *exporter) uses() error {
	return x.rows("SELECT hash, digest, until FROM uses ORDER BY hash", func(row pgx.CollectableRow) (*store.Record, error) {
		u := &store.UseRecord{}
		var hash, digest []byte
		if err := row.Scan(&hash, &digest, (*stampDest)(&u.Until)); err != nil {
			return nil, err
		}
		if len(hash) != len(u.Signature) || len(digest) != len(u.Digest) {
			return nil, damaged("a signed request that came before", codec.ErrRecord)
		}
		copy(u.Signature[:], hash)
		copy(u.Digest[:], digest)
		return &store.Record{Use: u}, nil
	})
}

// eventCounters begins the counters of events by verdict; see counters.
var eventCounters = strings.TrimSuffix(eventCounter(state.Accepted), state.Accepted.String())
