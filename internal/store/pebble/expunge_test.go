package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
)

// filesWith lists the files in which a text stands as it is.
func filesWith(t *testing.T, fs vfs.FS, dir, text string) (found []string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // It was deleted meanwhile.
		}
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			found = append(found, filesWith(t, fs, path, text)...)
			continue
		}
		f, err := fs.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(all, []byte(text)) {
			found = append(found, path)
		}
	}
	return found
}

// soughtFor looks into the files until a text is in one of them, or in none, as is wanted: the engine writes files anew,
// and deletes those that it needs no more, beside everything else, and a text may move from a file that was not read yet
// to one that was not listed.
func soughtFor(t *testing.T, fs vfs.FS, text string, wanted bool) (found []string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		if found = filesWith(t, fs, "data", text); len(found) > 0 == wanted || time.Now().After(deadline) {
			return found
		}
	}
}

// The canaries, one for each kind of personal data. Random letters are not compressed away.
var canaries = map[string]string{
	"text": "TEXT-qXw83Jk1zPv7LmR", "errmsg": "ERRMSG-Yt6bN0cVh2DsGf9", "token": "TOKEN-u4KaEo5iZr8WxQm",
	"waybill data": "DATA-pL7hJ3nBv1CyTg6", "shown text": "SHOWN-k9GzTq4mXe2WuHb",
}

var canaryWaybill = state.Waybill{DeliveryID: "SF", WaybillID: "canary"}

// putCanaries keeps a waybill with all canaries, among others.
func putCanaries(t *testing.T, s *Store) {
	t.Helper()
	o := store.Order{
		OrderKey:  store.OrderKey{DeliveryID: "SF", BizID: "B", OrderID: "1"},
		WaybillID: canaryWaybill.WaybillID, WaybillData: canaries["waybill data"],
	}
	if _, _, err := s.PutOrder(t.Context(), o, canaries["token"]); err != nil {
		t.Fatal(err)
	}
	shown := store.Shown{Version: 1, Actions: []store.ShownAction{{Time: 1, Msg: canaries["shown text"]}}}
	if _, err := s.PutShown(t.Context(), canaryWaybill, shown); err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		e := scanOf(canaryWaybill.WaybillID, n)
		e.Msg, e.Token = canaries["text"], canaries["token"]+fmt.Sprint(n)
		r := mustApply(t, s, e)
		err := settleNow(s, store.Outcome{
			Seq: r[0].Seq, Waybill: canaryWaybill, Status: store.Delivered,
			Attempt: &store.Attempt{Errcode: new(0), Errmsg: canaries["errmsg"]},
		})
		if err != nil {
			t.Fatal(err)
		}
		for other := range 50 {
			mustApply(t, s, scanOf(fmt.Sprint("other", other), n))
		}
	}
}

// TestExpungeLeavesTheFiles searches the files of a store for what was expunged: rows that were still in memory and in
// the log, rows that were in tables of the last level and of the first, and logs that are kept to be written over.
func TestExpungeLeavesTheFiles(t *testing.T) {
	flush := func(t *testing.T, s *Store) {
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for name, settle := range map[string]func(*testing.T, *Store){
		"in memory and the log":         func(*testing.T, *Store) {},
		"in a table of the first level": flush,
		"in the last level": func(t *testing.T, s *Store) {
			flush(t, s)
			if err := s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
				t.Fatal(err)
			}
		},
		"in logs that are kept": func(t *testing.T, s *Store) {
			for n := range 10 {
				mustApply(t, s, scanOf(fmt.Sprint("log", n), 0))
				flush(t, s)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			o := options(t, fs)
			s, err := Open("data", o)
			if err != nil {
				t.Fatal(err)
			}
			putCanaries(t, s)
			settle(t, s)
			for kind, text := range canaries {
				if len(soughtFor(t, fs, text, true)) == 0 {
					t.Fatalf("the %s is not in the files to begin with: the test proves nothing", kind)
				}
			}
			if _, err := s.Expunge(t.Context(), canaryWaybill, store.Act{}); err != nil {
				t.Fatal(err)
			}
			if err := s.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			for kind, text := range canaries {
				if found := soughtFor(t, fs, text, false); len(found) > 0 {
					t.Errorf("while the store goes on, the %s is in %q", kind, found)
				}
			}
			if hasRows(s.db, []byte{tableUnwashed}, []byte{tableUnwashed + 1}) {
				t.Error("the waybill still waits to be washed")
			}
			mustCheck(t, s)
			mustClose(t, s)
			for kind, text := range canaries {
				if found := filesWith(t, fs, "data", text); len(found) > 0 {
					t.Errorf("after the store was closed, the %s is in %q", kind, found)
				}
			}
			s = mustOpen(t, "data", o)
			if p, err := s.Push(t.Context(), 2); err != nil || p.Event.Msg != "" || p.Status != store.Delivered {
				t.Errorf("push 2: %+v, %v", p, err)
			}
		})
	}
}

// TestExpungeThenPowerLoss cuts the power between the two: the next start finishes it.
func TestExpungeThenPowerLoss(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpen(t, "data", options(t, mem))
	putCanaries(t, s)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expunge(t.Context(), canaryWaybill, store.Act{}); err != nil {
		t.Fatal(err)
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, 1))})
	again := mustOpen(t, "data", options(t, crashed))
	if err := again.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	for kind, text := range canaries {
		if found := soughtFor(t, crashed, text, false); len(found) > 0 {
			t.Errorf("the %s is in %q", kind, found)
		}
	}
	mustCheck(t, again)
}

// TestExpungeWaitsForReaders: what reads an older state keeps it alive, so washing waits for that, and for nothing that
// begins later.
func TestExpungeWaitsForReaders(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, "data", options(t, fs))
	putCanaries(t, s)
	ended := s.washer.see()
	snapshot := s.db.NewSnapshot()
	if _, err := s.Expunge(t.Context(), canaryWaybill, store.Act{}); err != nil {
		t.Fatal(err)
	}
	before := s.washer.views
	done := make(chan error, 1)
	go func() { done <- s.wash(t.Context()) }()
	for waits := false; !waits; runtime.Gosched() {
		s.washer.viewsMu.Lock()
		waits = s.washer.views != before
		s.washer.viewsMu.Unlock()
	}
	defer s.washer.see()() // What begins now is not waited for.
	select {
	case err := <-done:
		t.Fatalf("washed while somebody reads: %v", err)
	default:
	}
	if err := snapshot.Close(); err != nil {
		t.Fatal(err)
	}
	ended()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if found := soughtFor(t, fs, canaries["text"], false); len(found) > 0 {
		t.Errorf("the text is in %q", found)
	}
}
