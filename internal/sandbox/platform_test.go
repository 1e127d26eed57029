package sandbox

import (
	"fmt"
	"testing"
)

// TestPlatform: a ticket gives the platform its access_token, a code a merchant's, and a refresh_token the next one; what
// was used, or is of before, is refused.
func TestPlatform(t *testing.T) {
	s := New(Options{Open: true, Platform: Platform{AppID: "wxplatform", Secret: "secret"}})
	var answer struct {
		Errcode   int
		Component string `json:"component_access_token"`
		Token     string `json:"authorizer_access_token"`
		Refresh   string `json:"authorizer_refresh_token"`
		Info      struct {
			Shop    string `json:"authorizer_appid"`
			Token   string `json:"authorizer_access_token"`
			Refresh string `json:"authorizer_refresh_token"`
		} `json:"authorization_info"`
	}
	component := ""
	call := func(name string, want int, body string, args ...any) {
		t.Helper()
		answer.Errcode, answer.Component, answer.Token, answer.Refresh = 0, "", "", ""
		read(t, s, "/cgi-bin/component/"+name+"?component_access_token="+component+"&x=", "", fmt.Sprintf(body, args...), &answer)
		if answer.Errcode != want {
			t.Errorf("%s %s: errcode %d, want %d", name, body, answer.Errcode, want)
		}
	}
	const ask = `{"component_appid":"wxplatform","component_appsecret":%q,"component_verify_ticket":%q}`
	call("api_component_token", codeTicket, ask, "secret", "")
	old, ticket := s.VerifyTicket(), s.VerifyTicket()
	call("api_component_token", codeTicket, ask, "secret", old)
	call("api_component_token", codeSecret, ask, "wrong", ticket)
	call("api_component_token", codeAppID, `{"component_appid":"wxelse"}`)
	call("api_component_token", 0, ask, "secret", ticket)

	const exchange = `{"component_appid":"wxplatform","authorization_code":%q}`
	code := s.Authorize("wxshop")
	call("api_query_auth", codeCredential, exchange, code)
	call("api_component_token", 0, ask, "secret", ticket)
	component = answer.Component
	call("api_query_auth", codeAuthCode, exchange, "another")
	call("api_query_auth", 0, exchange, code)
	call("api_query_auth", codeAuthCode, exchange, code)
	refresh, token := answer.Info.Refresh, answer.Info.Token
	if answer.Info.Shop != "wxshop" || refresh == "" {
		t.Errorf("the code gives %+v", answer.Info)
	}

	const again = `{"component_appid":"wxplatform","authorizer_appid":%q,"authorizer_refresh_token":%q}`
	call("api_authorizer_token", codeRefreshToken, again, "wxelse", refresh)
	call("api_authorizer_token", 0, again, "wxshop", refresh)
	if answer.Token != token || answer.Refresh != refresh {
		t.Errorf("the refresh_token gives %q and %q", answer.Token, answer.Refresh)
	}
	if got := s.tokens.owner(token); got != "wxshop" {
		t.Errorf("the access_token is of %q", got)
	}
	s.Authorize("wxshop")
	call("api_authorizer_token", codeRefreshToken, again, "wxshop", refresh)
}
