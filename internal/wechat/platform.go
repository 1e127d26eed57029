package wechat

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Names and paths of a third-party platform's calls. Source: WeChat 第三方平台, component_access_token and
// authorizer_access_token.
const (
	opComponentToken    = "getComponentAccessToken"
	pathComponentToken  = "/cgi-bin/component/api_component_token"
	opAuthorizerToken   = "getAuthorizerAccessToken"
	pathAuthorizerToken = "/cgi-bin/component/api_authorizer_token"
)

// PlatformStore keeps what a third-party platform must not lose. It is called by many goroutines.
type PlatformStore interface {
	// VerifyTicket is the newest component_verify_ticket. WeChat pushes one every 10 minutes, each good for 12 hours;
	// "" if none has come yet.
	VerifyTicket(ctx context.Context) (string, error)
	// RefreshToken is a merchant's newest authorizer_refresh_token, at first the one that came with its authorisation;
	// "" if it has not authorised the platform.
	RefreshToken(ctx context.Context, authorizerAppID string) (string, error)
	// KeepRefreshToken keeps one that upstream gave in place of the last, durably: once it is lost, the merchant must
	// authorise the platform again.
	KeepRefreshToken(ctx context.Context, authorizerAppID, refreshToken string) error
}

// PlatformOptions say which third-party platform (第三方平台) it is.
type PlatformOptions struct {
	// Clients as in [AccessTokenOptions].
	Clients []*Client
	AppID   string // component_appid
	// Secret reveals the component_appsecret; it is asked for with each fetch and shown nowhere.
	Secret func() string
	Store  PlatformStore
	// OnFetch is told of fetches of the platform's own access_token, and of those of merchants by way of it; nil: nobody is.
	OnFetch FetchObserver
	Logger  *slog.Logger // nil: none.
	// Timeout bounds the answer of one host; default 5s.
	Timeout time.Duration
}

// Platform is a third-party platform: it fetches access_tokens for merchants that have authorised it. They are good
// for the merchants' calls, and not for updatePath, which takes a delivery company's own alone.
//
// It is safe for concurrent use.
type Platform struct {
	o     PlatformOptions
	token *AccessToken // The platform's own, component_access_token.

	mu          sync.Mutex // Guards what follows.
	authorizers map[string]*authorizer
}

// NewPlatform makes a platform; it fetches nothing by itself. Missing options are a programmer's mistake: it panics.
func NewPlatform(o PlatformOptions) *Platform {
	if len(o.Clients) == 0 || o.Secret == nil || o.Store == nil {
		panic("wechat: a platform needs a client, its component_appsecret and a store")
	}
	p := &Platform{o: o, authorizers: map[string]*authorizer{}}
	p.token = newAccessToken(p.tokenOptions(o.AppID, modePlatform), p.fetch)
	return p
}

func (p *Platform) tokenOptions(appID, mode string) AccessTokenOptions {
	return AccessTokenOptions{Clients: p.o.Clients, AppID: appID, Mode: mode, OnFetch: p.o.OnFetch, Logger: p.o.Logger, Timeout: p.o.Timeout}
}

// Authorizer makes a keeper of a merchant's access_tokens (authorizer_access_token). Like any other it fetches nothing
// before Get or Run, and is to be closed; before the platform is.
func (p *Platform) Authorizer(appID string) *AccessToken {
	a := &authorizer{platform: p, appID: appID}
	a.tokens = newAccessToken(p.tokenOptions(appID, modeAuthorizer), a.fetch)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.authorizers[appID] = a
	return a.tokens
}

// Retry forgets that fetches failed, as [AccessToken.Retry] does: a new component_verify_ticket has come.
func (p *Platform) Retry() { p.token.Retry() }

// Close ends a fetch under way; the last thing to do with a platform.
func (p *Platform) Close() { p.token.Close() }

// missing is what keeps a platform from asking at all: for a person to correct.
func missing(format string, args ...any) *TokenError {
	return &TokenError{Scope: ScopeAccount, Err: fmt.Errorf(format, args...)}
}

// unreadable is a store that fails: it is tried again.
func unreadable(what string, err error) *TokenError {
	return &TokenError{Scope: ScopeUpstream, Err: fmt.Errorf("reading the %s: %w", what, err)}
}

// fetch asks for the platform's own access_token.
func (p *Platform) fetch(ctx context.Context, c *Client, within time.Duration, _ bool) (grant, error) {
	ticket, err := p.o.Store.VerifyTicket(ctx)
	switch {
	case err != nil:
		return grant{}, unreadable("component_verify_ticket", err)
	case ticket == "":
		return grant{}, missing("no component_verify_ticket has come: WeChat pushes one every 10 minutes to the platform's 授权事件接收URL; check that it leads here")
	}
	return c.componentToken(ctx, within, p.o.AppID, p.o.Secret(), ticket)
}

// withToken makes a call with the platform's own access_token, and once more if it is that which is refused.
func (p *Platform) withToken(ctx context.Context, call func(component string) (grant, error)) (grant, error) {
	for again := false; ; again = true {
		component, err := p.token.Get(ctx)
		if err != nil {
			return grant{}, err
		}
		g, err := call(component)
		if err == nil && !again && ScopeOf(g.Errcode) == ScopeCredential {
			p.token.Refused(component)
			continue
		}
		return g, err
	}
}

// authorizer fetches one merchant's access_tokens. AccessToken has at most one fetch under way.
type authorizer struct {
	platform *Platform
	appID    string
	tokens   *AccessToken

	exchanging sync.Mutex // Held while a code is exchanged.
	exchanged  string     // The last code that was; owned by exchanging.

	mu     sync.Mutex // Guards what follows, and is held while the store keeps a refresh_token.
	unkept string     // A refresh_token that upstream gave and the store has not taken yet.
	times  int        // How often the merchant has authorised the platform since the start.
}

func (a *authorizer) fetch(ctx context.Context, c *Client, within time.Duration, _ bool) (grant, error) {
	refresh, times, err := a.refreshToken(ctx)
	if err != nil {
		return grant{}, err
	}
	g, err := a.platform.withToken(ctx, func(component string) (grant, error) {
		return c.authorizerToken(ctx, within, component, a.platform.o.AppID, a.appID, refresh)
	})
	if err == nil && g.refreshToken != "" && g.refreshToken != refresh {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.times == times { // Else it is of an authorisation that is over.
			a.changed(ctx, g.refreshToken)
		}
	}
	return g, err
}

// refreshToken is the newest there is, also if the store did not take it, and of which authorisation it is.
func (a *authorizer) refreshToken(ctx context.Context) (refresh string, times int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if unkept := a.unkept; unkept != "" {
		a.changed(ctx, unkept)
		return unkept, a.times, nil
	}
	refresh, err = a.platform.o.Store.RefreshToken(ctx, a.appID)
	switch {
	case err != nil:
		return "", 0, unreadable("authorizer_refresh_token of "+a.appID, err)
	case refresh == "":
		return "", 0, missing("the merchant %s has not authorised the third-party platform %s: let its administrator do so", a.appID, a.platform.o.AppID)
	}
	return refresh, a.times, nil
}

// changed keeps a new refresh_token. If the store fails it is held in memory and brought again with the next fetch: the
// access_token that came with it works all the same. The caller holds mu.
func (a *authorizer) changed(ctx context.Context, refresh string) {
	// Upstream has answered: it is kept even if this process is stopping.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultFetchTimeout)
	defer cancel()
	err := a.platform.o.Store.KeepRefreshToken(ctx, a.appID, refresh)
	a.unkept = ""
	if err != nil {
		a.unkept = refresh
		a.platform.token.log.Error("platform: a new authorizer_refresh_token could not be kept; the merchant must authorise again if this process ends before it can",
			"authorizer_appid", a.appID, "error", redact(err, refresh))
	}
}

// componentToken asks for a platform's own access_token.
func (c *Client) componentToken(ctx context.Context, within time.Duration, appID, secret, ticket string) (grant, error) {
	body, err := json.Marshal(struct {
		AppID  string `json:"component_appid"`
		Secret string `json:"component_appsecret"`
		Ticket string `json:"component_verify_ticket"`
	}{appID, secret, ticket})
	if err != nil {
		return grant{}, err
	}
	req := c.request(http.MethodPost, pathComponentToken, nil)
	return c.askGrant(ctx, within, grantCall{op: opComponentToken, field: "component_access_token"}, req, body, secret, ticket)
}

// authorizerToken asks for a merchant's access_token. component is the platform's own.
func (c *Client) authorizerToken(ctx context.Context, within time.Duration, component, appID, authorizer, refresh string) (grant, error) {
	body, err := json.Marshal(struct {
		AppID      string `json:"component_appid"`
		Authorizer string `json:"authorizer_appid"`
		Refresh    string `json:"authorizer_refresh_token"`
	}{appID, authorizer, refresh})
	if err != nil {
		return grant{}, err
	}
	req := c.request(http.MethodPost, pathAuthorizerToken, url.Values{"component_access_token": {component}})
	return c.askGrant(ctx, within, grantCall{op: opAuthorizerToken, field: "authorizer_access_token"}, req, body, component, refresh)
}
