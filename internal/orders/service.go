package orders

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"carrier/internal/callback"
	"carrier/internal/spans"
)

// Account is a delivery company whose pushes are taken.
type Account struct {
	DeliveryID string
	Keys       callback.Keys
	Window     time.Duration // As the Keys have it: how far a push's timestamp may be off.
	Dispatcher Dispatcher    // nil: the account has no dispatch system.
	// Take deals with the pushes of an account that is no delivery company, in place of all that is done here with
	// orders. They are answered "success" once it returns nil; with an error WeChat sends them again. It has 4 s. nil: it
	// is a delivery company.
	Take func(ctx context.Context, m *callback.Message) error
}

// What Observe is told of a push.
const (
	Accepted   = "accepted"   // Result code 0, or success.
	Repeated   = "repeated"   // The same answer as before, or nothing new.
	Refused    = "refused"    // Any other result code; of what the customer sees: it can't be kept.
	Verified   = "verified"   // WeChat checked the address.
	Forged     = "forged"     // Wrongly signed, or wrongly encrypted or not at all.
	Stale      = "stale"      // Rightly signed, and not fresh.
	Replayed   = "replayed"   // The signature came before, with another body.
	Unreadable = "unreadable" // Neither a message nor a part of one.
	Unknown    = "unknown"    // There is no such account, or its pushes are not taken.
	Failed     = "failed"     // WeChat was told to send it again.
)

// Options is what a Service is made of.
type Options struct {
	Store    Store
	Accounts []Account
	Logger   *slog.Logger // nil: nothing is logged.
	// Observe counts pushes for metrics: by account (empty if it is none), event (empty if it could not be told, "other"
	// if it is none that is handled here) and one of the words above. It must be quick. nil: nothing is counted.
	Observe func(deliveryID, event, result string)
	Spans   *spans.Tracer // Makes a span of each push, and of each question about one. nil: there are none.
}

// Service takes WeChat's own pushes. It is safe for concurrent use.
type Service struct {
	desk     desk
	accounts atomic.Pointer[map[string]*account] // Replaced as a whole: see SetAccounts.
	observe  func(deliveryID, event, result string)
	log      *slog.Logger
	spans    *spans.Tracer
}

// account is an Account at work.
type account struct {
	id       string
	keys     callback.Keys
	window   time.Duration
	dispatch Dispatcher
	other    func(context.Context, *callback.Message) error // Account.Take
	noise    noise                                          // About what is no push of WeChat's.
	trouble  noise                                          // About what could not be dealt with.
	silence  noise                                          // About a dispatch system that gives no answer.
}

// New makes a Service. Close it after the last push was taken.
func New(o Options) *Service {
	if o.Store == nil {
		panic("orders: Options.Store is missing")
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.Observe == nil {
		o.Observe = func(string, string, string) {}
	}
	s := &Service{desk: desk{store: o.Store, log: o.Logger, spans: o.Spans}, observe: o.Observe, log: o.Logger, spans: o.Spans}
	s.SetAccounts(o.Accounts)
	return s
}

// SetAccounts puts other accounts in the place of all that there are, for the pushes that come from then on.
func (s *Service) SetAccounts(accounts []Account) {
	all := make(map[string]*account, len(accounts))
	for _, a := range accounts {
		if a.Dispatcher == nil {
			a.Dispatcher = nobody{}
		}
		a.Window = cmp.Or(a.Window, callback.Window)
		all[a.DeliveryID] = &account{id: a.DeliveryID, keys: a.Keys, window: a.Window, dispatch: a.Dispatcher, other: a.Take}
	}
	s.accounts.Store(&all)
}

// Close waits until what was begun is done, which takes 10 s at most. Nothing is begun after it.
func (s *Service) Close() { s.desk.close() }
