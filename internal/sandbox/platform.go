package sandbox

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Platform is a third-party platform (第三方平台), which merchants may authorise to make their calls. The sandbox gives it
// access_tokens; what WeChat pushes to it (tickets and codes) is left to whoever uses the sandbox.
type Platform struct {
	AppID  string // component_appid; empty: there is none.
	Secret string // component_appsecret
}

// platformLife is how long a platform's own access_token lives.
const platformLife = 7200 * time.Second

// platform is its state. Safe for concurrent use.
type platform struct {
	Platform
	chance *chance

	mu        sync.Mutex // Owns what follows.
	ticket    string
	component string            // The latest component_access_token, which alone is good.
	codes     map[string]string // Authorisation codes that were not used yet: the merchant's appid.
	refresh   map[string]string // By the merchant's appid: the authorizer_refresh_token that is good.
}

func newPlatform(p Platform, c *chance) *platform {
	return &platform{Platform: p, chance: c, codes: map[string]string{}, refresh: map[string]string{}}
}

// VerifyTicket makes a component_verify_ticket, to be pushed to the platform; it replaces the one before.
func (s *Sandbox) VerifyTicket() string {
	s.platform.mu.Lock()
	defer s.platform.mu.Unlock()
	s.platform.ticket = "ticket@@@" + s.chance.text(64)
	return s.platform.ticket
}

// Authorize has a merchant authorise the platform, and returns the authorization_code, to be pushed to it. It works once.
// The refresh_token of an earlier authorisation works no more.
func (s *Sandbox) Authorize(appID string) (code string) {
	s.platform.mu.Lock()
	defer s.platform.mu.Unlock()
	code = "queryauthcode@@@" + s.chance.text(64)
	s.platform.codes[code] = appID
	delete(s.platform.refresh, appID)
	return code
}

// platformAsk is the body of the platform's calls.
type platformAsk struct {
	AppID   string `json:"component_appid"`
	Secret  string `json:"component_appsecret"`
	Ticket  string `json:"component_verify_ticket"`
	Code    string `json:"authorization_code"`
	Shop    string `json:"authorizer_appid"`
	Refresh string `json:"authorizer_refresh_token"`
}

// platformCall answers one of the platform's calls. No fault touches them but an outage.
func (s *Sandbox) platformCall(do func(ask *platformAsk, component string) (any, *refusal)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.faults.outage() {
			panic(http.ErrAbortHandler)
		}
		var ask platformAsk
		body, no := readPost(r)
		if no == nil && json.Unmarshal(body, &ask) != nil {
			no = refuse(codeFormat, "")
		}
		if no == nil && (ask.AppID == "" || ask.AppID != s.platform.AppID) {
			no = refuse(codeAppID, "component_appid")
		}
		var answer any
		if no == nil {
			answer, no = do(&ask, r.URL.Query().Get("component_access_token"))
		}
		if no != nil {
			s.answer(w, r, no)
			return
		}
		write(w, contentType, encode(answer))
	}
}

// componentToken is POST /cgi-bin/component/api_component_token.
func (s *Sandbox) componentToken(ask *platformAsk, _ string) (any, *refusal) {
	p := s.platform
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !same(p.Secret, ask.Secret):
		return nil, refuse(codeSecret, "component_appsecret")
	case p.ticket == "" || !same(p.ticket, ask.Ticket):
		return nil, refuse(codeTicket, "")
	}
	p.component = "98_" + p.chance.text(tokenChars-3)
	return struct {
		Token     string `json:"component_access_token"`
		ExpiresIn int64  `json:"expires_in"`
	}{p.component, int64(platformLife / time.Second)}, nil
}

// authorized are the access_tokens of a merchant that has authorised the platform.
type authorized struct {
	Shop      string `json:"authorizer_appid,omitzero"`
	Token     string `json:"authorizer_access_token"`
	ExpiresIn int64  `json:"expires_in"`
	Refresh   string `json:"authorizer_refresh_token"`
}

// queryAuth is POST /cgi-bin/component/api_query_auth: an authorization_code for the merchant's access_tokens.
func (s *Sandbox) queryAuth(ask *platformAsk, component string) (any, *refusal) {
	p := s.platform
	p.mu.Lock()
	defer p.mu.Unlock()
	shop, known := p.codes[ask.Code]
	switch {
	case component == "" || component != p.component:
		return nil, refuse(codeCredential, "component_access_token")
	case !known:
		return nil, refuse(codeAuthCode, "")
	}
	delete(p.codes, ask.Code)
	p.refresh[shop] = "refreshtoken@@@" + p.chance.text(43)
	info := s.authorizedTokens(shop, p.refresh[shop])
	info.Shop = shop
	return map[string]any{"authorization_info": info}, nil
}

// authorizerToken is POST /cgi-bin/component/api_authorizer_token. The refresh_token stays.
func (s *Sandbox) authorizerToken(ask *platformAsk, component string) (any, *refusal) {
	p := s.platform
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case component == "" || component != p.component:
		return nil, refuse(codeCredential, "component_access_token")
	case p.refresh[ask.Shop] == "" || !same(p.refresh[ask.Shop], ask.Refresh):
		return nil, refuse(codeRefreshToken, "")
	}
	return s.authorizedTokens(ask.Shop, ask.Refresh), nil
}

func (s *Sandbox) authorizedTokens(shop, refresh string) authorized {
	given := s.tokens.authorizer(shop, time.Now())
	return authorized{Token: given.value, ExpiresIn: int64(given.life / time.Second), Refresh: refresh}
}

// authorizer gives a merchant's current access_token to a platform that it has authorised: no secret is needed.
func (t *tokens) authorizer(appID string, now time.Time) issued {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.accounts[appID]
	if a == nil {
		a = &account{App: App{AppID: appID}}
		t.accounts[appID] = a
	}
	g := t.currentStable(a, now)
	return issued{g.value, g.life(now)}
}
