package pathpush

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrier/internal/store"
)

// restore takes over what was kept of the account, once, before anything changes it: the admin API may be faster than
// run.
func (a *account) restore(ctx context.Context) error {
	if err := a.beginKeeping(ctx); err != nil {
		return err
	}
	defer a.endKeeping()
	if a.restored {
		return nil
	}
	kept, err := a.store.Account(ctx, a.id)
	if err != nil {
		return fmt.Errorf("reading what was kept of account %s: %w", a.id, err)
	}
	a.restored, a.base = true, kept
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.gate.restore(kept, now)
	a.quota.restore(&kept.Quota, now)
	return nil
}

// keep makes durable what the gate is now, unless it is. There is one write at a time, and each takes the newest, so
// that an older one never comes last. What could not be kept is kept with the next call. If another node kept something
// meanwhile, the two are put together first.
func (a *account) keep(ctx context.Context) error {
	if err := a.beginKeeping(ctx); err != nil {
		return err
	}
	defer a.endKeeping()
	for {
		a.mu.Lock()
		now, changes := a.gate.pause, a.gate.changes
		a.mu.Unlock()
		if changes == a.kept {
			return nil
		}
		now.Version = a.base.Version
		err := a.store.PutAccount(ctx, a.id, now)
		if err == nil {
			a.kept, a.base = changes, now
			a.base.Version++
			return nil
		}
		if !errors.Is(err, store.ErrChanged) {
			return err
		}
		if err := a.merge(ctx); err != nil {
			return err
		}
	}
}

// beginKeeping waits until nobody else reads or writes what is kept of the account.
func (a *account) beginKeeping(ctx context.Context) error {
	select {
	case a.keeping <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *account) endKeeping() { <-a.keeping }

// pauseByHand stops the account until resume.
func (a *account) pauseByHand(ctx context.Context, reason string) error {
	if err := a.restore(ctx); err != nil {
		return err
	}
	now := time.Now()
	a.mu.Lock()
	a.gate.set(store.Account{Paused: true, ByHand: true, Reason: reason, Since: now}, now)
	a.mu.Unlock()
	a.log.Warn("account paused by hand", "reason", reason)
	return a.keep(ctx)
}

// pauseAfter stops the account as the answer to a flight asks, unless it is stopped for longer, or the flight began
// before the account was resumed.
func (a *account) pauseAfter(ctx context.Context, f *flight, p store.Account) error {
	a.mu.Lock()
	begins := f.opens == a.gate.opens && a.gate.outlastedBy(p)
	if begins {
		a.gate.set(p, time.Now())
	}
	a.mu.Unlock()
	if begins {
		a.log.Warn("account paused", "reason", p.Reason, "until", p.Until)
	}
	return a.keep(ctx)
}

// resume ends any pause, lets transit scans go on that wait for the rest of the quota, and begins a new window of the
// guard, which is switched off for as long as letFail says.
func (a *account) resume(ctx context.Context, letFail time.Duration) error {
	if err := a.restore(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	a.guard.begin(time.Now(), letFail)
	a.quota.waive()
	a.noteQuota(false)
	a.mu.Unlock()
	a.askSoon() // It may have been raised, or cleared.
	if letFail > 0 {
		a.log.Warn("the guard against mass failing is off", "for", letFail)
	}
	return a.reopen(ctx, "an operator resumed it", func(*gate) bool { return true })
}

// resumeAfter ends the pause that a probe has shown to be without reason. An operator may have paused meanwhile.
func (a *account) resumeAfter(ctx context.Context, f *flight) error {
	return a.reopen(ctx, "upstream takes its pushes again", func(g *gate) bool {
		return f.opens == g.opens && g.pause.Paused && !needsOperator(&g.pause)
	})
}

// endPause ends a pause whose time is over.
func (a *account) endPause(ctx context.Context, now time.Time) {
	a.mu.Lock()
	over := a.gate.over(now)
	a.mu.Unlock()
	if !over {
		return
	}
	err := a.reopen(context.WithoutCancel(ctx), "its time is over", func(g *gate) bool { return g.over(now) })
	if err != nil {
		a.log.Error("keeping that the account goes on", "err", err)
	}
}

// reopen lets pushes through, if that is still right, and keeps that.
func (a *account) reopen(ctx context.Context, why string, right func(*gate) bool) error {
	a.mu.Lock()
	if !right(&a.gate) {
		a.mu.Unlock()
		return nil
	}
	paused := a.gate.pause.Paused
	a.gate.open()
	a.mu.Unlock()
	a.link.Load().creds.Retry()
	a.poke()
	if paused {
		a.log.Info("account resumed", "why", why)
	}
	return a.keep(ctx)
}

// forced keeps when access_tokens were forced, so that a restart does not forget what of the day's 20 is used up.
func (a *account) forced(ctx context.Context, at []time.Time) error {
	if err := a.restore(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	a.gate.pause.ForcedAt = at
	a.gate.changes++
	a.mu.Unlock()
	return a.keep(ctx)
}
