package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store/postgres/pglocal"
)

// databases makes databases on a PostgreSQL: one of the bench's own, with settings that make nothing faster than it is
// in production, or the one that Options.Store names.
type databases struct {
	server *pglocal.Server // nil: it is somebody else's.
	at     string          // URL of a database that is there.
}

func (b *bench) openDatabases(ctx context.Context) (*databases, error) {
	if b.o.Store != "" {
		d := &databases{at: b.o.Store}
		if err := d.exec(ctx, "SELECT 1"); err != nil {
			return nil, fmt.Errorf("reaching the PostgreSQL of --store: %w", err)
		}
		return d, nil
	}
	s, err := pglocal.New(b.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w; or name one with --store", err)
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return &databases{server: s, at: s.URL("postgres")}, nil
}

// close removes the server, if it is the bench's own.
func (d *databases) close() error {
	if d.server == nil {
		return nil
	}
	return d.server.Remove()
}

// create makes an empty database.
func (d *databases) create(ctx context.Context) (name string, err error) {
	name = "carrier_bench_" + strings.ToLower(rand.Text()[:12])
	if err := d.exec(ctx, "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0"); err != nil {
		return "", fmt.Errorf("making a database: %w; this takes a user who may (CREATEDB)", err)
	}
	return name, nil
}

// dropTimeout bounds the removal of a database, which also happens when the run was interrupted.
const dropTimeout = 30 * time.Second

func (d *databases) drop(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
	defer cancel()
	if err := d.exec(ctx, "DROP DATABASE "+name); err != nil {
		return fmt.Errorf("removing the database %s: %w", name, err)
	}
	return nil
}

// url names another database of the same server.
func (d *databases) url(name string) string {
	u, err := url.Parse(d.at)
	if err != nil {
		return "" // exec has used it already.
	}
	u.Path = "/" + name
	return u.String()
}

func (d *databases) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, d.at)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// cpuSeconds is the CPU time of PostgreSQL's processes so far; 0 where that is not known.
func (d *databases) cpuSeconds() float64 {
	if d.server == nil {
		return 0
	}
	return treeSeconds(d.server.PID())
}

func (d *databases) cpuKnown() bool { return d.cpuSeconds() > 0 }

// cpuUnknown says why.
func (d *databases) cpuUnknown() string {
	if d.server == nil {
		return "the server is not this program's own"
	}
	return "this system does not tell"
}
