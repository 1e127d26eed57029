package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Survey is what can be seen of a database from outside, for those who look whether it suits a store. Looking changes
// nothing and takes part in nothing.
type Survey struct {
	Where    string // host:port/database
	Version  string // Of the server.
	Old      bool   // It is older than the engine needs.
	Standby  bool   // It takes no writes.
	Encoding string

	Synchronous, Fsync, FullPageWrites string // The settings synchronous_commit, fsync and full_page_writes.

	Schema, NewestSchema int64 // 0: there is no store in it yet; and what this binary knows.
	MayCreate            bool  // The user may make tables.

	// Connections that this user may still have, by the limits of the server, the database and the user; and what one
	// node takes at most.
	FreeConnections, PerNode int

	Ahead     time.Duration // How far its clock is ahead of this machine's, give or take half of RoundTrip.
	RoundTrip time.Duration
	Encrypted bool
	Local     bool // The server is on this machine.

	Nodes     []SurveyNode
	FreeSlots int // Of all slots, those that no live node owns.
	Slots     int
}

// SurveyNode is a node that is registered.
type SurveyNode struct {
	Name    string
	Leaving bool
	Left    time.Duration // Of its lease; not above 0: it has ended.
	Slots   int
}

// LookAt surveys a database.
func LookAt(ctx context.Context, url string) (*Survey, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("store.url is no PostgreSQL address (postgres://USER:PASSWORD@HOST:PORT/DATABASE): %w", err)
	}
	c := config.ConnConfig
	s := &Survey{Where: fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database), Slots: slots}
	o := Options{}.withDefaults()
	configure(config, &o)
	s.PerNode = int(config.MaxConns) + ownPoolConns + 1 // And one that listens.
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return s, &oneLineError{err}
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, s.Encrypted = conn.PgConn().Conn().(*tls.Conn)
	s.Local = isLocal(conn.PgConn().Conn().RemoteAddr())
	for _, look := range []func(context.Context, *pgx.Conn) error{s.lookAtServer, s.lookAtClock, s.lookAtSchema, s.lookAtNodes} {
		if err := look(ctx, conn); err != nil {
			return s, &oneLineError{err}
		}
	}
	return s, nil
}

// isLocal tells whether an address is of this machine: a socket, or loopback.
func isLocal(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

func (s *Survey) lookAtServer(ctx context.Context, conn *pgx.Conn) error {
	var number int
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::integer, current_setting('server_version'), pg_is_in_recovery(),
		current_setting('server_encoding'), current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'),
		coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
		(SELECT least(current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer - count(*),
				(SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()) - count(*) FILTER (WHERE datname = current_database()),
				(SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user) - count(*) FILTER (WHERE usename = current_user))
			FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid())`,
	).Scan(&number, &s.Version, &s.Standby, &s.Encoding, &s.Synchronous, &s.Fsync, &s.FullPageWrites, &s.MayCreate, &s.FreeConnections)
	s.Old = number < minVersion
	return err
}

// lookAtClock takes the shortest of a few round trips, which says most.
func (s *Survey) lookAtClock(ctx context.Context, conn *pgx.Conn) error {
	for range 5 {
		asked := time.Now()
		var theirs time.Time
		if err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&theirs); err != nil {
			return err
		}
		if took := time.Since(asked); s.RoundTrip == 0 || took < s.RoundTrip {
			s.RoundTrip, s.Ahead = took, theirs.Sub(asked.Add(took/2).Round(0))
		}
	}
	return nil
}

func (s *Survey) lookAtSchema(ctx context.Context, conn *pgx.Conn) error {
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('schema_version') IS NOT NULL").Scan(&there); err != nil {
		return err
	}
	if there {
		err := conn.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM schema_version WHERE is_applied").Scan(&s.Schema)
		if err != nil {
			return err
		}
	}
	var err error
	s.NewestSchema, err = newestSchema()
	return err
}

func (s *Survey) lookAtNodes(ctx context.Context, conn *pgx.Conn) error {
	if s.Schema == 0 {
		return nil
	}
	rows, err := conn.Query(ctx, `SELECT n.name, n.leaving, (extract(epoch FROM n.expires_at - clock_timestamp()) * 1e6)::bigint,
		(SELECT count(*) FROM leases l WHERE l.owner = n.number) FROM nodes n ORDER BY n.number`)
	if err != nil {
		return err
	}
	s.Nodes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (n SurveyNode, err error) {
		var left int64
		err = row.Scan(&n.Name, &n.Leaving, &left, &n.Slots)
		n.Left = time.Duration(left) * time.Microsecond
		return n, err
	})
	s.FreeSlots = s.Slots
	for _, n := range s.Nodes {
		if n.Left > 0 {
			s.FreeSlots -= n.Slots
		}
	}
	return err
}
