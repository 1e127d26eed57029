package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"carrier/internal/ingest"
	"carrier/internal/problem"
	"carrier/internal/store"
)

// Of messages that come again.
const (
	maxAgain = 5 * time.Minute // The longest time that one waits that can't be settled by itself.
	// aloneFor bounds taking a batch one by one. It is a part of ack_wait, in which all that was fetched must be taken.
	aloneFor      = 10 * time.Second
	lettersAtOnce = 64 // Dead letters kept in parallel, so that the store has something to commit together.
	// letterAgain is when a message comes again whose dead letter could not be kept.
	letterAgain = 2 * time.Second
)

// storeAway ends a session: the store takes nothing at present.
type storeAway struct{ after time.Duration }

func (e *storeAway) Error() string {
	return fmt.Sprintf("the store takes nothing for another %s", e.after)
}

// storeIsAway tells whether the session has ended because the store takes nothing.
func (s *session) storeIsAway() bool {
	_, away := errors.AsType[*storeAway](context.Cause(s.fetching))
	return away
}

// delay is how long what is given back should stay away.
func (s *session) delay() time.Duration {
	if away, ok := errors.AsType[*storeAway](context.Cause(s.fetching)); ok {
		return away.after
	}
	return 0
}

// item is a message on its way into the store.
type item struct {
	message jetstream.Msg
	event   ingest.Message
	reply   ingest.Reply
	again   uint64 // How often it was delivered before.
}

// take hands a batch to the store and answers its messages.
func (s *session) take(ctx context.Context, batch []jetstream.Msg) {
	items, ok := s.whole(ctx, s.items(batch))
	if !ok {
		s.end(errRecheck)
		s.giveBack(batch, 0)
		return
	}
	s.apply(ctx, items)
	unknown := s.settle(ctx, items)
	if len(items) > 1 {
		unknown = s.takeAlone(ctx, unknown)
	}
	for _, it := range unknown {
		s.giveBack([]jetstream.Msg{it.message}, it.later())
	}
}

// items reads a batch.
func (s *session) items(batch []jetstream.Msg) []*item {
	items, again := make([]*item, len(batch)), 0
	for n, message := range batch {
		it := &item{message: message, event: ingest.Message{Via: "take carrier.events", Header: message.Headers(), Body: message.Data()}}
		// A stream that an operator widened may bring other subjects. They name no source, and end as dead letters.
		if source, ok := strings.CutPrefix(message.Subject(), eventsPrefix); ok {
			it.event.Source = source
		}
		if meta, err := message.Metadata(); err == nil && meta.NumDelivered > 1 {
			it.again = meta.NumDelivered - 1
			again++
		}
		items[n] = it
	}
	if again > 0 {
		s.observe.Redelivered(again)
	}
	return items
}

// whole sees to messages that have lost their bodies on the way, because somebody has just set the consumer to
// headers_only: taken so, they would end as dead letters without a content. ok is false if the consumer is so. Otherwise
// such a message is given back once; one that is still so when it comes again was sent so, and is returned.
func (s *session) whole(ctx context.Context, items []*item) (kept []*item, ok bool) {
	if !slices.ContainsFunc(items, (*item).bodiless) {
		return items, true
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	consumer, err := s.js.Consumer(ctx, eventsStream, eventsConsumer)
	if err != nil || consumer.CachedInfo().Config.HeadersOnly {
		return nil, false
	}
	for _, it := range items {
		if it.bodiless() && it.again == 0 {
			s.giveBack([]jetstream.Msg{it.message}, 0)
		} else {
			kept = append(kept, it)
		}
	}
	return kept, true
}

// bodiless tells whether the server has left the body out, or the sender pretends that it did.
func (it *item) bodiless() bool {
	return len(it.event.Body) == 0 && len(it.event.Header["Nats-Msg-Size"]) > 0
}

// apply fills the replies in.
func (s *session) apply(ctx context.Context, items []*item) {
	messages := make([]ingest.Message, len(items))
	for n, it := range items {
		messages[n] = it.event
	}
	replies := s.events.Take(ctx, messages)
	if len(replies) != len(items) { // A mistake of ours; nothing of it may be acknowledged.
		p := problem.New(problem.OutcomeUnknown).After(maxRetry).Because(fmt.Errorf("%d replies to %d messages", len(replies), len(items)))
		replies = make([]ingest.Reply, len(items))
		for n := range replies {
			replies[n] = ingest.Reply{Problem: p}
		}
	}
	for n, it := range items {
		it.reply = replies[n]
	}
}

// settle answers messages by their replies. Those of which the store does not know what became are left.
func (s *session) settle(ctx context.Context, items []*item) (unknown []*item) {
	var letters errgroup.Group
	letters.SetLimit(lettersAtOnce)
	acked := 0
	for _, it := range items {
		after, again := it.reply.Again()
		switch {
		case it.reply.Durable():
			if it.message.Ack() == nil { // If it got lost, the message comes again, as a duplicate.
				acked++
			}
		case again && it.reply.Problem.Code == problem.StoreUnavailable:
			s.end(&storeAway{after})
			s.giveBack([]jetstream.Msg{it.message}, after)
		case again:
			unknown = append(unknown, it)
		default:
			letters.Go(func() error { s.bury(ctx, it); return nil })
		}
	}
	_ = letters.Wait() // Its functions return nothing.
	if acked > 0 {
		s.observe.Messages(Acked, acked)
	}
	return unknown
}

// takeAlone takes messages one by one of which it is not known, together, what became: one that the store can't decide,
// because something of its waybill is damaged, must not keep the others out. It returns those that are left.
func (s *session) takeAlone(ctx context.Context, items []*item) (unknown []*item) {
	if len(items) == 0 {
		return nil
	}
	s.calm.warn("events are taken one by one, because it is not known what became of them together", "events", len(items),
		"err", items[0].reply.Problem.Unwrap())
	for n, until := 0, time.Now().Add(aloneFor); n < len(items); n++ {
		if s.fetching.Err() != nil || time.Now().After(until) {
			return append(unknown, items[n:]...)
		}
		one := items[n : n+1]
		s.apply(ctx, one)
		unknown = append(unknown, s.settle(ctx, one)...)
	}
	return unknown
}

// later is when a message should come again that can't be settled: the later, the more often it came.
func (it *item) later() time.Duration {
	after, _ := it.reply.Again()
	return min(maxAgain, max(after, time.Second)<<min(it.again, 10))
}

// giveBack returns messages to the stream, to come again after a time.
func (s *session) giveBack(batch []jetstream.Msg, after time.Duration) {
	returned := 0
	for _, message := range batch {
		if message.NakWithDelay(after) == nil { // Otherwise it comes again when ack_wait is over.
			returned++
		}
	}
	if returned > 0 {
		s.observe.Messages(Returned, returned)
	}
}

// bury keeps a message that can never be taken as a dead letter, and only then lets it go.
func (s *session) bury(ctx context.Context, it *item) {
	p := it.reply.Problem
	err := s.store.PutDeadLetter(ctx, store.DeadLetter{
		Source: it.event.Source, Subject: it.message.Subject(), Code: string(p.Code), Reason: reason(p, problem.English), ReasonZh: reason(p, problem.Chinese),
		Body: it.event.Body,
	})
	if err != nil {
		s.calm.warn("a dead letter can't be kept; the message comes again", "subject", it.message.Subject(), "code", string(p.Code), "err", err)
		s.giveBack([]jetstream.Msg{it.message}, max(letterAgain, it.later()))
		return
	}
	s.calm.info("a message can never be taken; it is kept as a dead letter", "subject", it.message.Subject(),
		"event_id", it.reply.ID, "code", string(p.Code))
	if s.terminate(it.message, string(p.Code)) == nil {
		s.observe.Messages(Dead, 1)
	}
}

// terminate has the stream forget a message. Servers before 2.10.4 ignore a termination with a reason, and would send
// the message again and again.
func (s *session) terminate(message jetstream.Msg, reason string) error {
	if olderThan(s.link.nc.ConnectedServerVersion(), 2, 10, 4) {
		return message.Term()
	}
	return message.TermWithReason(reason)
}

// olderThan compares a server's version; one that can't be read is not older.
func olderThan(version string, major, minor, patch int) bool {
	var found [3]int
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &found[0], &found[1], &found[2]); n < len(found) {
		return false
	}
	return slices.Compare(found[:], []int{major, minor, patch}) < 0
}

// reason is a problem in words.
func reason(p *problem.Problem, l problem.Language) string {
	text := p.Detail.In(l)
	for _, e := range p.Errors {
		text += " " + strings.TrimSpace(e.Field+": "+e.Message.In(l))
	}
	return text
}
