package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"carrier/internal/app/apptest"
	"carrier/internal/config"
	"carrier/internal/sandbox"
	"carrier/internal/store"
	"carrier/internal/store/pebble"
	"carrier/internal/store/postgres/pgtest"
)

// moving is a service under load whose store is moved.
type moving struct {
	*testing.T
	settings *apptest.Settings
	file     string
	process  *process
	load     *load
	known    apptest.Event // It was taken by the first store.
}

// TestStoreMigrate moves the store of a service under load to PostgreSQL and back, and compares what was promised with
// what happened.
func TestStoreMigrate(t *testing.T) {
	db := pgtest.Start(t)
	seed := rand.Uint64N(1 << 32)
	t.Logf("seed %d", seed)
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	up.Faulty(t, restless)
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL}, apptest.Account{DeliveryID: "ZT", BaseURL: up.URL})
	settings.KeyFile = fileOf(t, "keys", strings.Repeat("5a", 32))
	m := &moving{T: t, settings: settings, file: settings.File(t)}
	var c *apptest.Client
	m.process, c = serveCarrier(t, settings, m.file)
	m.load = startLoad(t, seed, up, c, 300)
	m.known = apptest.Event{
		ID: "known", DeliveryID: "ZT", WaybillID: "KNOWN", ActionType: 100001, ActionTime: 1_700_000_000, ActionMsg: "picked up", Token: "t",
	}
	if _, err := up.AddOrder(sandbox.Order{WaybillID: m.known.WaybillID, Token: m.known.Token}); err != nil {
		t.Fatal(err)
	}
	c.Accept(t, m.known)

	folder := settings.Store + "-2"
	m.move(db.URL(), func() { settings.StoreURL = db.URL() })
	m.move("file:"+folder, func() { settings.StoreURL, settings.Store = "", folder })

	progress(t, m.load, m.load.Acked()+150)
	run := m.load.finish(t, nil) // Without an outage, nothing may arrive twice.
	stats := up.Stats()
	t.Logf("%d events; %d pushes arrived, %d of them twice", len(run.Sent), stats.Applied, stats.Repeats)
	if status, _ := m.process.terminate(t); status != 0 {
		t.Errorf("the service ended with status %d:\n%s", status, m.process.tail(10))
	}
	checkStore(t, m.file, len(run.Stored)+1)
}

// move copies the store while the service runs, twice, moves it once that has ended, and starts the service there.
func (m *moving) move(to string, point func()) {
	m.Helper()
	progress(m.T, m.load, m.load.Acked()+150)
	before := m.load.Acked()
	first := m.migrate(to)
	progress(m.T, m.load, before+150)
	again := m.migrate(to)
	if first.State != migrationCopied || again.State != migrationCopied || again.Events <= first.Events || again.Carried >= again.Records {
		m.Errorf("copies of a running service's store: %+v, %+v", first, again)
	}
	there := *m.settings
	old, was := m.file, m.settings.Store
	m.refused(to)

	status, _ := m.process.terminate(m.T)
	if status != 0 {
		m.Fatalf("the service ended with status %d:\n%s", status, m.process.tail(10))
	}
	moved := m.migrate(to)
	if moved.State != migrationMoved || moved.Events < again.Events || !strings.Contains(moved.Next, "store.url: ") {
		m.Errorf("the move: %+v after %+v", moved, again)
	}
	m.Logf("%d events, %d of %d records in the last step", moved.Events, moved.Carried, moved.Records)
	if p := launch(m.T, old); p.up() || p.status() != 1 || !strings.Contains(p.tail(5), "it was moved to") {
		m.Errorf("the service starts where the store is no more:\n%s", p.tail(5))
	}
	if left, _ := filepath.Glob(was + ".*"); len(left) > 0 {
		m.Errorf("it leaves %v", left)
	}
	*m.settings = there
	point()
	m.file = m.settings.File(m.T)
	var c *apptest.Client
	m.process, c = serveCarrier(m.T, m.settings, m.file)
	if a := c.Send(m.T, m.known); a.Verdict != "duplicate" || a.Original != "accepted" {
		m.Errorf("an event that was taken before the move: %s", a.Body)
	}
	m.load.client.Store(c)
}

// migrate runs the command beside the service, or after it.
func (m *moving) migrate(to string) (r migrationResult) {
	m.Helper()
	env := []string{"CARRIER_ADMIN_TOKEN=" + m.settings.Operator, "CARRIER_ADMIN_URL=" + m.load.client.Load().Admin}
	status, out, errs := command(m.T, env, "", "store", "migrate", "-c", m.file, "--to", to, "--json")
	if status != 0 {
		m.Fatalf("store migrate: status %d\n%s%s", status, out, errs)
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		m.Fatalf("store migrate prints %q: %v", out, err)
	}
	for _, secret := range []string{m.settings.Operator, strings.Repeat("5a", 32)} {
		if strings.Contains(out+errs, secret) {
			m.Errorf("a secret is in what it says: %s%s", out, errs)
		}
	}
	return r
}

// refused sees that nobody can serve from a store that is copied in part.
func (m *moving) refused(to string) {
	m.Helper()
	half := *m.settings
	half.StoreURL = to
	if p := launch(m.T, half.File(m.T)); p.up() || p.status() != 1 || !strings.Contains(p.tail(5), "has not filled it to the end") {
		m.Errorf("the service starts on a store that is copied in part:\n%s", p.tail(5))
	}
}

// TestMigratedPlace: the line for the configuration is what was typed, and never holds a password.
func TestMigratedPlace(t *testing.T) {
	env := []string{"PASSWORD=hunter2"}
	for _, tt := range []struct{ to, want string }{
		{"file:carrier-data", "file:carrier-data"},
		{"postgres://carrier@db:5432/carrier?sslmode=disable", "postgres://carrier@db:5432/carrier?sslmode=disable"},
		{"postgres://carrier:${PASSWORD}@db/carrier", "postgres://carrier:${PASSWORD}@db/carrier"},
		{"postgres://db/carrier?user=carrier&password=${PASSWORD}", "postgres://db/carrier?user=carrier&password=${PASSWORD}"},
		{"postgres://carrier:hunter2@db/carrier", ""},
		{"postgres://carrier:hunter${PASSWORD}@db/carrier", ""},
		{"postgres://db/carrier?password=hunter2", ""},
	} {
		to, err := config.Store{}.At(tt.to, env)
		if err != nil {
			t.Fatal(err)
		}
		got := (&migration{storeMigrate: &storeMigrate{To: tt.to}, to: to}).place()
		if strings.Contains(got, "hunter2") || got != cmp.Or(tt.want, to.URL.String()) {
			t.Errorf("%s: %q, want %q", to.URL, got, tt.want)
		}
	}
}

// TestStoreMigrateRefuses: what can't be safe is refused, with what to do.
func TestStoreMigrateRefuses(t *testing.T) {
	settings, file, events := storeWithEvents(t, false)
	other, otherFile, _ := storeWithEvents(t, false)
	folder := filepath.Join(t.TempDir(), "target")
	migrate := func(file, to string, env ...string) (int, string, string) {
		return command(t, env, "", "store", "migrate", "-c", file, "--to", to)
	}
	for _, tt := range []struct {
		name, to, want string
		env            []string
		status         int
	}{
		{"no address", "carrier-data", "must be file:FOLDER", nil, 2},
		{"a variable that is not there", "postgres://carrier:${NOT_THERE}@db/carrier", "NOT_THERE is not set", nil, 2},
		{"itself", "file:" + settings.Store, "is at file:", nil, 2},
		{"another store", "file:" + other.Store, "holds a store already", nil, 1},
		{"a server that is not there", "postgres://carrier:${PASSWORD}@127.0.0.1:1/carrier", "can't be reached", []string{"PASSWORD=hunter2"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errs := migrate(file, tt.to, tt.env...)
			if status != tt.status || !strings.Contains(errs, tt.want) || strings.Count(errs, "\n") != 1 || strings.Contains(out+errs, "hunter2") {
				t.Errorf("status %d, %q; want %d and %q", status, out+errs, tt.status, tt.want)
			}
		})
	}

	p, _ := serveCarrier(t, settings, file)
	if status, _, errs := migrate(file, "file:"+folder); status != 1 || !strings.Contains(errs, "give its admin token") {
		t.Errorf("of a running service, without its token: status %d, %s", status, errs)
	}
	p.terminate(t)
	status, out, errs := migrate(file, "file:"+folder)
	if want := fmt.Sprintf("%d events", len(events)); status != 0 || !strings.Contains(out, want) || !strings.HasSuffix(out, "store.url: file:"+folder+"\n") {
		t.Fatalf("from folder to folder: status %d, %s%s", status, out, errs)
	}
	if status, _, errs := migrate(file, "file:"+folder); status != 1 || !strings.Contains(errs, "it was moved to file:"+folder) {
		t.Errorf("once more: status %d, %s", status, errs)
	}
	if status, _, errs := migrate(otherFile, "file:"+folder); status != 1 || !strings.Contains(errs, "filled from another store") {
		t.Errorf("another store into the same folder: status %d, %s", status, errs)
	}
	settings.Store = folder
	checkStore(t, settings.File(t), len(events))
	settings.MinFree = "1000000GiB"
	status, _, errs = migrate(settings.File(t), "file:"+folder+"-2")
	if status != 1 || !strings.Contains(errs, "free some space") {
		t.Errorf("onto a disk that is too small: status %d, %s", status, errs)
	}
}

// stayingSource is a store that was served from again before it could be shut.
type stayingSource struct{}

func (stayingSource) Instance() string                          { return "staying" }
func (stayingSource) Serving(context.Context) ([]string, error) { return nil, nil }
func (stayingSource) Size(context.Context) (uint64, error)      { return 0, nil }
func (stayingSource) Moved(context.Context, string) error       { return store.ErrInUse }
func (stayingSource) Close() error                              { return nil }

func (stayingSource) Export(_ context.Context, use func(*store.Record) error) error {
	return use(&store.Record{Marks: &store.Marks{Next: 1, Events: map[string]int64{}}})
}

// TestMigratedAndNotMoved: where the source can't be shut, the target can't be served from either.
func TestMigratedAndNotMoved(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "target")
	m := &migration{storeMigrate: &storeMigrate{}, source: stayingSource{}, to: config.Store{URL: config.DSN("file:" + folder)}}
	m.screen = newScreen(&world{})
	m.progress = newMigrateProgress(m.screen, &world{}, true)
	var err error
	if m.target, err = m.importer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.move(t.Context()); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), "nothing was moved: stop the service") {
		t.Errorf("move: %v", err)
	}
	if err := m.target.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := pebble.CheckDir(t.Context(), folder, pebble.Options{}); err == nil || !strings.Contains(err.Error(), "to the end") {
		t.Errorf("the target: %v", err)
	}
}
