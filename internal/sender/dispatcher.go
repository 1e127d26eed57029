package sender

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"time"
)

// read is what the reading goroutine hands over.
type read struct {
	item Item
	err  error
}

// readAhead reads in a goroutine of its own, so that a silent input holds up neither batches nor an interruption.
func readAhead(ctx context.Context, src *Reader) <-chan read {
	items := make(chan read, 256)
	go func() {
		for {
			item, err := src.Next()
			select {
			case items <- read{item, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return items
}

// dispatcher fills batches and hands them to the lanes. It is for one goroutine.
type dispatcher struct {
	items  <-chan read
	lanes  []chan *batch
	tally  *tally
	batch  int
	linger time.Duration
	stop   context.CancelCauseFunc

	building []*batch // One a lane.
	seed     maphash.Seed
}

func newDispatcher(t *tally, items <-chan read, lanes int) *dispatcher {
	d := &dispatcher{tally: t, items: items, seed: maphash.MakeSeed()}
	for range lanes {
		d.lanes = append(d.lanes, make(chan *batch, 1))
		d.building = append(d.building, new(batch))
	}
	return d
}

// run dispatches until the input or ctx ends, and closes the lanes. Its error is the Reader's; what was read before it
// is well, and goes out.
func (d *dispatcher) run(ctx context.Context) error {
	defer d.close()
	for ctx.Err() == nil {
		got, ok := d.receive(ctx)
		switch {
		case !ok:
			d.flush(ctx)
		case got.err != nil:
			d.flush(ctx)
			if errors.Is(got.err, io.EOF) {
				d.tally.complete()
				return nil
			}
			return got.err
		default:
			d.place(ctx, &got.item)
		}
	}
	return nil
}

// receive waits for an item. ok is false if none came before the oldest event had waited long enough, or before ctx
// ended.
func (d *dispatcher) receive(ctx context.Context) (got read, ok bool) {
	select {
	case got = <-d.items:
		return got, true
	default:
	}
	var overdue <-chan time.Time
	if began, some := d.oldest(); some {
		overdue = time.After(time.Until(began.Add(d.linger)))
	}
	select {
	case got = <-d.items:
		return got, true
	case <-overdue:
	case <-ctx.Done():
	}
	return read{}, false
}

// oldest is when the event came that has waited longest.
func (d *dispatcher) oldest() (began time.Time, some bool) {
	for _, b := range d.building {
		if len(b.entries) > 0 && (!some || b.began.Before(began)) {
			began, some = b.began, true
		}
	}
	return began, some
}

// place puts an item into its lane's batch.
func (d *dispatcher) place(ctx context.Context, item *Item) {
	d.tally.taken(item)
	if item.Refused != nil {
		if err := d.tally.unsendable(item); err != nil {
			d.stop(err)
		}
		return
	}
	lane := int(maphash.String(d.seed, item.Waybill) % uint64(len(d.lanes)))
	if !d.building[lane].fits(item, d.batch) {
		d.hand(ctx, lane)
	}
	d.building[lane].add(item)
	if len(d.building[lane].entries) == d.batch {
		d.hand(ctx, lane)
	}
}

// hand gives a lane its batch, as soon as it takes it.
func (d *dispatcher) hand(ctx context.Context, lane int) {
	full := d.building[lane]
	d.building[lane] = new(batch)
	select {
	case d.lanes[lane] <- full:
	case <-ctx.Done():
		d.tally.leave(full)
	}
}

// flush hands over all there is.
func (d *dispatcher) flush(ctx context.Context) {
	for lane, b := range d.building {
		if len(b.entries) > 0 {
			d.hand(ctx, lane)
		}
	}
}

// close lets the lanes end, and takes note of what none of them was given.
func (d *dispatcher) close() {
	for lane, b := range d.building {
		d.tally.leave(b)
		close(d.lanes[lane])
	}
}
