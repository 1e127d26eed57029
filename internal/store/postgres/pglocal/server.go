package pglocal

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout bounds one start of the server, recovery after Kill included; stopTimeout one stop.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
)

// Server is a database folder and the process on it, if one runs. It is for one goroutine at a time, but for URL, Exec and
// Log.
type Server struct {
	programs programs
	user     *runAs
	folder   string // holds data/, password and log
	password string
	port     int

	running *exec.Cmd
	exited  chan struct{} // closed when running has ended
}

// New makes a server in a folder of its own within parent; "": the system's folder for temporary files. It does not run
// yet. The error is ErrMissing where PostgreSQL is not installed.
func New(parent string) (*Server, error) {
	p, err := findPrograms()
	if err != nil {
		return nil, err
	}
	user, err := otherUser()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(parent, "postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{programs: p, user: user, folder: folder, password: rand.Text()}
	if err := s.initialize(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return s, nil
}

func (s *Server) initialize() error {
	passwordFile := filepath.Join(s.folder, "password")
	if err := os.WriteFile(passwordFile, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	if err := errors.Join(s.user.own(s.folder), s.user.own(passwordFile)); err != nil {
		return err
	}
	cmd := exec.Command(s.programs.initdb, "--pgdata", s.data(), "--username", userName, "--pwfile", passwordFile,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.folder, environment(), s.user.attributes()
	if out, err := onOwnThread(cmd.CombinedOutput); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// onOwnThread runs f on a thread that ends after f and not before: a child is told of its parent's death when the
// thread that made it ends, and Go ends threads at will.
func onOwnThread[T any](f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		v, err := f()
		done <- result{v, err}
	}()
	r := <-done
	return r.value, r.err
}

func (s *Server) data() string    { return filepath.Join(s.folder, "data") }
func (s *Server) logFile() string { return filepath.Join(s.folder, "log") }

// Port is the server's, on 127.0.0.1; the same after each start.
func (s *Server) Port() int { return s.port }

// Password is the superuser's.
func (s *Server) Password() string { return s.password }

// PID is the process that the server's others are children of; 0: it does not run.
func (s *Server) PID() int {
	if s.running == nil {
		return 0
	}
	return s.running.Process.Pid
}

// userName is the superuser's.
const userName = "carrier"

// URL names a database of the server, with the superuser and the password.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(userName, s.password),
		Host:     fmt.Sprintf("127.0.0.1:%d", s.port),
		Path:     database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// statementTimeout bounds what Exec and QueryRow do.
const statementTimeout = 20 * time.Second

// Exec runs a statement as superuser in the maintenance database.
func (s *Server) Exec(sql string, args ...any) error {
	return s.connected(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
}

// QueryRow reads the one row of a query, likewise.
func (s *Server) QueryRow(sql string, into ...any) error {
	return s.connected(func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, sql).Scan(into...) })
}

func (s *Server) connected(do func(ctx context.Context, conn *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	return errors.Join(do(ctx, conn), conn.Close(context.WithoutCancel(ctx)))
}

// Version is the server's major version.
func (s *Server) Version() (int, error) {
	b, err := os.ReadFile(filepath.Join(s.data(), "PG_VERSION"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// environment is this process's without PG* variables, which would change what the programs do, and in English.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "LC_") {
			env = append(env, v)
		}
	}
	return env
}

// Start runs the server and waits until it takes connections. The first time it finds a free port; later it takes
// the same one, so that clients find the server again.
func (s *Server) Start() error {
	if s.port != 0 {
		return s.startOn(s.port)
	}
	var err error
	for range 5 { // another process may take the port between the look and the start
		var port int
		if port, err = freePort(); err != nil {
			return err
		}
		s.port = port
		if err = s.startOn(port); err == nil || !errors.Is(err, errExited) {
			return err
		}
	}
	return err
}

// errExited: the server ended by itself while it was being started.
var errExited = errors.New("postgres ended at its start")

func (s *Server) startOn(port int) error {
	if err := s.run(port); err != nil {
		return err
	}
	deadline := time.Now().Add(startTimeout)
	for {
		err := s.Exec("SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			s.running = nil
			return fmt.Errorf("%w:\n%s", errExited, s.Log())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("postgres takes no connections after %s: %w\n%s", startTimeout, err, s.Log())
		}
	}
}

// run starts the process on a thread of its own, which waits for its end.
func (s *Server) run(port int) error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.programs.postgres, append([]string{"-D", s.data(), "-p", strconv.Itoa(port)}, settings...)...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.folder, environment(), s.user.attributes()
	cmd.Stdout, cmd.Stderr = log, log
	started, exited := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // see onOwnThread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the log says how it ended
			close(exited)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.running, s.exited = cmd, exited
	return nil
}

// settings are the server's for small machines with many clients; what decides durability stays as it is.
var settings = []string{
	"-c", "listen_addresses=127.0.0.1",
	"-c", "unix_socket_directories=", // none: their paths have a limit that temporary folders pass
	"-c", "max_connections=200",
	"-c", "shared_buffers=64MB",
	"-c", "max_wal_size=1GB",
	"-c", "autovacuum_naptime=10s",
	"-c", "log_checkpoints=off",
	"-c", "log_line_prefix=%m [%p] %d ",
	"-c", "timezone=UTC",
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Stop ends the server in order: clients are cut off, the data is flushed.
func (s *Server) Stop() error { return s.signalAndWait(syscall.SIGINT) }

// Crash ends the server as a crash does: clients are cut off within a statement, nothing is flushed, and the next
// start recovers from the write-ahead log. (SIGKILL would leave the server's children to find out by themselves,
// and the folder locked until the last one has.)
func (s *Server) Crash() error { return s.signalAndWait(syscall.SIGQUIT) }

// signalAndWait ends the server. SIGINT is a fast and orderly shutdown, SIGQUIT an immediate one.
func (s *Server) signalAndWait(sig syscall.Signal) error {
	if s.running == nil {
		return nil
	}
	if s.running.Process.Signal(sig) != nil {
		// It has ended already, or this system knows no signals.
		_ = s.running.Process.Kill()
	}
	select {
	case <-s.exited:
		s.running = nil
		return nil
	case <-time.After(stopTimeout):
		return fmt.Errorf("postgres still runs %s after %s:\n%s", stopTimeout, sig, s.Log())
	}
}

// Remove ends the server at once and deletes all that it kept.
func (s *Server) Remove() error {
	return errors.Join(s.Crash(), os.RemoveAll(s.folder))
}

// Log is the end of the server's log.
func (s *Server) Log() string {
	const most = 4 << 10
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-most):]))
}
