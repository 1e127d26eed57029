package app

import (
	"context"
	"fmt"
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

// newPusher makes the pusher with a client per host and an access_token source per account.
func (a *App) newPusher(ctx context.Context, version string) error {
	p := a.cfg.Push
	o := pathpush.Options{
		Store: settling{a.store, a.settled}, Ownership: a.store, TokenRetries: p.TokenRetries, Errcodes: map[int]wechat.Scope{},
		Retry: pathpush.Retry{
			Initial: time.Duration(p.Retry.Initial), Max: time.Duration(p.Retry.Max),
			Multiplier: p.Retry.Multiplier, MaxAge: time.Duration(p.Retry.MaxAge),
		},
		Breaker: pathpush.BreakerOptions{
			MinRequests: p.Breaker.MinRequests, FailureRatio: p.Breaker.FailureRatio,
			Interval: time.Duration(p.Breaker.Interval), OpenFor: time.Duration(p.Breaker.OpenFor),
			HalfOpen: p.Breaker.HalfOpen,
		},
		Guard:        pathpush.GuardOptions{Share: p.Guard.Share, Min: p.Guard.Min, Window: time.Duration(p.Guard.Window)},
		QuotaReserve: p.QuotaReserve,
		Logger:       a.log.With("part", "push"), Observer: observer{a.metrics, a.meter}, Spans: a.tracing.Tracer(),
	}
	for code, scope := range p.Errcodes {
		o.Errcodes[code] = wechat.Scope(scope)
	}
	for i := range a.cfg.Accounts {
		account, err := a.newAccount(ctx, &a.cfg.Accounts[i], version)
		if err != nil {
			return err
		}
		o.Accounts = append(o.Accounts, account)
	}
	pusher, err := pathpush.New(o)
	if err != nil {
		return err
	}
	a.pusher = pusher
	a.feedTo.Store(pusher)
	return nil
}

func (a *App) newAccount(ctx context.Context, c *config.Account, version string) (pathpush.AccountOptions, error) {
	kept, err := a.store.Account(ctx, c.DeliveryID)
	if err != nil {
		return pathpush.AccountOptions{}, fmt.Errorf("reading account %s: %w", c.DeliveryID, err)
	}
	account := pathpush.AccountOptions{DeliveryID: c.DeliveryID, Concurrency: c.Concurrency, Rate: c.Rate}
	var clients []*wechat.Client
	for _, base := range []string{c.BaseURL, c.FallbackBaseURL} {
		if base == "" {
			continue
		}
		client := wechat.NewClient(wechat.ClientOptions{
			BaseURL: base, MaxConns: c.Concurrency, Timeout: time.Duration(c.Timeout), UserAgent: "carrier/" + version,
			CloudTokenFile: c.CloudTokenFile,
		})
		clients = append(clients, client)
		a.onStop(client.CloseIdleConnections)
		account.Hosts = append(account.Hosts, pathpush.Host{Name: hostName(base), Upstream: client})
	}
	credentials := wechat.NewAccessToken(wechat.AccessTokenOptions{
		Clients: clients, AppID: c.AppID, Secret: c.Secret.Reveal, Mode: c.TokenMode,
		Forced: kept.ForcedAt, OnForced: a.keepForced(c.DeliveryID),
		Logger: a.log.With("part", "access_token", "delivery_id", c.DeliveryID),
	})
	a.onStop(credentials.Close)
	account.Credentials = credentials
	account.Quota = wechat.NewCaller(credentials, clients...)
	return account, nil
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
func (a *App) names() telemetry.Names {
	n := telemetry.Names{DeliveryIDs: a.accountIDs(), Sources: []string{ingest.OtherSource}, Errcodes: wechat.Errcodes()}
	for i := range a.cfg.Sources {
		n.Sources = append(n.Sources, a.cfg.Sources[i].Name)
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
	out := make([]telemetry.AccountSnapshot, len(snaps))
	for i, s := range snaps {
		out[i] = telemetry.AccountSnapshot{
			DeliveryID: s.DeliveryID, Paused: s.Paused, InFlight: s.InFlight, TokenExpiresAt: s.AccessTokenExpiresAt,
			NoToken:      a.cfg.Accounts[i].TokenMode == wechat.ModeNone,
			GuardTripped: s.Guard.Tripped, Breaker: map[string]string{},
			QuotaUsed: s.Quota.Used, QuotaLimit: s.Quota.Limit, QuotaEndsAt: s.Quota.EndsAt,
		}
		for _, b := range s.Breakers {
			out[i].Breaker[b.Host] = b.State
		}
	}
	return out
}
