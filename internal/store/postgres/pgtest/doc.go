// Package pgtest starts PostgreSQL for tests.
//
// A test binary has one server (package pglocal), whose files are in memory where the system has a folder for that,
// started by the first test that asks:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//
//	func TestX(t *testing.T) {
//		db := pgtest.Start(t) // an empty database, dropped with the test
//		pool, err := pgxpool.New(t.Context(), db.URL())
//	}
//
// Tests that begin with the same tables share a [Template]. A test that stops or kills the server takes one of its own
// with StartServer, whose files are on disk.
//
// Where PostgreSQL is missing these tests are skipped, and fail instead where REQUIRE_POSTGRES=1 is set,
// as the gate does.
package pgtest
