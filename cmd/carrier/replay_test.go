package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// What TestReplayOfTenThousand is made of.
const (
	wrongToken  = 500 // Waybills with a Token that upstream refuses: one failed push each, and two behind it.
	exhausted   = 500 // Waybills whose pushes failed in an outage.
	scansEach   = 19  // Pushes of each of these.
	failedInAll = wrongToken + exhausted*scansEach
)

// failFast gives up within milliseconds, so that an outage leaves many failed pushes behind.
const failFast = `{retry: {initial: 1ms, max: 5ms, multiplier: 2, max_age: 10ms}, token_retries: 2, ` +
	`breaker: {min_requests: 1000000, failure_ratio: 1, interval: 10s, open_for: 300ms, half_open: 2}}`

// TestReplayOfTenThousand breaks 10,000 pushes of 1,000 waybills in two ways, mends the first 500 with new Tokens alone
// and the rest with one bulk replay, kills the service in the middle of it, and sees that order holds, that nothing is
// sent twice but what was in flight then, and what it does to live events.
func TestReplayOfTenThousand(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Seed: 3})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL, Timeout: 5 * time.Second})
	settings.Push = failFast
	file := settings.File(t)
	p, c := serveCarrier(t, settings, file)
	r := &replayRun{t: t, up: up}
	r.client.Store(c)

	r.breakTokens(c)
	r.breakByOutage(c)
	r.failed(c, failedInAll)

	// Live events flow from here on.
	up.Faulty(t, sandbox.Faults{Trouble: sandbox.Trouble{Latency: sandbox.Duration(10 * time.Millisecond)}})
	live := r.startLive()
	for i := range wrongToken {
		c.Call(t, http.MethodPut, "/admin/v1/waybills/SF/"+refusedWaybill(i)+"/token",
			map[string]string{"token": "token-" + refusedWaybill(i)}, http.StatusOK, nil)
	}
	r.failed(c, exhausted*scansEach) // The Tokens alone have mended the others.
	quiet := live.mark()
	time.Sleep(3 * time.Second) // What live events take without a replay is measured over some time.

	filter := map[string]any{"filter": map[string]any{"status": "failed", "delivery_id": "SF"}}
	r.dryRun(c, filter)
	busy := live.mark()
	var job apptest.Replay
	filter["reason"], filter["rate"] = "the outage is over", 1500 // Three times the usual: a test should not take long.
	c.Call(t, http.MethodPost, "/admin/v1/replays", filter, http.StatusAccepted, &job)
	if job.Matched != exhausted*scansEach || job.Status != "running" || job.By != "ops" {
		t.Errorf("the replay begins as %+v", job)
	}

	r.progress(&job, func() bool { return job.Delivered > exhausted*scansEach/4 })
	end := live.mark()
	p.kill()
	if job.Status != "running" {
		t.Fatalf("the run is void: the replay was through before the kill: %+v", job)
	}
	p, c = serveCarrier(t, settings, file)
	r.client.Store(c)
	r.progress(&job, func() bool { return job.Status == "done" })
	if job.Delivered != exhausted*scansEach || job.Requeued != job.Delivered || job.Skipped+job.Failed+job.Discarded != 0 {
		t.Errorf("the replay ends as %+v", job)
	}
	live.finish()
	c.Settled(t, later)

	r.compare(live.sent)
	r.identity(c, job.ID)
	before, while := live.latency(c, quiet, busy), live.latency(c, busy, end)
	t.Logf("live events, accepted to delivered: p99 %v of %d without the replay, %v of %d with it (%.2f times)",
		before.p99, before.n, while.p99, while.n, float64(while.p99)/float64(before.p99))
	if before.n < 50 || while.n < 20 {
		t.Errorf("the run is void: too few live events")
	}
	if status, _ := p.terminate(t); status != 0 {
		t.Errorf("the service ended with status %d", status)
	}
	checkStore(t, file, len(r.events)+len(live.sent))
}

func refusedWaybill(i int) string { return fmt.Sprintf("TOKEN%04d", i) }
func outageWaybill(i int) string  { return fmt.Sprintf("OUTAGE%04d", i) }

// replayRun is what the test has sent.
type replayRun struct {
	t      *testing.T
	up     *apptest.Upstream
	client atomic.Pointer[apptest.Client]
	events []apptest.Event
}

// order registers a waybill upstream, with its right Token.
func (r *replayRun) order(waybill string) {
	if _, err := r.up.AddOrder(sandbox.Order{WaybillID: waybill, Token: "token-" + waybill}); err != nil {
		r.t.Error(err)
	}
}

func (r *replayRun) send(c *apptest.Client, events []apptest.Event) {
	r.t.Helper()
	r.events = append(r.events, events...)
	for part := range slices.Chunk(events, 1000) {
		answers, err := c.PostBatch(r.t.Context(), part, false)
		if err != nil {
			r.t.Fatal(err)
		}
		for i, a := range answers {
			if a.Verdict != "accepted" {
				r.t.Fatalf("event %s is %q", part[i].ID, a.Verdict)
			}
		}
	}
}

// scansOf are scans of a waybill: a pickup and then stops on the way.
func scansOf(waybill, token string, n int) []apptest.Event {
	events := make([]apptest.Event, n)
	for i := range events {
		events[i] = apptest.Event{
			ID: fmt.Sprintf("%s-%d", waybill, i), DeliveryID: "SF", WaybillID: waybill, ActionType: 200001,
			ActionTime: 1_700_000_000 + int64(i)*60, ActionMsg: fmt.Sprintf("%s 第 %d 站", waybill, i), Token: token,
		}
	}
	events[0].ActionType = 100001
	return events
}

// breakTokens sends scans with Tokens that upstream refuses: the first push of each waybill fails, the others wait.
func (r *replayRun) breakTokens(c *apptest.Client) {
	var events []apptest.Event
	for i := range wrongToken {
		r.order(refusedWaybill(i))
		events = append(events, scansOf(refusedWaybill(i), "wrong-"+refusedWaybill(i), 3)...)
	}
	r.send(c, events)
	r.failed(c, wrongToken)
}

func (r *replayRun) breakByOutage(c *apptest.Client) {
	var events []apptest.Event
	for i := range exhausted {
		r.order(outageWaybill(i))
		events = append(events, scansOf(outageWaybill(i), "token-"+outageWaybill(i), scansEach)...)
	}
	r.up.Faulty(r.t, sandbox.Faults{Trouble: sandbox.Trouble{Busy: 1}})
	r.send(c, events)
}

// failed waits until so many pushes have failed.
func (r *replayRun) failed(c *apptest.Client, want int) {
	r.t.Helper()
	var got int64
	apptest.Eventually(r.t, later, func() bool {
		got = c.Account(r.t, "SF").Counts["failed"]
		return got == int64(want)
	}, func() string { return fmt.Sprintf("%d failed pushes: there are %d", want, got) })
}

// dryRun sees that a dry run says what will happen, and does nothing.
func (r *replayRun) dryRun(c *apptest.Client, request map[string]any) {
	r.t.Helper()
	request["dry_run"] = true
	defer delete(request, "dry_run")
	var plan apptest.DryRun
	c.Call(r.t, http.MethodPost, "/admin/v1/replays", request, http.StatusOK, &plan)
	all := exhausted * scansEach
	if plan.Matched != all || !plan.Complete || plan.Totals["send"] != exhausted ||
		plan.Totals["waits_behind"] != all-exhausted || plan.Calls != all || plan.Minutes <= 0 || len(plan.Sample) == 0 {
		r.t.Errorf("the dry run says %+v", plan)
	}
	if n := c.Account(r.t, "SF").Counts["failed"]; n != int64(all) {
		r.t.Errorf("after the dry run %d pushes are failed, want %d", n, all)
	}
}

// progress waits until a replay is as far as it should be.
func (r *replayRun) progress(job *apptest.Replay, far func() bool) {
	r.t.Helper()
	apptest.Eventually(r.t, later, func() bool {
		r.client.Load().Call(r.t, http.MethodGet, "/admin/v1/replays/"+job.ID, nil, http.StatusOK, job)
		return far()
	}, func() string { return fmt.Sprintf("a replay goes on: it is %+v", *job) })
}

// compare sees that upstream has every event once for the customer, in order, and that nothing was sent twice but what
// was in flight at the kill.
func (r *replayRun) compare(live []apptest.Event) {
	r.t.Helper()
	want := map[string][]apptest.Event{}
	for _, e := range slices.Concat(r.events, live) {
		want[e.WaybillID] = append(want[e.WaybillID], e)
	}
	wrong := 0
	for waybill, events := range want {
		var nodes []sandbox.Node
		for _, e := range events {
			nodes = append(nodes, sandbox.Node{ActionTime: e.ActionTime, ActionType: int64(e.ActionType), ActionMsg: e.ActionMsg})
		}
		if got := r.up.Nodes(waybill).Nodes; !slices.Equal(got, nodes) {
			if wrong++; wrong <= 3 {
				r.t.Errorf("waybill %s: upstream has %d nodes %+v, want %d", waybill, len(got), got, len(nodes))
			}
		}
	}
	stats := r.up.Stats()
	r.t.Logf("%d waybills, %d pushes applied, %d sent twice after the kill; %d waybills wrong", len(want), stats.Applied, stats.Repeats, wrong)
	if stats.Repeats > 64 || stats.Overlaps != 0 {
		r.t.Errorf("%d pushes were repeated, at most 64 were in flight; %d overlapped", stats.Repeats, stats.Overlaps)
	}
}

// identity sees that what the replay sent says so.
func (r *replayRun) identity(c *apptest.Client, id string) {
	r.t.Helper()
	for _, listed := range c.Pushes(r.t, "waybill_id="+outageWaybill(0)) {
		p := c.GetPush(r.t, listed.Seq)
		last := p.Attempts[len(p.Attempts)-1]
		if p.Replay != id || last.Replay != id || p.Attempts[0].Replay != "" {
			r.t.Errorf("push %d: it is of replay %q, its last attempt of %q, its first of %q; want %q, %q and none",
				p.Seq, p.Replay, last.Replay, p.Attempts[0].Replay, id, id)
		}
	}
}

// live sends an event of a new waybill now and then, through whatever service is up.
type live struct {
	run  *replayRun
	stop chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex
	sent []apptest.Event
}

const liveEvery = 20 * time.Millisecond

func (r *replayRun) startLive() *live {
	l := &live{run: r, stop: make(chan struct{})}
	l.done.Go(func() {
		tick := time.NewTicker(liveEvery)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			case <-tick.C:
			}
			l.send(fmt.Sprintf("LIVE%05d", n))
		}
	})
	return l
}

// send repeats an event until it is taken.
func (l *live) send(waybill string) {
	l.run.order(waybill)
	e := scansOf(waybill, "token-"+waybill, 1)[0]
	for {
		a, err := l.run.client.Load().Post(l.run.t.Context(), e)
		if err == nil && (a.HTTP == http.StatusAccepted || a.Verdict == "duplicate") {
			break
		}
		select {
		case <-l.stop:
			l.run.t.Errorf("live event %s was never taken: %v %+v", e.ID, err, a)
			return
		case <-time.After(liveEvery):
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, e)
}

// mark is how many events were sent so far.
func (l *live) mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent)
}

func (l *live) finish() {
	close(l.stop)
	l.done.Wait()
}

type latency struct {
	p99 time.Duration
	n   int
}

// latency is that of the events from one mark to another.
func (l *live) latency(c *apptest.Client, from, to int) latency {
	l.run.t.Helper()
	took := map[string]time.Duration{}
	for _, p := range c.Pushes(l.run.t, "action_type=100001&status=delivered") {
		took[p.EventID] = p.DeliveredAt.Sub(p.ReceivedAt)
	}
	var all []time.Duration
	for _, e := range l.sent[from:to] {
		all = append(all, took[e.ID])
	}
	slices.Sort(all)
	if len(all) == 0 {
		return latency{}
	}
	return latency{all[len(all)*99/100], len(all)}
}
