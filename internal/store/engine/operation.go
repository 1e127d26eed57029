package engine

import (
	"context"
	"fmt"

	"carrier/internal/store"
)

// Bounds of what is done at a time, so that a mass of one kind does not hold up the others.
const (
	// QueueLength is how many operations may wait for whoever carries them out.
	QueueLength = 8192
	// MaxRows is how many events and outcomes are in one commit; one Apply is never split.
	MaxRows = 1024
	// MaxDue is how many deadlines are carried out in one commit.
	MaxDue = 256
)

// HandOver puts an operation into a queue. It waits while that is full, until ctx ends. An error means that it was not
// handed over: nothing is kept.
func HandOver[T any](ctx context.Context, queue chan<- T, op T) error {
	select {
	case queue <- op: // Room counts, even if ctx has ended.
		return nil
	default:
	}
	select {
	case queue <- op:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: its queue is full: %w", store.ErrUnavailable, context.Cause(ctx))
	}
}

// Waiter is the part of an operation whose caller waits. Whoever carries the operation out sets Err, and the caller reads
// what it left only after Wait.
type Waiter struct {
	Err  error // Why the operation could not be done, with nothing of it kept.
	done chan struct{}
}

// Begin makes the operation ready to be handed over.
func (w *Waiter) Begin() { w.done = make(chan struct{}) }

// Finish answers, once what was done is durable; err is why it is not.
func (w *Waiter) Finish(err error) {
	if err != nil {
		w.Err = err
	}
	close(w.done)
}

// Wait waits until the operation was answered. ctx only ends the waiting: what was handed over is carried out.
func (w *Waiter) Wait(ctx context.Context) error {
	select {
	case <-w.done:
		return w.Err
	case <-ctx.Done():
		return fmt.Errorf("the outcome is unknown, as it was not waited for: %w", context.Cause(ctx))
	}
}
