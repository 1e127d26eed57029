package app

import (
	"context"
	"time"

	"carrier/internal/config"
	"carrier/internal/pathpush"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/verify"
)

// newVerifier makes what checks that WeChat shows what was delivered.
func (a *App) newVerifier() {
	o := verifyOptions(a.config())
	o.Store, o.Merchants, o.Owns, o.Logger = a.store, merchants{a}, a.owns, a.log.With("part", "verify")
	o.Observe = func(r verify.Result) { a.metrics.Verified(string(r)) }
	o.Spans, o.Nodes = a.tracing.Tracer(), a.store.Nodes
	a.verifier = verify.NewRunner(o)
}

// verifyOptions are what a configuration asks of the verifier. Without merchants nobody may look.
func verifyOptions(c *config.Config) verify.Options {
	v := &c.Verify
	return verify.Options{
		Off: len(c.Merchants) == 0, Share: v.Share, Rate: v.Rate, PerDay: v.PerDay, After: time.Duration(v.After), Delay: time.Duration(v.Delay),
	}
}

// upstream tells operators what WeChat shows.
type upstream struct{ *App }

// Ask implements admin.Upstream.
func (u upstream) Ask(ctx context.Context, w state.Waybill, hint verify.Hint) (verify.Shown, error) {
	looks := verify.Upstream{Merchants: merchants(u), Orders: u.store, Delay: time.Duration(u.config().Verify.Delay)}
	return looks.Ask(ctx, w, hint)
}

// settled passes what became of pushes on to the verifier.
func (a *App) settled(o *store.Outcome) { a.verifier.Settled(o) }

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
