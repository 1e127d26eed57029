package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carrier/internal/callback"
	"carrier/internal/config"
	"carrier/internal/merchant"
	"carrier/internal/orders"
	"carrier/internal/wechat"
)

// componentPath is whose callback a third-party platform's is: /wechat/component/callback.
const componentPath = "component"

// MerchantSettings are the merchants of a configuration.
func MerchantSettings(merchants []config.Merchant) []merchant.Settings {
	settings := make([]merchant.Settings, len(merchants))
	for i := range merchants {
		m := &merchants[i]
		settings[i] = merchant.Settings{
			Name: m.Name, AppID: m.AppID, Secret: m.Secret.Reveal, BaseURL: m.BaseURL, TokenMode: m.TokenMode,
			CloudTokenFile: m.CloudTokenFile, ShopAppIDs: m.ShopAppIDs, Authorizer: m.Authorizer,
		}
	}
	return settings
}

// newMerchants makes the registry of the merchants, and the vault of their platform if there is one.
func (a *App) newMerchants(version string) (err error) {
	o := merchant.Options{
		Merchants: MerchantSettings(a.cfg.Merchants), UserAgent: "carrier/" + version, Logger: a.log.With("part", "merchants"),
	}
	if p := &a.cfg.Platform; p.AppID != "" {
		refresh := map[string]string{}
		for _, m := range a.cfg.Merchants {
			refresh[m.AppID] = m.RefreshToken.Reveal()
		}
		a.vault = merchant.NewVault(a.store, p.AppID, refresh)
		o.Platform = &merchant.Platform{AppID: p.AppID, Secret: p.Secret.Reveal, BaseURL: p.BaseURL, Store: a.vault}
	}
	if a.merchants, err = merchant.New(o); err != nil {
		return fmt.Errorf("merchants: %w", err)
	}
	a.onStop(a.merchants.Close)
	return nil
}

// troubleLook bounds a look at what the store has of the platform.
const troubleLook = time.Second

// merchantTrouble says what keeps merchants' traces from being read, as far as that is known.
func (a *App) merchantTrouble() []string {
	lines := a.merchants.Trouble()
	if a.vault == nil {
		return lines
	}
	var authorizers []string
	for i := range a.cfg.Merchants {
		if m := &a.cfg.Merchants[i]; m.Authorizer {
			authorizers = append(authorizers, m.AppID)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), troubleLook)
	defer cancel()
	return append(lines, a.vault.Trouble(ctx, authorizers, time.Now())...)
}

// platformCallback is where WeChat pushes what concerns the platform: an account beside the delivery companies'.
func (a *App) platformCallback() (orders.Account, error) {
	p := &a.cfg.Platform
	keys, err := callbackKeys(p.AppID, &p.Callback)
	if err != nil {
		return orders.Account{}, fmt.Errorf("platform.callback: %w", err)
	}
	return orders.Account{DeliveryID: componentPath, Keys: keys, Window: callbackWindow, Take: a.takeComponent}, nil
}

// takeComponent deals with a push to the platform. WeChat is told "success" once what it brings is durable, and sends it
// again otherwise; what is of no use here, or about another platform, would be of none then too.
func (a *App) takeComponent(ctx context.Context, m *callback.Message) error {
	p, err := m.Component()
	switch log := a.log.With("part", "merchants"); {
	case err != nil:
		log.Warn("a push to the third-party platform can't be read", "err", err)
	case p.AppID != a.cfg.Platform.AppID:
		log.Warn("a push is about another third-party platform than platform.appid", "push", p)
	case p.InfoType == callback.VerifyTicketPushed:
		if err := a.vault.KeepTicket(ctx, p.ComponentVerifyTicket.Reveal(), p.CreateTime); err != nil {
			return err
		}
		a.merchants.TicketCame()
	case p.InfoType == callback.AuthorizationEnded:
		log.Warn("a merchant has withdrawn its authorisation: its calls will be refused until it authorises the platform anew", "authorizer_appid", p.AuthorizerAppID)
	case p.InfoType == callback.AuthorizationGiven || p.InfoType == callback.AuthorizationUpdated:
		return a.authorised(ctx, p)
	}
	return nil
}

// authorised deals with a merchant's authorisation of the platform, whose code is good for some minutes: what only failed
// on its way is tried again with WeChat's next push.
func (a *App) authorised(ctx context.Context, p *callback.ComponentPush) error {
	log := a.log.With("part", "merchants", "push", p)
	configured := slices.ContainsFunc(a.cfg.Merchants, func(m config.Merchant) bool { return m.Authorizer && m.AppID == p.AuthorizerAppID })
	switch code := p.AuthorizationCode.Reveal(); {
	case !configured:
		log.Warn("a merchant has authorised the platform that is not configured; add it to merchants with authorizer: true, and let it authorise again")
	case code == "":
		log.Warn("a merchant has authorised the platform, and WeChat gave no code; write its authorizer_refresh_token into merchants[].refresh_token")
	default:
		err := a.merchants.Authorized(ctx, p.AuthorizerAppID, code)
		if refused, ok := errors.AsType[*wechat.TokenError](err); err != nil && (!ok || refused.Errcode == 0) {
			return err
		}
		if err != nil {
			log.Error("the code of a merchant's authorisation is refused; let the merchant authorise again, or write its authorizer_refresh_token into merchants[].refresh_token", "err", err)
			return nil
		}
		log.Info("a merchant has authorised the platform, and its code was exchanged for an authorizer_refresh_token")
	}
	return nil
}
