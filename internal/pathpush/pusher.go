package pathpush

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"carrier/internal/store"
)

// ErrUnknownAccount says that no account has that delivery_id.
var ErrUnknownAccount = errors.New("no such account")

// ErrNothingToProbe says that a push needs no leave to go, or can't be given it; it is wrapped with which.
var ErrNothingToProbe = errors.New("nothing to probe")

// Pusher pushes for all accounts. It is made by New, told of new work by Feed, and works while Run does.
type Pusher struct {
	options Options // As New got them, complete; the accounts among them are those of the start.
	roster  atomic.Pointer[roster]

	mu      sync.Mutex
	spawn   func(work func(context.Context) error) // Has Run do, and wait for, something more; nil while it does not run.
	leaving map[string]<-chan struct{}             // By delivery_id: accounts that are done when it is closed.
}

// roster are the accounts. It is not changed once made.
type roster struct {
	byID  map[string]*account
	order []*account // As configured.
}

func newRoster(order []*account) *roster {
	r := &roster{byID: make(map[string]*account, len(order)), order: order}
	for _, a := range order {
		r.byID[a.id] = a
	}
	return r
}

// account finds an account; nil if there is none.
func (p *Pusher) account(deliveryID string) *account { return p.roster.Load().byID[deliveryID] }

// New makes a Pusher. It starts nothing.
func New(o Options) (*Pusher, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	p := &Pusher{options: o, leaving: map[string]<-chan struct{}{}}
	order := make([]*account, len(o.Accounts))
	for i, ao := range o.Accounts {
		order[i] = newAccount(&o, ao)
	}
	p.roster.Store(newRoster(order))
	return p, nil
}

// Run pushes until ctx ends. Then it sends nothing more, waits for the pushes in flight (each bounded by its own
// time-out) and for their outcomes to be durable, and returns. An error is the store's, and ends everything.
func (p *Pusher) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	p.mu.Lock()
	p.spawn = func(work func(context.Context) error) { g.Go(func() error { return work(ctx) }) }
	for _, a := range p.roster.Load().order {
		p.spawn(a.work)
	}
	p.mu.Unlock()
	g.Go(func() error {
		<-ctx.Done()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.spawn = nil // Nobody would wait for it any more.
		return nil
	})
	return g.Wait()
}

// Feed takes what the store tells of newly open pushes. It never blocks.
func (p *Pusher) Feed(changes []store.Change) {
	for i := range changes {
		if s := changes[i].Shared; s != nil {
			p.shared(s)
		} else if a := p.account(changes[i].Waybill.DeliveryID); a != nil {
			a.changed(&changes[i])
		}
	}
}

// Held says what all pushes of an account wait for at the moment, or, with transitOnly, those of waybills of which only
// transit scans are open, for store.Query.
func (p *Pusher) Held(deliveryID string, transitOnly bool) store.WaitingFor {
	if a := p.account(deliveryID); a != nil {
		return a.held(transitOnly)
	}
	return store.WaitNothing
}

// Pause stops an account's pushes until Resume; it survives a restart.
func (p *Pusher) Pause(ctx context.Context, deliveryID, reason string) error {
	a := p.account(deliveryID)
	if a == nil {
		return ErrUnknownAccount
	}
	return a.pauseByHand(ctx, reason)
}

// Resume ends any pause of an account, by hand or not, also one for the day's quota or of the guard against mass failing
// (Options.Guard), which counts anew from here. Transit scans that wait for the rest of the quota (Options.QuotaReserve)
// go on until the day ends; or until upstream gave back, or takes more by, half of what isn't kept. letFail switches the
// guard off for so long, so that what upstream refuses fails; 0 leaves it on, and switches it on again. That is not kept:
// after a restart the guard is on.
func (p *Pusher) Resume(ctx context.Context, deliveryID string, letFail time.Duration) error {
	a := p.account(deliveryID)
	if a == nil {
		return ErrUnknownAccount
	}
	return a.resume(ctx, letFail)
}

// Probe has one push go to upstream at once, or the next one that is ready if none is, although a breaker is open (the
// main host's first) or upstream's answers paused the account. If upstream takes it, the breaker closes, or the account
// goes on; if not, all stays as it was, with the next probe of its own when it was due. ErrNothingToProbe if nothing is
// open or paused, or if only an operator can end the pause.
func (p *Pusher) Probe(ctx context.Context, deliveryID string) error {
	a := p.account(deliveryID)
	if a == nil {
		return ErrUnknownAccount
	}
	return a.probe(ctx)
}

// Forced keeps when access_tokens of an account were forced (see wechat.AccessTokenOptions).
func (p *Pusher) Forced(ctx context.Context, deliveryID string, at []time.Time) error {
	a := p.account(deliveryID)
	if a == nil {
		return ErrUnknownAccount
	}
	return a.forced(ctx, at)
}

// Snapshots tells how the accounts are, in the order of the configuration.
func (p *Pusher) Snapshots() []Snapshot {
	order := p.roster.Load().order
	all := make([]Snapshot, len(order))
	for i, a := range order {
		all[i] = a.snapshot()
	}
	return all
}
