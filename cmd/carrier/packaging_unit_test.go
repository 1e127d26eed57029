package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// unit is configs/carrier.service: the values of each key, in order.
type unit map[string][]string

func readUnit(t *testing.T) unit {
	t.Helper()
	u := unit{}
	for line := range strings.Lines(read(t, configs+"carrier.service")) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			u[key] = append(u[key], value)
		}
	}
	return u
}

// one is the value of a key that must be there once.
func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s is there %d times, want once", key, len(u[key]))
	}
	return u[key][0]
}

// TestUnitRuns starts the service as the unit does, in folders of the test's own: its command, its credentials, its
// working directory, and a socket on which it has to say that it is up, and that it stops.
func TestUnitRuns(t *testing.T) {
	u, secrets := readUnit(t), makeSecrets(t)
	state, credentials := t.TempDir(), t.TempDir()
	for _, credential := range u["LoadCredential"] {
		name, path, _ := strings.Cut(credential, ":")
		if filepath.Dir(path) != "/etc/carrier/secrets" {
			t.Errorf("%s comes from %s", name, path)
		}
		text := read(t, filepath.Join(secrets, filepath.Base(path)))
		if err := os.WriteFile(filepath.Join(credentials, name), []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	deploy, err := filepath.Abs(configs + "deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	command := strings.Fields(u.one(t, "ExecStart"))
	if command[0] != "/usr/local/bin/carrier" || command[len(command)-1] != "/etc/carrier/carrier.yaml" {
		t.Fatalf("the unit starts %q", command)
	}
	command[len(command)-1] = deploy
	told := listenAsManager(t)
	cmd := exec.Command(os.Args[0], command[1:]...)
	cmd.Dir = state
	cmd.Env = append(os.Environ(), runEnv+"=1", "NOTIFY_SOCKET="+told.LocalAddr().String(), "CREDENTIALS_DIRECTORY="+credentials,
		"CARRIER_SERVER_LISTEN=127.0.0.1:0", "CARRIER_SERVER_ADMIN_LISTEN=127.0.0.1:0")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if got := hear(t, told); got != "READY=1" {
		t.Errorf("it says %q, want READY=1", got)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := hear(t, told); got != "STOPPING=1" {
		t.Errorf("it says %q, want STOPPING=1", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v:\n%s", err, log.String())
	}
	if _, err := os.Stat(filepath.Join(state, "carrier-data", "INSTANCE")); err != nil {
		t.Errorf("the store is not in the unit's folder: %v", err)
	}
}

// listenAsManager opens a socket as systemd does for units of Type=notify.
func listenAsManager(t *testing.T) *net.UnixConn {
	t.Helper()
	folder, err := os.MkdirTemp("", "notify") // t.TempDir is too long for a socket's name on some systems.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(folder, "s"), Net: "unixgram"})
	if err != nil {
		t.Skipf("there are no such sockets here: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// hear waits for what the service says next.
func hear(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(later)); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 4096)
	n, err := conn.Read(said)
	if err != nil {
		t.Fatalf("the service says nothing: %v", err)
	}
	return string(said[:n])
}

// TestNotifyWithoutAManager runs where nobody listens, or nobody asked.
func TestNotifyWithoutAManager(t *testing.T) {
	for _, c := range []struct {
		name, socket string
		fails        bool
	}{
		{"not started by a manager", "", false},
		{"a socket of another kind", "vsock:2:9999", false},
		{"the socket is gone", filepath.Join(t.TempDir(), "gone"), runtime.GOOS != "windows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{env: []string{"NOTIFY_SOCKET=" + c.socket}}
			if err := w.notify(notifyReady); (err != nil) != c.fails {
				t.Errorf("notify: %v", err)
			}
		})
	}
}

// TestUnit holds the unit against what the service does: its exit statuses, how long a stop takes, its user and folder.
func TestUnit(t *testing.T) {
	u := readUnit(t)
	for key, want := range map[string]string{
		"Type": "notify", "RestartPreventExitStatus": "2", "User": "carrier", "Group": "carrier",
		"StateDirectory": "carrier", "WorkingDirectory": "/var/lib/carrier", "StateDirectoryMode": "0700",
		"ExecReload": "/bin/kill -HUP $MAINPID", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "",
	} {
		if got := u.one(t, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	stop, err := time.ParseDuration(u.one(t, "TimeoutStopSec"))
	if err != nil || stop <= 30*time.Second {
		t.Errorf("TimeoutStopSec is %v; a stop may take 30s; %v", stop, err)
	}
	if user := "u " + u.one(t, "User") + " - "; !strings.Contains(read(t, configs+"carrier.sysusers"), user) {
		t.Errorf("carrier.sysusers makes no %q", user)
	}
	if !slices.Contains(u["SystemCallFilter"], "@system-service") {
		t.Errorf("SystemCallFilter is %q", u["SystemCallFilter"])
	}
}

// TestUnitVerifies has systemd itself read the unit, with a program and a user that exist.
func TestUnitVerifies(t *testing.T) {
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	text := strings.NewReplacer("/usr/local/bin/carrier", os.Args[0], "User=carrier", "User=root", "Group=carrier", "Group=root").
		Replace(read(t, configs+"carrier.service"))
	file := fileOf(t, "carrier.service", text)
	out, err := exec.Command(verify, "verify", "--man=no", file).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "carrier.service") { // Others are about units of this machine.
			t.Error(strings.TrimSpace(line))
		}
	}
	if err != nil && len(out) == 0 {
		t.Error(err)
	}
}
