package pebble

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
)

// traceparent is a trace as events have it (the example of W3C Trace Context).
const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// options are those of a small store on a file system in memory.
func options(t testing.TB, fs vfs.FS) Options {
	return Options{
		Machine: state.Machine{ReorderWindow: 2 * time.Minute}, FS: fs, Waybills: 64,
		CacheBytes: 1 << 20, MemtableBytes: 1 << 20, spanRows: 64,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// mustOpen opens a store and closes it at the end of the test.
func mustOpen(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// scan makes the n-th event of a waybill, with its Token: a pickup, and then hubs.
func scanOf(waybill string, n int) state.Event {
	e := state.Event{
		ID: fmt.Sprintf("%s-%d", waybill, n), Source: "app", DeliveryID: "SF", WaybillID: waybill, Type: state.Transit,
		Time: int64(1_533_052_800 + n), Msg: "丽影邓丽君【18666666666】正在派件", Token: "TOKEN-" + waybill,
	}
	if n == 0 {
		e.Type = state.PickupDone
	}
	return e
}

func mustApply(t testing.TB, s *Store, events ...state.Event) []store.Result {
	t.Helper()
	r, err := s.Apply(t.Context(), events)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return r
}

// settleNow settles and waits.
func settleNow(s *Store, o store.Outcome) error {
	done := make(chan error, 1)
	s.Settle(o, func(err error) { done <- err })
	return <-done
}

func mustCheck(t testing.TB, s *Store) store.Report {
	t.Helper()
	report, err := s.Check(t.Context())
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	for _, p := range report.Problems {
		t.Errorf("Check: %s", p)
	}
	return report
}

// wantFound fails unless Check finds a damage that is done to a whole store.
func wantFound(t *testing.T, s *Store, damage func(*cdb.Batch) error, want string) {
	t.Helper()
	mustCheck(t, s)
	b := s.db.NewBatch()
	if err := errors.Join(damage(b), b.Commit(cdb.Sync)); err != nil {
		t.Fatal(err)
	}
	report, err := s.Check(t.Context())
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	if !strings.Contains(strings.Join(report.Problems, "\n"), want) {
		t.Errorf("Check says %q, want something with %q", report.Problems, want)
	}
}
