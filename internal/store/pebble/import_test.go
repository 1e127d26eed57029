package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/migrate"
	"carrier/internal/store/postgres"
	"carrier/internal/store/postgres/pgtest"
)

// anySource is the instance that targets are filled from.
const anySource = "8d0f2c5e-0000-4000-8000-000000000000"

// exportOf is a closed store.
type exportOf struct {
	dir string
	o   Options
}

func (e exportOf) Export(ctx context.Context, use func(*store.Record) error) error {
	from, err := OpenExporter(e.dir, e.o)
	if err != nil {
		return err
	}
	return errors.Join(from.Export(ctx, use), from.Close())
}

// wantMigrates fails unless all that a closed store holds can be carried into an empty folder, and back out of it.
func wantMigrates(t testing.TB, home string, o Options) {
	t.Helper()
	o.Feed, o.Notify = nil, nil
	target, err := OpenImporter(home+"-copy", anySource, o)
	if err != nil {
		t.Errorf("OpenImporter: %v", err)
		return
	}
	source := exportOf{home, o}
	report, err := migrate.Copy(context.Background(), source, target, nil)
	if err != nil {
		t.Errorf("Copy: %v", err)
	}
	if again, err := migrate.Compare(context.Background(), source, target, nil); err != nil || !again.Same() || again.Records != report.Records {
		t.Errorf("Compare after %+v: %+v, %v", report, again, err)
	}
	if err := errors.Join(target.Finish(context.Background()), target.Close()); err != nil {
		t.Errorf("Finish: %v", err)
	}
	for _, dir := range []string{home, home + "-copy"} {
		got, err := CheckDir(context.Background(), dir, o)
		if err != nil || len(got.Problems) != 0 || int(got.Events) != report.Events {
			t.Errorf("CheckDir(%s) after %+v: %+v, %v", dir, report, got, err)
		}
	}
	if again, err := migrate.Compare(context.Background(), source, exportOf{home + "-copy", o}, nil); err != nil || !again.Same() {
		t.Errorf("Compare with what was finished: %+v, %v", again, err)
	}
}

// tables are those of a database that holds nothing yet.
var tables = pgtest.Template{Fill: func(ctx context.Context, url string) error {
	i, err := postgres.OpenImporter(ctx, url, anySource, postgres.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return i.Close()
}}

// wantThroughPostgres fails unless all that a closed store holds comes back from a database as it was.
func wantThroughPostgres(t testing.TB, home string, o Options) {
	t.Helper()
	o.Feed, o.Notify = nil, nil
	ctx := context.Background() // The test is over.
	db, quiet := tables.Start(t), slog.New(slog.DiscardHandler)
	database := postgres.Options{TokenKeys: o.TokenKeys, Logger: quiet}
	source := exportOf{home, o}
	there, err := postgres.OpenImporter(ctx, db.URL(), anySource, database)
	if err != nil {
		t.Errorf("OpenImporter of a database: %v", err)
		return
	}
	report, err := migrate.Copy(ctx, source, there, nil)
	if err := errors.Join(err, there.Finish(ctx), there.Close()); err != nil {
		t.Errorf("to the database: %+v, %v", report, err)
		return
	}
	checked, err := postgres.CheckDatabase(ctx, db.URL(), database)
	if err != nil || len(checked.Problems) > 0 || int(checked.Events) != report.Events {
		t.Errorf("CheckDatabase after %+v: %+v, %v", report, checked, err)
	}
	from, err := postgres.OpenExporter(ctx, db.URL(), database)
	if err != nil {
		t.Errorf("OpenExporter of the database: %v", err)
		return
	}
	back, err := OpenImporter(home+"-back", anySource, o)
	if err != nil {
		t.Errorf("OpenImporter: %v", err)
		return
	}
	_, err = migrate.Copy(ctx, from, back, nil)
	if err := errors.Join(err, back.Finish(ctx), back.Close(), from.Close()); err != nil {
		t.Errorf("back: %v", err)
	}
	got, err := CheckDir(ctx, home+"-back", o)
	if err != nil || len(got.Problems) > 0 {
		t.Errorf("CheckDir after coming back: %+v, %v", got, err)
	}
	if same, err := migrate.Compare(ctx, source, exportOf{home + "-back", o}, nil); err != nil || !same.Same() || same.Records != report.Records {
		t.Errorf("what came back: %+v, %v; it was %+v", same, err, report)
	}
}

// TestMigratedStoreGoesOn fails if what was open, held or waiting in one store is not so in the one that it was carried to.
func TestMigratedStoreGoesOn(t *testing.T) {
	fs := vfs.NewMem()
	o := options(t, fs)
	s := mustOpen(t, "from", o)
	var events []state.Event
	for w := range 40 {
		for n := range 3 {
			events = append(events, scanOf(fmt.Sprint("W", w), n))
		}
	}
	held := scanOf("HELD", 0)
	held.Type = state.Signed
	waits := scanOf("WAITS", 0)
	waits.Token = ""
	results := mustApply(t, s, append(events, held, waits)...)
	for i := 0; i < len(events); i += 3 {
		status := []store.Status{store.Delivered, store.Failed, store.Pending, store.Discarded}[i/3%4]
		o := store.Outcome{Seq: results[i].Seq, Waybill: events[i].Waybill(), Status: status, Reason: store.ReasonRefused}
		if err := settleNow(s, o); err != nil {
			t.Fatal(err)
		}
	}
	want := lanesOf(t, s, 40)
	wantStats := s.Stats()
	mustClose(t, s)
	wantMigrates(t, "from", o)

	s = mustOpen(t, "from-copy", o)
	if got := lanesOf(t, s, 40); !reflect.DeepEqual(got, want) {
		t.Errorf("lanes: %+v, want %+v", got, want)
	}
	got := s.Stats()
	if !reflect.DeepEqual(got.Pushes, wantStats.Pushes) || !reflect.DeepEqual(got.Events, wantStats.Events) || got.Held != 1 {
		t.Errorf("Stats: %+v, want %+v", got, wantStats)
	}
	swept := map[state.Waybill]bool{}
	for place, done := (store.Place{}), false; !done; {
		var page []state.Waybill
		var err error
		if page, place, done, err = s.Sweep(t.Context(), "SF", place); err != nil {
			t.Fatal(err)
		}
		for _, w := range page {
			swept[w] = true
		}
	}
	for w := range want {
		if !swept[w] && w.WaybillID != "WAITS" {
			t.Errorf("the sweep does not list %s", w)
		}
	}
	if r := mustApply(t, s, events[0], scanOf("W0", 3)); r[0].Verdict != state.Duplicate || r[1].Seq <= results[len(results)-1].Seq {
		t.Errorf("a repetition and a new event: %+v", r)
	}
	mustCheck(t, s)
}

// lanesOf reads all lanes that are not empty.
func lanesOf(t *testing.T, s *Store, waybills int) map[state.Waybill]string {
	t.Helper()
	lanes := map[state.Waybill]string{}
	names := []string{"HELD", "WAITS"}
	for w := range waybills {
		names = append(names, fmt.Sprint("W", w))
	}
	for _, name := range names {
		w := state.Waybill{DeliveryID: "SF", WaybillID: name}
		lane, err := s.Lane(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if len(lane.Pushes) > 0 {
			lanes[w] = fmt.Sprintf("%s %+v", lane.Token, lane.Pushes)
		}
	}
	return lanes
}

// TestHalfMigrated fails if a store that was filled only in part is taken for a whole one, or can't be filled on.
func TestHalfMigrated(t *testing.T) {
	fs := vfs.NewMem()
	o := options(t, fs)
	s := mustOpen(t, "from", o)
	for w := range 400 {
		mustApply(t, s, scanOf(fmt.Sprint("W", w), 0), scanOf(fmt.Sprint("W", w), 1))
	}
	mustClose(t, s)

	target, err := OpenImporter("to", anySource, o)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the network broke")
	parts := 0
	_, err = migrate.Copy(t.Context(), exportOf{"from", o}, breaking{target, func() error {
		if parts++; parts > 1 {
			return broken
		}
		return nil
	}}, nil)
	if !errors.Is(err, broken) {
		t.Fatalf("Copy: %v", err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Open":   func() error { _, err := Open("to", o); return err }(),
		"Check":  func() error { _, err := CheckDir(t.Context(), "to", o); return err }(),
		"Export": func() error { _, err := OpenExporter("to", o); return err }(),
	} {
		if !errors.Is(err, errHalfImported) {
			t.Errorf("%s of half a store: %v", name, err)
		}
	}
	if _, err := OpenImporter("from", anySource, o); err == nil || !strings.Contains(err.Error(), "holds a store already") {
		t.Errorf("OpenImporter of a store: %v", err)
	}
	if target, err = OpenImporter("to", anySource, o); err != nil {
		t.Fatal(err)
	}
	report, err := migrate.Copy(t.Context(), exportOf{"from", o}, target, nil)
	if err != nil || report.Records != 401 || report.Carried == 0 || report.Carried >= 400 {
		t.Errorf("Copy goes on with %+v, %v", report, err)
	}
	if err := errors.Join(target.Finish(t.Context()), target.Close()); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, mustOpen(t, "to", o))
}

// breaking fails before an import.
type breaking struct {
	*Importer
	fail func() error
}

func (b breaking) Import(ctx context.Context, records []*store.Record, gone []string) error {
	if err := b.fail(); err != nil {
		return err
	}
	return b.Importer.Import(ctx, records, gone)
}

// TestMigrationFollows fails if a target does not become what its source became after the first copy: also where an event
// id, a waybill or a Token is gone, or has gone elsewhere.
func TestMigrationFollows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := vfs.NewMem()
		var now atomic.Int64
		now.Store(1_800_000_000_000)
		o := options(t, fs)
		o.Now, o.Retention = func() time.Time { return time.UnixMilli(now.Load()) }, time.Hour
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			s, err := Open("from", o)
			if err != nil {
				rt.Fatal(err)
			}
			for range rapid.IntRange(0, 12).Draw(rt, "scans") {
				e := scanOf(fmt.Sprint("W", rapid.IntRange(0, 3).Draw(rt, "waybill")), rapid.IntRange(0, 3).Draw(rt, "n"))
				e.ID = fmt.Sprint(rapid.IntRange(0, 5).Draw(rt, "id"))
				r, err := s.Apply(t.Context(), []state.Event{e})
				if err != nil {
					rt.Fatal(err)
				}
				if r[0].Verdict == state.Accepted && rapid.Bool().Draw(rt, "deliver") {
					if err := settleNow(s, store.Outcome{Seq: r[0].Seq, Waybill: e.Waybill(), Status: store.Delivered}); err != nil {
						rt.Fatal(err)
					}
				}
			}
			now.Add(int64(rapid.IntRange(0, 90).Draw(rt, "minutes")) * time.Minute.Milliseconds())
			if err := errors.Join(s.Tick(t.Context()), s.Close()); err != nil {
				rt.Fatal(err)
			}
			target, err := OpenImporter("to", anySource, o)
			if err != nil {
				rt.Fatal(err)
			}
			_, err = migrate.Copy(t.Context(), exportOf{"from", o}, target, nil)
			again, cerr := migrate.Compare(t.Context(), exportOf{"from", o}, target, nil)
			if err = errors.Join(err, cerr, target.Close()); err != nil || !again.Same() {
				rt.Fatalf("after a copy: %+v, %v", again, err)
			}
		}
		target, err := OpenImporter("to", anySource, o)
		if err != nil {
			rt.Fatal(err)
		}
		if err := errors.Join(target.Finish(t.Context()), target.Close()); err != nil {
			rt.Fatal(err)
		}
		report, err := CheckDir(t.Context(), "to", o)
		if err != nil || len(report.Problems) > 0 {
			rt.Errorf("Check: %v, %v", report.Problems, err)
		}
	})
}

// TestMovedStore fails if a store that has moved can be opened by mistake, or not any more on purpose.
func TestMovedStore(t *testing.T) {
	fs := vfs.NewMem()
	o := options(t, fs)
	s := mustOpen(t, "from", o)
	mustApply(t, s, scanOf("W", 0))
	mustClose(t, s)
	from, err := OpenExporter("from", o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open("from", o); err == nil || !strings.Contains(err.Error(), "another carrier process") {
		t.Errorf("Open of a store that is being moved: %v", err)
	}
	if err := errors.Join(from.Moved(t.Context(), "postgres://db:5432/carrier"), from.Close()); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Open":         func() error { _, err := Open("from", o); return err }(),
		"OpenExporter": func() error { _, err := OpenExporter("from", o); return err }(),
		"OpenImporter": func() error { _, err := OpenImporter("from", anySource, o); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "moved to postgres://db:5432/carrier: set store.url") {
			t.Errorf("%s of a store that has moved: %v", name, err)
		}
	}
	if err := fs.Remove("from/MOVED"); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, mustOpen(t, "from", o))
}
