package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
	"carrier/internal/store/seal"
)

// minVersion is the oldest server (server_version_num): before it, an UPDATE of a partitioned table plans each partition
// anew.
const minVersion = 140000

// Open opens the store in a database, and makes its tables where they are missing. Any number of nodes may have the same
// one open. url is a PostgreSQL connection URL; errors name its host and its database, and never its password.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("store.url is no PostgreSQL address (postgres://USER:PASSWORD@HOST:PORT/DATABASE): %w", err)
	}
	s := newStore(o.withDefaults(), config.ConnConfig)
	if err := s.start(ctx, config); err != nil {
		return nil, fmt.Errorf("store %s: %w", s.where, &oneLineError{err})
	}
	return s, nil
}

func newStore(o Options, config *pgx.ConnConfig) *Store {
	s := &Store{
		opts: o, where: fmt.Sprintf("%s:%d/%s", config.Host, config.Port, config.Database),
		alarm: engine.NewAlarm(), reports: engine.Reports{Logger: o.Logger}, oldest: map[string]time.Time{},
	}
	s.SetTerms(store.Terms{Machine: o.Machine, NoTokenWait: o.NoTokenWait, DiscardUnknown: o.DiscardUnknown})
	s.stop, s.end = context.WithCancelCause(context.Background())
	s.busy.init()
	s.lanes = newLaneReader(s)
	return s
}

func (s *Store) start(ctx context.Context, config *pgxpool.Config) (err error) {
	if err := s.connect(ctx, config); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.pool.Close()
		}
	}()
	if err := s.checkServer(ctx); err != nil {
		return err
	}
	if err := bringUp(ctx, config.ConnConfig); err != nil {
		return err
	}
	if err := s.beginServing(ctx); err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	if err := s.join(ctx, config); err != nil {
		return err
	}
	s.startCommitters()
	s.startBackground()
	return nil
}

func (s *Store) connect(ctx context.Context, config *pgxpool.Config) (err error) {
	if s.keys, err = seal.New(s.opts.TokenKeys); err != nil {
		return err
	}
	configure(config, &s.opts)
	s.pool, err = pgxpool.NewWithConfig(ctx, config)
	s.partitions.pool, s.partitions.size = s.pool, s.opts.partitionRows
	return err
}

// CheckDatabase compares everything in a database that is kept twice, as Store.Check does, and is no node meanwhile: it
// may run beside those that use it. TokenKeys is the only option that matters.
func CheckDatabase(ctx context.Context, url string, o Options) (store.Report, error) {
	s, err := openToRead(ctx, url, o, (*Store).checkFilled)
	if err != nil {
		return store.Report{}, err
	}
	defer s.pool.Close()
	return s.Check(ctx)
}

// unreachable adds to the error of a first connection what to look at; nil stays nil.
func unreachable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("it can't be reached; see that it runs and that store.url is right: %w", err)
}

// configure sets what every connection of the store has.
func configure(config *pgxpool.Config, o *Options) {
	config.MaxConns = max(config.MaxConns, int32(o.Committers)+6)
	config.ConnConfig.ConnectTimeout = connectTimeout
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = "carrier"
	for name, d := range map[string]time.Duration{
		"lock_timeout": lockTimeout, "statement_timeout": statementTimeout, "idle_in_transaction_session_timeout": o.LeaseTime / 2,
	} {
		params[name] = strconv.FormatInt(d.Milliseconds(), 10)
	}
	// All that is joined is found by its key, in a few rows. Without this, a plan that was made while a table was empty
	// may read all of it when it is large, until PostgreSQL next looks at its size.
	params["enable_hashjoin"], params["enable_mergejoin"], params["enable_seqscan"] = "off", "off", "off"
	params["jit"] = "off"
	// Each statement must see what was committed while the one before it waited for a lock.
	params["default_transaction_isolation"] = "read committed"
	params["timezone"] = "UTC"
}

// checkServer refuses a server that may lose what it acknowledged, or can't hold what is kept.
func (s *Store) checkServer(ctx context.Context) error {
	var version int
	var words, commit, fsync, encoding string
	err := s.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::integer, current_setting('server_version'),
		current_setting('synchronous_commit'), current_setting('fsync'), current_setting('server_encoding')`,
	).Scan(&version, &words, &commit, &fsync, &encoding)
	switch {
	case err != nil:
		return unreachable(err)
	case version < minVersion:
		return fmt.Errorf("its version is %s; 14 or newer is needed", words)
	case commit == "off":
		return errors.New("synchronous_commit is off, so a crash would lose what was acknowledged: " +
			"ALTER DATABASE ... SET synchronous_commit = on, or leave it out of the connection's settings")
	case fsync == "off":
		return errors.New("fsync is off, so a power loss would lose all: set fsync = on in postgresql.conf and restart the server")
	case encoding != "UTF8":
		return fmt.Errorf("the database's encoding is %s: make one with ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	return nil
}

// load reads what is in memory from the start.
func (s *Store) load(ctx context.Context) error {
	var received pgtype.Timestamptz
	err := s.pool.QueryRow(ctx, `SELECT greatest(clock, (SELECT max(t) FROM (
		(SELECT received_at AS t FROM events ORDER BY seq DESC LIMIT 1)
		UNION ALL (SELECT at FROM audit ORDER BY number DESC LIMIT 1)
		UNION ALL (SELECT (detail->>'CreatedAt')::timestamptz + interval '1 millisecond' FROM replays ORDER BY id DESC LIMIT 1)
		) x)) FROM meta`,
	).Scan(&received)
	if err != nil {
		return err
	}
	s.notBefore(codec.Millis(received.Time))
	if err := s.partitions.cover(ctx, 1); err != nil {
		return err
	}
	return s.refresh(ctx)
}
