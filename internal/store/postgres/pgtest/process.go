package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startTimeout bounds one start of the server, recovery after Kill included; stopTimeout one stop.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
)

// instance is a database folder and the process on it, if one runs. Not safe for concurrent use.
type instance struct {
	programs programs
	user     *runAs
	folder   string // holds data/, password and log
	password string
	port     int

	running *exec.Cmd
	exited  chan struct{} // closed when running has ended
}

// newInstance runs initdb in a folder of its own within parent; "": the system's folder for temporary files.
func newInstance(parent, password string) (*instance, error) {
	p, err := findPrograms()
	if err != nil {
		return nil, err
	}
	user, err := otherUser()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(parent, "pgtest-")
	if err != nil {
		return nil, err
	}
	in := &instance{programs: p, user: user, folder: folder, password: password}
	if err := in.initialize(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return in, nil
}

func (in *instance) initialize() error {
	passwordFile := filepath.Join(in.folder, "password")
	if err := os.WriteFile(passwordFile, []byte(in.password+"\n"), 0o600); err != nil {
		return err
	}
	if err := errors.Join(in.user.own(in.folder), in.user.own(passwordFile)); err != nil {
		return err
	}
	cmd := exec.Command(in.programs.initdb, "--pgdata", in.data(), "--username", userName, "--pwfile", passwordFile,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = in.folder, environment(), in.user.attributes()
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

func (in *instance) data() string { return filepath.Join(in.folder, "data") }
func (in *instance) log() string  { return filepath.Join(in.folder, "log") }

// version is the major version of the database's folder.
func (in *instance) version() (int, error) {
	b, err := os.ReadFile(filepath.Join(in.data(), "PG_VERSION"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// environment is this process's without PG* variables, which would change what the programs do, and in English,
// as tests read messages.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "LC_") {
			env = append(env, v)
		}
	}
	return env
}

// start runs the server and waits until it takes connections. The first time it finds a free port; later it takes
// the same one, so that clients find the server again.
func (in *instance) start(ready func() error) error {
	if in.port != 0 {
		return in.startOn(in.port, ready)
	}
	var err error
	for range 5 { // another process may take the port between the look and the start
		var port int
		if port, err = freePort(); err != nil {
			return err
		}
		in.port = port
		if err = in.startOn(port, ready); err == nil || !errors.Is(err, errExited) {
			return err
		}
	}
	return err
}

// errExited: the server ended by itself while it was being started.
var errExited = errors.New("postgres ended at its start")

func (in *instance) startOn(port int, ready func() error) error {
	if err := in.run(port); err != nil {
		return err
	}
	deadline := time.Now().Add(startTimeout)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-in.exited:
			in.running = nil
			return fmt.Errorf("%w:\n%s", errExited, in.logTail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("postgres takes no connections after %s: %w\n%s", startTimeout, err, in.logTail())
		}
	}
}

// run starts the process on a thread of its own, which waits for its end.
func (in *instance) run(port int) error {
	log, err := os.OpenFile(in.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(in.programs.postgres, append([]string{"-D", in.data(), "-p", strconv.Itoa(port)}, settings...)...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = in.folder, environment(), in.user.attributes()
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
	in.running, in.exited = cmd, exited
	return nil
}

// settings are the server's for small machines with many tests; what decides durability stays as it is.
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

// signalAndWait ends the server. SIGINT is a fast and orderly shutdown, SIGQUIT an immediate one.
func (in *instance) signalAndWait(sig syscall.Signal) error {
	if in.running == nil {
		return nil
	}
	// An error says that it has ended already, which exited shows as well.
	_ = in.running.Process.Signal(sig)
	select {
	case <-in.exited:
		in.running = nil
		return nil
	case <-time.After(stopTimeout):
		return fmt.Errorf("postgres still runs %s after %s:\n%s", stopTimeout, sig, in.logTail())
	}
}

// remove ends the server at once and deletes all that it kept.
func (in *instance) remove() error {
	return errors.Join(in.signalAndWait(syscall.SIGQUIT), os.RemoveAll(in.folder))
}

// logTail is the end of the server's log, for a failed test's message.
func (in *instance) logTail() string {
	const most = 4 << 10
	b, err := os.ReadFile(in.log())
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-most):]))
}
