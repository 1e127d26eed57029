package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// fullDisk is a service on a small disk.
type fullDisk struct {
	*testing.T
	dir      string
	settings *apptest.Settings
	file     string
	up       *apptest.Upstream
	p        *process
	c        *apptest.Client
}

// minFree is the low-water mark of these tests, and smallDisk the disk's size: room for what the engine below keeps of
// its log, and for some of its tables.
const (
	minFree   = 64 << 20
	smallDisk = "256m"
)

func startOnSmallDisk(t *testing.T, o sandbox.Options) *fullDisk {
	t.Helper()
	d := &fullDisk{T: t, dir: newSmallDisk(t, smallDisk), up: apptest.NewUpstream(t, o)}
	d.settings = apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: d.up.URL})
	d.settings.Store = filepath.Join(d.dir, "store")
	d.settings.MinFree = fmt.Sprint(minFree)
	d.file = d.settings.File(t)
	d.start()
	return d
}

func (d *fullDisk) start() {
	d.Helper()
	d.p, d.c = serveCarrier(d, d.settings, d.file)
}

// free is how much of the disk is free, in bytes.
func (d *fullDisk) free() int64 {
	d.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &s); err != nil {
		d.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

// fill has somebody else fill the disk until so many bytes are left. The service writes meanwhile.
func (d *fullDisk) fill(left int64) {
	d.Helper()
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for {
		n := d.free() - left
		if n <= 0 {
			return
		}
		_, err := io.CopyN(f, zeros{}, min(n, 1<<20))
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		if err != nil {
			d.Fatal(err)
		}
	}
}

func (d *fullDisk) filler() string { return filepath.Join(d.dir, "somebody-else") }

// clear frees what fill took.
func (d *fullDisk) clear() {
	d.Helper()
	if err := os.Remove(d.filler()); err != nil {
		d.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// refuses waits until the service says that it takes no events, and checks that it takes none, and how it says so.
func (d *fullDisk) refuses() {
	d.Helper()
	var ready []byte
	apptest.Eventually(d, soon, func() bool {
		status, body := d.c.AskAs(d, "", http.MethodGet, "/readyz", nil)
		ready = body
		return status == http.StatusServiceUnavailable
	}, func() string { return fmt.Sprintf("/readyz says that events are refused: %s", ready) })
	if !strings.Contains(string(ready), "free some space") {
		d.Errorf("/readyz answers %s; want what to do", ready)
	}
	a := d.c.Send(d, apptest.Event{ID: "refused", DeliveryID: "SF", WaybillID: "X1", ActionType: 100001, ActionTime: 1, ActionMsg: "x"})
	if a.HTTP != http.StatusServiceUnavailable || a.Reason != "disk_low" || a.Head.Get("Retry-After") == "" {
		d.Errorf("a full disk is answered %d %s, Retry-After %q; want 503, disk_low, and when to come again",
			a.HTTP, a.Body, a.Head.Get("Retry-After"))
	}
}

// allPushed tells whether no push is left that could go: those that wait for a Token can't, and what is behind them.
func (d *fullDisk) allPushed() bool {
	return !slices.ContainsFunc(d.c.Pushes(d, "status=pending"), func(p apptest.ListedPush) bool {
		return p.WaitingFor != "token" && p.WaitingFor != "waybill"
	})
}

// takes waits until the service takes events again by itself.
func (d *fullDisk) takes(l *load) {
	d.Helper()
	before, begun := l.Acked(), time.Now()
	apptest.Eventually(d, soon, func() bool { return l.Acked() > before+20 }, apptest.Text("events are taken again"))
	d.Logf("events were taken again %v after there was space", time.Since(begun).Round(10*time.Millisecond))
}

// TestDiskFull lets the store's disk fill up under load. Intake stops in time, with an answer that says when to come
// again; pushes go on; and all goes on by itself when there is space.
func TestDiskFull(t *testing.T) {
	t.Run("somebody else takes the space", func(t *testing.T) {
		seed := rand.Uint64N(1 << 32)
		d := startOnSmallDisk(t, sandbox.Options{Seed: seed | 1})
		d.up.Faulty(t, sandbox.Faults{Trouble: sandbox.Trouble{Latency: sandbox.Duration(100 * time.Millisecond)}})
		l := startLoad(t, seed, d.up, d.c, 300)
		progress(t, l, 100)
		d.fill(minFree / 2)
		d.refuses()
		refused := l.Acked()
		apptest.Eventually(t, soon, d.allPushed, apptest.Text("what was taken before is pushed"))
		if n := l.Acked(); n != refused {
			t.Errorf("%d events were taken while the disk was full", n-refused)
		}
		d.clear()
		d.takes(l)
		l.finish(t, nil)
	})
	t.Run("to the last byte", func(t *testing.T) {
		seed := rand.Uint64N(1 << 32)
		d := startOnSmallDisk(t, sandbox.Options{Seed: seed | 1})
		d.up.Faulty(t, sandbox.Faults{Trouble: sandbox.Trouble{Latency: sandbox.Duration(20 * time.Millisecond)}})
		l := startLoad(t, seed, d.up, d.c, 1000)
		progress(t, l, 100)
		out := apptest.Outage{Killed: time.Now()}
		d.fill(0)
		d.endsOrRefuses()
		d.clear()
		d.start()
		l.client.Store(d.c)
		out.Up = time.Now()
		d.takes(l)
		l.finish(t, []apptest.Outage{out})
	})
	t.Run("by what it is sent", func(t *testing.T) {
		d := startOnSmallDisk(t, sandbox.Options{Open: true})
		d.fill(minFree + 24<<20)
		acked := d.flood()
		d.refuses()
		if free := d.free(); free == 0 {
			t.Error("nothing is free: intake stopped too late")
		}
		d.clear()
		e := apptest.Event{ID: "again", DeliveryID: "SF", WaybillID: "AGAIN", ActionType: 100001, ActionTime: 1, ActionMsg: "x", Token: "t"}
		apptest.Eventually(t, soon, func() bool { return d.c.Send(t, e).HTTP == http.StatusAccepted }, apptest.Text("events are taken again"))
		d.c.Settled(t, later)
		kept := map[string]bool{}
		for _, s := range d.c.EventsOf(t, "") {
			kept[s.EventID] = true
		}
		for _, id := range acked {
			if !kept[id] {
				t.Errorf("event %s was acknowledged and is lost", id)
			}
		}
		t.Logf("%d events filled the disk", len(acked))
		if status, took := d.p.terminate(t); status != 0 || took > 30*time.Second {
			t.Errorf("the service ended with status %d after %v", status, took)
		}
		checkStore(t, d.file, len(kept))
	})
}

// endsOrRefuses waits until a service whose disk has no byte left refuses events, or has ended in good order: what
// became of pushes is written until nothing more can be, and then it must end.
func (d *fullDisk) endsOrRefuses() {
	d.Helper()
	apptest.Eventually(d, soon, func() bool {
		if !d.p.running() {
			return true
		}
		status, _, _, err := d.c.Do(d.Context(), http.MethodGet, d.c.Admin+"/readyz", "", nil, nil)
		return err == nil && status == http.StatusServiceUnavailable
	}, apptest.Text("events are refused"))
	if d.p.running() {
		d.p.kill() // As an operator may, who finds a service that takes nothing.
	} else {
		d.endedInOrder(d.p)
	}
	again := launch(d, d.file)
	if again.up() {
		d.Errorf("the service starts on a disk without a byte left")
	} else {
		d.endedInOrder(again)
	}
}

// endedInOrder checks that a process ended with one line that names the disk.
func (d *fullDisk) endedInOrder(p *process) {
	d.Helper()
	log := p.tail(1000)
	last := log[strings.LastIndex(log, "\n")+1:]
	if p.status() != 1 || strings.Contains(log, "goroutine ") || !strings.Contains(last, "no space left on device") || !strings.Contains(last, d.settings.Store) {
		d.Errorf("the service ended with status %d; want 1, and a line that names the full disk:\n%s", p.status(), log)
	}
}

// flood sends long texts until the service takes no more, and returns the ids of what it took.
func (d *fullDisk) flood() (acked []string) {
	d.Helper()
	const senders = 4
	var mu sync.Mutex
	var all sync.WaitGroup
	for g := range senders {
		all.Go(func() {
			for n := 0; ; n++ {
				events := make([]apptest.Event, 100)
				for i := range events {
					waybill := fmt.Sprintf("FULL%d-%d-%d", g, n, i)
					// Texts that don't compress.
					msg := make([]byte, 1000)
					for j := range msg {
						msg[j] = byte('!' + rand.IntN(90))
					}
					events[i] = apptest.Event{ID: waybill, DeliveryID: "SF", WaybillID: waybill, ActionType: 100001, ActionTime: 1, ActionMsg: string(msg), Token: "t"}
				}
				answers, err := d.c.PostBatch(d.Context(), events, false)
				if err != nil {
					d.Errorf("a batch has no answer: %v", err)
					return
				}
				if answers[0].HTTP != http.StatusOK {
					return
				}
				mu.Lock()
				for i, a := range answers {
					if a.Verdict == "accepted" {
						acked = append(acked, events[i].ID)
					}
				}
				mu.Unlock()
				if slices.ContainsFunc(answers, func(a apptest.Answer) bool { return a.Verdict != "accepted" }) {
					return
				}
			}
		})
	}
	all.Wait()
	return acked
}
