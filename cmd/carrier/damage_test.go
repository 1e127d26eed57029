package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// damage is one way in which a disk, or a careless restore, spoils a file.
type damage struct {
	name string
	do   func(rng *rand.Rand, content []byte) []byte // nil removes the file.
}

var damages = []damage{
	{"emptied", func(*rand.Rand, []byte) []byte { return []byte{} }},
	{"cut in half", func(_ *rand.Rand, b []byte) []byte { return b[:len(b)/2] }},
	{"a bit flipped", func(rng *rand.Rand, b []byte) []byte {
		b = bytes.Clone(b)
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		return b
	}},
	{"its begin overwritten", func(_ *rand.Rand, b []byte) []byte {
		b = bytes.Clone(b)
		clear(b[:min(64, len(b))])
		return b
	}},
	{"removed", func(*rand.Rand, []byte) []byte { return nil }},
}

// TestDamagedStore spoils every file of a store in every way. The service may refuse to start, in words that help, or
// serve what is whole; it must never crash, look like a new one, or show or push a text that was not sent.
func TestDamagedStore(t *testing.T) {
	t.Run("after a stop", func(t *testing.T) { damageAll(t, false) })
	t.Run("after a kill", func(t *testing.T) { damageAll(t, true) })
}

func damageAll(t *testing.T, killed bool) {
	const seed = 7
	settings, _, events := storeWithEvents(t, killed)
	sent := map[string]string{}
	for _, e := range events {
		sent[e.ID] = e.ActionMsg
	}
	var files []string
	err := filepath.WalkDir(settings.Store, func(path string, d fs.DirEntry, err error) error {
		if info, _ := d.Info(); err == nil && !d.IsDir() && info.Size() > 0 {
			rel, relErr := filepath.Rel(settings.Store, path)
			files = append(files, rel)
			return relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 4 {
		t.Fatalf("the store has only the files %v", files)
	}
	refused, lossless, torn := make(chan string, 1000), make(chan string, 1000), make(chan string, 1000)
	t.Run("files", func(t *testing.T) {
		for i, file := range files {
			for _, d := range damages {
				t.Run(file+" "+d.name, func(t *testing.T) {
					t.Parallel()
					spoiled := *settings
					spoiled.Accounts = slices.Clone(settings.Accounts)
					spoiled.Store = filepath.Join(t.TempDir(), "store")
					if err := os.CopyFS(spoiled.Store, os.DirFS(settings.Store)); err != nil {
						t.Fatal(err)
					}
					if !spoil(t, filepath.Join(spoiled.Store, file), d, rand.New(rand.NewPCG(seed, uint64(i)))) {
						return
					}
					kept, ok := openSpoiled(t, &spoiled, sent)
					status, out, errs := command(t, nil, "", "store", "check", "-c", spoiled.File(t))
					if status > 1 || status == 0 && !ok || strings.Contains(errs, "goroutine ") {
						t.Errorf("store check ended with status %d (the service started: %v):\n%s%s", status, ok, out, errs)
					}
					if status == 1 {
						oneLine(t, errs[strings.LastIndex(strings.TrimSuffix(errs, "\n"), "\n")+1:])
					}
					if strings.Contains(errs+out, "<corruption") {
						t.Errorf("store check speaks to programs:\n%s%s", out, errs)
					}
					switch {
					case !ok:
						refused <- file
					case kept == len(sent):
						lossless <- file
					case killed && kept > 0 && strings.HasSuffix(file, ".log"):
						// The last 32 KiB of a log that was not closed can't be told from a write that a power cut tore:
						// nothing after them says that they were whole once. What is left has no hole.
						torn <- file
					default:
						t.Errorf("the service started with %d of %d events and said nothing", kept, len(sent))
					}
				})
			}
		}
	})
	t.Logf("%d files: %d times the service refused to start, %d times nothing was lost, %d times the log ended earlier",
		len(files), len(refused), len(lossless), len(torn))
	if len(refused) == 0 || len(torn) > 3 {
		t.Errorf("refused %d times, cut logs taken %d times; want some, and 3 at most", len(refused), len(torn))
	}
}

// spoil damages one file; it is false if that changes nothing.
func spoil(t *testing.T, path string, d damage, rng *rand.Rand) bool {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := d.do(rng, content)
	if changed == nil {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	return !bytes.Equal(content, changed)
}

// openSpoiled starts the service on a damaged store. It returns how many events are kept, or false if the service
// refused to start.
func openSpoiled(t *testing.T, settings *apptest.Settings, sent map[string]string) (kept int, ok bool) {
	t.Helper()
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings.Accounts[0].BaseURL = up.URL
	p := launch(t, settings.File(t))
	if !p.up() {
		log := p.tail(1000)
		last := log[strings.LastIndex(log, "\n")+1:]
		if p.status() != 1 || strings.Contains(log, "goroutine ") || !strings.HasPrefix(last, "carrier: ") || !strings.Contains(last, settings.Store) {
			t.Errorf("the service ended with status %d; want 1 and one line about the store:\n%s", p.status(), log)
		}
		return 0, false
	}
	c := settings.Client(t, p.events, p.admin)
	list := c.EventsOf(t, "")
	for i, e := range list { // Newest first.
		if want := uint64(len(list) - i); e.Seq != want {
			t.Errorf("event number %d stands where %d should: there is a hole", e.Seq, want)
		}
		if want, was := sent[e.EventID]; !was || e.ActionMsg != want {
			t.Errorf("event %s has the text %q, sent was %q", e.EventID, e.ActionMsg, want)
		}
		kept++
	}
	for _, a := range up.All() {
		if msg := fmt.Sprintf("of %s", a.WaybillID); !strings.HasSuffix(a.ActionMsg, msg) {
			t.Errorf("pushed %q of waybill %s", a.ActionMsg, a.WaybillID)
		}
	}
	p.kill()
	return kept, true
}
