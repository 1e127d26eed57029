package app

import (
	"context"
	"fmt"
	"time"

	"carrier/internal/config"
	"carrier/internal/pathpush"
	"carrier/internal/spans"
	"carrier/internal/wechat"
)

// accountLink is what an account's pushes go through: a client per host and a source of access_tokens. A reload makes
// anew what its settings ask for; the rest goes on as it is.
type accountLink struct {
	settings    linkSettings
	hosts       []pathpush.Host
	clients     []*wechat.Client // Of the hosts.
	credentials *credentials
	quota       *wechat.Caller
}

// linkSettings are the settings that a link is made of.
type linkSettings struct {
	tokenSettings
	concurrency int
	timeout     config.Duration
}

// credentials are a source of access_tokens. In the basic mode another one would end the life of what this one has, so it
// is only made when it must be.
type credentials struct {
	settings tokenSettings
	tokens   *wechat.AccessToken
	clients  []*wechat.Client // Those that it asks with.
}

// tokenSettings are the settings that credentials are made of.
type tokenSettings struct {
	appID, mode, baseURL, fallbackBaseURL, cloudTokenFile string
	secret                                                config.Secret
}

func settingsOf(c *config.Account) linkSettings {
	return linkSettings{
		tokenSettings: tokenSettings{
			appID: c.AppID, mode: c.TokenMode, baseURL: c.BaseURL, fallbackBaseURL: c.FallbackBaseURL,
			cloudTokenFile: c.CloudTokenFile, secret: c.Secret,
		},
		concurrency: c.Concurrency, timeout: c.Timeout,
	}
}

// newLinks are the links that a configuration asks for, by delivery_id, with those among them that are there already.
// a.reloading is held, or nothing runs yet.
func (a *App) newLinks(ctx context.Context, c *config.Config) (map[string]*accountLink, error) {
	links := make(map[string]*accountLink, len(c.Accounts))
	for i := range c.Accounts {
		account := &c.Accounts[i]
		link, err := a.newLink(ctx, account, a.links[account.DeliveryID])
		if err != nil {
			return nil, err
		}
		links[account.DeliveryID] = link
	}
	return links, nil
}

// newLink makes an account's link, of what it can use of the present one; that may be nil.
func (a *App) newLink(ctx context.Context, c *config.Account, present *accountLink) (*accountLink, error) {
	settings := settingsOf(c)
	if present != nil && present.settings == settings {
		return present, nil
	}
	link := &accountLink{settings: settings}
	for _, base := range []string{c.BaseURL, c.FallbackBaseURL} {
		if base == "" {
			continue
		}
		client := wechat.NewClient(wechat.ClientOptions{
			BaseURL: base, MaxConns: c.Concurrency, Timeout: time.Duration(c.Timeout), UserAgent: a.userAgent(),
			CloudTokenFile: c.CloudTokenFile,
		})
		link.clients = append(link.clients, client)
		link.hosts = append(link.hosts, pathpush.Host{Name: hostName(base), Upstream: client})
	}
	if present != nil && present.credentials.settings == settings.tokenSettings {
		link.credentials = present.credentials
	} else if err := a.newCredentials(ctx, c, link); err != nil {
		return nil, err
	}
	link.quota = wechat.NewCaller(link.credentials.tokens, link.clients...)
	return link, nil
}

// newCredentials makes a link's credentials.
func (a *App) newCredentials(ctx context.Context, c *config.Account, link *accountLink) error {
	kept, err := a.store.Account(ctx, c.DeliveryID)
	if err != nil {
		return fmt.Errorf("reading account %s: %w", c.DeliveryID, err)
	}
	link.credentials = &credentials{settings: link.settings.tokenSettings, clients: link.clients}
	link.credentials.tokens = wechat.NewAccessToken(wechat.AccessTokenOptions{
		Clients: link.clients, AppID: c.AppID, Secret: c.Secret.Reveal, Mode: c.TokenMode,
		Forced: kept.ForcedAt, OnForced: a.keepForced(c.DeliveryID), OnFetch: fetchSpans(a.tracing.Tracer(), spans.DeliveryID(c.DeliveryID)),
		Logger: a.log.With("part", "access_token", "delivery_id", c.DeliveryID),
	})
	return nil
}

// closer closes what of a link another one, which may be nil, does not use.
func (l *accountLink) closer(next *accountLink) func() {
	return func() {
		for _, client := range l.clients {
			client.CloseIdleConnections() // The credentials may go on with it.
		}
		if next == nil || next.credentials != l.credentials {
			l.credentials.close()
		}
	}
}

func (c *credentials) close() {
	c.tokens.Close()
	for _, client := range c.clients {
		client.CloseIdleConnections()
	}
}

// closeLinks closes all that are in force.
func (a *App) closeLinks() {
	for _, link := range a.links {
		link.closer(nil)()
	}
}

// pushAccounts are the accounts of a configuration as the pusher is told of them.
func pushAccounts(c *config.Config, links map[string]*accountLink) []pathpush.AccountOptions {
	accounts := make([]pathpush.AccountOptions, len(c.Accounts))
	for i := range c.Accounts {
		account := &c.Accounts[i]
		link := links[account.DeliveryID]
		accounts[i] = pathpush.AccountOptions{
			DeliveryID: account.DeliveryID, Hosts: link.hosts, Credentials: link.credentials.tokens, Quota: link.quota,
			Concurrency: account.Concurrency, Rate: account.Rate,
		}
	}
	return accounts
}

// userAgent is what upstream and the hooks see of the service.
func (a *App) userAgent() string { return "carrier/" + a.version }
