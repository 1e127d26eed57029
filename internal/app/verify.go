package app

import (
	"time"

	"carrier/internal/merchant"
	"carrier/internal/pathpush"
	"carrier/internal/store"
	"carrier/internal/verify"
)

// newVerifier makes what checks that WeChat shows what was delivered. Without merchants nobody may look.
func (a *App) newVerifier() {
	c := &a.cfg.Verify
	if len(a.merchants.Names()) == 0 {
		return
	}
	a.verifier = verify.NewRunner(verify.Options{
		Store: a.store, Merchants: merchants{a.merchants}, Share: c.Share, Rate: c.Rate, PerDay: c.PerDay,
		After: time.Duration(c.After), Delay: time.Duration(c.Delay),
		Owns: a.owns, Nodes: a.store.Nodes, Observe: func(r verify.Result) { a.metrics.Verified(string(r)) }, Logger: a.log.With("part", "verify"),
		Spans: a.tracing.Tracer(),
	})
}

// upstream tells operators what WeChat shows.
func (a *App) upstream() *verify.Upstream {
	return &verify.Upstream{Merchants: merchants{a.merchants}, Orders: a.store, Delay: time.Duration(a.cfg.Verify.Delay)}
}

// settled passes what became of pushes on to the verifier.
func (a *App) settled(o *store.Outcome) {
	if a.verifier != nil {
		a.verifier.Settled(o)
	}
}

// settling is a store whose outcomes are told once they are durable.
type settling struct {
	pathpush.Store
	settled func(*store.Outcome)
}

// Settle records what became of a push.
func (s settling) Settle(o store.Outcome, done func(error)) {
	s.Store.Settle(o, func(err error) {
		if err == nil {
			s.settled(&o)
		}
		done(err)
	})
}

// merchants are the registry's as the verifier sees them.
type merchants struct{ *merchant.Registry }

func (m merchants) ByName(name string) (verify.Merchant, bool) {
	return asLooker(m.Registry.ByName(name))
}

func (m merchants) ByShop(shopAppID string) (verify.Merchant, bool) {
	return asLooker(m.Registry.ByShop(shopAppID))
}

func asLooker(m *merchant.Merchant, found bool) (verify.Merchant, bool) {
	if !found {
		return verify.Merchant{}, false
	}
	return verify.Merchant{Looker: m, Name: m.Name}, true
}
