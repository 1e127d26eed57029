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
	"carrier/internal/verify"
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

// clerks are the merchants with whose credentials upstream is asked, and what their platform must not lose.
type clerks struct {
	registry    *merchant.Registry
	vault       *merchant.Vault // nil: no third-party platform is configured
	authorizers []string        // The appids of the merchants that have authorised it.
}

// newMerchants makes the clerks.
func (a *App) newMerchants() error {
	first, err := a.newClerks(a.config())
	if err != nil {
		return err
	}
	a.clerks.Store(first)
	a.onStop(func() { a.clerks.Load().registry.Close() })
	return nil
}

// newClerks makes the registry of a configuration's merchants, and the vault of their platform if there is one.
func (a *App) newClerks(c *config.Config) (made *clerks, err error) {
	made = &clerks{}
	o := merchant.Options{
		Merchants: MerchantSettings(c.Merchants), UserAgent: a.userAgent(), OnFetch: fetchSpans(a.tracing.Tracer()), Logger: a.log.With("part", "merchants"),
	}
	if p := &c.Platform; p.AppID != "" {
		refresh := map[string]string{}
		for _, m := range c.Merchants {
			refresh[m.AppID] = m.RefreshToken.Reveal()
			if m.Authorizer {
				made.authorizers = append(made.authorizers, m.AppID)
			}
		}
		made.vault = merchant.NewVault(a.store, p.AppID, refresh)
		o.Platform = &merchant.Platform{AppID: p.AppID, Secret: p.Secret.Reveal, BaseURL: p.BaseURL, Store: made.vault}
	}
	if made.registry, err = merchant.New(o); err != nil {
		return nil, fmt.Errorf("merchants: %w", err)
	}
	return made, nil
}

// merchants are those that are configured at the moment.
type merchants struct{ *App }

func (m merchants) registry() *merchant.Registry { return m.clerks.Load().registry }

// Names lists them.
func (m merchants) Names() []string { return m.registry().Names() }

// Find implements admin.Merchants.
func (m merchants) Find(name string) (*merchant.Merchant, error) { return m.registry().Find(name) }

// ByName implements verify.Merchants.
func (m merchants) ByName(name string) (verify.Merchant, bool) {
	return asLooker(m.registry().ByName(name))
}

// ByShop implements verify.Merchants.
func (m merchants) ByShop(shopAppID string) (verify.Merchant, bool) {
	return asLooker(m.registry().ByShop(shopAppID))
}

func asLooker(m *merchant.Merchant, found bool) (verify.Merchant, bool) {
	if !found {
		return verify.Merchant{}, false
	}
	return verify.Merchant{Looker: m, Name: m.Name}, true
}

// troubleLook bounds a look at what the store has of the platform.
const troubleLook = time.Second

// merchantTrouble says what keeps merchants' traces from being read, as far as that is known.
func (a *App) merchantTrouble() []string {
	c := a.clerks.Load()
	lines := c.registry.Trouble()
	if c.vault == nil {
		return lines
	}
	ctx, cancel := context.WithTimeout(context.Background(), troubleLook)
	defer cancel()
	return append(lines, c.vault.Trouble(ctx, c.authorizers, time.Now())...)
}

// platformCallback is where WeChat pushes what concerns the platform: an account beside the delivery companies'.
func (a *App) platformCallback(p *config.Platform) (orders.Account, error) {
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
	case p.AppID != a.config().Platform.AppID:
		log.Warn("a push is about another third-party platform than platform.appid", "push", p)
	case p.InfoType == callback.VerifyTicketPushed:
		if err := a.clerks.Load().vault.KeepTicket(ctx, p.ComponentVerifyTicket.Reveal(), p.CreateTime); err != nil {
			return err
		}
		a.clerks.Load().registry.TicketCame()
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
	configured := slices.ContainsFunc(a.config().Merchants, func(m config.Merchant) bool { return m.Authorizer && m.AppID == p.AuthorizerAppID })
	switch code := p.AuthorizationCode.Reveal(); {
	case !configured:
		log.Warn("a merchant has authorised the platform that is not configured; add it to merchants with authorizer: true, and let it authorise again")
	case code == "":
		log.Warn("a merchant has authorised the platform, and WeChat gave no code; write its authorizer_refresh_token into merchants[].refresh_token")
	default:
		err := a.clerks.Load().registry.Authorized(ctx, p.AuthorizerAppID, code)
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
