package pathpush

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"carrier/internal/spans"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// Store is what pushing needs of the store (see store.Store).
type Store interface {
	Lane(ctx context.Context, w state.Waybill) (store.Lane, error)
	Sweep(ctx context.Context, deliveryID string, from store.Place) ([]state.Waybill, store.Place, bool, error)
	Settle(o store.Outcome, done func(error))
	Account(ctx context.Context, deliveryID string) (store.Account, error)
	PutAccount(ctx context.Context, deliveryID string, a store.Account) error
}

// Ownership says whose pushes are this node's to send (see store.Ownership).
type Ownership interface {
	Begin(w state.Waybill) (lease context.Context, end func(), ok bool)
	Nodes() int
	Tell(b store.BreakerNews)
}

// Upstream sends one push. An error is one of *wechat.CallError, or ctx's.
type Upstream interface {
	UpdatePath(ctx context.Context, accessToken string, u wechat.PathUpdate) (wechat.Answer, error)
}

// Credentials gives an account's access_token.
type Credentials interface {
	// Dated returns the present one and when it was first given, fetching it if need be; the time is zero where none is
	// needed. An error is a *wechat.TokenError, or ctx's.
	Dated(ctx context.Context) (token string, at time.Time, err error)
	// Refused reports the access_token that upstream refused; it is replaced only if it still is the present one.
	Refused(token string) bool
	// Life is when the present one was first given and when it ends; both are zero if there is none.
	Life() (from, until time.Time)
	// Retry forgets failures, so that the next Get fetches at once.
	Retry()
	// Run refreshes ahead of expiry until ctx ends.
	Run(ctx context.Context) error
}

// Host is one address of upstream.
type Host struct {
	Name     string // For people: its host name.
	Upstream Upstream
}

// AccountOptions sets up one account.
type AccountOptions struct {
	DeliveryID  string
	Hosts       []Host // The main one, then those tried while the breakers before them are open.
	Credentials Credentials
	Quota       QuotaReader // Asks upstream for the day's quota; nil: calls are only counted.
	Concurrency int         // Pushes in flight at once, on all nodes together.
	Rate        float64     // Pushes a second, of all nodes together; 0 is no limit.
	// Retired is for Pusher.Prepare: it is called once nothing uses the Hosts and Credentials that these replace any more.
	Retired func()
}

// Retry is the schedule of retries: the n-th waits a random part of Initial*Multiplier^n, at most Max ("full jitter").
type Retry struct {
	Initial    time.Duration
	Max        time.Duration
	Multiplier float64
	// MaxAge ends the retries of a push that upstream can't take. It is used up by attempts and the waits between
	// them, not while a breaker is open or an account paused.
	MaxAge time.Duration
}

// BreakerOptions says when a host's breaker opens and how it closes again.
type BreakerOptions struct {
	MinRequests  int           // Fewer answers than that in Interval never open it.
	FailureRatio float64       // Share of failures that opens it.
	Interval     time.Duration // Rolling window.
	OpenFor      time.Duration // Before probes are let through.
	HalfOpen     int           // Probes that must all succeed to close it.
}

// Observer hears of attempts and ends, for metrics. Its methods must not block.
type Observer interface {
	Attempt(deliveryID string, at *store.Attempt)
	Ended(deliveryID string, status store.Status, sinceReceived time.Duration)
}

// Options sets up a Pusher.
type Options struct {
	Store        Store
	Ownership    Ownership // Where nodes share the store; nil: this node is alone.
	Accounts     []AccountOptions
	Retry        Retry
	TokenRetries int // Answers of the waybill scope before a waybill is parked.
	Breaker      BreakerOptions
	Guard        GuardOptions         // Against mass failing; the zero value is none.
	QuotaReserve float64              // Share (0 to 1) of the day's quota that is kept for all but transit scans; 0: none.
	Errcodes     map[int]wechat.Scope // Overrides of wechat.ScopeOf.
	Logger       *slog.Logger
	Observer     Observer
	Spans        *spans.Tracer // Makes a span of each attempt for an event that was traced. nil: there are none.
	// MaxLoaded bounds the pushes of an account that are held in memory; 0 means 32,000.
	MaxLoaded int
	// Random gives numbers in [0,1) for the jitter; nil means math/rand's.
	Random func() float64
}

func (o *Options) complete() error {
	o.MaxLoaded = cmp.Or(o.MaxLoaded, 32_000)
	o.TokenRetries = cmp.Or(o.TokenRetries, 3)
	o.Retry.Initial = cmp.Or(o.Retry.Initial, time.Second)
	o.Retry.Max = cmp.Or(o.Retry.Max, 5*time.Minute)
	o.Retry.Multiplier = cmp.Or(o.Retry.Multiplier, 2)
	o.Retry.MaxAge = cmp.Or(o.Retry.MaxAge, 72*time.Hour)
	o.Breaker.MinRequests = cmp.Or(o.Breaker.MinRequests, 20)
	o.Breaker.FailureRatio = cmp.Or(o.Breaker.FailureRatio, 0.5)
	o.Breaker.Interval = cmp.Or(o.Breaker.Interval, 10*time.Second)
	o.Breaker.OpenFor = cmp.Or(o.Breaker.OpenFor, 30*time.Second)
	o.Breaker.HalfOpen = cmp.Or(o.Breaker.HalfOpen, 5)
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Ownership == nil {
		o.Ownership = store.Alone{}
	}
	if o.Observer == nil {
		o.Observer = silent{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Store == nil {
		return errors.New("pathpush: a store is needed")
	}
	if o.QuotaReserve < 0 || o.QuotaReserve > 1 {
		return fmt.Errorf("pathpush: a share of %v of the quota can't be kept; it must be 0 to 1", o.QuotaReserve)
	}
	ids := make(map[string]bool, len(o.Accounts))
	for i := range o.Accounts {
		a := &o.Accounts[i]
		a.Concurrency = cmp.Or(a.Concurrency, 64)
		if ids[a.DeliveryID] {
			return fmt.Errorf("pathpush: account %s is given twice", a.DeliveryID)
		}
		ids[a.DeliveryID] = true
		if len(a.Hosts) == 0 || a.Credentials == nil {
			return fmt.Errorf("pathpush: account %s needs a host and credentials", a.DeliveryID)
		}
	}
	return nil
}

type silent struct{}

func (silent) Attempt(string, *store.Attempt)            {}
func (silent) Ended(string, store.Status, time.Duration) {}
