package pgtest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"carrier/internal/store/postgres/pglocal"
)

// Server is a PostgreSQL server that belongs to a test, or to the whole test binary. Its methods fail the test that
// they are given; Stop, Kill and Restart are for one goroutine at a time.
type Server struct {
	*pglocal.Server
	shared    bool
	copyFiles string // What makes CREATE DATABASE copy the files of its template.
}

// shared is the test binary's server. Main stops it.
var shared struct {
	mu     sync.Mutex
	inMain bool
	server *Server
	err    error // why it could not be started: the other tests need not try again
}

// Main runs the tests and then removes the shared server; it gives the exit code. Checks of one's own may follow
// the tests: the first that fails is printed, and makes the code 1.
func Main(m *testing.M, after ...func() error) int {
	shared.mu.Lock()
	shared.inMain = true
	shared.mu.Unlock()
	code := m.Run()
	if s := shared.server; s != nil {
		after = append([]func() error{s.Remove}, after...)
	}
	for _, check := range after {
		if err := check(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// Start gives an empty database on the test binary's server. It is dropped, with whoever still uses it cut off, when
// the test ends. TestMain must run Main.
func Start(t testing.TB) *Database {
	t.Helper()
	return sharedServer(t).Database(t)
}

func sharedServer(t testing.TB) *Server {
	t.Helper()
	if err := Available(); errors.Is(err, errNoMain) {
		t.Fatal(err)
	} else if err != nil {
		skip(t, err)
	}
	return shared.server
}

var errNoMain = errors.New("pgtest needs func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }")

// Available starts the test binary's server, unless it runs, and says why that can't be: for tests that do more where there
// is one.
func Available() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.inMain {
		return errNoMain
	}
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = newServer(true)
	}
	return shared.err
}

// StartServer gives a server of the test's own, which it may stop and kill, removed when the test ends.
func StartServer(t testing.TB) *Server {
	t.Helper()
	s, err := newServer(false)
	if err != nil {
		skip(t, err)
	}
	t.Cleanup(func() {
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newServer(isShared bool) (*Server, error) {
	parent := "" // The system's folder for temporary files.
	if isShared {
		parent = memoryFolder()
	}
	local, err := pglocal.New(parent)
	if err != nil {
		return nil, err
	}
	s := &Server{Server: local, shared: isShared}
	err = local.Start()
	version := 0
	if err == nil {
		version, err = local.Version()
	}
	if err != nil {
		return nil, errors.Join(err, local.Remove())
	}
	if version >= 15 { // Before, there is no other way.
		s.copyFiles = " STRATEGY FILE_COPY"
	}
	return s, nil
}

// Stop ends the server in order: clients are cut off, the data is flushed.
func (s *Server) Stop(t testing.TB) { s.end(t, s.Server.Stop) }

// Kill ends the server as a crash does (pglocal.Server.Crash).
func (s *Server) Kill(t testing.TB) { s.end(t, s.Server.Crash) }

func (s *Server) end(t testing.TB, end func() error) {
	t.Helper()
	if s.shared {
		t.Fatal("the server is shared with other tests: take one of your own with pgtest.StartServer")
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}

// Restart starts the server on the same port, after stopping it in order if it still runs.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
}

// Database is an empty database of one test.
type Database struct {
	Server *Server
	Name   string
}

var databases atomic.Int64

func newName() string { return fmt.Sprintf("test_%d", databases.Add(1)) }

// Database makes an empty database on the server, dropped when the test ends.
func (s *Server) Database(t testing.TB) *Database {
	t.Helper()
	return s.database(t, "template1")
}

// database makes a copy of another database, which nobody is connected to. A copy of its files takes half the CPU of
// one that is written to the log, which PostgreSQL 15 and newer make unless they are told otherwise.
func (s *Server) database(t testing.TB, template string) *Database {
	t.Helper()
	db := &Database{Server: s, Name: newName()}
	if err := s.Exec("CREATE DATABASE " + db.Name + " TEMPLATE " + template + s.copyFiles); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	if s.shared { // a server of the test's own goes as a whole
		t.Cleanup(func() {
			if err := s.Exec("DROP DATABASE " + db.Name + " WITH (FORCE)"); err != nil {
				t.Errorf("drop the database %s: %v", db.Name, err)
			}
		})
	}
	return db
}

// URL is for pgx, with the user and the password.
func (db *Database) URL() string { return db.Server.URL(db.Name) }

// Password is the user's, for tests that look for it where it must not be.
func (db *Database) Password() string { return db.Server.Server.Password() }

// Disconnect cuts off every client of the database, as an administrator or a failing network would.
func (db *Database) Disconnect(t testing.TB) {
	t.Helper()
	err := db.Server.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, db.Name)
	if err != nil {
		t.Fatalf("disconnect clients: %v", err)
	}
}
