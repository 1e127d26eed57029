package pathpush

import (
	"context"
	"errors"
	"time"

	"carrier/internal/wechat"
)

// QuotaReader asks upstream how much of a call's quota is used; *wechat.Caller is one. An error is one of
// *wechat.RefusedError, *wechat.CallError or *wechat.TokenError, or ctx's.
type QuotaReader interface {
	GetQuota(ctx context.Context, cgiPath string) (wechat.Quota, error)
}

// keepQuotaEvery is how often what is counted is made durable: a crash loses no more than that.
const keepQuotaEvery = 5 * time.Second

// askQuotas asks upstream now and then how much of the quota is used, until ctx ends: others may use it too, and only
// upstream knows the limit.
func (a *account) askQuotas(ctx context.Context) error {
	failing := "" // What it fails for, so that it is told once.
	for {
		if mark, due := a.beginAsking(); due {
			err := a.askQuota(ctx, mark)
			if ctx.Err() != nil {
				return nil
			}
			if err == nil {
				failing = ""
			} else if err.Error() != failing {
				failing = err.Error()
				a.log.Warn("upstream does not say how much of the day's quota is used; asking again", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.wakeAsk:
		case <-time.After(askAgain):
		}
	}
}

// beginAsking tells whether upstream is to be asked now.
func (a *account) beginAsking() (mark int64, due bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.quota.roll(now)
	if a.link.Load().quotas == nil || !a.quota.askDue(now) {
		return 0, false
	}
	return a.quota.asking(a.inFlight, now), true
}

// askQuota asks once and takes the answer in. An answer that comes on another day than the question says nothing.
func (a *account) askQuota(ctx context.Context, mark int64) error {
	begun := time.Now()
	a.mu.Lock()
	link := a.useLink()
	a.mu.Unlock()
	defer link.users.Done()
	got, err := link.quotas.GetQuota(ctx, wechat.PathOfUpdatePath)
	day := got.Day
	if err == nil && day.DailyLimit <= 0 {
		err = errors.New("the answer has no daily_limit")
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quota.roll(now)
	switch {
	case err != nil:
		a.quota.unanswered(err.Error(), now)
	case dayOf(begun).Equal(a.quota.day):
		// What remains is what counts, so where the figures disagree the worse one is taken.
		a.quota.answered(max(day.Used, day.DailyLimit-day.Remain), day.DailyLimit, mark, now)
	}
	a.poke()
	return err
}

// askSoon has upstream asked at once.
func (a *account) askSoon() {
	a.mu.Lock()
	a.quota.askSoon = true
	a.mu.Unlock()
	notify(a.wakeAsk)
}

// keepQuotas makes what is counted durable every few seconds, and takes in what other nodes keep of the account, until
// ctx ends.
func (a *account) keepQuotas(ctx context.Context) error {
	every := time.NewTicker(keepQuotaEvery)
	defer every.Stop()
	failing := "" // What it fails for, so that it is told once.
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
			switch err := a.keepQuota(ctx, false); {
			case err == nil:
				failing = ""
			case ctx.Err() == nil && err.Error() != failing:
				failing = err.Error()
				a.log.Error("keeping what is used of the quota; trying again", "err", err)
			}
		case <-a.wakeKept:
			if err := a.reread(ctx); err != nil && ctx.Err() == nil {
				a.log.Error("reading what another node kept of the account", "err", err)
			}
		}
	}
}

// keepQuota makes durable what is counted now, unless it is.
func (a *account) keepQuota(ctx context.Context, exact bool) error {
	a.mu.Lock()
	a.noteQuota(exact)
	a.mu.Unlock()
	return a.keep(ctx)
}

// noteQuota puts what is counted where keep takes it from.
func (a *account) noteQuota(exact bool) {
	// Where nodes add up what they count, what may be counted by the next time would be added again and again.
	if now := a.quota.kept(exact || a.owner.Nodes() > 1); now != a.gate.pause.Quota {
		a.gate.pause.Quota = now
		a.gate.changes++
	}
}
