package bus

import (
	"cmp"
	"context"
	"log/slog"
	"strings"

	"carrier/internal/ingest"
	"carrier/internal/problem"
	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Options set the NATS side up. It prints without what is secret in it.
type Options struct {
	URL            string // EmbeddedURL, or server addresses separated by commas.
	CredsFile      string // A user's JWT and seed; read again at each connection.
	NKeyFile       string // A user's seed.
	User, Password string
	TLS            TLS
	Embedded       Embedded
	Replicas       int // Of the streams that it makes; 0: 1.

	Events     Events
	Store      Store
	Instance   string                       // The store's name, which no other store has; it is a part of each outcome's ce-source.
	Configured func(deliveryID string) bool // Whether an account is, at the moment.
	Version    string                       // Of carrier.
	Spans      *spans.Tracer                // Makes a span of each telling of what became of an event that was traced. nil: there are none.
	Logger     *slog.Logger                 // Its lines get the part of the NATS side that they are from.
	Observe    Observer
}

// EmbeddedURL asks for a server inside this process.
const EmbeddedURL = "embedded"

// TLS are files in PEM. All empty: TLS is used if an address (tls://) or the server asks for it, with the system's CAs.
type TLS struct {
	CAFile            string
	CertFile, KeyFile string // The client's own, both or none.
}

// Embedded sets the server inside this process up.
type Embedded struct {
	// Listen is where other programs connect to, host:port. They need no credentials, so the host must be a loopback
	// address. Port 0 takes any that is free.
	Listen   string
	StoreDir string // Its folder. No other process may use it.
}

// Events takes events into the store; *ingest.Webhook does.
type Events interface {
	// Take hands the readable messages to the store in one commit, in the order given, and answers each.
	Take(ctx context.Context, messages []ingest.Message) []ingest.Reply
	// TakeBatch takes one message that holds many events.
	TakeBatch(ctx context.Context, m ingest.Message) (answer []byte, p *problem.Problem)
}

// Store is what is used of the store beside Events.
type Store interface {
	PutToken(ctx context.Context, w state.Waybill, token string, act store.Act) (changed bool, err error)
	PutDeadLetter(ctx context.Context, d store.DeadLetter) error
	Ready() error
	store.Notices
}

// Outcome is what became of a message of the stream, for metrics.
type Outcome string

// All outcomes.
const (
	Acked    Outcome = "acked"    // The store has it.
	Returned Outcome = "returned" // Given back to the stream, to come again.
	Dead     Outcome = "dead"     // Can never be taken; kept as a dead letter.
)

// Observer is told what happens, for metrics. Its functions are called by several goroutines at once and must be quick;
// one that is nil is left out.
type Observer struct {
	Connected   func(up bool)                // The connection was made, or lost.
	Reconnected func()                       // It was made again.
	Messages    func(outcome Outcome, n int) // Of the stream.
	Redelivered func(n int)                  // Messages that had been delivered before.
	Backlog     func(waiting, unacked int64) // Of the consumer, looked up now and then.
}

func (o *Observer) setDefaults() {
	if o.Connected == nil {
		o.Connected = func(bool) {}
	}
	if o.Reconnected == nil {
		o.Reconnected = func() {}
	}
	if o.Messages == nil {
		o.Messages = func(Outcome, int) {}
	}
	if o.Redelivered == nil {
		o.Redelivered = func(int) {}
	}
	if o.Backlog == nil {
		o.Backlog = func(int64, int64) {}
	}
}

func (o *Options) setDefaults() {
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.Observe.setDefaults()
}

// String names the servers.
func (o Options) String() string { return strings.Join(shownAddresses(o.URL), ",") }

// GoString does as String does.
func (o Options) GoString() string { return o.String() }

// LogValue does as String does.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }
