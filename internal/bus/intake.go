package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Of the intake.
const (
	maxBatch      = 1000    // Messages of one commit.
	maxBatchBytes = 8 << 20 // And of what they take in memory.

	pullFor   = 30 * time.Second // How long the server keeps a request for messages that are not there yet.
	minPull   = time.Second      // The least of it that the client library takes.
	heartbeat = 2 * time.Second  // How often the server says meanwhile that it does. Two in a row that are missing end a session.
	// steadyFor is how long a session must last without a message to count as working: longer than it takes to miss
	// two heartbeats.
	steadyFor = 5 * time.Second

	firstRetry  = 200 * time.Millisecond
	maxRetry    = 5 * time.Second
	maxStoreGap = 2 * time.Second // Between two looks whether the store takes events again.
)

// intake takes the messages of the stream. It goes through sessions: each looks whether stream and consumer are there,
// and then fetches until something ends it. What is fetched by then is still taken, or given back if the store can't.
type intake struct {
	link    *link
	js      jetstream.JetStream
	steps   []step // What a session needs.
	events  Events
	store   Store
	log     *slog.Logger
	calm    *calm
	observe *Observer
	trouble trouble
	began   chan struct{} // Hears of each session that begins to fetch. It has room for one.

	mu   sync.Mutex
	stop context.CancelCauseFunc // Ends the session under way; nil if there is none.
}

func newIntake(l *link, js jetstream.JetStream, o *Options) *intake {
	log := o.Logger.With("part", "intake")
	return &intake{
		link: l, js: js, events: o.Events, store: o.Store, log: log, calm: newCalm(log), observe: &o.Observe,
		steps:   []step{&streamStep{js: js, want: wantedEvents(o)}, &consumerStep{js: js, want: wantedConsumer()}},
		trouble: newTrouble(newCalm(log), "the intake of "+eventsSubject),
		began:   make(chan struct{}, 1),
	}
}

// errRecheck ends a session so that the next one looks at stream and consumer again.
var errRecheck = errors.New("stream and consumer are looked at again")

// recheck ends the session under way.
func (i *intake) recheck() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stop != nil {
		i.stop(errRecheck)
	}
}

// run takes messages until ctx ends.
func (i *intake) run(ctx context.Context) {
	for failed := 0; i.ready(ctx) == nil; {
		worked, err := i.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if worked {
			failed = 0
		}
		delay := jittered(failed, firstRetry, maxRetry)
		if away, ok := errors.AsType[*storeAway](err); ok {
			delay = max(delay, away.after) // By then all that was given back may be fetched again, in its order.
		} else if !errors.Is(err, errRecheck) {
			i.trouble.set(i.link.secrets.text(i.withPermission(err)))
			failed++
		}
		pause(ctx, delay)
	}
}

// tellBegan says that stream and consumer are there.
func (i *intake) tellBegan() {
	select {
	case i.began <- struct{}{}:
	default:
	}
}

// ready returns when there is a connection and the store takes events, or with ctx's error. While the store does not,
// nothing is fetched: other nodes may have room. The trouble itself is told where the store's is.
func (i *intake) ready(ctx context.Context) error {
	for gap := firstRetry; ; gap = min(2*gap, maxStoreGap) {
		if err := i.link.wait(ctx); err != nil {
			return err
		}
		if i.store.Ready() == nil {
			return ctx.Err()
		}
		if _, err := i.consumer(ctx); err != nil && ctx.Err() == nil { // Publishers must find the stream all the same.
			i.trouble.set(i.link.secrets.text(i.withPermission(err)))
		}
		if err := pause(ctx, gap); err != nil {
			return err
		}
	}
}

// withPermission adds what the server has refused: a request that is refused gets no other answer.
func (i *intake) withPermission(err error) error {
	if refused := i.link.missingPermission(); refused != nil {
		return fmt.Errorf("%w; the server refused: %w", err, refused)
	}
	return err
}

// isOfIntake tells whether the text of a refusal names a subject that the intake needs: of JetStream's, those of its
// stream, which have the stream's name in them, or the inbox to which answers and messages come.
func isOfIntake(refusal string) bool {
	_, subject, _ := strings.Cut(refusal, `"`)
	subject, _, _ = strings.Cut(subject, `"`)
	return strings.HasPrefix(subject, nats.InboxPrefix) || strings.HasPrefix(subject, "$JS.") &&
		slices.Contains(strings.Split(subject, "."), eventsStream)
}

// consumer makes stream and consumer if they are missing, and refuses those that can't work.
func (i *intake) consumer(ctx context.Context) (jetstream.Consumer, error) {
	for _, s := range i.steps {
		if err := ensure(ctx, s, i.log); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	consumer, err := i.js.Consumer(ctx, eventsStream, eventsConsumer)
	if err != nil {
		return nil, fmt.Errorf("look at consumer %s: %w", eventsConsumer, explain(err))
	}
	return consumer, nil
}

// pull says how much is fetched ahead. From its delivery on, a message has the consumer's ack_wait to be taken. Up to
// three times the number returned are on their way at once: fetched, gathered, and in the store. A commit of 1,000
// takes a tenth of a second, so with ack_wait at 30 s all of it is taken long before it would come again; a shorter
// ack_wait makes it less.
func pull(c *jetstream.ConsumerConfig, nc *nats.Conn) []jetstream.PullConsumeOpt {
	ahead := int(math.Ceil(maxBatch * min(1, c.AckWait.Seconds()/wantedConsumer().AckWait.Seconds())))
	// A body larger than the limit would never come, so the limit is above what the server lets in.
	bytes := max(maxBatchBytes, 2*int(nc.MaxPayload()))
	expiry := pullFor
	if c.MaxRequestExpires > 0 {
		expiry = min(expiry, c.MaxRequestExpires)
	}
	return []jetstream.PullConsumeOpt{
		jetstream.PullMaxMessagesWithBytesLimit(
			atMost(atMost(ahead, c.MaxAckPending), c.MaxRequestBatch), atMost(bytes, c.MaxRequestMaxBytes)),
		jetstream.PullExpiry(expiry), jetstream.PullHeartbeat(min(heartbeat, expiry/2)),
	}
}

// atMost is n, or the limit if that is less; a limit of 0 or below is none.
func atMost(n, limit int) int {
	if limit > 0 {
		n = min(n, limit)
	}
	return max(1, n)
}

// pause waits for d, or until ctx ends and then returns its error.
func pause(ctx context.Context, d time.Duration) error {
	wait(ctx, d, nil)
	return ctx.Err()
}
