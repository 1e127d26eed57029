package bench

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"carrier/internal/app"
	"carrier/internal/config"
	"carrier/internal/ingest"
	"carrier/internal/server"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/telemetry"
)

const (
	sourceName = "bench"
	anyPort    = "127.0.0.1:0"
)

// service is the whole service.
type service struct{ *app.App }

func newService(ctx context.Context, r role) (*service, error) {
	a, err := app.New(ctx, app.Options{Config: r.config(), Log: errorLog(), Version: "bench"})
	if err != nil {
		return nil, err
	}
	return &service{a}, nil
}

func (s *service) hello() hello                  { return hello{Events: s.Addr(), Admin: s.AdminAddr()} }
func (s *service) run(ctx context.Context) error { return s.Run(ctx) }

// errorLog tells only of what spoils a measurement.
func errorLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}

// config is the default configuration with one source and one account.
func (r role) config() *config.Config {
	c := config.Default()
	c.Server.Listen, c.Server.AdminListen = anyPort, anyPort
	c.Store.URL = r.storeURL()
	c.Sources = []config.Source{{Name: sourceName, APIKey: config.Secret(r.APIKey)}}
	c.Admin.Tokens = []config.AdminToken{{Name: sourceName, Token: config.Secret(r.AdminToken), Role: config.RoleOperator}}
	account := config.DefaultAccount()
	account.DeliveryID, account.AppID, account.Secret = deliveryID, "wx0000000000000000", "the upstream asks for none"
	account.BaseURL, account.FallbackBaseURL = r.Upstream, ""
	account.Concurrency = r.Concurrency
	c.NATS.URL = config.DSN(r.NATS)
	c.Accounts = []config.Account{account}
	return c
}

// storeURL is where the service keeps what it is given.
func (r role) storeURL() config.DSN {
	return config.DSN(cmp.Or(r.Store, "file:"+r.Folder))
}

// webhook is the service's own way in: the same server, the same handlers. Only the store is missing.
type webhook struct{ *server.Server }

func newWebhook(ctx context.Context, r role) (*webhook, error) {
	metrics := telemetry.NewMetrics(telemetry.Build{Version: "bench"})
	log := errorLog()
	events, err := ingest.New(ingest.Options{
		Store: instant{}, Sources: []ingest.Source{{Name: sourceName, APIKey: r.APIKey}},
		DeliveryIDs: []string{deliveryID}, Logger: log, Observe: metrics.Events,
	})
	if err != nil {
		return nil, err
	}
	s, err := server.Listen(ctx, server.Options{
		Listen: anyPort, AdminListen: anyPort, Events: events, Metrics: metrics.Handler(),
		Ready: func() ([]string, error) { return nil, nil }, Observe: metrics.HTTPRequest, Log: log,
	})
	if err != nil {
		return nil, err
	}
	return &webhook{s}, nil
}

func (w *webhook) hello() hello { return hello{Events: w.Addr()} }

func (w *webhook) run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return w.ServeEvents(ctx, time.Second) })
	g.Go(func() error { return w.ServeAdmin(ctx, time.Second) })
	return g.Wait()
}

// instant is a store that keeps nothing and accepts everything at once.
type instant struct{}

func (instant) Ready() error { return nil }

func (instant) Apply(ctx context.Context, events []state.Event) ([]store.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(store.ErrUnavailable, err)
	}
	results := make([]store.Result, len(events))
	for i := range results {
		results[i] = store.Result{Seq: 1, Verdict: state.Accepted, Stage: state.InTransit}
	}
	return results, nil
}
