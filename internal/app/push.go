package app

import (
	"context"
	"net/url"
	"time"

	"carrier/internal/config"
	"carrier/internal/console"
	"carrier/internal/ingest"
	"carrier/internal/pathpush"
	"carrier/internal/server"
	"carrier/internal/store"
	"carrier/internal/telemetry"
	"carrier/internal/wechat"
)

// newPusher makes the pusher.
func (a *App) newPusher(ctx context.Context) error {
	o := pushOptions(a.config())
	o.Store, o.Ownership = settling{a.store, a.settled}, a.store
	o.Logger, o.Observer = a.log.With("part", "push"), observer{a.metrics, a.meter}
	o.Spans = a.tracing.Tracer()
	links, err := a.newLinks(ctx, a.config())
	if err != nil {
		return err
	}
	a.links = links
	a.onStop(a.closeLinks)
	o.Accounts = pushAccounts(a.config(), links)
	pusher, err := pathpush.New(o)
	if err != nil {
		return err
	}
	a.pusher = pusher
	a.feedTo.Store(pusher)
	return nil
}

// pushOptions are by which rules a configuration has events pushed.
func pushOptions(c *config.Config) pathpush.Options {
	p := &c.Push
	o := pathpush.Options{
		TokenRetries: p.TokenRetries, QuotaReserve: p.QuotaReserve, Errcodes: map[int]wechat.Scope{},
		Retry: pathpush.Retry{
			Initial: time.Duration(p.Retry.Initial), Max: time.Duration(p.Retry.Max),
			Multiplier: p.Retry.Multiplier, MaxAge: time.Duration(p.Retry.MaxAge),
		},
		Breaker: pathpush.BreakerOptions{
			MinRequests: p.Breaker.MinRequests, FailureRatio: p.Breaker.FailureRatio,
			Interval: time.Duration(p.Breaker.Interval), OpenFor: time.Duration(p.Breaker.OpenFor),
			HalfOpen: p.Breaker.HalfOpen,
		},
		Guard: pathpush.GuardOptions{Share: p.Guard.Share, Min: p.Guard.Min, Window: time.Duration(p.Guard.Window)},
	}
	for code, scope := range p.Errcodes {
		o.Errcodes[code] = wechat.Scope(scope)
	}
	return o
}

// keepForced makes the day's forced access_tokens outlive a restart.
func (a *App) keepForced(deliveryID string) func([]time.Time) {
	return func(at []time.Time) {
		if err := a.pusher.Forced(context.Background(), deliveryID, at); err != nil {
			a.log.Error("keeping when an access_token was forced", "delivery_id", deliveryID, "err", err)
		}
	}
}

func hostName(base string) string {
	if u, err := url.Parse(base); err == nil && u.Host != "" {
		return u.Host
	}
	return base
}

// observer tells the metrics and the console what becomes of pushes.
type observer struct {
	m     *telemetry.Metrics
	meter *console.Meter
}

func (o observer) Attempt(deliveryID string, at *store.Attempt) {
	o.m.Attempt(deliveryID, at.Scope, at.Errcode, at.Duration)
}

func (o observer) Ended(deliveryID string, status store.Status, since time.Duration) {
	o.m.Ended(deliveryID, status.String(), since)
	o.meter.Ended(status)
}

// names are those that may be labels.
func names(c *config.Config) telemetry.Names {
	n := telemetry.Names{DeliveryIDs: deliveryIDs(c), Sources: []string{ingest.OtherSource}, Errcodes: wechat.Errcodes()}
	for i := range c.Sources {
		n.Sources = append(n.Sources, c.Sources[i].Name)
	}
	for _, r := range append(server.Routes(), server.Pages()...) {
		n.Routes = append(n.Routes, r.Path)
	}
	return n
}

// sampled says where a scrape reads.
func (a *App) sampled() telemetry.Sources {
	ages := &stages{read: a.store.StageAges}
	s := telemetry.Sources{Stats: a.store.Stats, Accounts: a.accountSnapshots, Stages: ages.get}
	if a.tracing != nil {
		s.Spans = a.tracing.Counts
	}
	return s
}

// accountSnapshots is what a scrape reads of the accounts.
func (a *App) accountSnapshots() []telemetry.AccountSnapshot {
	snaps := a.pusher.Snapshots()
	tokenless := map[string]bool{}
	for _, c := range a.config().Accounts {
		tokenless[c.DeliveryID] = c.TokenMode == wechat.ModeNone
	}
	out := make([]telemetry.AccountSnapshot, len(snaps))
	for i, s := range snaps {
		out[i] = telemetry.AccountSnapshot{
			DeliveryID: s.DeliveryID, Paused: s.Paused, InFlight: s.InFlight, TokenExpiresAt: s.AccessTokenExpiresAt,
			NoToken:      tokenless[s.DeliveryID],
			GuardTripped: s.Guard.Tripped, Breaker: map[string]string{},
			QuotaUsed: s.Quota.Used, QuotaLimit: s.Quota.Limit, QuotaEndsAt: s.Quota.EndsAt,
		}
		for _, b := range s.Breakers {
			out[i].Breaker[b.Host] = b.State
		}
	}
	return out
}
