package bench

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"carrier/internal/durations"
)

// book notes of each waybill what the service accepted and what reached the upstream. It is safe for concurrent use.
type book struct {
	roll *roll

	mu    sync.Mutex // Guards the growth of pages.
	pages atomic.Pointer[[]*page]

	accepted, arrived atomic.Uint64 // Events.
	repeated          atomic.Uint64 // Pushes of a step that had arrived before.
	disordered        atomic.Uint64 // Pushes of a step before an earlier one had arrived.
	strange           atomic.Uint64 // Pushes that nobody sent.
}

// entry is a waybill in the book.
type entry struct {
	accepted, arrived atomic.Uint32       // How many steps.
	acceptedAt        [steps]atomic.Int64 // Unix nanoseconds; 0: not yet.
	arrivedAt         [steps]atomic.Int64 //
}

const pageSize = 4096

type page [pageSize]entry

func newBook(r *roll) *book {
	b := &book{roll: r}
	b.pages.Store(&[]*page{})
	return b
}

// entry finds a waybill, and makes room for it.
func (b *book) entry(waybill uint64) *entry {
	pages := *b.pages.Load()
	if n := waybill / pageSize; n < uint64(len(pages)) {
		return &pages[n][waybill%pageSize]
	}
	return b.grow(waybill)
}

func (b *book) grow(waybill uint64) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	pages := slices.Clone(*b.pages.Load())
	for uint64(len(pages)) <= waybill/pageSize {
		pages = append(pages, new(page))
	}
	b.pages.Store(&pages)
	return &pages[waybill/pageSize][waybill%pageSize]
}

// accept notes that the service answered for a step of n waybills from first on.
func (b *book) accept(first uint64, n, step int) {
	now := time.Now().UnixNano()
	for w := first; w < first+uint64(n); w++ {
		e := b.entry(w)
		e.acceptedAt[step].Store(now)
		e.accepted.Store(uint32(step) + 1)
	}
	b.accepted.Add(uint64(n))
}

// waits is how many events are accepted and have not arrived.
func (b *book) waits() int64 { return int64(b.accepted.Load()) - int64(b.arrived.Load()) }

// drain waits until all that was accepted has arrived, or nothing does any more.
func (b *book) drain(ctx context.Context) error {
	const step = 10 * time.Millisecond
	last, since := b.arrived.Load(), time.Now()
	for b.waits() > 0 && time.Since(since) < drainPatience {
		if durations.Wait(ctx, step) != nil {
			return ctx.Err()
		}
		if now := b.arrived.Load(); now != last {
			last, since = now, time.Now()
		}
	}
	return nil
}

// arrive notes a push. A push may arrive before its acceptance was heard of.
func (b *book) arrive(body []byte) {
	waybill, step, ok := b.parse(body)
	if !ok {
		b.strange.Add(1)
		return
	}
	e := b.entry(waybill)
	switch had := e.arrived.Load(); {
	case step < had:
		b.repeated.Add(1)
	case step > had || !e.arrived.CompareAndSwap(had, had+1):
		b.disordered.Add(1)
	default:
		e.arrivedAt[step].Store(time.Now().UnixNano())
		b.arrived.Add(1)
	}
}

var (
	waybillField = []byte(`"waybill_id":"`)
	timeField    = []byte(`"action_time":`)
)

// parse reads which event a push is of.
func (b *book) parse(body []byte) (waybill uint64, step uint32, ok bool) {
	waybill, err := strconv.ParseUint(string(fieldOf(body, waybillField)), 10, 64)
	at, timeErr := strconv.ParseInt(string(fieldOf(body, timeField)), 10, 64)
	at -= b.roll.begin
	if err != nil || timeErr != nil || at < 0 || at >= int64(steps) || waybill >= b.roll.taken.Load() {
		return 0, 0, false
	}
	return waybill, uint32(at), true
}

// fieldOf is the digits behind a field's name.
func fieldOf(body, name []byte) []byte {
	_, rest, _ := bytes.Cut(body, name)
	end := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	return rest[:max(end, 0)]
}

// Audit is what the book says at the end: nothing is lost when each accepted event arrived.
type Audit struct {
	Accepted   uint64 `json:"accepted"`
	Arrived    uint64 `json:"arrived"` // Without repetitions.
	Lost       uint64 `json:"lost"`
	Disordered uint64 `json:"out_of_order"`
	Repeated   uint64 `json:"repeated"`
	Strange    uint64 `json:"never_sent"`
}

// audit compares, waybill by waybill, what was accepted with what arrived.
func (b *book) audit() Audit {
	a := Audit{
		Accepted: b.accepted.Load(), Arrived: b.arrived.Load(),
		Disordered: b.disordered.Load(), Repeated: b.repeated.Load(), Strange: b.strange.Load(),
	}
	for _, p := range *b.pages.Load() {
		for i := range p {
			if accepted, arrived := p[i].accepted.Load(), p[i].arrived.Load(); accepted > arrived {
				a.Lost += uint64(accepted - arrived)
			}
		}
	}
	return a
}

// err is what is wrong, if anything is. A repetition is, too: nothing failed here that would have excused one.
func (a Audit) err() error {
	if a.Lost+a.Disordered+a.Repeated+a.Strange == 0 {
		return nil
	}
	return fmt.Errorf("of %d accepted events %d were lost, %d came out of order, %d came twice, %d were never sent: "+
		"this must not happen; keep the output and report it", a.Accepted, a.Lost, a.Disordered, a.Repeated, a.Strange)
}

// waited lists, sorted, how long the events took that were accepted from a moment on: from the answer to the sender
// until the upstream had its push.
func (b *book) waited(from time.Time) []time.Duration {
	var all []time.Duration
	for _, p := range *b.pages.Load() {
		for i := range p {
			for step := range steps {
				accepted, arrived := p[i].acceptedAt[step].Load(), p[i].arrivedAt[step].Load()
				if accepted >= from.UnixNano() && arrived != 0 {
					all = append(all, time.Duration(arrived-accepted))
				}
			}
		}
	}
	slices.Sort(all)
	return all
}
