package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"carrier/internal/app/apptest"
)

const (
	soon  = 30 * time.Second  // For what takes milliseconds on an idle machine.
	later = 120 * time.Second // For what takes seconds there.
)

// process is one `carrier serve`.
type process struct {
	cmd           *exec.Cmd
	events, admin string // Its addresses, once it is up.

	mu     sync.Mutex
	log    []string
	reader sync.WaitGroup
	ended  chan struct{}
	err    error // Of Wait; read it after ended.
}

// binary is a carrier that can be run.
type binary struct {
	path string
	env  []string // Besides this process's.
}

// itself is this test binary, acting as carrier.
var itself = binary{os.Args[0], []string{runEnv + "=1"}}

// launch starts `carrier serve` with a configuration file, and returns when it takes events or has ended.
func launch(t testing.TB, configFile string) *process {
	t.Helper()
	return itself.launch(t, configFile)
}

func (b binary) launch(t testing.TB, configFile string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(b.path, "serve", "-c", configFile), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), b.env...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting carrier: %v", err)
	}
	up := make(chan struct{})
	p.reader.Go(func() { p.read(stderr, sync.OnceFunc(func() { close(up) })) })
	go func() {
		p.reader.Wait() // Wait closes the pipe.
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	select {
	case <-up:
	case <-p.ended:
	case <-time.After(later):
		t.Fatalf("carrier is not up after %v:\n%s", later, p.tail(20))
	}
	return p
}

// read keeps what the process logs, and finds its addresses in it.
func (p *process) read(stderr io.Reader, up func()) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Msg, Events, Admin string }
		p.mu.Lock()
		p.log = append(p.log, lines.Text())
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "carrier is up" {
			p.events, p.admin = line.Events, line.Admin
			up()
		}
		p.mu.Unlock()
	}
}

// up tells whether the process got as far as taking events.
func (p *process) up() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.events != ""
}

// running tells whether the process has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) tail(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log[max(0, len(p.log)-n):], "\n")
}

// kill ends the process as a power switch would, and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// terminate sends SIGTERM and returns the exit status and how long the stop took.
func (p *process) terminate(t testing.TB) (status int, took time.Duration) {
	t.Helper()
	begun := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	select {
	case <-p.ended:
	case <-time.After(later):
		t.Fatalf("carrier does not end %v after SIGTERM:\n%s", later, p.tail(20))
	}
	return p.status(), time.Since(begun)
}

// status is the exit status of a process that has ended; -1 if a signal ended it.
func (p *process) status() int {
	<-p.ended
	if p.err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](p.err); ok {
		return exit.ExitCode()
	}
	return -1
}

// serveCarrier launches a service that must come up.
func serveCarrier(t testing.TB, s *apptest.Settings, configFile string) (*process, *apptest.Client) {
	t.Helper()
	return itself.serve(t, s, configFile)
}

func (b binary) serve(t testing.TB, s *apptest.Settings, configFile string) (*process, *apptest.Client) {
	t.Helper()
	p := b.launch(t, configFile)
	if !p.up() {
		t.Fatalf("carrier serve ended with status %d:\n%s", p.status(), p.tail(20))
	}
	return p, s.Client(t, p.events, p.admin)
}

// command runs one command of a child process to its end.
func command(t testing.TB, env []string, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), later)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), runEnv+"=1"), env...)
	cmd.Dir = t.TempDir()
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), out.String(), errs.String()
	}
	if err != nil {
		t.Fatalf("carrier %v: %v", args, err)
	}
	return 0, out.String(), errs.String()
}
