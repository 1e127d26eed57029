package sender

import (
	"context"
	"errors"
	"sync"
	"time"
)

// run is one sending.
type run struct {
	*Sender
	tally *tally
	stop  context.CancelCauseFunc // Ends the sending for all lanes; the first cause is its error.
	// hard is the context of requests. It outlives the run's by the grace, so that an interruption does not throw
	// away answers that are on their way.
	hard context.Context
}

// Send sends all that src gives. The Summary is never nil; whatever it counts as unanswered is there because of the
// error. An event that the service refused is no error. When ctx ends, Send returns its cause.
//
// If src is still waiting for input then, its goroutine ends only with the input: nothing can wake a blocked read.
func (s *Sender) Send(ctx context.Context, src *Reader) (*Summary, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	hard, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(s.o.Grace, kill) })()

	r := &run{Sender: s, tally: newTally(&s.o, src.from), stop: stop, hard: hard}
	d := newDispatcher(r.tally, readAhead(ctx, src), s.o.Parallel)
	d.batch, d.linger, d.stop = s.o.Batch, s.o.Linger, stop
	var workers sync.WaitGroup
	for _, lane := range d.lanes {
		workers.Go(func() { r.work(ctx, lane) })
	}
	unread := d.run(ctx)
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return r.tally.sum(), err
	}
	return r.tally.sum(), unread
}

// work delivers a lane's batches, one after the other. Once the sending is to stop, it only takes note of what is left.
func (r *run) work(ctx context.Context, lane <-chan *batch) {
	limit := r.link.limit()
	for b := range lane {
		rest, err := r.deliver(ctx, *b, &limit)
		if err != nil {
			r.stop(err)
		}
		r.tally.leave(&rest)
	}
}

// deliver sends b until all of it is answered, and returns what of it was not. limit is how large a body may be, as far
// as the lane has learnt: a service set to a smaller one says so with 413, and a NATS server when one connects.
func (r *run) deliver(ctx context.Context, b batch, limit *int) (rest batch, err error) {
	for rest = b; len(rest.entries) > 0; {
		head, after := rest.split(*limit)
		results, err := r.exchange(ctx, &head)
		_, tooLarge := errors.AsType[*tooLargeError](err)
		switch {
		case err == nil:
			err = r.tally.answered(&head, results)
		case tooLarge && len(head.entries) > 1:
			*limit = len(head.body) / 2
			continue
		case tooLarge:
			err = r.tally.tooLarge(&head, err)
		default:
			return rest, err
		}
		if rest = after; err != nil {
			return rest, err
		}
	}
	return rest, nil
}
