package bus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// field is one setting of a stream or consumer that is compared.
type field[C any] struct {
	name string
	show func(*C) string
	// same tells whether found is as good as wanted; nil: if both show alike.
	same func(found, want *C) bool
	// harm tells whether it does not work, or loses messages, so; nil: never. It is asked if they are not the same.
	harm func(found *C) bool
	// set takes the wanted value over; nil: the server allows no change.
	set func(found, want *C)
	how string // What it means, and what to do.
}

func always[C any](*C) bool { return true }

// streamFields are compared of both streams.
var streamFields = []field[jetstream.StreamConfig]{
	{
		name: "subjects",
		show: func(c *jetstream.StreamConfig) string { return list(c.Subjects) },
		same: func(found, want *jetstream.StreamConfig) bool {
			return allCovered(found.Subjects, want.Subjects) && !anyOverlaps(found.Subjects, requestSubjects)
		},
		harm: always[jetstream.StreamConfig],
		set:  func(found, want *jetstream.StreamConfig) { found.Subjects = want.Subjects },
		how:  "messages on other subjects are not kept; and a stream must not take carrier's requests, which it would answer itself",
	},
	{
		name: "sealed",
		show: func(c *jetstream.StreamConfig) string { return fmt.Sprint(c.Sealed) },
		harm: always[jetstream.StreamConfig],
		how:  "a sealed stream takes no messages and lets none go; delete it when nothing in it is needed, and carrier makes it anew",
	},
	{
		name: "mirror",
		show: func(c *jetstream.StreamConfig) string {
			if c.Mirror == nil {
				return "none"
			}
			return c.Mirror.Name
		},
		harm: always[jetstream.StreamConfig],
		set:  func(found, _ *jetstream.StreamConfig) { found.Mirror = nil },
		how:  "a mirror takes no messages of its own",
	},
	{
		name: "retention",
		show: func(c *jetstream.StreamConfig) string { return c.Retention.String() },
		how:  "it works, but messages stay, or go, by another rule; a stream can't be changed so: delete it when it is empty, and carrier makes it anew",
	},
	{
		name: "storage",
		show: func(c *jetstream.StreamConfig) string { return c.Storage.String() },
		how:  "what is in memory is gone when the server restarts; a stream can't be changed so: delete it when it is empty, and carrier makes it anew",
	},
	{
		name: "replicas",
		show: func(c *jetstream.StreamConfig) string { return fmt.Sprint(c.Replicas) },
		same: func(found, want *jetstream.StreamConfig) bool { return found.Replicas >= want.Replicas },
		set:  func(found, want *jetstream.StreamConfig) { found.Replicas = want.Replicas },
		how:  "fewer servers than nats.replicas keep it",
	},
	{
		name: "no_ack",
		show: func(c *jetstream.StreamConfig) string { return fmt.Sprint(c.NoAck) },
		harm: func(c *jetstream.StreamConfig) bool { return c.Name == outcomesStream }, // We are its publisher.
		set:  func(found, want *jetstream.StreamConfig) { found.NoAck = want.NoAck },
		how:  "publishers hear nothing, so they can't know that a message was kept; outcomes stop at the first one",
	},
	limited("max_age", func(c *jetstream.StreamConfig) *time.Duration { return &c.MaxAge },
		"older messages are dropped, whether they were taken or not"),
	limited("max_msgs", func(c *jetstream.StreamConfig) *int64 { return &c.MaxMsgs },
		"more messages than that are dropped or refused, by its discard policy"),
	limited("max_bytes", func(c *jetstream.StreamConfig) *int64 { return &c.MaxBytes },
		"more than that is dropped or refused, by its discard policy"),
	limited("max_msgs_per_subject", func(c *jetstream.StreamConfig) *int64 { return &c.MaxMsgsPerSubject },
		"more messages of one source or status than that are dropped or refused, by its discard policy"),
	limited("max_msg_size", func(c *jetstream.StreamConfig) *int32 { return &c.MaxMsgSize },
		"larger messages are refused"),
	{
		name: "duplicate_window",
		show: func(c *jetstream.StreamConfig) string { return c.Duplicates.String() },
		set:  func(found, want *jetstream.StreamConfig) { found.Duplicates = want.Duplicates },
		how:  "how long a repeated Nats-Msg-Id is noticed by the server; carrier itself notices it at any time",
	},
}

// consumerFields are compared of the consumer.
var consumerFields = []field[jetstream.ConsumerConfig]{
	{
		name: "deliver_subject",
		show: func(c *jetstream.ConsumerConfig) string { return none(c.DeliverSubject) },
		harm: always[jetstream.ConsumerConfig],
		how:  "carrier needs a pull consumer: delete it (nats consumer rm " + eventsStream + " " + eventsConsumer + "), and carrier makes it anew",
	},
	{
		name: "ack_policy",
		show: func(c *jetstream.ConsumerConfig) string { return c.AckPolicy.String() },
		harm: always[jetstream.ConsumerConfig],
		how:  "events that the store did not take would be lost: delete it (nats consumer rm " + eventsStream + " " + eventsConsumer + "), and carrier makes it anew",
	},
	{
		name: "filter_subjects",
		show: func(c *jetstream.ConsumerConfig) string { return list(filters(c)) },
		same: func(found, want *jetstream.ConsumerConfig) bool {
			return len(filters(found)) == 0 || allCovered(filters(found), filters(want))
		},
		harm: always[jetstream.ConsumerConfig],
		set: func(found, want *jetstream.ConsumerConfig) {
			found.FilterSubject, found.FilterSubjects = want.FilterSubject, want.FilterSubjects
		},
		how: "events on other subjects stay in the stream and are never taken",
	},
	{
		name: "headers_only",
		show: func(c *jetstream.ConsumerConfig) string { return fmt.Sprint(c.HeadersOnly) },
		harm: always[jetstream.ConsumerConfig],
		set:  func(found, want *jetstream.ConsumerConfig) { found.HeadersOnly = want.HeadersOnly },
		how:  "events come without their bodies",
	},
	{
		name: "priority_groups",
		show: func(c *jetstream.ConsumerConfig) string { return list(c.PriorityGroups) },
		harm: always[jetstream.ConsumerConfig],
		set: func(found, _ *jetstream.ConsumerConfig) {
			found.PriorityGroups, found.PriorityPolicy, found.PinnedTTL = nil, jetstream.PriorityPolicyNone, 0
		},
		how: "carrier belongs to no priority group, so it gets no events",
	},
	{
		name: "deliver_policy",
		show: func(c *jetstream.ConsumerConfig) string { return c.DeliverPolicy.String() },
		how:  "older events may have been left out when it was made; it can't be changed: delete it, and carrier makes it anew",
	},
	{
		name: "ack_wait",
		show: func(c *jetstream.ConsumerConfig) string { return c.AckWait.String() },
		set:  func(found, want *jetstream.ConsumerConfig) { found.AckWait = want.AckWait },
		how:  "how long until an event comes again that was not answered; carrier fetches the less ahead, the shorter it is",
	},
	{
		name: "backoff",
		show: func(c *jetstream.ConsumerConfig) string { return list(durations(c.BackOff)) },
		set:  func(found, _ *jetstream.ConsumerConfig) { found.BackOff = nil },
		how:  "it overrides ack_wait",
	},
	limited("max_deliver", func(c *jetstream.ConsumerConfig) *int { return &c.MaxDeliver },
		"an event that was given back so often, in an outage of the store, stays in the stream and is never taken"),
	limited("max_ack_pending", func(c *jetstream.ConsumerConfig) *int { return &c.MaxAckPending },
		"how many events all nodes together may hold unanswered"),
	limited("max_batch", func(c *jetstream.ConsumerConfig) *int { return &c.MaxRequestBatch },
		"carrier fetches no more at a time"),
	limited("max_expires", func(c *jetstream.ConsumerConfig) *time.Duration { return &c.MaxRequestExpires },
		"carrier asks the more often"),
	limited("max_bytes", func(c *jetstream.ConsumerConfig) *int { return &c.MaxRequestMaxBytes },
		"carrier fetches no more at a time; a larger message would never come"),
	{
		name: "replay_policy",
		show: func(c *jetstream.ConsumerConfig) string { return c.ReplayPolicy.String() },
		how:  "a backlog comes no faster than it arrived; it can't be changed: delete the consumer, and carrier makes it anew",
	},
	{
		name: "mem_storage",
		show: func(c *jetstream.ConsumerConfig) string { return fmt.Sprint(c.MemoryStorage) },
		how:  "when the server restarts, events come again; it can't be changed: delete the consumer, and carrier makes it anew",
	},
	limited("inactive_threshold", func(c *jetstream.ConsumerConfig) *time.Duration { return &c.InactiveThreshold },
		"the server deletes it when no node has asked for so long; carrier makes it anew"),
}

// filters are a consumer's filter subjects, however they are given; none: all.
func filters(c *jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

func list(words []string) string {
	return none(strings.Join(slices.Sorted(slices.Values(words)), ", "))
}

func none(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// limited is a limit that the server allows to be changed; 0 and below are none.
func limited[C any, N int | int32 | int64 | time.Duration](name string, of func(*C) *N, how string) field[C] {
	return field[C]{
		name: name,
		show: func(c *C) string {
			if *of(c) <= 0 {
				return "none"
			}
			return fmt.Sprint(*of(c))
		},
		set: func(found, want *C) { *of(found) = *of(want) },
		how: how,
	}
}

func durations(ds []time.Duration) []string {
	words := make([]string, len(ds))
	for i, d := range ds {
		words[i] = d.String()
	}
	return words
}
