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

// newOrders makes the part that takes WeChat's own pushes.
func (a *App) newOrders() error {
	accounts, err := a.orderAccounts(a.config())
	if err != nil {
		return err
	}
	a.orders = orders.New(orders.Options{
		Store: a.store, Accounts: accounts, Logger: a.log.With("part", "orders"), Observe: a.metrics.Callback,
		Spans: a.tracing.Tracer(),
	})
	a.onStop(a.orders.Close)
	return nil
}

// orderAccounts are the accounts of a configuration that have callback settings, and its platform.
func (a *App) orderAccounts(cfg *config.Config) (accounts []orders.Account, err error) {
	for i := range cfg.Accounts {
		c := &cfg.Accounts[i]
		if c.Callback.Token == "" {
			continue
		}
		keys, err := callbackKeys(c.AppID, &c.Callback)
		if err != nil {
			return nil, fmt.Errorf("accounts[%d].callback: %w", i, err)
		}
		dispatch, err := a.newDispatcher(c)
		if err != nil {
			return nil, fmt.Errorf("accounts[%d].orders.secret: %w", i, err)
		}
		accounts = append(accounts, orders.Account{DeliveryID: c.DeliveryID, Keys: keys, Window: callbackWindow, Dispatcher: dispatch})
	}
	if cfg.Platform.AppID != "" {
		platform, err := a.platformCallback(&cfg.Platform)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, platform)
	}
	return accounts, nil
}

func callbackKeys(appID string, c *config.Callback) (callback.Keys, error) {
	return callback.NewKeys(callback.Settings{
		Token: c.Token.Reveal(), EncodingAESKey: c.EncodingAESKey.Reveal(), PreviousEncodingAESKey: c.PreviousEncodingAESKey.Reveal(),
		AppID: appID, Window: callbackWindow,
	})
}

// newDispatcher makes the way to an account's dispatch system: over NATS, and where nobody can be asked there the hook.
func (a *App) newDispatcher(c *config.Account) (orders.Dispatcher, error) {
	hook, err := a.newHook(c)
	switch {
	case err != nil || a.bus == nil:
		return hook, err
	case hook == nil:
		return a.bus, nil
	}
	return orders.First{a.bus, hook}, nil
}

// newHook makes an account's HTTP hook; nil if it has none.
func (a *App) newHook(c *config.Account) (orders.Dispatcher, error) {
	if c.Orders.URL == "" {
		return nil, nil
	}
	key, err := ingest.ParseSigningSecret(c.Orders.Secret.Reveal())
	if err != nil {
		return nil, err
	}
	hook := orders.NewHook(orders.HookOptions{URL: c.Orders.URL, Key: key, UserAgent: a.userAgent()})
	a.onStop(hook.Close)
	return hook, nil
}
