package pebble

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
)

// formerFormats are the formats of which testdata/formats holds a store that a carrier of that time wrote: a service
// that took events of every verdict, pushed them, and was ended in the middle of it, the odd ones by kill -9. What it
// had answered and done by then is in events.ndjson beside the store.
//
// Who raises the format adds one more of the format before, made with the last commit that wrote it.
var formerFormats = []byte{1, 2, 3, 4, 5}

// formerEvent is what the service of that time said of an event.
type formerEvent struct {
	ID         string `json:"id"`
	DeliveryID string `json:"delivery_id"`
	WaybillID  string `json:"waybill_id"`
	Type       int    `json:"action_type"`
	Verdict    string `json:"verdict"` // As answered.
	Seq        uint64 `json:"seq"`
	Push       string `json:"push"` // The status of its push in the end; empty: it had none.
}

// TestFormerFormats opens a store of each former format, and finds everything that was acknowledged, pushed and decided
// in it, before and after another start.
func TestFormerFormats(t *testing.T) {
	if want := byte(format - 1); !slices.Contains(formerFormats, want) {
		t.Errorf("this carrier writes format %d, and there is no store of format %d among the tests: add one", format, want)
	}
	for _, former := range formerFormats {
		t.Run(fmt.Sprint(former), func(t *testing.T) {
			folder, events := unpackFormer(t, former)
			o := Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
			if got := formatOf(t, folder); got != former {
				t.Fatalf("the store is of format %d, want %d", got, former)
			}
			report, err := CheckDir(t.Context(), folder, o)
			if err != nil || len(report.Problems) > 0 {
				t.Errorf("checked before it is brought up to date: %v, %v", report.Problems, err)
			}
			for range 2 {
				s := mustOpen(t, folder, o)
				holdsFormer(t, s, events)
				mustClose(t, s)
			}
			if got := formatOf(t, folder); got != format {
				t.Errorf("the store is of format %d afterwards, want %d", got, format)
			}
		})
	}
}

// holdsFormer compares a store with what the service of that time said.
func holdsFormer(t *testing.T, s *Store, events []formerEvent) {
	t.Helper()
	if report := mustCheck(t, s); report.Events != uint64(len(events)) {
		t.Errorf("it holds %d events, want %d", report.Events, len(events))
	}
	// What was held then is released by the start: its window is long over.
	if err := s.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	statuses := map[string]int{}
	for _, want := range events {
		if want.Verdict == state.Held.String() && want.Push == "" {
			want.Push = store.Pending.String()
		}
		statuses[want.Push]++
		got, err := s.Events(t.Context(), store.Query{
			DeliveryID: want.DeliveryID, WaybillID: want.WaybillID, Limit: 1, After: want.Seq - 1, Ascending: true,
		})
		if err != nil || len(got.Items) != 1 {
			t.Errorf("event %d: %d rows, %v", want.Seq, len(got.Items), err)
			continue
		}
		e := got.Items[0]
		push := ""
		if e.Status != store.NoPush {
			push = e.Status.String()
		}
		found := formerEvent{e.Event.ID, e.Event.DeliveryID, e.Event.WaybillID, int(e.Event.Type), e.First.String(), e.Seq, push}
		if found != want {
			t.Errorf("event %d is %+v, want %+v", want.Seq, found, want)
		}
	}
	for _, status := range store.Statuses() {
		got, err := s.Pushes(t.Context(), store.Query{Status: status, Limit: store.MaxLimit})
		if want := statuses[status.String()]; err != nil || len(got.Items) != want {
			t.Errorf("%d pushes are listed as %v, want %d; %v", len(got.Items), status, want, err)
		}
	}
	knowsFormer(t, s)
}

// knowsFormer looks for what is kept beside events: Tokens, what is parked and paused, and which ids were taken.
func knowsFormer(t *testing.T, s *Store) {
	t.Helper()
	for _, want := range []struct {
		waybill       string
		token, parked bool
		events        int
	}{
		{"W-DELIVERED", true, false, 8},
		{"W-PARKED", true, true, 2},
		{"W-NOTOKEN", false, false, 2},
		{"W-HELD", true, false, 1},
	} {
		w, err := s.Waybill(t.Context(), state.Waybill{DeliveryID: "SF", WaybillID: want.waybill})
		if err != nil {
			t.Errorf("%s: %v", want.waybill, err)
			continue
		}
		if w.TokenSet != want.token || w.Parked != want.parked || len(w.Timeline) != want.events {
			t.Errorf("%s: Token %v, parked %v, %d events; want %+v", want.waybill, w.TokenSet, w.Parked, len(w.Timeline), want)
		}
		found, err := s.Find(t.Context(), store.FindQuery{End: want.waybill[2:], Limit: 1})
		if err != nil || len(found.Items) != 1 || found.Items[0].Waybill.WaybillID != want.waybill {
			t.Errorf("%s, by its end: %+v, %v", want.waybill, found.Items, err)
		}
	}
	if a, err := s.Account(t.Context(), "JD"); err != nil || !a.Paused || !a.ByHand {
		t.Errorf("account JD is %+v, %v; it was paused by hand", a, err)
	}
	again := state.Event{
		ID: "d100001", Source: "app", DeliveryID: "SF", WaybillID: "W-DELIVERED", Type: state.PickupDone,
		Time: 1_790_000_010, Msg: "已揽收【18666666666】", Token: "TOKEN",
	}
	if r := mustApply(t, s, again); r[0].Verdict != state.Duplicate || r[0].Original != state.Accepted {
		t.Errorf("an event that was taken then is %v now, originally %v", r[0].Verdict, r[0].Original)
	}
}

// formatOf reads a store's format as it is on the disk.
func formatOf(t *testing.T, folder string) byte {
	t.Helper()
	db, err := cdb.Open(filepath.Join(folder, "db"), &cdb.Options{FormatMajorVersion: formatMajor, ReadOnly: true, Logger: &engineLog{log: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	version, _, err := readIdentity(db)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return version
}

// unpackFormer lays a former store into a folder of the test's.
func unpackFormer(t *testing.T, former byte) (folder string, events []formerEvent) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("testdata/formats/format%d.tar.gz", former))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // It was only read.
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && h.Typeflag == tar.TypeReg {
			err = writeFormer(filepath.Join(dir, filepath.FromSlash(h.Name)), in)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "data"), readFormer(t, filepath.Join(dir, "events.ndjson"))
}

func writeFormer(name string, in io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	return errors.Join(err, f.Close())
}

func readFormer(t *testing.T, name string) (events []formerEvent) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // It was only read.
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e formerEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if err := lines.Err(); err != nil || len(events) == 0 {
		t.Fatalf("%d events; %v", len(events), err)
	}
	return events
}
