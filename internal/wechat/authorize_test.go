package wechat

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// grantedWith is what api_query_auth answers (WeChat 第三方平台, 使用授权码获取授权信息).
func grantedWith(appID, refresh string) string {
	return fmt.Sprintf(`{"authorization_info":{"authorizer_appid":%q,"authorizer_access_token":"CANARY-A0","expires_in":7200,`+
		`"authorizer_refresh_token":%q,"func_info":[{"funcscope_category":{"id":45}}]}}`, appID, refresh)
}

// TestAuthorized: a merchant that had not authorised the platform does so, and its access_tokens come from then on.
func TestAuthorized(t *testing.T) {
	platformBubble(t, func(t *testing.T, h *platformHost, s *platformStore, p *Platform, a *AccessToken) {
		s.set(func(s *platformStore) { s.refresh = "" })
		h.refresh, h.codes = "CANARY-R9", map[string]string{"CANARY-code": grantedWith("wxmerchant", "CANARY-R9")}
		_, err := a.Get(t.Context())
		wantTokenError(t, err, ScopeAccount, 0)
		for range 2 { // WeChat pushes again what was not answered in time.
			if err := p.Authorized(t.Context(), "wxmerchant", "CANARY-code"); err != nil {
				t.Fatal(err)
			}
		}
		if got := mustGet(t, a); got != "CANARY-A1" || h.called() != "component code authorizer" || fmt.Sprint(s.kept) != "[CANARY-R9]" {
			t.Errorf("%q after %s, kept %v", got, h.called(), s.kept)
		}
	})
}

func TestAuthorizedRefused(t *testing.T) {
	for _, tt := range []struct {
		name, appID, answer string
		scope               Scope
		errcode             int
	}{
		{"a code that was used", "wxmerchant", "", ScopeAccount, 61009},
		{"of another merchant", "wxmerchant", grantedWith("wxother", "CANARY-R9"), ScopeAccount, 0},
		{"without a refresh_token", "wxmerchant", grantedWith("wxmerchant", ""), ScopeAccount, 0},
		{"a merchant that is not configured", "wxother", grantedWith("wxother", "CANARY-R9"), ScopeAccount, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			platformBubble(t, func(t *testing.T, h *platformHost, s *platformStore, p *Platform, _ *AccessToken) {
				if tt.answer != "" {
					h.codes = map[string]string{"CANARY-code": tt.answer}
				}
				err := p.Authorized(t.Context(), tt.appID, "CANARY-code")
				wantTokenError(t, err, tt.scope, tt.errcode)
				clean(t, "the error", err.Error())
				if len(s.kept) != 0 {
					t.Errorf("kept %v", s.kept)
				}
			})
		})
	}
	platformBubble(t, func(t *testing.T, h *platformHost, _ *platformStore, p *Platform, _ *AccessToken) {
		h.codes = map[string]string{"CANARY-code": `{"authorization_info":"CANARY-A0"}`}
		err := p.Authorized(t.Context(), "wxmerchant", "CANARY-code")
		if call, ok := errors.AsType[*CallError](err); !ok || call.Kind != KindNoToken {
			t.Fatalf("an answer that can't be read: %v", err)
		}
		clean(t, "the error", err.Error())
	})
}

// TestAuthorizedAnew: what an authorisation gave that is over does not take the place of the new one.
func TestAuthorizedAnew(t *testing.T) {
	platformBubble(t, func(t *testing.T, h *platformHost, s *platformStore, p *Platform, a *AccessToken) {
		mustGet(t, a)
		s.set(func(s *platformStore) { s.unkept = errors.New("disk gone") })
		time.Sleep(2 * time.Hour)
		mustGet(t, a) // Its refresh_token, the second, is in memory alone.
		s.set(func(s *platformStore) { s.unkept = nil })
		h.codes = map[string]string{"CANARY-code": grantedWith("wxmerchant", "CANARY-R9")}
		if err := p.Authorized(t.Context(), "wxmerchant", "CANARY-code"); err != nil {
			t.Fatal(err)
		}
		h.mu.Lock()
		h.refresh = "CANARY-R9"
		h.mu.Unlock()
		time.Sleep(2 * time.Hour)
		if got := mustGet(t, a); got != "CANARY-A3" || fmt.Sprint(s.kept) != "[CANARY-R9]" {
			t.Errorf("%q, kept %v", got, s.kept)
		}
	})
}
