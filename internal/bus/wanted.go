package bus

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Names on the server.
const (
	eventsStream    = "CARRIER_EVENTS"
	eventsPrefix    = "carrier.events."
	eventsSubject   = eventsPrefix + "*"
	eventsConsumer  = "carrier-ingest"
	outcomesStream  = "CARRIER_OUTCOMES"
	outcomesSubject = "carrier.outcomes.*.*"
)

// requestSubjects are those on which somebody waits for a reply. A stream that takes them, too, would answer first.
var requestSubjects = []string{"carrier.submit.*", "carrier.token.*", "carrier.orders.*.*"}

// duplicatesWindow is how long a stream knows a Nats-Msg-Id again.
const duplicatesWindow = 2 * time.Minute

// wantedEvents is the stream of events: each stays until it is durable in our store, however long that takes.
func wantedEvents(o *Options) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: eventsStream, Description: "Scans for carrier; each stays until carrier has made it durable.",
		Subjects: []string{eventsSubject}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: max(1, o.Replicas),
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1, MaxConsumers: -1,
		Duplicates: duplicatesWindow,
	}
}

// wantedOutcomes is the stream of outcomes: a week for dispatch systems to read what they missed.
func wantedOutcomes(o *Options) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: outcomesStream, Description: "What became of scans that carrier took.",
		Subjects: []string{outcomesSubject}, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: max(1, o.Replicas),
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1, MaxConsumers: -1,
		MaxAge: 7 * 24 * time.Hour, Discard: jetstream.DiscardOld, Duplicates: duplicatesWindow,
	}
}

// wantedConsumer is the consumer that all nodes share. It never gives a message up: a message that can't be taken now
// comes again until it is.
func wantedConsumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: eventsConsumer, Name: eventsConsumer, Description: "The nodes of carrier.",
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second,
		MaxDeliver: -1, MaxAckPending: 4096, FilterSubject: eventsSubject,
	}
}
