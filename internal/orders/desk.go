package orders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"carrier/internal/callback"
	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Times. WeChat waits 5 s for an answer, and then sends the push again (message push, 5 s and three retries).
const (
	answerWithin = 4 * time.Second
	// askWithin leaves the store half a second of that to keep what the dispatch system said.
	askWithin = 3500 * time.Millisecond
	// workWithin is how long work that was begun may go on after its asker was answered.
	workWithin = 10 * time.Second
)

// Store keeps orders (see store.Orders, whose promises these are).
type Store interface {
	PutOrder(ctx context.Context, o store.Order, token string) (kept store.Order, fresh bool, err error)
	ReadOrder(ctx context.Context, key store.OrderKey) (store.Order, error)
	CancelOrder(ctx context.Context, key store.OrderKey, event state.Event) (store.Cancellation, error)
	FirstUse(ctx context.Context, signature string, digest [32]byte, until time.Time) (allowed bool, err error)
	PutShown(ctx context.Context, w state.Waybill, shown store.Shown) (kept bool, err error)
	// Waybill reads a waybill's timeline; store.ErrNotFound if neither an event nor a Token of it is known.
	Waybill(ctx context.Context, w state.Waybill) (store.Waybill, error)
}

// desk decides what WeChat is answered. It is safe for concurrent use.
type desk struct {
	store Store
	log   *slog.Logger
	spans *spans.Tracer

	flights singleflight.Group
	mu      sync.Mutex // Guards closed, and that nothing begins after it.
	closed  bool
	working sync.WaitGroup
}

// close waits for the work that was begun; no more begins.
func (d *desk) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.working.Wait()
}

func (d *desk) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.working.Add(1)
	}
	return !d.closed
}

// together does work once for all who ask for the same at the same time, and tells all of them what came of it. The
// work goes on when those who asked have given up: the next who asks finds it done.
func together[T any](ctx context.Context, d *desk, key string, work func(context.Context) (T, error)) (T, error) {
	var none T
	if !d.begin() {
		return none, store.ErrClosing
	}
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		defer d.working.Done()
		v, err, _ := d.flights.Do(key, func() (_ any, err error) {
			defer caught(&err)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workWithin)
			defer cancel()
			return work(ctx)
		})
		value, _ := v.(T) // nil beside a panic's error.
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// caught makes an error of a panic: the work has a goroutine of its own, in which one would end the process. What was
// thrown may hold an order, so only its type is told.
func caught(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("panic: %T", r)
	}
}

// ask asks the account's dispatch system, and makes what it says fit for WeChat. ok is false if there is nobody to be
// asked; an answer that can't be used is a no.
func (d *desk) ask(ctx context.Context, a *account, q Question, secret string) (answer Answer, ok bool) {
	ctx, cancel := context.WithTimeoutCause(ctx, askWithin, errSlowDispatch)
	defer cancel()
	ctx, span := d.beginQuestion(ctx, &q)
	defer span.End()
	answer, err := a.dispatch.Ask(ctx, q)
	tellAnswer(span, answer, err)
	switch {
	case errors.Is(err, ErrNobody):
		return Answer{}, false
	case err != nil:
		if withheld, ok := a.silence.next(time.Now()); ok {
			d.log.Error("the dispatch system gives no usable answer; WeChat is told no",
				"delivery_id", q.DeliveryID, "event", q.Event, "question", q.ID, "err", err, "withheld", withheld)
		}
		return Answer{Code: int(callback.Failed), Msg: textDispatch}, true
	}
	if code := int(tellable(q.Event, callback.ResultCode(answer.Code))); code != answer.Code {
		d.log.Warn("the dispatch system gives a result_code that WeChat doesn't know for this event; it is sent as -1",
			"delivery_id", q.DeliveryID, "event", q.Event, "question", q.ID, "result_code", answer.Code)
		answer.Code = code
	}
	answer.Msg = message(answer, secret)
	return answer, true
}

var errSlowDispatch = fmt.Errorf("it did not answer within %s", askWithin)
