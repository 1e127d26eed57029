package pgtest_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestStart(t *testing.T) {
	a, b := pgtest.Start(t), pgtest.Start(t)
	if a.Name == b.Name || a.Server != b.Server {
		t.Errorf("got databases %s and %s, want two on one server", a.Name, b.Name)
	}
	query(t, a, "CREATE TABLE only_in_a (n int)")
	if got := value(t, b, "SELECT count(*) FROM pg_tables WHERE tablename = 'only_in_a'"); got != 0 {
		t.Errorf("a table of one test's database shows in another's")
	}
}

// Copies have what the template was filled with, once, and are apart from each other.
func TestTemplate(t *testing.T) {
	filled := 0
	tables := pgtest.Template{Fill: func(ctx context.Context, url string) error {
		filled++
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "CREATE TABLE filled AS SELECT 7::bigint AS n")
		return errors.Join(err, conn.Close(ctx))
	}}
	a, b := tables.Start(t), tables.Start(t)
	query(t, a, "UPDATE filled SET n = 8")
	if gotA, gotB := value(t, a, "SELECT n FROM filled"), value(t, b, "SELECT n FROM filled"); gotA != 8 || gotB != 7 || filled != 1 {
		t.Errorf("the copies have %d and %d, filled %d times; want 8 and 7, once", gotA, gotB, filled)
	}
}

// What is committed outlasts a stop and a crash, and the port stays.
func TestServerStops(t *testing.T) {
	for _, tt := range []struct {
		name string
		stop func(*pgtest.Server, testing.TB)
	}{
		{"in order", (*pgtest.Server).Stop},
		{"killed", (*pgtest.Server).Kill},
		{"at the restart", func(*pgtest.Server, testing.TB) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := pgtest.StartServer(t)
			db := server.Database(t)
			url := db.URL()
			query(t, db, "CREATE TABLE kept AS SELECT 7::bigint AS n")
			tt.stop(server, t)
			server.Restart(t)
			if db.URL() != url {
				t.Errorf("the URL changed from %s to %s", url, db.URL())
			}
			if got := value(t, db, "SELECT n FROM kept"); got != 7 {
				t.Errorf("after the restart n is %d, want 7", got)
			}
		})
	}
}

func TestDisconnect(t *testing.T) {
	db := pgtest.Start(t)
	conn, err := pgx.Connect(t.Context(), db.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	db.Disconnect(t)
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the connection works after Disconnect")
	}
}

// The engine refuses servers that may lose what they acknowledged: the test server must not be one.
func TestSettingsAreDurable(t *testing.T) {
	db := pgtest.Start(t)
	for name, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "server_encoding": "UTF8",
	} {
		var got string
		scan(t, db, "SELECT current_setting($1)", &got, name)
		if got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func query(t *testing.T, db *pgtest.Database, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func value(t *testing.T, db *pgtest.Database, sql string) (n int64) {
	t.Helper()
	scan(t, db, sql, &n)
	return n
}

func scan(t *testing.T, db *pgtest.Database, sql string, to any, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(to); err != nil {
		t.Fatal(err)
	}
}
