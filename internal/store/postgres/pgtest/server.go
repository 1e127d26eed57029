package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// userName is the server's superuser.
const userName = "carrier"

// Server is a PostgreSQL server that belongs to a test, or to the whole test binary. Its methods fail the test that
// they are given; Stop, Kill and Restart are for one goroutine at a time.
type Server struct {
	instance  *instance
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
		after = append([]func() error{s.instance.remove}, after...)
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
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.inMain {
		t.Fatal("pgtest.Start needs func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }")
	}
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = newServer(true)
	}
	if shared.err != nil {
		skip(t, shared.err)
	}
	return shared.server
}

// StartServer gives a server of the test's own, which it may stop and kill, removed when the test ends.
func StartServer(t testing.TB) *Server {
	t.Helper()
	s, err := newServer(false)
	if err != nil {
		skip(t, err)
	}
	t.Cleanup(func() {
		if err := s.instance.remove(); err != nil {
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
	in, err := newInstance(parent, rand.Text())
	if err != nil {
		return nil, err
	}
	s := &Server{instance: in, shared: isShared}
	if err := in.start(s.ping); err != nil {
		_ = in.remove() // err says more
		return nil, err
	}
	version, err := in.version()
	if err != nil {
		return nil, errors.Join(err, in.remove())
	}
	if version >= 15 { // Before, there is no other way.
		s.copyFiles = " STRATEGY FILE_COPY"
	}
	return s, nil
}

// Stop ends the server in order: clients are cut off, the data is flushed.
func (s *Server) Stop(t testing.TB) { s.end(t, syscall.SIGINT) }

// Kill ends the server as a crash does: clients are cut off within a statement, nothing is flushed, and the next
// start recovers from the write-ahead log. (SIGKILL would leave the server's children to find out by themselves,
// and the folder locked until the last one has.)
func (s *Server) Kill(t testing.TB) { s.end(t, syscall.SIGQUIT) }

func (s *Server) end(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if s.shared {
		t.Fatal("the server is shared with other tests: take one of your own with pgtest.StartServer")
	}
	if err := s.instance.signalAndWait(sig); err != nil {
		t.Fatal(err)
	}
}

// Restart starts the server on the same port, after stopping it in order if it still runs.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	if err := s.instance.start(s.ping); err != nil {
		t.Fatal(err)
	}
}

// Port is the server's, on 127.0.0.1; the same after each restart.
func (s *Server) Port() int { return s.instance.port }

// Log is the end of the server's log.
func (s *Server) Log() string { return s.instance.logTail() }

// url names a database of the server.
func (s *Server) url(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(userName, s.instance.password),
		Host:     fmt.Sprintf("127.0.0.1:%d", s.instance.port),
		Path:     database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// adminTimeout bounds a statement of pgtest's own.
const adminTimeout = 20 * time.Second

// exec runs a statement as superuser in the maintenance database.
func (s *Server) exec(sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql, args...)
	return err
}

func (s *Server) ping() error { return s.exec("SELECT 1") }

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
	if err := s.exec("CREATE DATABASE " + db.Name + " TEMPLATE " + template + s.copyFiles); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	if s.shared { // a server of the test's own goes as a whole
		t.Cleanup(func() {
			if err := s.exec("DROP DATABASE " + db.Name + " WITH (FORCE)"); err != nil {
				t.Errorf("drop the database %s: %v", db.Name, err)
			}
		})
	}
	return db
}

// URL is for pgx, with the user and the password.
func (db *Database) URL() string { return db.Server.url(db.Name) }

// Password is the user's, for tests that look for it where it must not be.
func (db *Database) Password() string { return db.Server.instance.password }

// Disconnect cuts off every client of the database, as an administrator or a failing network would.
func (db *Database) Disconnect(t testing.TB) {
	t.Helper()
	err := db.Server.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, db.Name)
	if err != nil {
		t.Fatalf("disconnect clients: %v", err)
	}
}
