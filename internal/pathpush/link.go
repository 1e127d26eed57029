package pathpush

import (
	"context"
	"slices"
	"sync"
)

// link is how an account reaches upstream. It is not changed once made, but for what its breakers count; another one
// takes its place as a whole (Pusher.Prepare), and what began on it ends on it.
type link struct {
	creds     Credentials
	quotas    QuotaReader // May be nil.
	upstreams []Upstream  // The main host's, then those tried while the breakers before it are open.
	breakers  []*breaker  // One per host.

	users sync.WaitGroup  // Flights and others that use it; added to with the account's mutex held, while it is the present one.
	older <-chan struct{} // gone, of the one before it; nil: it is the first.
	gone  chan struct{}   // Closed when nobody uses it, or one before it, any more: they may have credentials in common.

	present context.Context // Ends when it is replaced.
	retire  context.CancelFunc
}

// newLink makes a link with new breakers.
func (a *account) newLink(o *Options, ao *AccountOptions) *link {
	l := &link{creds: ao.Credentials, quotas: ao.Quota, gone: make(chan struct{})}
	l.present, l.retire = context.WithCancel(context.Background())
	for _, h := range ao.Hosts {
		l.upstreams = append(l.upstreams, h.Upstream)
		l.breakers = append(l.breakers, newBreaker(h, o.Breaker, a.poke))
	}
	return l
}

// upstream is the host that a breaker guards.
func (l *link) upstream(b *breaker) Upstream { return l.upstreams[slices.Index(l.breakers, b)] }

// inherit takes over the breakers of hosts that another link has too: whether a host can be reached does not depend on
// who asks.
func (l *link) inherit(from *link) {
	for i, b := range l.breakers {
		at := slices.IndexFunc(from.breakers, func(old *breaker) bool { return old.name == b.name })
		if at >= 0 && !slices.Contains(l.breakers, from.breakers[at]) {
			l.breakers[i] = from.breakers[at]
		}
	}
}

// same tells whether another link would be the same one.
func (l *link) same(other *link) bool {
	return l.creds == other.creds && l.quotas == other.quotas && slices.Equal(l.upstreams, other.upstreams)
}

// useLink gives the present link. users.Done must be called in the end. The caller holds a.mu.
func (a *account) useLink() *link {
	l := a.link.Load()
	l.users.Add(1)
	return l
}

// keepFresh has the present link's access_token kept fresh until ctx ends.
func (a *account) keepFresh(ctx context.Context) error {
	for ctx.Err() == nil {
		a.mu.Lock()
		l := a.useLink()
		a.mu.Unlock()
		running, stop := context.WithCancel(ctx)
		unwatch := context.AfterFunc(l.present, stop)
		err := l.creds.Run(running)
		unwatch()
		stop()
		l.users.Done()
		if l.present.Err() == nil {
			return ended(ctx, err)
		}
	}
	return nil
}

// relink puts a link in the place of the present one. retired, if not nil, is called once nobody uses that any more.
func (a *account) relink(next *link, retired func()) {
	a.mu.Lock()
	old := a.link.Load()
	next.inherit(old)
	next.older = old.gone
	a.link.Store(next)
	a.mu.Unlock()
	old.retire()
	a.flights.Go(func() {
		old.users.Wait()
		if old.older != nil {
			<-old.older
		}
		close(old.gone)
		if retired != nil {
			retired()
		}
	})
}
