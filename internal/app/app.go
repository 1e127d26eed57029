// Package app builds all parts of the service from its configuration, starts them in order and stops them in order.
// While it runs it takes over a changed configuration ([App.Reload]). It is the only package that knows all parts.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"carrier/internal/admin"
	"carrier/internal/bus"
	"carrier/internal/config"
	"carrier/internal/console"
	"carrier/internal/ingest"
	"carrier/internal/orders"
	"carrier/internal/pathpush"
	"carrier/internal/replay"
	"carrier/internal/server"
	"carrier/internal/store"
	"carrier/internal/telemetry"
	"carrier/internal/verify"
)

// Options is what the outside world gives.
type Options struct {
	Config *config.Config
	// Load reads the configuration again, and checks it, for Reload. nil: there is nothing to reload.
	Load     func() (*config.Config, error)
	Log      *slog.Logger
	Version  string // For the User-Agent and carrier_build_info.
	Revision string // The commit, for carrier_build_info.
	// Tracing is where spans go; nil: there are none. It is flushed when all is done.
	Tracing *telemetry.Tracing
}

// App is the service, built and not yet running.
type App struct {
	version  string
	log      *slog.Logger
	store    Engine
	pusher   *pathpush.Pusher
	replays  *replay.Runner
	webhook  *ingest.Webhook
	orders   *orders.Service
	bus      *bus.Bus // nil: NATS is off
	verifier *verify.Runner

	// What a reload replaces, each as a whole.

	running atomic.Pointer[config.Config] // The configuration in force.
	clerks  atomic.Pointer[clerks]

	load      func() (*config.Config, error)
	reloading sync.Mutex              // Held by a reload; owns what follows.
	links     map[string]*accountLink // By delivery_id.
	retiring  sync.WaitGroup          // What was replaced and is still used.
	closing   chan struct{}           // Closed by Close: nothing is used any more.

	feedTo   atomic.Pointer[pathpush.Pusher] // the same as above, for the store's goroutine
	noticeTo atomic.Pointer[bus.Bus]

	server  *server.Server
	metrics *telemetry.Metrics
	tracing *telemetry.Tracing // nil: off
	meter   *console.Meter
	console *console.Console
	admin   *admin.Service
	stops   []func() // What Close does before it closes the store, the last one first.

	stopping atomic.Bool // Run is on its way out.
	close    sync.Once
}

// The stop must be through within 30 s (README, Back up, check, stop): requests get 3 s, pushes in flight the longest time-out
// that the configuration allows (25 s).
const intakeGrace = 3 * time.Second

// New builds the service: it opens the listeners and the store, and takes nothing in yet. Close it if Run is not called.
func New(ctx context.Context, o Options) (*App, error) {
	a := &App{
		version: o.Version, log: o.Log, load: o.Load, meter: console.NewMeter(), tracing: o.Tracing,
		metrics: telemetry.NewMetrics(telemetry.Build{Version: o.Version, Revision: o.Revision}),
		links:   map[string]*accountLink{}, closing: make(chan struct{}),
	}
	a.running.Store(o.Config)
	if err := a.build(ctx, o); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) build(ctx context.Context, o Options) error {
	if err := a.openStore(ctx); err != nil {
		return err
	}
	if err := a.newPusher(ctx); err != nil {
		return err
	}
	if err := a.newWebhook(); err != nil {
		return err
	}
	folder, ok := a.config().Store.Folder()
	if ok {
		if err := admin.RemoveLeftovers(folder); err != nil {
			a.log.Warn("removing what an interrupted backup left", "err", err)
		}
	}
	if err := a.newReplays(); err != nil {
		return err
	}
	if err := a.newMerchants(); err != nil {
		return err
	}
	if err := a.newBus(ctx); err != nil {
		return err
	}
	a.newVerifier()
	if err := a.newOrders(); err != nil {
		return err
	}
	a.admin = &admin.Service{
		Store: a.store, Pusher: a.pusher, Replays: a.replays, Merchants: merchants{a}, WeChat: upstream{a}, Accounts: a.accountIDs, BackupDir: folder,
		Version: o.Version, StartedAt: time.Now(), Log: a.log.With("part", "admin"),
	}
	a.metrics.Know(names(a.config()))
	a.metrics.Collect(a.sampled())
	if err := a.newConsole(); err != nil {
		return err
	}
	var err error
	a.server, err = server.Listen(ctx, server.Options{
		Listen: a.config().Server.Listen, AdminListen: a.config().Server.AdminListen,
		Events: a.webhook, Callbacks: a.orders, Admin: a.admin, Console: a.console, Tokens: adminTokens(a.config()),
		Metrics: a.metrics.Handler(), Ready: a.ready, Observe: a.metrics.HTTPRequest,
		TrustedProxies: a.config().Server.TrustedProxies, Log: a.log.With("part", "http"),
	})
	if err == nil {
		a.onStop(func() { _ = a.server.Close() }) // Of no use, and no harm, once they were served.
	}
	return err
}

// config is the configuration in force.
func (a *App) config() *config.Config { return a.running.Load() }

func (a *App) newWebhook() error {
	o, err := a.webhookOptions(a.config())
	if err != nil {
		return err
	}
	a.webhook, err = ingest.New(o)
	return err
}

// webhookOptions are what a configuration asks of the ways in.
func (a *App) webhookOptions(c *config.Config) (ingest.Options, error) {
	sources := make([]ingest.Source, len(c.Sources))
	for i, s := range c.Sources {
		sources[i] = ingest.Source{Name: s.Name, APIKey: s.APIKey.Reveal(), DeliveryIDs: s.DeliveryIDs, Rate: s.Rate}
		if s.SigningSecret == "" {
			continue
		}
		key, err := ingest.ParseSigningSecret(s.SigningSecret.Reveal())
		if err != nil {
			return ingest.Options{}, fmt.Errorf("sources[%d].signing_secret: %w", i, err)
		}
		sources[i].SigningKeys = [][]byte{key}
	}
	return ingest.Options{
		Store: a.store, Sources: sources, DeliveryIDs: deliveryIDs(c),
		MaxBody: int64(c.Server.MaxBody), MaxActionMsg: int(c.State.MaxActionMsg),
		MaxFuture: time.Duration(c.State.MaxFuture), MaxAge: time.Duration(c.State.MaxAge),
		Logger: a.log.With("part", "ingest"), Observe: a.countEvents, ObserveAge: a.meter.Scanned,
		Spans: a.tracing.Tracer(),
	}, nil
}

// deliveryIDs are the accounts of a configuration.
func deliveryIDs(c *config.Config) []string {
	ids := make([]string, len(c.Accounts))
	for i := range c.Accounts {
		ids[i] = c.Accounts[i].DeliveryID
	}
	return ids
}

// accountIDs are the accounts that are configured at the moment.
func (a *App) accountIDs() []string { return deliveryIDs(a.config()) }

// configured tells whether there is such an account at the moment.
func (a *App) configured(deliveryID string) bool { return slices.Contains(a.accountIDs(), deliveryID) }

func adminTokens(c *config.Config) []server.Token {
	tokens := make([]server.Token, len(c.Admin.Tokens))
	for i, t := range c.Admin.Tokens {
		tokens[i] = server.Token{Name: t.Name, Value: t.Token.Reveal(), Operator: t.Role == config.RoleOperator}
	}
	return tokens
}

// Addr is where events are taken: known once New returned, also for a configured port of 0.
func (a *App) Addr() string { return a.server.Addr() }

// AdminAddr is where admin, health and metrics are, known like Addr.
func (a *App) AdminAddr() string { return a.server.AdminAddr() }

// Store is the service's store, for the demo and the benchmark, which check it from inside.
func (a *App) Store() Engine { return a.store }

// Run serves until ctx ends, or a part fails. Then it stops in this order, so that nothing acknowledged is lost and
// nothing in flight is cut off: refuse events, answer the requests under way, let pushes in flight end and be
// recorded, stop the admin listener, close the store.
func (a *App) Run(ctx context.Context) error {
	a.log.Info("carrier is up", "events", a.Addr(), "admin", a.AdminAddr(), "accounts", len(a.config().Accounts),
		"sources", len(a.config().Sources))
	for _, w := range a.config().Warnings() {
		a.log.Warn(w)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	pushing, stopPushing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPushing()
	telling, stopTelling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTelling()
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()

	var intake, taking, pushes, outcomes, watch errgroup.Group
	failing := func(err error) error {
		if err != nil {
			stop()
		}
		return err
	}
	intake.Go(func() error { return failing(a.server.ServeEvents(ctx, intakeGrace)) })
	pushes.Go(func() error { return failing(a.pusher.Run(pushing)) })
	pushes.Go(func() error { return failing(a.store.While(pushing, store.DutyReplays, a.replays.Run)) })
	pushes.Go(func() error { return failing(a.verifier.Run(pushing)) })
	if a.bus != nil {
		taking.Go(func() error { return failing(a.bus.Run(ctx)) })
		outcomes.Go(func() error { return failing(a.store.While(telling, store.DutyOutcomes, a.bus.RunOutcomes)) })
	}
	watch.Go(func() error { return failing(a.server.ServeAdmin(watching, time.Second)) })
	watch.Go(func() error { return failing(a.console.Run(watching)) })

	<-ctx.Done()
	a.reloading.Lock() // One that is under way is finished; later ones find that the service stops.
	a.stopping.Store(true)
	a.reloading.Unlock()
	a.store.HandOver() // Other nodes, if there are any, need not wait until this one has stopped.
	a.log.Info("stopping: no more events are taken; pushes in flight are let through")
	intakeErr := intake.Wait()
	stopPushing()
	pushErr := pushes.Wait()
	takingErr := taking.Wait() // It ends with the requests, but for a NATS server that hangs: no push waits for that.
	stopTelling()              // What is not told yet waits in the store for the next start.
	stopWatching()
	outcomesErr := outcomes.Wait()
	adminErr := watch.Wait()
	return errors.Join(intakeErr, pushErr, takingErr, outcomesErr, adminErr, a.Close())
}

// onStop has f called by Close.
func (a *App) onStop(f func()) { a.stops = append(a.stops, f) }

// Close closes what New opened; Run does it by itself. A second call does nothing.
func (a *App) Close() (err error) {
	a.close.Do(func() {
		err = a.closeAll()
		a.tracing.Flush()
	})
	return err
}

func (a *App) closeAll() error {
	close(a.closing)
	a.retiring.Wait()
	for _, stop := range slices.Backward(a.stops) {
		stop()
	}
	if a.store == nil {
		return nil // It could not be opened.
	}
	if err := a.store.Close(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// errStopping is why no events are taken while the last pushes are let through.
var errStopping = errors.New("the service is stopping")

// ready says whether events can be taken, and what is degraded while they can.
func (a *App) ready() (degraded []string, err error) {
	for _, s := range a.pusher.Snapshots() {
		switch {
		case s.Paused:
			// /readyz needs no token, and upstream's words may repeat the push that they answer.
			degraded = append(degraded, fmt.Sprintf("account %s waits: %s", s.DeliveryID, telemetry.MaskPhones(s.PauseReason)))
		case s.Breakers[0].State == "open":
			degraded = append(degraded, fmt.Sprintf("account %s: the breaker of %s is open since %s (%s)",
				s.DeliveryID, s.Breakers[0].Host, s.Breakers[0].Since.UTC().Format(time.RFC3339), s.Breakers[0].OpenedBy))
		}
		if trouble := quotaTrouble(&s, a.config().Push.QuotaReserve); trouble != "" && !s.Paused {
			degraded = append(degraded, trouble)
		}
	}
	degraded = append(degraded, a.merchantTrouble()...)
	if a.bus != nil {
		degraded = append(degraded, a.bus.Degraded()...)
	}
	if a.stopping.Load() {
		return degraded, errStopping
	}
	return degraded, a.store.Ready()
}
