package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// platformHost is the part of upstream that a third-party platform calls: each call gives new access_tokens, and
// every second one for a merchant a new refresh_token, after which the old one is refused.
type platformHost struct {
	t *testing.T

	mu         sync.Mutex
	tickets    []string // Those that are good.
	components int      // component_access_tokens given; the latest is the good one.
	given      int      // authorizer_access_tokens given.
	refresh    string   // The good one.
	codes      map[string]string
	calls      []string // "component", "authorizer"
}

func (h *platformHost) RoundTrip(req *http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var q map[string]string
	if err := json.Unmarshal(must(io.ReadAll(req.Body)), &q); err != nil || req.Method != http.MethodPost || q["component_appid"] != "wxplatform" {
		h.t.Errorf("%s with %v (%v)", req.Method, q, err)
	}
	switch req.URL.Path {
	case pathComponentToken:
		h.calls = append(h.calls, "component")
		return response(200, h.component(q)), nil
	case pathAuthorizerToken:
		h.calls = append(h.calls, "authorizer")
		return response(200, h.authorizer(req.URL.Query().Get("component_access_token"), q)), nil
	case pathQueryAuth:
		h.calls = append(h.calls, "code")
		return response(200, h.exchange(req.URL.Query().Get("component_access_token"), q["authorization_code"])), nil
	}
	h.t.Errorf("unexpected request %s", req.URL.Path)
	return response(404, ""), nil
}

func (h *platformHost) component(q map[string]string) string {
	if q["component_appsecret"] != canarySecret {
		h.t.Error("another component_appsecret")
	}
	for _, ticket := range h.tickets {
		if ticket == q["component_verify_ticket"] {
			h.components++
			return fmt.Sprintf(`{"component_access_token":"CANARY-C%d","expires_in":7200}`, h.components)
		}
	}
	return `{"errcode":61006,"errmsg":"component ticket is invalid"}`
}

func (h *platformHost) authorizer(component string, q map[string]string) string {
	switch {
	case component != fmt.Sprintf("CANARY-C%d", h.components):
		return `{"errcode":40001,"errmsg":"invalid credential ` + component + `"}`
	case q["authorizer_appid"] != "wxmerchant" || q["authorizer_refresh_token"] != h.refresh:
		return `{"errcode":61023,"errmsg":"refresh_token is invalid ` + q["authorizer_refresh_token"] + `"}`
	}
	if h.given++; h.given%2 == 0 {
		h.refresh = fmt.Sprintf("CANARY-R%d", h.given)
	}
	return fmt.Sprintf(`{"authorizer_access_token":"CANARY-A%d","expires_in":7200,"authorizer_refresh_token":%q}`, h.given, h.refresh)
}

// exchange gives what h.codes has for a code, once.
func (h *platformHost) exchange(component, code string) string {
	answer, ok := h.codes[code]
	switch {
	case component != fmt.Sprintf("CANARY-C%d", h.components):
		return `{"errcode":40001,"errmsg":"invalid credential ` + component + `"}`
	case !ok:
		return `{"errcode":61009,"errmsg":"code is invalid ` + code + `"}`
	}
	delete(h.codes, code)
	return answer
}

func (h *platformHost) called() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.calls, " ")
}

// platformStore is a PlatformStore in memory.
type platformStore struct {
	mu      sync.Mutex
	ticket  string
	refresh string
	kept    []string
	unread  error // What RefreshToken answers.
	unkept  error // What KeepRefreshToken answers.
}

func (s *platformStore) VerifyTicket(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ticket, nil
}

func (s *platformStore) RefreshToken(_ context.Context, appID string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if appID != "wxmerchant" {
		return "", nil
	}
	return s.refresh, s.unread
}

func (s *platformStore) KeepRefreshToken(ctx context.Context, appID, refresh string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unkept != nil || appID != "wxmerchant" {
		return errors.Join(s.unkept, ctx.Err())
	}
	s.refresh = refresh
	s.kept = append(s.kept, refresh)
	return ctx.Err()
}

func (s *platformStore) set(change func(*platformStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// platformBubble runs a test of a platform, its one merchant, and upstream.
func platformBubble(t *testing.T, test func(t *testing.T, h *platformHost, s *platformStore, p *Platform, a *AccessToken)) {
	synctest.Test(t, func(t *testing.T) {
		h := &platformHost{t: t, tickets: []string{"CANARY-ticket"}, refresh: "CANARY-R0"}
		s := &platformStore{ticket: "CANARY-ticket", refresh: "CANARY-R0"}
		p := NewPlatform(PlatformOptions{
			Clients: []*Client{NewClient(ClientOptions{BaseURL: "http://h", Transport: h})}, AppID: "wxplatform",
			Secret: func() string { return canarySecret }, Store: s,
			Logger: slog.New(slog.NewTextHandler(&logBook{t: t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		a := p.Authorizer("wxmerchant")
		defer p.Close()
		defer a.Close()
		test(t, h, s, p, a)
	})
}

func TestAuthorizerIsKeptFresh(t *testing.T) {
	platformBubble(t, func(t *testing.T, h *platformHost, s *platformStore, _ *Platform, a *AccessToken) {
		defer run(t, a)()
		synctest.Wait()
		if got := mustGet(t, a); got != "CANARY-A1" || h.called() != "component authorizer" {
			t.Fatalf("%q after %s", got, h.called())
		}
		time.Sleep(9 * time.Hour)
		if got := mustGet(t, a); got != "CANARY-A6" {
			t.Errorf("after 9 hours %q, want the 6th: one every 105 minutes", got)
		}
		if got, want := fmt.Sprint(s.kept), "[CANARY-R2 CANARY-R4 CANARY-R6]"; got != want {
			t.Errorf("kept %s, want %s: each that changed, once", got, want)
		}
		if n := strings.Count(h.called(), "component"); n > 6 {
			t.Errorf("%d fetches of the platform's own for 6 of the merchant's", n)
		}
	})
}

func TestPlatformTokenRefused(t *testing.T) {
	platformBubble(t, func(t *testing.T, h *platformHost, _ *platformStore, _ *Platform, a *AccessToken) {
		mustGet(t, a)
		h.mu.Lock()
		h.components++ // Somebody else has fetched one.
		h.mu.Unlock()
		time.Sleep(2 * youngLife)
		a.Refused("CANARY-A1")
		if got := mustGet(t, a); got != "CANARY-A2" || h.called() != "component authorizer authorizer component authorizer" {
			t.Errorf("%q after %s", got, h.called())
		}
	})
}

func TestPlatformLacksSomething(t *testing.T) {
	tests := []struct {
		name    string
		spoil   func(*platformStore)
		scope   Scope
		errcode int
		want    string
	}{
		{"no ticket yet", func(s *platformStore) { s.ticket = "" }, ScopeAccount, 0, "no component_verify_ticket has come"},
		{"an old ticket", func(s *platformStore) { s.ticket = "CANARY-old" }, ScopeAccount, 61006, "every 10 minutes"},
		{"not authorised", func(s *platformStore) { s.refresh = "" }, ScopeAccount, 0, "has not authorised"},
		{"another refresh_token", func(s *platformStore) { s.refresh = "CANARY-lost" }, ScopeAccount, 61023, "authorise the platform again"},
		{"a store that fails", func(s *platformStore) { s.unread = errors.New("disk gone") }, ScopeUpstream, 0, "disk gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			platformBubble(t, func(t *testing.T, _ *platformHost, s *platformStore, p *Platform, a *AccessToken) {
				s.set(tt.spoil)
				_, err := a.Get(t.Context())
				wantTokenError(t, err, tt.scope, tt.errcode)
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q in it", err, tt.want)
				}
				clean(t, "the error", err.Error())

				s.set(func(s *platformStore) { s.ticket, s.refresh, s.unread = "CANARY-ticket", "CANARY-R0", nil })
				p.Retry()
				a.Retry()
				if got := mustGet(t, a); got != "CANARY-A1" {
					t.Errorf("once it is there: %q", got)
				}
			})
		})
	}
}

// A refresh_token that the store does not take is used all the same, and brought again.
func TestRefreshTokenNotKept(t *testing.T) {
	platformBubble(t, func(t *testing.T, _ *platformHost, s *platformStore, _ *Platform, a *AccessToken) {
		steps := []struct {
			broken error
			want   string
			kept   string
		}{
			{nil, "CANARY-A1", "[]"},
			{errors.New("disk gone, CANARY-R2"), "CANARY-A2", "[]"},
			{errors.New("disk gone, CANARY-R2"), "CANARY-A3", "[]"}, // Fetched with what is in memory alone.
			{nil, "CANARY-A4", "[CANARY-R2 CANARY-R4]"},
		}
		for _, st := range steps {
			s.set(func(s *platformStore) { s.unkept = st.broken })
			if got := mustGet(t, a); got != st.want || fmt.Sprint(s.kept) != st.kept {
				t.Errorf("%q, kept %v; want %q, %s", got, s.kept, st.want, st.kept)
			}
			time.Sleep(2 * time.Hour)
		}
	})
}

// What upstream has given is kept even if the process is about to end.
func TestRefreshTokenKeptWhileStopping(t *testing.T) {
	platformBubble(t, func(t *testing.T, _ *platformHost, s *platformStore, p *Platform, _ *AccessToken) {
		a := &authorizer{platform: p, appID: "wxmerchant"}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a.mu.Lock()
		a.changed(ctx, "CANARY-R2")
		a.mu.Unlock()
		if fmt.Sprint(s.kept) != "[CANARY-R2]" || a.unkept != "" {
			t.Errorf("kept %v, unkept %q", s.kept, a.unkept)
		}
	})
}

func TestNewPlatformRefusesNonsense(t *testing.T) {
	client, secret, store := []*Client{NewClient(ClientOptions{})}, func() string { return "" }, &platformStore{}
	for _, o := range []PlatformOptions{{Secret: secret, Store: store}, {Clients: client, Store: store}, {Clients: client, Secret: secret}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewPlatform did not panic without one of its options")
				}
			}()
			NewPlatform(o)
		}()
	}
}
