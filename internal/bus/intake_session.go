package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// drainWithin is how long a session waits for the rest of what the server has already sent, once it fetches no more.
const drainWithin = 3 * time.Second

// takeWithin is how much longer the store may take for what was fetched when the service stops.
const takeWithin = 5 * time.Second

// session is one time of fetching. Messages go from nats.go's goroutine to gather, and in batches to take.
type session struct {
	*intake
	fetched  chan jetstream.Msg
	drained  chan struct{}   // Closed: nothing more comes.
	fetching context.Context // Ended: nothing more is fetched; the cause says why.
	end      context.CancelCauseFunc
	worked   atomic.Bool // A message came, or there was time enough for one.
}

// session fetches and takes messages until something ends it: ctx, the store, the consumer that is gone. worked tells
// whether it has come so far that the next one may begin soon.
func (i *intake) session(ctx context.Context) (worked bool, err error) {
	consumer, err := i.consumer(ctx)
	if err != nil {
		return false, err
	}
	s := &session{intake: i, fetched: make(chan jetstream.Msg), drained: make(chan struct{})}
	s.fetching, s.end = context.WithCancelCause(ctx)
	defer s.end(nil)
	options := append(pull(&consumer.CachedInfo().Config, i.js.Conn()), jetstream.ConsumeErrHandler(s.failed))
	consuming, err := consumer.Consume(s.receive, options...)
	if err != nil {
		return false, fmt.Errorf("fetch from consumer %s: %w", eventsConsumer, explain(err))
	}
	s.register(s.end)
	defer s.register(nil)
	s.trouble.begun()
	s.tellBegan()
	steady := time.AfterFunc(steadyFor, s.works)
	defer steady.Stop()
	s.pipe(ctx, consuming)
	return s.worked.Load(), context.Cause(s.fetching)
}

// register says which session recheck ends.
func (i *intake) register(stop context.CancelCauseFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stop = stop
}

// pipe runs the session's goroutines to their end.
func (s *session) pipe(ctx context.Context, consuming jetstream.ConsumeContext) {
	batches := make(chan []jetstream.Msg)
	var parts sync.WaitGroup
	parts.Go(func() { s.drain(consuming) })
	parts.Go(func() { s.gather(batches) })
	ctx, cancel := outlast(ctx, takeWithin)
	defer cancel()
	// What was fetched is taken, also when the session is over: what is given back comes again behind messages that the
	// server had on their way, and the scans of a waybill would change their order.
	var left []jetstream.Msg
	for batch := range batches {
		if s.storeIsAway() || ctx.Err() != nil {
			left = append(left, batch...)
		} else {
			s.take(ctx, batch)
		}
	}
	parts.Wait()
	s.giveBack(left, s.delay())  // Not before: the server would send it to this session at once.
	if s.link.nc.IsConnected() { // What was answered is on its way before the next session asks for more.
		_ = s.link.nc.FlushTimeout(sendWithin)
	}
}

// works says that the session does.
func (s *session) works() {
	if s.fetching.Err() == nil && !s.worked.Swap(true) {
		s.trouble.over()
	}
}

// receive is called with one message after the other. While it waits, no more are asked for.
func (s *session) receive(message jetstream.Msg) {
	s.works()
	select {
	case s.fetched <- message:
	case <-s.drained: // Too late.
		s.giveBack([]jetstream.Msg{message}, s.delay())
	}
}

// failed is called when the server refuses a request for messages, or no longer answers.
func (s *session) failed(_ jetstream.ConsumeContext, err error) {
	switch {
	case errors.Is(err, jetstream.ErrConsumerLeadershipChanged), errors.Is(err, jetstream.ErrServerShutdown):
		return // The client asks again by itself.
	case errors.Is(err, jetstream.ErrNoHeartbeat), errors.Is(err, nats.ErrNoResponders):
		err = fmt.Errorf("the server does not answer for consumer %s: the consumer is gone, or has no leader at present", eventsConsumer)
	case errors.Is(err, jetstream.ErrConsumerDeleted):
		err = fmt.Errorf("consumer %s, or its stream, was deleted", eventsConsumer)
	default:
		err = fmt.Errorf("fetch from consumer %s: %w", eventsConsumer, explain(err))
	}
	s.end(err)
}

// drain stops fetching when the session ends, and waits for what was already sent.
func (s *session) drain(consuming jetstream.ConsumeContext) {
	defer close(s.drained)
	<-s.fetching.Done()
	consuming.Drain()
	select {
	case <-consuming.Closed():
	case <-time.After(drainWithin): // The connection is dead, and this not noticed yet.
	}
}

// gather makes batches of messages: while one is being taken, the next one grows.
func (s *session) gather(batches chan<- []jetstream.Msg) {
	defer close(batches)
	var batch []jetstream.Msg
	var size int
	drained := s.drained
	for drained != nil || len(batch) > 0 {
		in, out := s.fetched, batches
		if len(batch) == 0 {
			out = nil
		}
		if len(batch) == maxBatch || size >= maxBatchBytes {
			in = nil
		}
		select {
		case message := <-in:
			batch, size = append(batch, message), size+sizeOf(message.Headers(), message.Data())
		case out <- batch:
			batch, size = nil, 0
		case <-drained:
			drained = nil
		}
	}
}

// outlast is ctx, but ends so much later: what has begun by then may come to its end.
func outlast(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		_ = pause(longer, grace)
		cancel()
	})
	return longer, func() {
		stop()
		cancel()
	}
}
