package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/migrate"
	"carrier/internal/store/pebble"
	"carrier/internal/store/postgres/pgtest"
)

// side is a store of either engine, to be opened again and again.
type side struct {
	source   func() (store.Source, error)
	importer func(source string) (store.Importer, error)
	check    func() (store.Report, error)
}

func databaseSide(url string, o Options) side {
	ctx := context.Background() // Some run while a test cleans up.
	return side{
		source:   func() (store.Source, error) { return OpenExporter(ctx, url, o) },
		importer: func(source string) (store.Importer, error) { return OpenImporter(ctx, url, source, o) },
		check:    func() (store.Report, error) { return CheckDatabase(ctx, url, o) },
	}
}

func folderSide(fs vfs.FS, dir string, o Options) side {
	p := pebble.Options{FS: fs, TokenKeys: o.TokenKeys, Logger: o.Logger, CacheBytes: 1 << 20, MemtableBytes: 1 << 20}
	return side{
		source:   func() (store.Source, error) { return pebble.OpenExporter(dir, p) },
		importer: func(source string) (store.Importer, error) { return pebble.OpenImporter(dir, source, p) },
		check:    func() (store.Report, error) { return pebble.CheckDir(context.Background(), dir, p) },
	}
}

// move carries a store from one side to the other to its end, and leaves the source as it is.
func move(from, to side) (report migrate.Report, err error) {
	source, err := from.source()
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := to.importer(source.Instance())
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if report, err = migrate.Copy(context.Background(), source, target, nil); err != nil {
		return report, err
	}
	again, err := migrate.Compare(context.Background(), source, target, nil)
	if err == nil && !again.Same() {
		err = fmt.Errorf("the target is not what the source is: %+v", again)
	}
	return report, errors.Join(err, target.Finish(context.Background()))
}

// digests are those of all records of a store.
func digests(s side) (all map[string][32]byte, err error) {
	source, err := s.source()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	all = map[string][32]byte{}
	err = source.Export(context.Background(), func(r *store.Record) error {
		all[r.Key()], err = r.Digest()
		return err
	})
	return all, err
}

// wantRoundTrip fails unless all that a store holds comes through each of the sides as it was, and each fits together.
func wantRoundTrip(t testing.TB, first side, through ...side) {
	t.Helper()
	want, err := digests(first)
	if err != nil {
		t.Errorf("Export: %v", err)
		return
	}
	from := first
	for i, to := range through {
		report, err := move(from, to)
		if err != nil {
			t.Errorf("step %d: %+v, %v", i, report, err)
			return
		}
		got, err := digests(to)
		if err != nil || len(got) != len(want) {
			t.Errorf("step %d gives %d records, %v; want %d", i, len(got), err, len(want))
		}
		for key, d := range want {
			if got[key] != d {
				t.Errorf("step %d: %q is not what it was", i, key)
			}
		}
		checked, err := to.check()
		if err != nil || len(checked.Problems) > 0 || int(checked.Events) != report.Events {
			t.Errorf("step %d: Check after %+v: %+v, %v", i, report, checked, err)
		}
		from = to
	}
}

// exportOptions are those that exporting takes.
func exportOptions() Options {
	return Options{Logger: slog.New(slog.DiscardHandler), partitionRows: 64}
}

// TestMovedDatabase fails if a database that has moved can be served from, or can't be moved as it must.
func TestMovedDatabase(t *testing.T) {
	t.Parallel()
	db := schema.Start(t)
	s, err := Open(t.Context(), db.URL(), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	oneOfEach(t, s)
	from, err := OpenExporter(t.Context(), db.URL(), exportOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	all := func() error { return from.Export(t.Context(), func(*store.Record) error { return nil }) }
	if err := from.Moved(t.Context(), "file:x"); err == nil || !strings.Contains(err.Error(), "not read") {
		t.Errorf("Moved before it was read: %v", err)
	}
	if err := errors.Join(all(), from.Moved(t.Context(), "file:x")); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), s.opts.Node) {
		t.Errorf("Moved while a node is alive: %v", err)
	}
	// It may go on all the same.
	if _, err := s.Apply(t.Context(), []state.Event{scanOf("after", 1, state.PickupDone)}); err != nil {
		t.Errorf("Apply while it is being read: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := from.Moved(t.Context(), "file:x"); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), "or wrote to it") {
		t.Errorf("Moved after a write that was not read: %v", err)
	}
	if err := errors.Join(all(), from.Moved(t.Context(), "file:carrier-data")); err != nil {
		t.Fatalf("Moved: %v", err)
	}
	_, opened := Open(t.Context(), db.URL(), testOptions(t))
	_, exported := OpenExporter(t.Context(), db.URL(), exportOptions())
	_, imported := OpenImporter(t.Context(), db.URL(), from.Instance(), exportOptions())
	for name, err := range map[string]error{"Open": opened, "OpenExporter": exported, "OpenImporter": imported} {
		if err == nil || !strings.Contains(err.Error(), "moved to file:carrier-data: set store.url") {
			t.Errorf("%s of a database that has moved: %v", name, err)
		}
	}
	undo := opened.Error()
	undo = undo[strings.Index(undo, "UPDATE meta"):]
	if _, err := from.s.pool.Exec(t.Context(), undo[:strings.LastIndex(undo, ";")]); err != nil {
		t.Fatalf("to undo it as the error says: %v", err)
	}
	back, err := Open(t.Context(), db.URL(), testOptions(t))
	if err != nil {
		t.Fatalf("Open after going back: %v", err)
	}
	defer back.Close()
	if _, err := back.Apply(t.Context(), []state.Event{scanOf("back", 1, state.PickupDone)}); err != nil {
		t.Errorf("Apply after going back: %v", err)
	}
	checkStore(t, back)
}

// TestSleepingNodeAfterMove fails if a node that stood still while its database was moved can take anything in.
func TestSleepingNodeAfterMove(t *testing.T) {
	t.Parallel()
	db := schema.Start(t)
	s, err := Open(t.Context(), db.URL(), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	oneOfEach(t, s)
	from, err := OpenExporter(t.Context(), db.URL(), exportOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	eventually(t, soon, "the database has moved", func() bool { // A node that runs comes alive again within a round.
		if _, err := from.s.pool.Exec(t.Context(), "UPDATE nodes SET expires_at = '-infinity'"); err != nil {
			t.Fatal(err)
		}
		err := from.Export(t.Context(), func(*store.Record) error { return nil })
		if err == nil {
			_, err = from.s.pool.Exec(t.Context(), "UPDATE nodes SET expires_at = '-infinity'")
		}
		return err == nil && from.Moved(t.Context(), "file:x") == nil
	})
	_, err = s.Apply(t.Context(), []state.Event{scanOf("late", 1, state.PickupDone)})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "moved this store") {
		t.Errorf("Apply on a node that slept: %v", err)
	}
}

// TestHalfFilledDatabase fails if a database that was filled only in part is taken for a whole one, or can't be filled on.
func TestHalfFilledDatabase(t *testing.T) {
	t.Parallel()
	home, fs := schema.Start(t), vfs.NewMem()
	s, err := Open(t.Context(), home.URL(), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	for w := range 400 {
		if _, err := s.Apply(t.Context(), []state.Event{scanOf(fmt.Sprint(w), 1, state.PickupDone), scanOf(fmt.Sprint(w), 2, state.Transit)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	from := databaseSide(home.URL(), exportOptions())
	// One store of each engine is filled commit by commit, each of which fails before it is made, or after.
	for name, to := range map[string]side{
		"folder": folderSide(fs, "store", exportOptions()), "database": databaseSide(schema.Start(t).URL(), exportOptions()),
	} {
		t.Run(name, func(t *testing.T) { fillInSteps(t, from, to) })
	}
}

// fillInSteps fills a store in as many runs as it takes commits, and more.
func fillInSteps(t *testing.T, from, to side) {
	source, err := from.source()
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	broken := errors.New("the network broke")
	runs := 0
	for done := false; !done; runs++ {
		target, err := to.importer(source.Instance())
		if err != nil {
			t.Fatalf("run %d: %v", runs, err)
		}
		_, err = migrate.Copy(t.Context(), source, breaking{target, func(commit func() error) error {
			if runs%2 == 0 {
				return broken // Not applied.
			}
			return cmp.Or(commit(), broken) // Applied, error anyway.
		}}, nil)
		switch done = err == nil; {
		case done:
			err = target.Finish(t.Context())
		case errors.Is(err, broken) && runs < 100:
			err = nil
		}
		if err := errors.Join(err, target.Close()); err != nil {
			t.Fatalf("run %d: %v", runs, err)
		}
		if _, err := to.check(); !done && (err == nil || !strings.Contains(err.Error(), "to the end")) {
			t.Errorf("run %d: Check of half a store: %v", runs, err)
		}
	}
	if runs < 6 {
		t.Errorf("it took %d runs only", runs)
	}
	wantSame(t, from, to)
	if _, err := to.importer("another"); err == nil || !strings.Contains(err.Error(), "filled from another store") {
		t.Errorf("to fill it from another store: %v", err)
	}
}

// wantSame compares two stores record by record, and has the second checked.
func wantSame(t *testing.T, from, to side) {
	t.Helper()
	want, err := digests(from)
	got, gerr := digests(to)
	if err != nil || gerr != nil || len(got) != len(want) {
		t.Fatalf("%d records (%v), want %d (%v)", len(got), gerr, len(want), err)
	}
	for key, d := range want {
		if got[key] != d {
			t.Errorf("%q is not what it was", key)
		}
	}
	if report, err := to.check(); err != nil || len(report.Problems) > 0 {
		t.Errorf("Check: %+v, %v", report, err)
	}
}

// breaking stands between a copy and the commits of its target.
type breaking struct {
	store.Importer
	do func(commit func() error) error
}

func (b breaking) Import(ctx context.Context, records []*store.Record, gone []string) error {
	return b.do(func() error { return b.Importer.Import(ctx, records, gone) })
}

// TestDatabaseInUse: nothing is filled that somebody serves from, or fills already, or that holds a store of its own.
func TestDatabaseInUse(t *testing.T) {
	t.Parallel()
	db := pgtest.Start(t) // Without any tables.
	i, err := OpenImporter(t.Context(), db.URL(), "a", exportOptions())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenImporter(t.Context(), db.URL(), "a", exportOptions()); !errors.Is(err, store.ErrInUse) {
		t.Errorf("two at once: %v", err)
	}
	if _, err := Open(t.Context(), db.URL(), testOptions(t)); !errors.Is(err, errHalfFilled) {
		t.Errorf("Open of a database that is being filled: %v", err)
	}
	if err := errors.Join(i.Finish(t.Context()), i.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), db.URL(), testOptions(t))
	if err != nil {
		t.Fatalf("Open of an empty store that was moved: %v", err)
	}
	if _, err := OpenImporter(t.Context(), db.URL(), "a", exportOptions()); !errors.Is(err, store.ErrInUse) {
		t.Errorf("OpenImporter beside a node: %v", err)
	}
	oneOfEach(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenImporter(t.Context(), db.URL(), "a", exportOptions()); err == nil || !strings.Contains(err.Error(), "holds a store already") {
		t.Errorf("OpenImporter of a store: %v", err)
	}
}
