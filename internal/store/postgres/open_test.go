package postgres

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"carrier/internal/store/postgres/pgtest"
)

// execute runs SQL in a test's database.
func execute(t *testing.T, db *pgtest.Database, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // It may be cleaning up.
	conn, err := pgx.Connect(ctx, db.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// withSetting is a URL that sets a parameter of the session.
func withSetting(t *testing.T, address, name, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// TestOpenRefuses tries databases that can't be trusted with events; what is said helps, and tells no password.
func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, db *pgtest.Database) (address string)
		want string
	}{
		{"a newer schema", func(t *testing.T, db *pgtest.Database) string {
			s, err := Open(t.Context(), db.URL(), testOptions(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			execute(t, db, "INSERT INTO schema_version (version_id, is_applied) VALUES (999, true)")
			return db.URL()
		}, "of a newer carrier (version 999"},
		{"commits that are not synchronous", func(t *testing.T, db *pgtest.Database) string {
			execute(t, db, "ALTER DATABASE "+db.Name+" SET synchronous_commit = off")
			return db.URL()
		}, "synchronous_commit is off"},
		{"commits that are not synchronous by the URL", func(t *testing.T, db *pgtest.Database) string {
			return withSetting(t, db.URL(), "synchronous_commit", "off")
		}, "synchronous_commit is off"},
		{"another encoding", func(t *testing.T, db *pgtest.Database) string {
			execute(t, db, "CREATE DATABASE "+db.Name+"_latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
			t.Cleanup(func() { execute(t, db, "DROP DATABASE IF EXISTS "+db.Name+"_latin WITH (FORCE)") })
			return strings.Replace(db.URL(), "/"+db.Name, "/"+db.Name+"_latin", 1)
		}, "ENCODING 'UTF8'"},
		{"a database that is not there", func(t *testing.T, db *pgtest.Database) string {
			return strings.Replace(db.URL(), "/"+db.Name, "/nowhere", 1)
		}, "nowhere"},
		{"a wrong password", func(t *testing.T, db *pgtest.Database) string {
			return strings.Replace(db.URL(), db.Password(), "SECRET-guess", 1)
		}, "see that it runs and that store.url is right"},
		{"no server", func(t *testing.T, db *pgtest.Database) string {
			return "postgres://carrier:SECRET-guess@127.0.0.1:1/carrier"
		}, "127.0.0.1:1/carrier"},
		{"no URL", func(t *testing.T, db *pgtest.Database) string { return "postgres://carrier:SECRET-guess@:port/x" }, "store.url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := pgtest.Start(t)
			s, err := Open(t.Context(), c.make(t, db), testOptions(t))
			if err == nil {
				_ = s.Close()
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %q; want %q in it", err, c.want)
			}
			if strings.Contains(err.Error(), db.Password()) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("it tells the password: %v", err)
			}
		})
	}
}

// TestInstance is the same after a restart, and another one elsewhere.
func TestInstance(t *testing.T) {
	db := pgtest.Start(t)
	names := map[string]bool{}
	for _, address := range []string{db.URL(), db.URL(), pgtest.Start(t).URL()} {
		s, err := Open(t.Context(), address, testOptions(t))
		if err != nil {
			t.Fatal(err)
		}
		names[s.Instance()] = true
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(names) != 2 || names[""] {
		t.Errorf("two databases are named %v", names)
	}
}
