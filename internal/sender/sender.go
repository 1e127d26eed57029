package sender

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
)

// MaxParallel is how many requests may be under way at once.
const MaxParallel = 64

// Options is what a Sender is made of.
type Options struct {
	// NATS is the connection to send over; nil: over HTTP. It stays the caller's to close. Then Source is the source's
	// name, and what follows up to SigningKey must be empty: NATS itself knows who may send.
	NATS   *nats.Conn
	Source string

	URL string // The service's address, such as http://127.0.0.1:8080.

	// Key is the source's API key. SigningKey is the key of its signing secret, for a source that has one: then
	// requests are signed, and Key must be empty. Neither appears in any error.
	Key        string
	SigningKey []byte

	Batch    int           // Events a request, at most MaxBatch. 0: 500.
	Parallel int           // Requests under way at once; events of one waybill keep their order in any case. 0: 4.
	RetryFor time.Duration // How long one batch is tried. 0: it is tried once.
	Timeout  time.Duration // Of one request. 0: 1 minute.
	// Linger is how long an event waits for others to fill its batch while the input brings nothing. 0: 200 ms.
	Linger time.Duration
	// Grace is how long requests under way may still take after an interruption. 0: 3 s.
	Grace time.Duration

	Language  string // Accept-Language, for what the service says. "": English.
	UserAgent string // "": carrier-send.

	// Transport carries the requests of HTTP. nil: net/http's own, with as many idle connections as Parallel.
	Transport http.RoundTripper
	// Progress hears of every answer, and of failures while they are waited out. Calls do not overlap. May be nil.
	Progress func(Progress)
	// Refused hears of every refused event; its error ends the sending. Calls do not overlap. May be nil.
	Refused func(Refused) error
}

// contentType is what batches are, whichever way they go.
const contentType = "application/x-ndjson"

// Sender sends events. It may be used by several goroutines, but then nothing holds between what they send.
type Sender struct {
	o    Options
	link link
}

// New checks o and makes a Sender.
func New(o Options) (*Sender, error) {
	s := &Sender{o: o}
	s.o.setDefaults()
	link, err := newLink(&s.o)
	if err := errors.Join(err, o.check()); err != nil {
		return nil, err
	}
	s.link = link
	return s, nil
}

func newLink(o *Options) (link, error) {
	if o.NATS != nil {
		return newNATSLink(o)
	}
	return newHTTPLink(o)
}

func (o *Options) setDefaults() {
	o.Batch = cmp.Or(o.Batch, 500)
	o.Parallel = cmp.Or(o.Parallel, 4)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.Linger = cmp.Or(o.Linger, 200*time.Millisecond)
	o.Grace = cmp.Or(o.Grace, 3*time.Second)
	o.UserAgent = cmp.Or(o.UserAgent, "carrier-send")
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Refused == nil {
		o.Refused = func(Refused) error { return nil }
	}
}

func (o *Options) check() error {
	var errs []error
	if o.Batch < 0 || o.Batch > MaxBatch {
		errs = append(errs, fmt.Errorf("a batch must have 1 to %d events", MaxBatch))
	}
	if o.Parallel < 0 || o.Parallel > MaxParallel {
		errs = append(errs, fmt.Errorf("there must be 1 to %d requests in parallel", MaxParallel))
	}
	if o.RetryFor < 0 {
		errs = append(errs, errors.New("the time to retry for must not be below 0"))
	}
	return errors.Join(errs...)
}
