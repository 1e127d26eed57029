package doctor_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"carrier/internal/doctor"
	"carrier/internal/store/postgres"
	"carrier/internal/store/postgres/pgtest"
)

// TestPostgres looks at a real server in several states.
func TestPostgres(t *testing.T) {
	server := pgtest.StartServer(t)
	const (
		reached  = "ok postgres 127.0.0.1:...PostgreSQL ...answers within"
		safe     = "ok postgres 127.0.0.1:...what is committed outlasts a crash"
		empty    = "ok postgres 127.0.0.1:...there is no store in it yet"
		newest   = "ok postgres 127.0.0.1:...its schema is of version ...the newest"
		room     = "ok postgres 127.0.0.1:...more connections are to be had, and a node takes up to "
		clock    = "ok postgres 127.0.0.1:...its clock agrees"
		oneAlive = "ok postgres 127.0.0.1:...node-a: a node, alive, with 256 of 256 slots"
	)
	for _, tt := range []struct {
		name string
		make func(t *testing.T, db *pgtest.Database) (address string)
		want []string
	}{
		{"empty", asItIs, []string{reached, safe, empty, room, clock}},
		{"with a node", withNode, []string{reached, safe, newest, room, clock, oneAlive}},
		{"a node died", func(t *testing.T, db *pgtest.Database) string {
			if err := openNode(t, db).Close(); err != nil { // It would clear away at once.
				t.Fatal(err)
			}
			execute(t, db, "INSERT INTO nodes (name, expires_at) VALUES ('node-b', now() + interval '1 hour'), ('node-c', now() - interval '9 seconds')")
			execute(t, db, "UPDATE leases SET owner = (SELECT number FROM nodes WHERE name = CASE WHEN slot < 100 THEN 'node-c' ELSE 'node-b' END)")
			return db.URL()
		}, []string{reached, safe, newest, room, clock, "ok postgres ...node-b: a node, alive, with 156 of 256 slots",
			"warn postgres ...node-c: a node whose lease ended 9s ago...see its log", "warn postgres 127.0.0.1:...100 of 256 slots are nobody's"}},
		{"a newer schema", func(t *testing.T, db *pgtest.Database) string {
			execute(t, db, "CREATE TABLE schema_version (version_id bigint, is_applied boolean); CREATE TABLE nodes (name text, leaving boolean, expires_at timestamptz, "+
				"number integer); CREATE TABLE leases (slot smallint, owner integer); INSERT INTO schema_version VALUES (999, true)")
			return db.URL()
		}, []string{reached, safe, "fail postgres ...of a newer carrier (version 999; ...run that version", room, clock}},
		{"an older schema", func(t *testing.T, db *pgtest.Database) string {
			execute(t, db, "CREATE TABLE schema_version (version_id bigint, is_applied boolean); CREATE TABLE nodes (name text, leaving boolean, expires_at timestamptz, "+
				"number integer); CREATE TABLE leases (slot smallint, owner integer); INSERT INTO schema_version VALUES (1, true)")
			return db.URL()
		}, []string{reached, safe, "warn postgres ...its schema is of version 1; the next start...brings it to...back the database up", room, clock}},
		{"commits that don't wait", func(t *testing.T, db *pgtest.Database) string {
			execute(t, db, "ALTER DATABASE "+db.Name+" SET synchronous_commit = off")
			return db.URL()
		}, []string{reached, "fail postgres ...synchronous_commit is off: a crash loses ...ALTER DATABASE", empty, room, clock}},
		{"no syncs", func(t *testing.T, db *pgtest.Database) string {
			t.Cleanup(func() { server.Restart(t) }) // The last of the cleaning up.
			for _, setting := range []string{"fsync", "full_page_writes"} {
				execute(t, db, "ALTER SYSTEM SET "+setting+" = off")
				t.Cleanup(func() { execute(t, db, "ALTER SYSTEM RESET "+setting) })
			}
			server.Restart(t)
			return db.URL()
		}, []string{reached, "fail postgres ...fsync is off: a power loss loses all", "fail postgres ...full_page_writes is off: ", empty, room, clock}},
		{"few connections", func(t *testing.T, db *pgtest.Database) string {
			execute(t, db, "ALTER DATABASE "+db.Name+" CONNECTION LIMIT 5")
			return db.URL()
		}, []string{reached, safe, empty, "warn postgres ...: 5 more connections are to be had...raise max_connections", clock}},
		{"another encoding", func(t *testing.T, db *pgtest.Database) string {
			execute(t, db, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
			return strings.Replace(db.URL(), "/"+db.Name, "/latin", 1)
		}, []string{"fail postgres ...encoding is LATIN1...ENCODING 'UTF8'", safe, empty, room, clock}},
		{"a user who may not make tables", func(t *testing.T, db *pgtest.Database) string {
			execute(t, db, "CREATE ROLE reader LOGIN PASSWORD '"+canary+"'; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
			u, err := url.Parse(db.URL())
			if err != nil {
				t.Fatal(err)
			}
			u.User = url.UserPassword("reader", canary)
			return u.String()
		}, []string{reached, safe, "fail postgres ...may not make tables; GRANT CREATE", room, clock}},
		{"a wrong password", func(_ *testing.T, db *pgtest.Database) string {
			return strings.Replace(db.URL(), db.Password(), canary, 1)
		}, []string{"fail postgres 127.0.0.1:...can't be looked at: ...password authentication failed...pg_hba.conf"}},
		{"nobody there", func(*testing.T, *pgtest.Database) string {
			return "postgres://carrier:" + canary + "@127.0.0.1:1/carrier"
		}, []string{"fail postgres 127.0.0.1:1/carrier: can't be looked at: ...refused"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := tt.make(t, server.Database(t))
			c := configured(t, "store: {url: \""+address+"\"}\n")
			wantLines(t, examine(t, doctor.Options{Config: c}, "postgres"), tt.want)
		})
	}
}

func asItIs(_ *testing.T, db *pgtest.Database) string { return db.URL() }

// withNode has a node use the database until the end of the test.
func withNode(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	s := openNode(t, db)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return db.URL()
}

func openNode(t *testing.T, db *pgtest.Database) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), db.URL(), postgres.Options{Node: "node-a"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// execute runs SQL, statement by statement.
func execute(t *testing.T, db *pgtest.Database, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // It may be cleaning up.
	conn, err := pgx.Connect(ctx, db.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for statement := range strings.SplitSeq(sql, "; ") {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
