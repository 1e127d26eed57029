package wechat

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Name and path of the call that turns an authorization_code into access_tokens. Source: WeChat 第三方平台, 使用授权码获取
// 授权信息.
const (
	opQueryAuth   = "getAuthorizerRefreshToken"
	pathQueryAuth = "/cgi-bin/component/api_query_auth"
)

// Authorized takes the AuthorizationCode that WeChat pushes when a merchant has authorised the platform, exchanges it for
// the merchant's refresh_token, and keeps that in place of the last. A code works once, for some minutes; one that was
// exchanged already changes nothing, since WeChat pushes again what was not answered in time. The error is a *TokenError,
// as of a fetch, or a *CallError.
func (p *Platform) Authorized(ctx context.Context, authorizerAppID, code string) error {
	p.mu.Lock()
	a := p.authorizers[authorizerAppID]
	p.mu.Unlock()
	if a == nil {
		return missing("no merchant here has the appid %s", authorizerAppID)
	}
	a.exchanging.Lock()
	defer a.exchanging.Unlock()
	if code == a.exchanged {
		return nil
	}
	g, err := p.withToken(ctx, func(component string) (grant, error) {
		return p.o.Clients[0].queryAuth(ctx, component, p.o.AppID, code)
	})
	switch {
	case err != nil:
		return err
	case g.Errcode != 0:
		return &TokenError{Errcode: g.Errcode, Scope: fetchScopeOf(g.Errcode), Err: fmt.Errorf("errcode %d: %s", g.Errcode, cmp.Or(g.Errmsg, "without words"))}
	case g.authorizer != authorizerAppID || g.refreshToken == "":
		return missing("the code of %s brought no refresh_token of it", authorizerAppID)
	}
	a.exchanged = code
	a.mu.Lock()
	a.times++
	a.changed(ctx, g.refreshToken)
	a.mu.Unlock()
	a.tokens.Retry()
	return nil
}

// exchangeTimeout bounds the answer to an exchange: WeChat waits for what is said to its push.
const exchangeTimeout = 4 * time.Second

// queryAuth exchanges a code.
func (c *Client) queryAuth(ctx context.Context, component, appID, code string) (grant, error) {
	body, err := json.Marshal(struct {
		AppID string `json:"component_appid"`
		Code  string `json:"authorization_code"`
	}{appID, code})
	if err != nil {
		return grant{}, err
	}
	req := c.request(http.MethodPost, pathQueryAuth, url.Values{"component_access_token": {component}})
	call := grantCall{op: opQueryAuth, field: "authorizer_access_token", inside: "authorization_info"}
	return c.askGrant(ctx, exchangeTimeout, call, req, body, component, code)
}
