package pathpush

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// Prepare checks other options and makes ready what they ask for: Accounts, Retry, TokenRetries, Breaker, Guard,
// QuotaReserve and Errcodes of o; all else stays as New had it. take puts them in force, without disturbing a push that is
// under way: it ends with the host and the credentials that it began with.
//
//   - An account that is new begins to push what the store has of it.
//   - One that is not among them any more lets its pushes in flight end and be recorded; what else is open of it stays in
//     the store. removed is called with its delivery_id when nothing uses its hosts and credentials any more.
//   - One whose Hosts or Credentials are others reaches upstream with these from then on, and if upstream's answers had
//     paused it, its next push finds out at once whether the reason is gone. Breakers stay as they are, by host.
//
// Not for concurrent use with itself.
func (p *Pusher) Prepare(o Options, removed func(deliveryID string)) (take func(), err error) {
	next := p.options
	next.Accounts, next.Retry, next.TokenRetries, next.Breaker = o.Accounts, o.Retry, o.TokenRetries, o.Breaker
	next.Guard, next.QuotaReserve, next.Errcodes = o.Guard, o.QuotaReserve, o.Errcodes
	if err := next.complete(); err != nil {
		return nil, err
	}
	return func() { p.take(&next, removed) }, nil
}

func (p *Pusher) take(o *Options, removed func(deliveryID string)) {
	before := p.roster.Load()
	order := make([]*account, len(o.Accounts))
	var added []*account
	kept := map[string]bool{}
	for i := range o.Accounts {
		ao := &o.Accounts[i]
		a := before.byID[ao.DeliveryID]
		if a == nil {
			a = newAccount(o, *ao)
			added = append(added, a)
		} else {
			a.take(o, ao)
		}
		order[i], kept[ao.DeliveryID] = a, true
	}
	p.roster.Store(newRoster(order))
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range added {
		if a.after = p.leaving[a.id]; p.spawn != nil {
			p.spawn(a.work)
		}
	}
	for _, a := range before.order {
		if !kept[a.id] {
			p.dismiss(a, removed)
		}
	}
}

// dismiss ends the work for an account. If it is configured again before it is done, the new one waits for that. The
// caller holds p.mu.
func (p *Pusher) dismiss(a *account, removed func(deliveryID string)) {
	a.end()
	if p.spawn == nil {
		removed(a.id)
		return
	}
	p.leaving[a.id] = a.done
	p.spawn(func(context.Context) error {
		<-a.done
		removed(a.id)
		return nil
	})
}

// take goes by other options from now on.
func (a *account) take(o *Options, ao *AccountOptions) {
	a.policy.Store(newPolicy(o))
	if next := a.newLink(o, ao); !next.same(a.link.Load()) {
		a.relink(next, ao.Retired)
		a.mu.Lock()
		a.gate.ask(time.Now())
		a.mu.Unlock()
		a.askSoon()
	}
	for _, b := range a.link.Load().breakers {
		b.retune(o.Breaker)
	}
	a.mu.Lock()
	a.concurrency, a.rate = ao.Concurrency, ao.Rate
	a.ramp.resize(ao.Concurrency)
	switch {
	case ao.Rate <= 0:
		a.limiter = nil
	case a.limiter == nil:
		a.limiter = rate.NewLimiter(rate.Limit(ao.Rate), burst(ao.Rate))
	} // Another rate is shareRate's to set.
	a.guard.retune(o.Guard, time.Now())
	a.quota.reserve = o.QuotaReserve
	a.mu.Unlock()
	a.poke()
}
