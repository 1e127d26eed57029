package app

import (
	"fmt"
	"time"

	"carrier/internal/callback"
	"carrier/internal/config"
	"carrier/internal/ingest"
	"carrier/internal/orders"
)

// callbackWindow is how far the timestamp of one of WeChat's pushes may be from now, either way: WeChat's repeats come
// within a minute, the rest is for clocks.
const callbackWindow = 10 * time.Minute

// newOrders makes the part that takes WeChat's own pushes, for the accounts that have callback settings.
func (a *App) newOrders(version string) error {
	o := orders.Options{Store: a.store, Logger: a.log.With("part", "orders"), Observe: a.metrics.Callback, Spans: a.tracing.Tracer()}
	for i := range a.cfg.Accounts {
		c := &a.cfg.Accounts[i]
		if c.Callback.Token == "" {
			continue
		}
		keys, err := callbackKeys(c.AppID, &c.Callback)
		if err != nil {
			return fmt.Errorf("accounts[%d].callback: %w", i, err)
		}
		dispatch, err := a.newDispatcher(c, version)
		if err != nil {
			return fmt.Errorf("accounts[%d].orders.secret: %w", i, err)
		}
		o.Accounts = append(o.Accounts, orders.Account{DeliveryID: c.DeliveryID, Keys: keys, Window: callbackWindow, Dispatcher: dispatch})
	}
	if a.vault != nil {
		platform, err := a.platformCallback()
		if err != nil {
			return err
		}
		o.Accounts = append(o.Accounts, platform)
	}
	a.orders = orders.New(o)
	a.onStop(a.orders.Close)
	return nil
}

func callbackKeys(appID string, c *config.Callback) (callback.Keys, error) {
	return callback.NewKeys(callback.Settings{
		Token: c.Token.Reveal(), EncodingAESKey: c.EncodingAESKey.Reveal(), PreviousEncodingAESKey: c.PreviousEncodingAESKey.Reveal(),
		AppID: appID, Window: callbackWindow,
	})
}

// newDispatcher makes the way to an account's dispatch system: over NATS, and where nobody can be asked there the hook.
func (a *App) newDispatcher(c *config.Account, version string) (orders.Dispatcher, error) {
	hook, err := a.newHook(c, version)
	switch {
	case err != nil || a.bus == nil:
		return hook, err
	case hook == nil:
		return a.bus, nil
	}
	return orders.First{a.bus, hook}, nil
}

// newHook makes an account's HTTP hook; nil if it has none.
func (a *App) newHook(c *config.Account, version string) (orders.Dispatcher, error) {
	if c.Orders.URL == "" {
		return nil, nil
	}
	key, err := ingest.ParseSigningSecret(c.Orders.Secret.Reveal())
	if err != nil {
		return nil, err
	}
	hook := orders.NewHook(orders.HookOptions{URL: c.Orders.URL, Key: key, UserAgent: "carrier/" + version})
	a.onStop(hook.Close)
	return hook, nil
}
