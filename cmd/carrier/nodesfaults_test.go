//go:build unix

package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
	"carrier/internal/store/postgres/pgtest"
)

const (
	killEvery = 5 * time.Second
	// pushesAtOnce is each node's concurrency, and so what one of them may have under way.
	pushesAtOnce = 64
)

// fault is something that befell nodes, and when it was over.
type fault struct {
	kind       string
	begun, end time.Time
	slots      map[int16]bool // Whose waybills it concerned; nil: all.
}

// explains tells whether a push was sent twice because of the fault: it was under way when that began.
func (f *fault) explains(first, second *sandbox.Arrival, slot int16) bool {
	return (f.slots == nil || f.slots[slot]) &&
		first.At.After(f.begun.Add(-pushTimeout)) && first.At.Before(f.end) && second.At.After(f.begun)
}

// until puts the fault's end off.
func (f *fault) until(t time.Time) {
	if t.After(f.end) {
		f.end = t
	}
}

// besieged is three nodes on a PostgreSQL of their own while all sorts of things happen to them.
type besieged struct {
	*cluster
	server *pgtest.Server
	db     *pgtest.Database
	rng    *rand.Rand
	names  map[*clusterNode]string
	made   int
	faults []*fault

	paused *clusterNode // That stands still at the moment.
	pause  *fault
	slept  standstill
	places map[string]int16 // See slotsOfWaybills.
}

// TestNodesUnderFaults kills a random node of three every 5 s, crashes PostgreSQL once, and has a node stand still for
// longer than its lease, under load all the while. Run it with -nodes-for 60s for a release.
func TestNodesUnderFaults(t *testing.T) {
	seed := rand.Uint64N(1 << 32)
	t.Logf("seed %d", seed)
	server := pgtest.StartServer(t)
	// Upstream answers, so that whatever arrives twice does so because of a fault here.
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	up.Faulty(t, sandbox.Faults{Trouble: sandbox.Trouble{
		Latency: sandbox.Duration(5 * time.Millisecond), Jitter: sandbox.Duration(40 * time.Millisecond),
	}})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL, Timeout: pushTimeout, Concurrency: pushesAtOnce})
	b := &besieged{
		cluster: &cluster{T: t, settings: settings}, server: server, db: server.Database(t),
		rng: rand.New(rand.NewPCG(seed, 5)), names: map[*clusterNode]string{},
	}
	settings.StoreURL, settings.Lease = b.db.URL(), testLease
	b.file = settings.File(t)
	for range 3 {
		b.with(b.startNode())
	}
	b.slept = standstill{most: pushesAtOnce, of: b.wasPaused}
	l := &load{up: up, slept: &b.slept}
	l.start(t, seed, b.client, 300)
	progress(t, l, 300)
	b.suffer(*nodesFor)
	progress(t, l, l.Acked()+300)
	l.client.Store(b.client())

	run := l.finish(t, b.outages())
	slots := b.slotsOfWaybills()
	b.reportTakeovers(run.Arrivals, slots)
	b.judgeRepeats(run.Arrivals, slots)
	t.Logf("%d pushes were sent too late by a node that had stood still", len(b.slept.sent))
	t.Logf("%d events acknowledged and %d pushes arrived within %v of faults; %d requests were cut", l.Acked(), len(run.Arrivals), *nodesFor, l.Cut.Load())
	if want := 40 * int(nodesFor.Seconds()); l.Acked() < want {
		t.Errorf("the run is void: %d events were acknowledged, want %d", l.Acked(), want)
	}
	checkStore(t, b.file, len(run.Stored))
}

// startNode starts a node under a name of its own.
func (b *besieged) startNode() *clusterNode {
	b.Helper()
	b.made++
	name := fmt.Sprintf("node-%d", b.made)
	b.Setenv("CARRIER_STORE_NODE", name)
	n := b.start()
	b.names[n] = name
	return n
}

// suffer goes through what happens, for as long as d.
func (b *besieged) suffer(d time.Duration) {
	b.Helper()
	type step struct {
		at time.Duration
		do func()
	}
	var steps []step
	for at := killEvery; at <= d; at += killEvery {
		steps = append(steps, step{at, b.killOne})
	}
	stop := d * 3 / 4
	steps = append(steps, step{d/2 + killEvery/2, b.crashDatabase}, step{stop + killEvery/4, b.pauseOne}, step{stop + killEvery/4 + 2*testLease, b.resume})
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	begun := time.Now()
	for _, s := range steps {
		time.Sleep(time.Until(begun.Add(s.at))) // Other processes must see real time pass.
		s.do()
	}
}

// one picks a node that runs: one that stands still is not among them.
func (b *besieged) one() (i int) { return b.rng.IntN(len(b.nodes)) }

// befall has something happen to a node, and notes what the node owned when it did.
func (b *besieged) befall(n *clusterNode, kind string, happen func()) *fault {
	b.Helper()
	f := &fault{kind: kind, begun: time.Now()}
	happen()
	f.slots = b.slotsOf(n) // It can't hand any over by now.
	if len(f.slots) == 0 {
		b.Logf("%s: %s owned nothing at that moment", kind, b.names[n])
	}
	// What it had in flight may be sent again until others have taken over.
	f.end = f.begun.Add(testLease + pushTimeout)
	b.faults = append(b.faults, f)
	return f
}

func (b *besieged) killOne() {
	n := b.without(b.one())
	f := b.befall(n, "a node was killed", n.kill)
	b.with(b.startNode())
	f.until(time.Now())
}

func (b *besieged) crashDatabase() {
	f := &fault{kind: "PostgreSQL crashed", begun: time.Now()}
	b.server.Kill(b)
	b.server.Restart(b)
	f.end = time.Now().Add(2*testLease + pushTimeout) // Leases may have ended meanwhile.
	b.faults = append(b.faults, f)
}

func (b *besieged) pauseOne() {
	b.paused = b.without(b.one())
	b.pause = b.befall(b.paused, "a node stood still", func() { b.signal(syscall.SIGSTOP) })
}

func (b *besieged) resume() {
	b.slept.resumed = time.Now()
	b.signal(syscall.SIGCONT)
	b.pause.until(time.Now().Add(pushTimeout))
	b.with(b.paused)
	b.paused = nil
}

func (b *besieged) signal(s syscall.Signal) {
	b.Helper()
	if err := b.paused.cmd.Process.Signal(s); err != nil {
		b.Fatal(err)
	}
}

// wasPaused tells whether the node that stood still owned a waybill when it fell asleep.
func (b *besieged) wasPaused(waybill string) bool {
	return b.pause.slots[b.slotsOfWaybills()[waybill]]
}

// slotsOf asks the database what a node owns.
func (b *besieged) slotsOf(n *clusterNode) map[int16]bool {
	slots := map[int16]bool{}
	rows := b.query(`SELECT slot FROM leases WHERE owner = (SELECT max(number) FROM nodes WHERE name = $1)`, b.names[n])
	for _, slot := range collect(b, rows, pgx.RowTo[int16]) {
		slots[slot] = true
	}
	return slots
}

// slotsOfWaybills asks the database where waybills belong: once, when the load has ended.
func (b *besieged) slotsOfWaybills() map[string]int16 {
	if b.places != nil {
		return b.places
	}
	type place struct {
		Waybill string
		Slot    int16
	}
	b.places = map[string]int16{}
	for _, p := range collect(b, b.query("SELECT waybill_id, slot FROM waybills"), pgx.RowToStructByPos[place]) {
		b.places[p.Waybill] = p.Slot
	}
	return b.places
}

// query asks over a connection of its own: PostgreSQL may have crashed since the last one.
func (b *besieged) query(sql string, args ...any) pgx.Rows {
	b.Helper()
	ctx := context.WithoutCancel(b.Context())
	conn, err := pgx.Connect(ctx, b.db.URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(ctx) })
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		b.Fatal(err)
	}
	return rows
}

func collect[T any](b *besieged, rows pgx.Rows, to pgx.RowToFunc[T]) []T {
	b.Helper()
	list, err := pgx.CollectRows(rows, to)
	if err != nil {
		b.Fatal(err)
	}
	return list
}

func (b *besieged) outages() (list []apptest.Outage) {
	for _, f := range b.faults {
		list = append(list, apptest.Outage{Killed: f.begun, Up: f.end})
	}
	return list
}

// reportTakeovers tells how long waybills of a node stood still when it was killed or stood still itself: from then
// until one of them next moved upstream by another node's hand. What was on its way already is told from that by the
// time: nobody takes over as long as the lease may last.
func (b *besieged) reportTakeovers(arrivals []sandbox.Arrival, slots map[string]int16) {
	b.Helper()
	var took []time.Duration
	for _, f := range b.faults {
		if len(f.slots) == 0 {
			continue
		}
		lease := f.begun.Add(testLease / 2)
		next := slices.IndexFunc(arrivals, func(a sandbox.Arrival) bool { return a.At.After(lease) && f.slots[slots[a.WaybillID]] })
		if next < 0 {
			b.Errorf("%s, and none of its waybills ever moved again", f.kind)
			continue
		}
		took = append(took, arrivals[next].At.Sub(f.begun).Round(10*time.Millisecond))
	}
	slices.Sort(took)
	if len(took) < int(*nodesFor/killEvery)-1 {
		b.Fatalf("the run is void: %d takeovers were seen", len(took))
	}
	b.Logf("%d takeovers, lease %v: %v at best, %v in the middle, %v at worst", len(took), testLease, took[0], took[len(took)/2], took[len(took)-1])
}

// judgeRepeats sees that what arrived twice was under way when a fault befell the very node that sent it, and that it
// is no more than nodes have under way.
func (b *besieged) judgeRepeats(arrivals []sandbox.Arrival, slots map[string]int16) {
	b.Helper()
	counts, most := map[string]int{}, map[string]int{}
	for _, f := range b.faults {
		most[f.kind] += pushesAtOnce
		if f.slots == nil {
			most[f.kind] += 2 * pushesAtOnce // It befell all nodes.
		}
	}
	last := map[string]*sandbox.Arrival{}
	for i := range arrivals {
		a := &arrivals[i]
		first := last[a.WaybillID]
		last[a.WaybillID] = a
		if !a.Repeat {
			continue
		}
		why := slices.IndexFunc(b.faults, func(f *fault) bool { return first != nil && f.explains(first, a, slots[a.WaybillID]) })
		if why < 0 {
			b.Errorf("waybill %s: %d arrived twice, and nothing had befallen the node that sent it", a.WaybillID, a.ActionType)
			continue
		}
		counts[b.faults[why].kind]++
	}
	var told []string
	for kind, limit := range most {
		told = append(told, fmt.Sprintf("%d when %s (at most %d can be)", counts[kind], kind, limit))
		if counts[kind] > limit {
			b.Errorf("%d pushes were sent twice when %s; at most %d were under way", counts[kind], kind, limit)
		}
	}
	slices.Sort(told)
	b.Logf("sent twice: %s", strings.Join(told, ", "))
}
