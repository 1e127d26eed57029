package app

import (
	"context"
	"fmt"

	"carrier/internal/bus"
	"carrier/internal/config"
)

// newBus makes the NATS side, if the configuration asks for one. A server that is away is waited for in the background.
func (a *App) newBus(ctx context.Context) error {
	if !a.config().NATS.On() {
		return nil
	}
	o := NATSOptions(a.config(), a.version)
	o.Events, o.Store, o.Instance = a.webhook.Desk, a.store, a.store.Instance()
	o.Spans = a.tracing.Tracer()
	o.Configured, o.Logger = a.configured, a.log
	o.Observe = bus.Observer{
		Connected: a.metrics.NATSConnected, Reconnected: a.metrics.NATSReconnected,
		Messages:    func(outcome bus.Outcome, n int) { a.metrics.NATSMessages(string(outcome), n) },
		Redelivered: a.metrics.NATSRedelivered, Backlog: a.metrics.NATSBacklog,
	}
	b, err := bus.Open(ctx, o)
	if err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	a.bus = b
	a.noticeTo.Store(b)
	a.onStop(func() { _ = b.Close() })
	return nil
}

// NATSOptions are the options of a connection to NATS as c wants it: all that the commands beside the service need.
func NATSOptions(c *config.Config, version string) bus.Options {
	n := c.NATS
	return bus.Options{
		URL: n.URL.Reveal(), CredsFile: n.CredsFile, NKeyFile: n.NKeyFile, User: n.User, Password: n.Password.Reveal(),
		TLS:      bus.TLS{CAFile: n.TLS.CAFile, CertFile: n.TLS.CertFile, KeyFile: n.TLS.KeyFile},
		Embedded: bus.Embedded{Listen: n.Embedded.Listen, StoreDir: n.Embedded.StoreDir},
		Replicas: n.Replicas, Version: version,
	}
}

// notify tells the NATS side of new notices. It is the store's goroutine that calls.
func (a *App) notify() {
	if b := a.noticeTo.Load(); b != nil {
		b.Notify()
	}
}

// NATSURL is where clients reach the NATS server that the service uses; empty if NATS is off.
func (a *App) NATSURL() string {
	if a.bus == nil {
		return ""
	}
	return a.bus.ClientURL()
}
