package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"carrier/internal/durations"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// window is how many waybills a line has under way.
const window = 100

// load sends events, as fast as they are answered unless it is told otherwise.
type load struct {
	dial  dialer
	conns int // Lines.
	batch int // Events a request: 1, or window.
	roll  *roll
	book  *book         // Notes what was accepted; nil: nobody does.
	lead  int64         // How many events may be accepted and not arrived; 0: any number. Needs a book.
	pace  *rate.Limiter // Events a second over all lines; nil: as many as go.

	accepted atomic.Uint64
}

// run sends until ctx ends or the roll does, and then lets the requests under way be answered. An answer that is not
// what the events deserve is an error: figures of refusals would mean nothing.
func (l *load) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range l.conns {
		g.Go(func() error { return l.drive(ctx) })
	}
	return g.Wait()
}

// drive sends over one line.
func (l *load) drive(ctx context.Context) (err error) {
	to, err := l.dial(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	defer func() { err = errors.Join(err, to.close()) }()
	var body []byte
	for ctx.Err() == nil {
		first, n := l.roll.take(window)
		if n == 0 {
			return nil
		}
		for i := range steps * int(n) / min(l.batch, int(n)) {
			step, at, size := l.part(i, int(n))
			if !l.hold(ctx, size) {
				return nil
			}
			body = body[:0]
			for k := range size {
				body = append(l.roll.appendEvent(body, first+uint64(at+k), step), '\n')
			}
			if err := to.send(body, size); err != nil {
				return err
			}
			if l.book != nil {
				l.book.accept(first+uint64(at), size, step)
			}
			l.accepted.Add(uint64(size))
		}
	}
	return nil
}

// part says what request number i is of a window of n waybills: which step of which waybills.
func (l *load) part(i, n int) (step, at, size int) {
	size = min(l.batch, n)
	return i * size / n, i * size % n, size
}

// hold waits until n more events may be sent; false if ctx ended first.
func (l *load) hold(ctx context.Context, n int) bool {
	if l.pace != nil && l.pace.WaitN(ctx, n) != nil {
		return false
	}
	for l.lead > 0 && l.book.waits() >= l.lead {
		if durations.Wait(ctx, time.Millisecond) != nil {
			return false
		}
	}
	return ctx.Err() == nil
}

// ended makes the end of ctx no error.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
