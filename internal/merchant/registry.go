// Package merchant knows the mini programs of the business side, with whose credentials orders and traces are read as
// their customers see them (WeChat 物流助手, 商户使用: getPath, getOrder, batchGetOrder).
//
//	registry.go  [Registry]: the merchants as configured, by name and by the shops that they answer for
//	vault.go     [Vault]: what a third-party platform (第三方平台) must not lose, in a store
package merchant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"carrier/internal/wechat"
)

// Merchant is a mini program of the business side. Its calls are made with its own credentials.
type Merchant struct {
	*wechat.Caller
	Name  string
	AppID string // "" if it has none of its own: token mode none.

	tokens *wechat.AccessToken
}

// Settings say who a merchant is and how its access_tokens come.
type Settings struct {
	Name           string // Unique.
	AppID          string
	Secret         func() string // Reveals the AppSecret; of no use with mode none and for an authorizer.
	BaseURL        string        // Default https://api.weixin.qq.com.
	TokenMode      string        // One of wechat's modes; default wechat.ModeStable.
	CloudTokenFile string        // With wechat.ModeNone: see wechat.ClientOptions.
	ShopAppIDs     []string      // Further appids whose orders it can read.
	// Authorizer: its access_tokens come by way of Options.Platform.
	Authorizer bool
}

// Platform is the third-party platform that merchants have authorised.
type Platform struct {
	AppID   string        // component_appid
	Secret  func() string // Reveals the component_appsecret.
	BaseURL string        // Default https://api.weixin.qq.com.
	Store   wechat.PlatformStore
}

// Options are what a Registry is made of.
type Options struct {
	Merchants []Settings
	Platform  *Platform     // nil: there is none, and no merchant may be an authorizer.
	Timeout   time.Duration // Of one request; default 10s.
	UserAgent string
	OnFetch   wechat.FetchObserver // Is told of each fetch of an access_token; nil: nobody is.
	Logger    *slog.Logger         // nil: nothing is logged.
}

// Registry is all merchants. It is safe for concurrent use. Nothing runs in it: an access_token is fetched when a call
// needs one.
type Registry struct {
	merchants []*Merchant
	byShop    map[string]*Merchant
	platform  *wechat.Platform // nil: there is none.
	// retries let what failed for want of a component_verify_ticket be tried at once: the platform's own access_token,
	// then the merchants' by way of it.
	retries []func()
	closers []func() // The last one first.
}

// New makes a registry; it connects with the first call. Close it in the end.
func New(o Options) (*Registry, error) {
	r := &Registry{byShop: map[string]*Merchant{}}
	if p := o.Platform; p != nil {
		client := r.client(&o, wechat.ClientOptions{BaseURL: p.BaseURL})
		r.platform = wechat.NewPlatform(wechat.PlatformOptions{
			Clients: []*wechat.Client{client}, AppID: p.AppID, Secret: p.Secret, Store: p.Store, OnFetch: o.OnFetch, Logger: o.Logger,
		})
		r.closers, r.retries = append(r.closers, r.platform.Close), append(r.retries, r.platform.Retry)
	}
	for i := range o.Merchants {
		if err := r.add(&o, &o.Merchants[i]); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

func (r *Registry) add(o *Options, s *Settings) error {
	if _, taken := r.named(s.Name); taken || s.Name == "" {
		return fmt.Errorf("merchant %q: each needs a name of its own", s.Name)
	}
	client := r.client(o, wechat.ClientOptions{BaseURL: s.BaseURL, CloudTokenFile: s.CloudTokenFile})
	var tokens *wechat.AccessToken
	switch {
	case !s.Authorizer:
		tokens = wechat.NewAccessToken(wechat.AccessTokenOptions{
			Clients: []*wechat.Client{client}, AppID: s.AppID, Secret: s.Secret, Mode: s.TokenMode, OnFetch: o.OnFetch, Logger: o.Logger,
		})
	case r.platform == nil:
		return fmt.Errorf("merchant %s: there is no third-party platform that it could have authorised", s.Name)
	default:
		tokens = r.platform.Authorizer(s.AppID)
		r.retries = append(r.retries, tokens.Retry)
	}
	r.closers = append(r.closers, tokens.Close)
	m := &Merchant{Caller: wechat.NewCaller(tokens, client), Name: s.Name, AppID: s.AppID, tokens: tokens}
	r.merchants = append(r.merchants, m)
	for _, shop := range append([]string{s.AppID}, s.ShopAppIDs...) {
		if first, taken := r.byShop[shop]; taken && first != m {
			return fmt.Errorf("merchants %s and %s both answer for shop %s: keep it at one of them", first.Name, s.Name, shop)
		}
		if shop != "" {
			r.byShop[shop] = m
		}
	}
	return nil
}

func (r *Registry) client(o *Options, c wechat.ClientOptions) *wechat.Client {
	c.Timeout, c.UserAgent = o.Timeout, o.UserAgent
	client := wechat.NewClient(c)
	r.closers = append(r.closers, client.CloseIdleConnections)
	return client
}

// Why no merchant can be named.
var (
	ErrNone      = errors.New("no merchant is configured")
	ErrAmbiguous = errors.New("there are several merchants: say which")
	ErrUnknown   = errors.New("there is no such merchant")
)

// Find finds a merchant as ByName does, and says what is wrong where it does not: ErrNone, ErrAmbiguous or ErrUnknown.
func (r *Registry) Find(name string) (*Merchant, error) {
	m, ok := r.ByName(name)
	switch {
	case ok:
		return m, nil
	case len(r.merchants) == 0:
		return nil, ErrNone
	case name == "":
		return nil, ErrAmbiguous
	}
	return nil, ErrUnknown
}

// ByName finds a merchant; "" is the only one, if there is one.
func (r *Registry) ByName(name string) (*Merchant, bool) {
	if name == "" && len(r.merchants) == 1 {
		return r.merchants[0], true
	}
	return r.named(name)
}

func (r *Registry) named(name string) (*Merchant, bool) {
	i := slices.IndexFunc(r.merchants, func(m *Merchant) bool { return m.Name == name })
	if i < 0 {
		return nil, false
	}
	return r.merchants[i], true
}

// ByShop finds the merchant that can read the orders of an appid, as WeChat names it in add_waybill (ShopAppID).
func (r *Registry) ByShop(shopAppID string) (*Merchant, bool) {
	m, ok := r.byShop[shopAppID]
	return m, ok
}

// Names lists the merchants in the order of the configuration.
func (r *Registry) Names() []string {
	names := make([]string, len(r.merchants))
	for i, m := range r.merchants {
		names[i] = m.Name
	}
	return names
}

// TicketCame tells that the platform's store has another component_verify_ticket: what failed for want of one is tried
// again at once.
func (r *Registry) TicketCame() {
	for _, retry := range r.retries {
		retry()
	}
}

// Authorized takes the AuthorizationCode of a merchant that has authorised the platform (see wechat.Platform.Authorized).
func (r *Registry) Authorized(ctx context.Context, appID, code string) error {
	if r.platform == nil {
		return errors.New("there is no third-party platform")
	}
	return r.platform.Authorized(ctx, appID, code)
}

// Close ends what is under way; calls fail from then on.
func (r *Registry) Close() {
	for _, closer := range slices.Backward(r.closers) {
		closer()
	}
}
