package verify

import (
	"cmp"
	"time"
)

// tuning is what of a Runner's options can be changed while it runs. It is not changed once made.
type tuning struct {
	on     bool
	share  float64
	rate   float64 // Of all nodes together, as is perDay.
	perDay int
	after  time.Duration
	delay  time.Duration
}

// Retune puts other values of Off, Share, Rate, PerDay, After and Delay in force, with 0 as in [Options]; all else stays as
// NewRunner had it. It may be called while the Runner runs.
func (r *Runner) Retune(o Options) {
	r.tuning.Store(&tuning{
		on: !o.Off, share: o.Share, rate: cmp.Or(o.Rate, 1), perDay: cmp.Or(o.PerDay, 10_000), after: cmp.Or(o.After, 5*time.Minute), delay: o.Delay,
	})
}

// upstream is what the Runner asks upstream with.
func (r *Runner) upstream() *Upstream {
	return &Upstream{Merchants: r.o.Merchants, Orders: r.o.Store, Delay: r.tuning.Load().delay}
}
