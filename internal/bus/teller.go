package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/spans"
	"carrier/internal/store"
)

// How outcomes are told.
const (
	maxTelling = 512             // Outcomes published and not acknowledged yet.
	ackWithin  = 5 * time.Second // For all of these.
	// forgetAfter is when the client library gives an acknowledgement up. It holds only so many, and without an end to
	// their wait no outcome would leave any more once a server had kept silent often enough.
	forgetAfter = 2 * ackWithin
	// lastWords is how long the service's stop may wait for what was published, and for the store to note it.
	lastWords    = time.Second
	tellFirstGap = 100 * time.Millisecond
	tellMaxGap   = 2 * time.Second
	tellAtLeast  = 10 * time.Second // How often it looks, woken or not.
	lookWithin   = time.Second      // How long it waits to read a message of the stream.
)

// teller publishes notices as outcomes, in their order, and forgets those that the stream has acknowledged.
//
// Every notice is told at least once. Told again are those whose acknowledgement, or whose Told, was lost; JetStream
// drops them by their Nats-Msg-Id as long as they come within the stream's duplicates window (2 minutes unless the
// operator changed it). After that, and after a crash that lasted longer, subscribers may see them twice, with the same
// ce-id and ce-source.
//
// The numbers are the store's own. Where another store's outcomes go into the same stream (a second service, a store
// made anew), it may drop ours for one of theirs. So what is said to be a duplicate is looked at, and if it is not ours,
// or can't be read, our outcome goes once more under a Nats-Msg-Id that has the store's name.
//
// Messages on their way together may get lost in the middle (a leader that steps down, a connection that breaks), and
// what comes after the gap must not be stored before it. So each says which sequence it expects to be the stream's last
// (Nats-Expected-Last-Sequence): behind a gap nothing is taken, and the teller begins again at the gap. The first one
// after any trouble goes alone and expects nothing; its acknowledgement says where the stream stands. All this holds for
// a stream into which nobody else publishes. Where somebody does, every notice is told, but not always in order.
type teller struct {
	js       jetstream.JetStream
	store    store.Notices
	spans    *spans.Tracer
	instance string // The store's name.
	wake     <-chan struct{}
	log      *slog.Logger
	calm     *calm

	// Owned by run.
	after uint64 // The latest notice that was acknowledged.
	told  uint64 // The latest that the store knows to be.
	last  uint64 // The stream's last sequence; 0: not known.
	batch int    // How many go at once, if last is known. It grows as long as all goes well.

	trouble trouble
}

// newTeller makes a teller; run runs it. Whoever sends to wake tells of new notices; it should have room for one.
func newTeller(js jetstream.JetStream, o *Options, wake <-chan struct{}) *teller {
	log := o.Logger.With("part", "outcomes")
	calm := newCalm(log)
	return &teller{
		js: js, store: o.Store, spans: o.Spans, instance: o.Instance, wake: wake, log: log, calm: calm, batch: 1,
		trouble: trouble{calm: calm, part: "the telling of outcomes"},
	}
}

// run tells notices until ctx ends. What is published then is waited for, so that nothing is told twice for a restart.
func (t *teller) run(ctx context.Context) error {
	working, cancel := outlast(ctx, lastWords)
	defer cancel()
	gap := tellFirstGap
	t.last, t.batch = 0, 1 // Another node may have told since the last run.
	for ctx.Err() == nil {
		n, err := t.round(ctx, working)
		switch {
		case err != nil && ctx.Err() == nil:
			t.trouble.set(err.Error())
			wait(ctx, rand.N(gap)+gap/2, nil)
			gap = min(2*gap, tellMaxGap)
			continue
		case err == nil:
			t.trouble.over()
			gap = tellFirstGap
		}
		if n == 0 {
			wait(ctx, tellAtLeast, t.wake) // Nothing depends on a wake-up that gets lost.
		}
	}
	if err := t.save(working); err != nil {
		t.log.Warn("outcomes that were told will be told again", "err", err)
	}
	return nil
}

// round tells the next notices; n is how many it found. What it has published it finishes until working ends.
func (t *teller) round(ctx, working context.Context) (n int, err error) {
	if !t.js.Conn().IsConnected() {
		return 0, errNotConnected
	}
	notices, err := t.store.Notices(ctx, t.after, t.atOnce())
	if err != nil {
		return 0, fmt.Errorf("reading what is to be told: %w", err)
	}
	if len(notices) > 0 {
		err = t.settle(working, t.publish(notices))
	}
	if len(notices) == 0 || err != nil || t.after-t.told >= maxTelling {
		err = errors.Join(err, t.save(working))
	}
	return len(notices), err
}

func (t *teller) atOnce() int {
	if t.last == 0 {
		return 1
	}
	return t.batch
}

// telling is a notice on its way.
type telling struct {
	number uint64
	msg    *nats.Msg              // nil if it can't be told.
	ack    jetstream.PubAckFuture // Likewise.
	err    error                  // It did not even leave.
	span   *spans.Span            // nil if the event was not traced.
}

// publish sends notices in order, up to the first that does not leave.
func (t *teller) publish(notices []store.Notice) []telling {
	sent := make([]telling, 0, len(notices))
	expected := t.last
	for i := range notices {
		msg, err := outcomeMsg(&notices[i], t.instance)
		if err != nil { // It would be in the way of all others for good.
			t.log.Error("an outcome can't be told; it is passed over", "seq", notices[i].Seq, "err", err)
			sent = append(sent, telling{number: notices[i].Number})
			continue
		}
		if expected != 0 {
			msg.Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(expected, 10))
			expected++
		}
		span := t.beginSpan(&notices[i], msg.Subject)
		// The library's own second try would come after those that follow.
		ack, err := t.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
		sent = append(sent, telling{notices[i].Number, msg, ack, err, span})
		if err != nil {
			break
		}
	}
	return sent
}

// settle waits for acknowledgements and moves on over those that came without a gap. An error is what stopped it.
func (t *teller) settle(ctx context.Context, sent []telling) error {
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	for i := range sent {
		s := &sent[i]
		if err := t.confirm(ctx, s); err != nil {
			endUntold(sent[i:])
			t.last, t.batch = 0, 1
			if movedOn(err) {
				return nil
			}
			return err
		}
		s.span.End()
		t.after = s.number
	}
	t.batch = min(2*t.batch, maxTelling)
	return nil
}

// confirm waits for one acknowledgement, which says where the stream stands.
func (t *teller) confirm(ctx context.Context, s *telling) error {
	switch {
	case s.err != nil:
		return tellError(s.err)
	case s.ack == nil:
		return nil
	}
	select {
	case ack := <-s.ack.Ok():
		t.last = ack.Sequence
		if !ack.Duplicate {
			return nil
		}
		t.last = 0 // The sequence is an old one.
		if t.isThere(ctx, ack, s.msg) {
			return nil
		}
		t.calm.info("JetStream has dropped an outcome for one that is another store's, or can't be read; it is told once more",
			"msg_id", s.msg.Header.Get(headMsgID), "sequence", ack.Sequence)
		return t.tellAsOurs(ctx, s.msg)
	case err := <-s.ack.Err():
		return tellError(err)
	case <-ctx.Done():
		return fmt.Errorf("JetStream does not acknowledge outcomes within %s; look at the stream CARRIER_OUTCOMES and its servers", ackWithin)
	}
}

// isThere tells whether the message that an acknowledgement is of is msg, told before. One that can't be read is not: to
// tell it twice does no harm. Of a store that was restored from a backup, which counts on from an older number, the
// times tell the ends apart.
func (t *teller) isThere(ctx context.Context, ack *jetstream.PubAck, msg *nats.Msg) bool {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	stream, err := t.js.Stream(ctx, ack.Stream)
	if err != nil {
		return false
	}
	found, err := stream.GetMsg(ctx, ack.Sequence)
	return err == nil && found.Header.Get(headSource) == msg.Header.Get(headSource) &&
		found.Header.Get(headTime) == msg.Header.Get(headTime)
}

// tellAsOurs publishes an outcome under a Nats-Msg-Id that no other store has, nor another end of ours: of a store that was
// restored from a backup, ends have the numbers of others. Here a duplicate is the same end.
func (t *teller) tellAsOurs(ctx context.Context, msg *nats.Msg) error {
	header := maps.Clone(msg.Header)
	header.Set(headMsgID, t.instance+"-"+msg.Header.Get(headTime)+"-"+msg.Header.Get(headMsgID))
	header.Del(jetstream.ExpectedLastSeqHeader)
	ack, err := t.js.PublishMsg(ctx, &nats.Msg{Subject: msg.Subject, Data: msg.Data, Header: header})
	if err != nil {
		return tellError(err)
	}
	if !ack.Duplicate {
		t.last = ack.Sequence
	}
	return nil
}

// save forgets what was acknowledged. A crash before this line tells it again.
func (t *teller) save(ctx context.Context) error {
	if t.after == t.told {
		return nil
	}
	if err := t.store.Told(ctx, t.after); err != nil {
		return fmt.Errorf("keeping what was told: %w", err)
	}
	t.told = t.after
	return nil
}

// wait waits for d, for wake if that is not nil, or for the end.
func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// movedOn tells whether the stream is not where it was expected to be: there was a gap, or somebody else publishes too.
// The next one goes alone and finds out; that is no trouble.
func movedOn(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// tellError says what to do about an outcome that was not taken.
func tellError(err error) error {
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("no stream takes %s*.*; carrier nats plan shows what is missing: %w", outcomePrefix, err)
	case errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrReconnectBufExceeded):
		return errNotConnected
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("an outcome is larger than the NATS server's max_payload; raise that: %w", err)
	}
	return fmt.Errorf("JetStream does not take an outcome: %w", err)
}
