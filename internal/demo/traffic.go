package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"carrier/internal/durations"
	"carrier/internal/sandbox"
	"carrier/internal/state"
)

// traffic orders parcels the way merchants do, and sends their scans the way scanners do: in order, late, twice, in bulk.
type traffic struct {
	d     *demo
	start time.Time

	mu         sync.Mutex // Owns what follows.
	sent       int
	verdicts   map[string]int
	acked      map[string]map[string]bool // waybill -> ids that the service promised to keep
	ordered    map[string]string          // order -> its waybill, as the merchant was told
	tokensLate int                        // scans that were seen to wait for their Token
	cancelled  map[string]bool            // waybills whose order the merchant was told to be cancelled
	tooLate    int                        // cancellations refused, since the parcel was picked up
	errors     []error
}

func newTraffic(d *demo) *traffic {
	return &traffic{
		d: d, start: time.Now(), verdicts: map[string]int{}, acked: map[string]map[string]bool{}, ordered: map[string]string{},
		cancelled: map[string]bool{},
	}
}

// outlast is a context that ends a while after ctx does: what WeChat is asked must come to an end, as the order may
// have been taken already. While the demo runs a merchant waits, since the user may have set an outage.
func outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drainFor, func() { cancel(errNoEnd) }) })
	return out, func() { stop(); cancel(nil) }
}

var errNoEnd = fmt.Errorf("no answer %s after the end of the demo", drainFor)

// order has a merchant order at WeChat, which asks the service.
func (t *traffic) order(ctx context.Context, orderID string) (waybill string, err error) {
	ctx, cancel := outlast(ctx)
	defer cancel()
	waybill, err = t.d.merchant.order(ctx, orderID)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ordered[orderID] = waybill
	return waybill, nil
}

// cancel has the merchant cancel an order, and returns the service's result code.
func (t *traffic) cancel(ctx context.Context, orderID, waybill string) (code int, err error) {
	ctx, cancel := outlast(ctx)
	defer cancel()
	return t.d.merchant.cancel(ctx, orderID, waybill)
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
			_ = t.d.box.SetFaults(sandbox.Faults{}) // Orders under way must not wait for an upstream that stays away.
			return nil
		case err := <-appDone:
			appDone <- err
			return fmt.Errorf("the service ended: %w", err)
		case <-tick.C:
			waybills.Go(func() { t.parcel(ctx, n) })
		}
	}
}

// parcel plays one. It ends early with ctx; what was sent by then is checked.
func (t *traffic) parcel(ctx context.Context, n int) {
	orderID := fmt.Sprintf("DEMO%s%06d", t.start.Format("060102150405"), n)
	switch n % 10 {
	case 3:
		t.regretted(ctx, orderID)
	case 5:
		t.scannedFirst(ctx, orderID)
	case 7:
		t.regrettedLate(ctx, orderID)
	default:
		if waybill, err := t.order(ctx, orderID); t.fine(err) {
			t.deliver(ctx, tell(waybill))
		}
	}
}

// deliver sends the scans of a parcel that was ordered.
func (t *traffic) deliver(ctx context.Context, events []event) {
	switch rand.IntN(5) {
	case 0:
		t.inBulk(ctx, events)
	case 1:
		t.shuffled(ctx, events)
	case 2:
		t.streamed(ctx, events)
	default:
		t.oneByOne(ctx, events)
	}
}

// scannedFirst is a parcel whose first scan is there before its Token. That scan waits, and goes out by itself.
func (t *traffic) scannedFirst(ctx context.Context, orderID string) {
	var events []event
	scanned := t.d.dispatch.sendCourier(orderID, func(noToken context.Context, waybill string) {
		events = tell(waybill)
		if r, ok := t.one(context.WithoutCancel(ctx), &events[0]); ok {
			t.checkWaits(noToken, r.Seq)
		}
	})
	if _, err := t.order(ctx, orderID); !t.fine(err) {
		return
	}
	select {
	case <-scanned:
		t.deliver(ctx, events[1:])
	case <-time.After(drainFor):
		t.note(fmt.Errorf("the service took order %s without asking the dispatch system", orderID))
	}
}

// checkWaits looks at a push for which there is no Token as long as ctx lasts.
func (t *traffic) checkWaits(ctx context.Context, seq uint64) {
	p, err := t.d.client.push(ctx, seq)
	switch {
	case ctx.Err() != nil: // The Token may have come.
	case err != nil:
		t.note(err)
	case p.Status != "pending" || p.WaitingFor != "token":
		t.note(fmt.Errorf("push %d has no Token, and is %s, waiting for %q", seq, p.Status, p.WaitingFor))
	default:
		t.mu.Lock()
		defer t.mu.Unlock()
		t.tokensLate++
	}
}

// regretted is a parcel whose order is cancelled before it is picked up: no scan gets through any more.
func (t *traffic) regretted(ctx context.Context, orderID string) {
	waybill, err := t.order(ctx, orderID)
	if !t.fine(err) {
		return
	}
	events := tellOf(waybill, stories[0])
	t.one(ctx, &events[0])
	code, err := t.cancel(ctx, orderID, waybill)
	if !t.fine(err) {
		return
	}
	if code != 0 {
		t.note(fmt.Errorf("cancelling order %s before its pickup is answered with %d", orderID, code))
		return
	}
	t.mu.Lock()
	t.cancelled[waybill] = true
	t.mu.Unlock()
	if r, ok := t.one(ctx, &events[1]); ok && r.Verdict != state.Rejected.String() {
		t.note(fmt.Errorf("the pickup of waybill %s, which is cancelled, is %s", waybill, r.Verdict))
	}
}

// regrettedLate is a parcel whose order is cancelled when it is on its way: the courier says no, and goes on.
func (t *traffic) regrettedLate(ctx context.Context, orderID string) {
	waybill, err := t.order(ctx, orderID)
	if !t.fine(err) {
		return
	}
	events := tellOf(waybill, stories[0])
	const upToPickup = 2
	for i := range upToPickup {
		if _, ok := t.one(ctx, &events[i]); !ok {
			return
		}
	}
	code, err := t.cancel(ctx, orderID, waybill)
	switch {
	case !t.fine(err):
	case code != alreadyPickedUp:
		t.note(fmt.Errorf("cancelling order %s after its pickup is answered with %d, want %d", orderID, code, alreadyPickedUp))
	default:
		t.mu.Lock()
		t.tooLate++
		t.mu.Unlock()
		t.oneByOne(ctx, events[upToPickup:])
	}
}

func (t *traffic) oneByOne(ctx context.Context, events []event) {
	for i := range events {
		t.one(ctx, &events[i])
		if rand.IntN(20) == 0 {
			t.one(ctx, &events[i]) // The scanner saw no answer and sends it again.
		}
		if durations.Wait(ctx, time.Duration(rand.IntN(300))*time.Millisecond) != nil {
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

// streamed is a sorting centre, whose scans go into the stream.
func (t *traffic) streamed(ctx context.Context, events []event) {
	for i := range events {
		if durations.Wait(ctx, time.Duration(rand.IntN(300))*time.Millisecond) != nil {
			return
		}
		if err := t.d.dispatch.publish(context.WithoutCancel(ctx), &events[i]); t.fine(err) {
			t.keep(events[i].WaybillID, &result{ID: events[i].ID, Verdict: published})
		}
	}
}

// one sends an event and waits for its answer, even if time is up meanwhile: a cut request has no known outcome. It is
// false if there is none, or if time was up before.
func (t *traffic) one(ctx context.Context, e *event) (result, bool) {
	if ctx.Err() != nil {
		return result{}, false
	}
	send := t.d.client.send
	if last := e.WaybillID[len(e.WaybillID)-1]; last%2 == 1 { // A parcel's scans come one way.
		send = t.d.dispatch.submit
	}
	r, err := send(context.WithoutCancel(ctx), e)
	if !t.fine(err) {
		return result{}, false
	}
	t.keep(e.WaybillID, &r)
	return r, true
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

// fine tells whether there is no error, and notes one.
func (t *traffic) fine(err error) bool {
	t.note(err)
	return err == nil
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
