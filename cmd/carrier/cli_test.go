package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// oneLine checks that an error is one line that says who speaks.
func oneLine(t *testing.T, stderr string) {
	t.Helper()
	if !strings.HasPrefix(stderr, "carrier: ") || strings.Count(stderr, "\n") != 1 || len(stderr) < 20 {
		t.Errorf("the error is not one line of carrier's:\n%s", stderr)
	}
}

// TestCommandLineMistakes makes mistakes on the command line. Each ends with status 2 and one line that names it.
func TestCommandLineMistakes(t *testing.T) {
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"nonsense"}, []string{"nonsense", "carrier --help"}},
		{[]string{"serve", "--nonsense"}, []string{"--nonsense", "carrier serve --help"}},
		{[]string{"serve", "-c"}, []string{"--config"}},
		{[]string{"serve", "-c", "missing.yaml"}, []string{"missing.yaml", "no such file"}},
		{[]string{"serve", "extra"}, []string{"extra"}},
		{[]string{"config"}, []string{"check", "schema"}},
		{[]string{"config", "check", "-c", "missing.yaml"}, []string{"missing.yaml", "no such file"}},
		{[]string{"config", "check", "-c", "."}, []string{".: "}},
		{[]string{"store", "check"}, []string{"carrier-data", "-c"}},
		{[]string{"store", "backup"}, []string{"--to"}},
		{[]string{"store", "backup", "--to", "copy"}, []string{"carrier-data", "-c"}},
		{[]string{"demo", "--for=-1s"}, []string{"--for"}},
		{[]string{"demo", "--for", "soon"}, []string{"--for"}},
		{[]string{"demo", "--rate", "0"}, []string{"--rate"}},
		{[]string{"sandbox", "--listen", "nonsense"}, []string{"--listen", "nonsense"}},
		{[]string{"sandbox", "--token-life", "1ms"}, []string{"--token-life"}},
		{[]string{"sandbox", "--carrier", "SF=http://127.0.0.1:8080/"}, []string{"SF", "token", "CARRIER_SANDBOX_ID_TOKEN"}},
		{[]string{"sandbox", "--carrier", "http://127.0.0.1:8080/"}, []string{"--carrier"}},
		{[]string{"sandbox", "--carriers", "missing.json"}, []string{"--carriers", "missing.json"}},
		{[]string{"send"}, []string{"file"}},
		{[]string{"nats"}, []string{"plan", "apply"}},
		{[]string{"nats", "plan"}, []string{"nats.url", "-c"}},
		{[]string{"nats", "apply", "-c", "missing.yaml"}, []string{"missing.yaml", "no such file"}},
		{[]string{"doctor", "--timeout", "0s"}, []string{"--timeout"}},
		{[]string{"send", "missing.ndjson"}, []string{"CARRIER_API_KEY"}},
		{[]string{"bench", "--nonsense"}, []string{"--nonsense"}},
		{[]string{"version", "--nonsense"}, []string{"--nonsense"}},
		{[]string{"pushes", "replay"}, []string{"--status failed"}},
		{[]string{"stats"}, []string{"CARRIER_ADMIN_TOKEN", "--token-file"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			status, out, errs := command(t, nil, "", c.args...)
			if status != 2 || out != "" {
				t.Errorf("status %d, standard output %q; want 2 and nothing", status, out)
			}
			oneLine(t, errs)
			for _, word := range c.says {
				if !strings.Contains(errs, word) {
					t.Errorf("the error does not say %q: %s", word, errs)
				}
			}
		})
	}
}

// TestHelp asks every command for help.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--help"}, {"help"}, {"help", "pushes", "list"}, {"serve", "--help"}, {"demo", "--help"}, {"sandbox", "--help"}, {"send", "--help"}, {"config", "--help"},
		{"config", "check", "--help"}, {"store", "check", "--help"}, {"store", "backup", "--help"}, {"bench", "--help"}, {"version", "--help"},
		{"pushes", "--help"}, {"pushes", "list", "--help"}, {"pushes", "show", "--help"}, {"pushes", "replay", "--help"}, {"pushes", "discard", "--help"},
		{"events", "list", "--help"}, {"events", "accept", "--help"}, {"waybill", "show", "--help"}, {"waybill", "freeze", "--help"}, {"waybill", "thaw", "--help"},
		{"waybill", "skip", "--help"}, {"waybill", "retry", "--help"}, {"waybill", "token", "--help"}, {"waybill", "expunge", "--help"}, {"waybill", "upstream", "--help"}, {"waybill", "heal", "--help"}, {"accounts", "list", "--help"}, {"accounts", "show", "--help"}, {"accounts", "pause", "--help"},
		{"accounts", "resume", "--help"}, {"accounts", "probe", "--help"}, {"replays", "list", "--help"}, {"replays", "show", "--help"}, {"replays", "follow", "--help"},
		{"replays", "pause", "--help"}, {"replays", "resume", "--help"}, {"replays", "cancel", "--help"}, {"nats", "plan", "--help"}, {"nats", "apply", "--help"}, {"doctor", "--help"}, {"differences", "--help"}, {"audit", "--help"}, {"dead-letters", "--help"}, {"stats", "--help"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			status, out, errs := command(t, nil, "", args...)
			if status != 0 || !strings.Contains(out, "Usage: carrier") || errs != "" {
				t.Errorf("status %d, standard error %q, standard output:\n%s", status, errs, out)
			}
		})
	}
}

// TestConfigurationMistakes gives wrong files: status 2, and a line for each mistake with file, line and key.
func TestConfigurationMistakes(t *testing.T) {
	for _, c := range []struct {
		name, file string
		says       []string // Regular expressions, one a line of the error.
	}{
		{"an unknown key", "server:\n  listn: 127.0.0.1:0\n", []string{`carrier\.yaml:2: server\.listn: .*\blisten\b`}},
		{"two mistakes", "server: {listen: here}\nlog:\n  level: loud\n", []string{`carrier\.yaml:1: server\.listen: `, `carrier\.yaml:3: log\.level: .*debug`}},
		{"no YAML", "server: [\n", []string{`carrier\.yaml:\d+(:\d+)?: `}},
		{"a number for a duration", "state:\n  reorder_window: 5\n", []string{`carrier\.yaml:2: state\.reorder_window: `}},
		{"an account without an appid", "accounts:\n  - delivery_id: SF\n    secret: x\n", []string{`carrier\.yaml:\d: accounts\[0\]\.appid: `}},
		{"a variable that is not set", "log: {level: \"${CARRIER_NO_SUCH_VARIABLE_HERE}\"}\n", []string{`carrier\.yaml:1: .*CARRIER_NO_SUCH_VARIABLE_HERE`}},
		{"the same key twice", "log: {level: info}\nlog: {level: warn}\n", []string{`carrier\.yaml:2(:\d+)?: .*log`}},
		{"another database", "store: {url: \"mysql://u:p@h/db\"}\n", []string{`carrier\.yaml:1: store\.url: .*postgres://`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := fileOf(t, "carrier.yaml", c.file)
			for _, args := range [][]string{{"config", "check", "-c", file}, {"serve", "-c", file}} {
				status, out, errs := command(t, nil, "", args...)
				lines := strings.Split(strings.TrimSuffix(errs, "\n"), "\n")
				if status != 2 || out != "" || len(lines) != len(c.says) {
					t.Errorf("carrier %s: status %d, output %q, errors:\n%s", args[0], status, out, errs)
					continue
				}
				for i, line := range lines {
					if ok, err := regexp.MatchString("^carrier: .*"+c.says[i], line); err != nil || !ok {
						t.Errorf("carrier %s says %q, want it to match %q", args[0], line, c.says[i])
					}
				}
			}
		})
	}
}

// TestPostgresIsAway: one line says which database, and not under which password.
func TestPostgresIsAway(t *testing.T) {
	file := fileOf(t, "carrier.yaml", "store: {url: \"postgres://u:S3CRET-PASSWORD@127.0.0.1:1/carrier\"}\n")
	for _, args := range [][]string{{"serve", "-c", file}, {"store", "check", "-c", file}} {
		status, _, errs := command(t, nil, "", args...)
		lines := strings.Split(strings.TrimSuffix(errs, "\n"), "\n")
		if status != 1 || !strings.Contains(lines[len(lines)-1], "127.0.0.1:1/carrier: it can't be reached; see that it runs") {
			t.Errorf("carrier %s: status %d, errors:\n%s", args[0], status, errs)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "carrier: ") || line != strings.TrimSpace(line) || strings.HasPrefix(line, "carrier: \t") {
				t.Errorf("carrier %s: an error is not one line: %q", args[0], line)
			}
		}
		if strings.Contains(errs, "S3CRET") {
			t.Errorf("carrier %s shows the password: %s", args[0], errs)
		}
	}
}

func TestConfigCheckTakesAGoodFile(t *testing.T) {
	file := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: "http://127.0.0.1:1"}).File(t)
	status, out, errs := command(t, nil, "", "config", "check", "-c", file)
	if status != 0 || !strings.Contains(out, "1 account, 2 sources, 2 admin tokens") || errs != "" {
		t.Errorf("status %d, output %q, errors %q", status, out, errs)
	}
	// Without -c, the environment alone.
	status, out, errs = command(t, []string{"CARRIER_LOG_LEVEL=loud"}, "", "config", "check")
	if status != 2 || !strings.Contains(errs, "CARRIER_LOG_LEVEL") || out != "" {
		t.Errorf("a wrong variable: status %d, output %q, errors %q", status, out, errs)
	}
}

func TestConfigSchema(t *testing.T) {
	status, out, errs := command(t, nil, "", "config", "schema")
	var schema struct {
		Properties           map[string]any
		AdditionalProperties *bool `json:"additionalProperties"`
	}
	if err := json.Unmarshal([]byte(out), &schema); err != nil || status != 0 || errs != "" {
		t.Fatalf("status %d, errors %q, %v", status, errs, err)
	}
	for _, key := range []string{"server", "store", "nats", "sources", "accounts", "merchants", "platform", "state", "push", "admin", "log"} {
		if schema.Properties[key] == nil {
			t.Errorf("the schema has no section %s", key)
		}
	}
	if schema.AdditionalProperties == nil || *schema.AdditionalProperties {
		t.Error("the schema lets unknown keys pass")
	}
}

func TestVersion(t *testing.T) {
	for _, spelling := range []string{"version", "--version"} {
		status, out, errs := command(t, nil, "", spelling)
		if status != 0 || errs != "" || !strings.HasPrefix(out, "carrier ") || !strings.Contains(out, "commit") || !strings.Contains(out, "go1.") {
			t.Errorf("%s: status %d, errors %q, output:\n%s", spelling, status, errs, out)
		}
	}
}

// TestTakenPort starts a second service on a port that is in use: status 1, one line, nothing left behind.
func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, key := range []string{"listen", "admin_listen"} {
		settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: "http://127.0.0.1:1"})
		if key == "listen" {
			settings.Listen = l.Addr().String()
		} else {
			settings.AdminListen = l.Addr().String()
		}
		file := settings.File(t)
		status, _, errs := command(t, nil, "", "serve", "-c", file)
		last := errs[strings.LastIndex(strings.TrimSuffix(errs, "\n"), "\n")+1:]
		if status != 1 || !strings.Contains(last, "server."+key) || !strings.Contains(last, l.Addr().String()) {
			t.Errorf("status %d, errors:\n%s\nwant 1 and a line with server.%s and the address", status, errs, key)
		}
		oneLine(t, last)
		if status, out, errs := command(t, nil, "", "store", "check", "-c", file); status != 0 {
			t.Errorf("the store after that: status %d\n%s%s", status, out, errs)
		}
	}
}

// TestStoreInUse opens a store that a running service uses.
func TestStoreInUse(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	file := settings.File(t)
	_, c := serveCarrier(t, settings, file)
	for _, args := range [][]string{{"serve", "-c", file}, {"store", "check", "-c", file}, {"store", "backup", "-c", file, "--to", filepath.Join(t.TempDir(), "copy")}} {
		status, _, errs := command(t, nil, "", args...)
		last := errs[strings.LastIndex(strings.TrimSuffix(errs, "\n"), "\n")+1:]
		if status != 1 || !strings.Contains(last, "another carrier process") || !strings.Contains(last, settings.Store) {
			t.Errorf("carrier %s %s: status %d, errors:\n%s", args[0], args[1], status, errs)
		}
		oneLine(t, last)
	}
	if a := c.Send(t, apptest.NewPlan(1, 1, "SF", 1_700_000_000).Requests[0][0].Event); a.HTTP != http.StatusAccepted {
		t.Errorf("the running service answers %d after that", a.HTTP)
	}
}

// TestLostStore takes parts of a store away. A service must not start empty where a store was.
func TestLostStore(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(dir string) error
		says string
	}{
		{"the database", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "db")) }, "is gone"},
		{"what is in the database", func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "db")), os.Mkdir(filepath.Join(dir, "db"), 0o700))
		}, "is gone"},
		{"the marker", func(dir string) error { return os.Remove(filepath.Join(dir, "INSTANCE")) }, "INSTANCE"},
		{"the marker's content", func(dir string) error { return os.WriteFile(filepath.Join(dir, "INSTANCE"), nil, 0o600) }, "INSTANCE is empty"},
		{"the right marker", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "INSTANCE"), []byte("00000000-0000-4000-8000-000000000000\n"), 0o600)
		}, "two stores"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			settings, file, _ := storeWithEvents(t, false)
			if err := c.lose(settings.Store); err != nil {
				t.Fatal(err)
			}
			before := tree(t, settings.Store)
			for _, args := range [][]string{{"serve", "-c", file}, {"store", "check", "-c", file}} {
				status, _, errs := command(t, nil, "", args...)
				if status != 1 || !strings.Contains(errs, c.says) || !strings.Contains(errs, settings.Store) || strings.Contains(errs, "goroutine ") {
					t.Errorf("carrier %s: status %d, want 1 and %q:\n%s", args[0], status, c.says, errs)
				}
				oneLine(t, errs[strings.LastIndex(strings.TrimSuffix(errs, "\n"), "\n")+1:])
			}
			if after := tree(t, settings.Store); c.name == "the database" && !slices.Equal(before, after) {
				t.Errorf("the folder held %v and now holds %v: looking at it must not change it", before, after)
			}
		})
	}
}

// tree lists a folder's files.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// storeWithEvents makes a store that a service has used and left in the ordinary way, or when it was killed.
func storeWithEvents(t *testing.T, killed bool) (settings *apptest.Settings, file string, events []apptest.Event) {
	t.Helper()
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings = apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	file = settings.File(t)
	p, c := serveCarrier(t, settings, file)
	for w := range 20 {
		for n, action := range []int{100001, 200001, 300002} {
			events = append(events, apptest.Event{
				ID: fmt.Sprintf("W%d-%d", w, n), DeliveryID: "SF", WaybillID: fmt.Sprintf("W%d", w), ActionType: action,
				ActionTime: 1_700_000_000 + int64(n), ActionMsg: fmt.Sprintf("scan %d of W%d", n, w), Token: fmt.Sprintf("token-W%d", w),
			})
		}
	}
	c.Accept(t, events...)
	c.Settled(t, soon)
	if killed {
		p.kill()
		return settings, file, events
	}
	if status, _ := p.terminate(t); status != 0 {
		t.Fatalf("the service ended with status %d:\n%s", status, p.tail(10))
	}
	return settings, file, events
}

// TestStoreBackup copies a store that is at rest, and one of a running service, and serves from the copies.
func TestStoreBackup(t *testing.T) {
	settings, file, events := storeWithEvents(t, false)
	atRest := filepath.Join(t.TempDir(), "at-rest")
	backUp(t, nil, file, atRest)

	p, c := serveCarrier(t, settings, file)
	more := apptest.Event{ID: "more", DeliveryID: "SF", WaybillID: "W0", ActionType: 300003, ActionTime: 1_700_000_100, ActionMsg: "signed"}
	c.Accept(t, more)
	c.Settled(t, soon)
	running := filepath.Join(t.TempDir(), "running")
	backUp(t, []string{"CARRIER_ADMIN_TOKEN=" + settings.Operator, "CARRIER_ADMIN_URL=" + c.Admin}, file, running)
	p.kill()

	for dir, want := range map[string]int{atRest: len(events), running: len(events) + 1} {
		settings.Store = dir
		file := settings.File(t)
		checkStore(t, file, want)
		p, c := serveCarrier(t, settings, file)
		if kept := c.EventsOf(t, ""); len(kept) != want {
			t.Errorf("%s holds %d events, want %d", dir, len(kept), want)
		}
		if a := c.Send(t, events[0]); a.Verdict != "duplicate" || a.Original != "accepted" {
			t.Errorf("%s does not know an event that it holds: %s", dir, a.Body)
		}
		if n := c.Account(t, "SF").Counts["delivered"]; n != int64(want) {
			t.Errorf("%s has %d pushes delivered, want %d", dir, n, want)
		}
		if status, _ := p.terminate(t); status != 0 {
			t.Errorf("the service on a copy ended with status %d:\n%s", status, p.tail(10))
		}
	}
	status, _, errs := command(t, nil, "", "store", "backup", "-c", file, "--to", atRest)
	if status != 2 || !strings.Contains(errs, "exists") {
		t.Errorf("a backup over another: status %d, errors %q; want it refused", status, errs)
	}
}

func backUp(t *testing.T, env []string, file, to string) {
	t.Helper()
	status, out, errs := command(t, env, "", "store", "backup", "-c", file, "--to", to)
	if status != 0 || !strings.Contains(out, to) {
		t.Fatalf("store backup: status %d\n%s%s", status, out, errs)
	}
}

// TestDemo runs the demo on a bad day: it ends by itself, and nothing is lost or out of order.
func TestDemo(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	status, out, errs := command(t, nil, "", "demo", "--for", "3s", "--faults", "--rate", "20",
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0")
	if status != 0 {
		t.Errorf("the demo ended with status %d:\n%s%s", status, out, errs)
	}
	for _, want := range []string{`(?m)^  lost +0$`, `(?m)^  out of order +0$`, `(?m)^  pushes pending +0$`, `(?m)^  pushes delivered +[1-9]`, `(?m)^  pushes failed +3 `, `curl`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the demo's words do not match %q:\n%s", want, out)
		}
	}
	if took := time.Since(begun); took > 45*time.Second {
		t.Errorf("a demo of 3s took %v", took)
	}
}

// TestSendAndServe sends a file through a running service.
func TestSendAndServe(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	_, c := serveCarrier(t, settings, settings.File(t))
	const good = `{"id":"s1","waybill_id":"S","action_type":100001,"action_time":1700000000,"action_msg":"picked up","token":"t"}
{"id":"s2","waybill_id":"S","action_type":200001,"action_time":1700000100,"action_msg":"on its way"}
`
	env := []string{"CARRIER_API_KEY=" + settings.Key}
	status, out, errs := command(t, env, good, "send", "--url", c.Events, "-q", "-")
	if status != 0 || !regexp.MustCompile(`accepted\D*2`).MatchString(out) {
		t.Errorf("status %d, output:\n%s%s", status, out, errs)
	}
	status, out, errs = command(t, env, good+`{"id":"s3","waybill_id":"S","action_type":100001,"action_time":1700000200,"action_msg":"again"}`,
		"send", "--url", c.Events, "-q", "-")
	if status != 1 || !regexp.MustCompile(`duplicate\D*2`).MatchString(out) || !regexp.MustCompile(`rejected\D*1`).MatchString(out) {
		t.Errorf("with a refused event: status %d, output:\n%s%s", status, out, errs)
	}
	c.Settled(t, soon)
	if got := up.Nodes("S").Nodes; len(got) != 2 {
		t.Errorf("upstream has %+v, want two scans", got)
	}
}
