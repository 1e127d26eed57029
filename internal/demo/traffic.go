package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"carrier/internal/sandbox"
)

// playground is the waybill that the printed lines are about; it is ordered before anything else.
const playground = "12345678901234567890"

// traffic makes waybills and sends their scans the way scanners do: in order, late, twice, in bulk.
type traffic struct {
	d     *demo
	start time.Time

	mu       sync.Mutex
	sent     int
	verdicts map[string]int
	acked    map[string]map[string]bool // waybill -> ids that the service promised to keep
	errors   []error
}

func newTraffic(d *demo) *traffic {
	return &traffic{d: d, start: time.Now(), verdicts: map[string]int{}, acked: map[string]map[string]bool{}}
}

// order does what WeChat does when a merchant orders: the waybill is known upstream, and its Token at the service.
func (t *traffic) order(ctx context.Context, waybill string) error {
	order, err := t.d.box.AddOrder(sandbox.Order{WaybillID: waybill})
	if err != nil {
		return err
	}
	return t.d.client.putToken(ctx, waybill, order.Token)
}

// run makes traffic until ctx ends, or the service does.
func (t *traffic) run(ctx context.Context, appDone chan error) error {
	tick := time.NewTicker(time.Second / time.Duration(t.d.o.Rate))
	defer tick.Stop()
	var waybills sync.WaitGroup
	defer waybills.Wait()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case err := <-appDone:
			appDone <- err
			return fmt.Errorf("the service ended: %w", err)
		case <-tick.C:
			waybill := fmt.Sprintf("SF%s%06d", t.start.Format("060102150405"), n)
			waybills.Go(func() { t.waybill(ctx, waybill) })
		}
	}
}

// waybill plays one parcel. It ends early with ctx; what was sent by then is checked.
func (t *traffic) waybill(ctx context.Context, waybill string) {
	events := tell(waybill)
	tokenFirst := rand.IntN(10) > 0 // One order in ten is slower than the first scan.
	if tokenFirst {
		t.note(t.order(context.WithoutCancel(ctx), waybill))
	}
	switch rand.IntN(5) {
	case 0:
		t.inBulk(ctx, events)
	case 1:
		t.shuffled(ctx, events)
	default:
		t.oneByOne(ctx, events)
	}
	if !tokenFirst {
		// Even if time is up: a waybill without its Token would never be pushed.
		t.note(t.order(context.WithoutCancel(ctx), waybill))
	}
}

func (t *traffic) oneByOne(ctx context.Context, events []event) {
	for i := range events {
		t.one(ctx, &events[i])
		if rand.IntN(20) == 0 {
			t.one(ctx, &events[i]) // The scanner saw no answer and sends it again.
		}
		if !sleep(ctx, time.Duration(rand.IntN(300))*time.Millisecond) {
			return
		}
	}
}

// inBulk is a device that was offline all day.
func (t *traffic) inBulk(ctx context.Context, events []event) {
	if ctx.Err() != nil {
		return
	}
	results, err := t.d.client.sendBatch(context.WithoutCancel(ctx), events)
	t.note(err)
	for i := range results {
		t.keep(events[i].WaybillID, &results[i])
	}
}

// shuffled is several devices that come online in any order.
func (t *traffic) shuffled(ctx context.Context, events []event) {
	rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	t.oneByOne(ctx, events)
}

// one sends an event and waits for its answer, even if time is up meanwhile: a cut request has no known outcome.
func (t *traffic) one(ctx context.Context, e *event) {
	if ctx.Err() != nil {
		return
	}
	r, err := t.d.client.send(context.WithoutCancel(ctx), e)
	if err != nil {
		t.note(err)
		return
	}
	t.keep(e.WaybillID, &r)
}

func (t *traffic) keep(waybill string, r *result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
	t.verdicts[r.Verdict]++
	if t.acked[waybill] == nil {
		t.acked[waybill] = map[string]bool{}
	}
	if r.acked() {
		t.acked[waybill][r.ID] = true
	}
}

// note keeps an error for the summary.
func (t *traffic) note(err error) {
	if err == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.errors) < 10 {
		t.errors = append(t.errors, err)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
