package ingest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Store keeps events.
type Store interface {
	// Apply decides events and keeps them with all their effects, in the order given; one event has one result.
	// It returns when that is durable. An error that wraps store.ErrUnavailable means that nothing was kept; any
	// other that this is not known, and that the same call may be made again.
	Apply(ctx context.Context, events []state.Event) ([]store.Result, error)
	// Ready says why Apply would refuse at present; nil if it would not. It is asked for every request.
	Ready() error
}

// Source is one who may send events.
type Source struct {
	Name string
	// APIKey is what it sends as "Authorization: Bearer KEY". Only its hash is kept. Not taken where there are
	// SigningKeys.
	APIKey string
	// SigningKeys are the keys of which one must have signed each request, as ParseSigningSecret gives them.
	SigningKeys [][]byte
	// DeliveryIDs are the accounts that it may send events for, whichever way they come; empty: all.
	DeliveryIDs []string
	// Rate is how many events a second it may send over HTTP in the long run; 0: any number. One second's worth,
	// and in any case one request, may come at once.
	Rate float64
}

// String names the source, so that no key of it gets into a log.
func (s Source) String() string { return s.Name }

// GoString does as String does.
func (s Source) GoString() string { return s.Name }

// LogValue does as String does.
func (s Source) LogValue() slog.Value { return slog.StringValue(s.Name) }

// What Observe is told beside the verdicts.
const (
	Unauthorized = "unauthorized" // No, or wrong, credentials; the source is empty.
	Limited      = "limited"      // Over the source's rate.
	Unavailable  = "unavailable"  // The store did not take it.
)

// OtherSource is what Observe is told for all sources that are not configured, so that nobody can make new labels by
// sending under new names.
const OtherSource = "other"

// Options is what a Webhook and its Desk are made of.
type Options struct {
	Store       Store
	Sources     []Source
	DeliveryIDs []string // The configured accounts.

	MaxBody      int64         // Bytes of a request's or message's body. 0: 1 MiB.
	MaxActionMsg int           // Bytes of action_msg. 0: 1,024.
	MaxFuture    time.Duration // How far ahead action_time may lie. 0: 10 minutes.
	MaxAge       time.Duration // How far back action_time may lie. 0: no limit.

	Logger *slog.Logger // nil: nothing is logged. Texts and Tokens of events never are.
	// Observe counts events for metrics, by source and by verdict or one of the words above. It is called by many
	// goroutines at once and must be quick. nil: nothing is counted.
	Observe func(source, verdict string, n int)
	// ObserveAge is told how long ago, by its own action_time, an event was scanned that the store has just taken for the
	// first time; below zero if that lies ahead. As Observe in all else.
	ObserveAge func(source string, age time.Duration)
	// Spans makes a span of each request and message that is let in. nil: there are none.
	Spans *spans.Tracer
}

// MaxBatch is how many events a batch may hold.
const MaxBatch = 1000

// source is a Source at work, one for each way in.
type source struct {
	name    string
	label   string          // What Observe is told.
	allowed map[string]bool // nil: all accounts.
	known   []string        // The accounts that it may hear of.
	keyHash [sha256.Size]byte
	keys    [][]byte      // What it signs with; it has no API key then.
	limit   *rate.Limiter // nil: none.
	msgID   bool          // Whether the header Nats-Msg-Id is the id of an event that has none: of messages.
}

func newSource(s *Source, deliveryIDs []string) *source {
	made := &source{name: s.Name, label: s.Name, known: deliveryIDs}
	if len(s.DeliveryIDs) > 0 {
		made.known, made.allowed = s.DeliveryIDs, make(map[string]bool)
		for _, id := range s.DeliveryIDs {
			made.allowed[id] = true
		}
	}
	return made
}

// may tells whether the source may send events for an account.
func (s *source) may(deliveryID string) bool { return s.allowed == nil || s.allowed[deliveryID] }

// New checks o and makes the Webhook, with its Desk for what comes by other ways. Its error names every mistake of the
// operator's.
func New(o Options) (*Webhook, error) {
	o.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.Observe == nil {
		o.Observe = func(string, string, int) {}
	}
	if o.ObserveAge == nil {
		o.ObserveAge = func(string, time.Duration) {}
	}
	if o.Store == nil {
		panic("ingest: Options.Store is missing")
	}
	first, err := newTerms(o)
	if err != nil {
		return nil, err
	}
	desk := &Desk{
		store: o.Store, maxBody: o.MaxBody,
		log: o.Logger, trouble: trouble{log: o.Logger}, observe: o.Observe, observeAge: o.ObserveAge, spans: o.Spans,
	}
	desk.terms.Store(first)
	w := &Webhook{Desk: desk}
	w.buffers.New = func() any { return new([]byte) }
	return w, nil
}

func (o *Options) checkLimits() error {
	var errs []error
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"the largest body", o.MaxBody},
		{"the longest action_msg", int64(o.MaxActionMsg)},
		{"max_future", int64(o.MaxFuture)},
	} {
		if limit.value < 0 {
			errs = append(errs, fmt.Errorf("%s must be above 0", limit.name))
		}
	}
	if o.MaxAge < 0 {
		errs = append(errs, errors.New("max_age must be 0 (no limit) or above"))
	}
	return errors.Join(errs...)
}

func (o *Options) rules() (*rules, error) {
	v, err := newValidator()
	if err != nil {
		return nil, err
	}
	r := &rules{
		maxMsg: o.MaxActionMsg, maxFuture: o.MaxFuture, maxAge: o.MaxAge,
		deliveryIDs: make(map[string]string, len(o.DeliveryIDs)), validate: v,
	}
	for _, id := range o.DeliveryIDs {
		r.deliveryIDs[id] = id
	}
	if len(o.DeliveryIDs) == 1 {
		r.only = o.DeliveryIDs[0]
	}
	return r, nil
}

// newKeyring checks the sources and hashes their keys.
func newKeyring(sources []Source, deliveryIDs []string) (*keyring, error) {
	k := &keyring{byKey: make(map[[sha256.Size]byte]*source)}
	names := make(map[string]bool)
	var errs []error
	for i := range sources {
		s := &sources[i]
		if s.Name == "" {
			errs = append(errs, fmt.Errorf("source number %d has no name", i+1))
		}
		if names[s.Name] {
			errs = append(errs, fmt.Errorf("source %q is there twice", s.Name))
		}
		names[s.Name] = true
		if err := errors.Join(checkSource(s, deliveryIDs), k.add(s, deliveryIDs)); err != nil {
			errs = append(errs, fmt.Errorf("source %q: %w", s.Name, err))
		}
	}
	return k, errors.Join(errs...)
}

func checkSource(s *Source, deliveryIDs []string) error {
	var errs []error
	if s.APIKey == "" && len(s.SigningKeys) == 0 {
		errs = append(errs, errors.New("needs an api_key or a signing_secret"))
	}
	if !isBearerKey(s.APIKey) {
		errs = append(errs, fmt.Errorf("its api_key must be at most %d visible ASCII characters, without spaces", maxKey))
	}
	for _, id := range s.DeliveryIDs {
		if !slices.Contains(deliveryIDs, id) {
			errs = append(errs, fmt.Errorf("delivery_id %q is no configured account", id))
		}
	}
	if s.Rate < 0 || math.IsNaN(s.Rate) || math.IsInf(s.Rate, 0) {
		errs = append(errs, errors.New("its rate must be a number of events a second, or 0 for no limit"))
	}
	return errors.Join(errs...)
}

// add puts a source on the ring.
func (k *keyring) add(s *Source, deliveryIDs []string) error {
	made := newSource(s, deliveryIDs)
	if s.Rate > 0 {
		made.limit = rate.NewLimiter(rate.Limit(s.Rate), int(min(math.Ceil(s.Rate), math.MaxInt32)))
	}
	if len(s.SigningKeys) > 0 {
		return k.addSigning(made, s.SigningKeys)
	}
	made.keyHash = sha256.Sum256([]byte(s.APIKey))
	if other := k.byKey[made.keyHash]; other != nil {
		return fmt.Errorf("has the same api_key as source %q: each needs its own", other.name)
	}
	k.byKey[made.keyHash] = made
	return nil
}
