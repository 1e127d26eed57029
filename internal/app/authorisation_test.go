package app_test

import (
	"fmt"
	"strings"
	"testing"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestPlatformAuthorisation: a merchant authorises the third-party platform, and with the code that WeChat pushes its traces
// can be read: at once, after a restart, and when it authorises anew. No refresh_token is written by hand.
func TestPlatformAuthorisation(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true, Platform: sandbox.Platform{AppID: "wxplatform", Secret: "canary-component-secret"}})
	key := aesKey()
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	settings.LogLevel = "debug"
	settings.KeyFile = writeFile(t, strings.Repeat("07", 32))
	settings.Merchants = fmt.Sprintf("[{name: shop, appid: wxmerchant, authorizer: true, base_url: %q}]", up.URL)
	settings.Platform = fmt.Sprintf("{appid: wxplatform, secret: canary-component-secret, base_url: %q, callback: {token: %s, encoding_aes_key: %q}}", up.URL, callbackToken, key)
	s := startDescribed(t, settings)
	push := func(want int, message string) {
		t.Helper()
		if status, answer := componentPush(t, s.service, key, "wxplatform", "<xml><AppId>wxplatform</AppId><CreateTime>500</CreateTime>"+message+"</xml>"); status != want {
			t.Errorf("%.60s is answered %d %s, want %d", message, status, answer, want)
		}
	}
	authorised := func(info, shop, code string) string {
		return fmt.Sprintf("<InfoType>%s</InfoType><AuthorizerAppid>%s</AuthorizerAppid><AuthorizationCode>%s</AuthorizationCode>"+
			"<AuthorizationCodeExpiredTime>600</AuthorizationCodeExpiredTime>", info, shop, code)
	}
	const body = `{"delivery_id":"SF","waybill_id":"W1"}`
	s.Accept(t, scan("W1", 1, 100001))
	s.Settled(t, soon)
	code := up.Authorize("wxmerchant")
	untilHealth(t, s.service, "degraded", "no component_verify_ticket has come")
	untilHealth(t, s.service, "degraded", "merchant wxmerchant has not authorised platform wxplatform")
	push(500, authorised("authorized", "wxmerchant", code)) // There is no ticket yet: WeChat is to push it again.
	push(200, "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>"+up.VerifyTicket()+"</ComponentVerifyTicket>")
	if got := string(s.ask(t, 502, "POST", "/admin/v1/wechat/path", body)); !strings.Contains(got, "has not authorised") {
		t.Errorf("before the authorisation: %s", got)
	}
	push(200, authorised("authorized", "wxelse", code))
	push(200, authorised("authorized", "wxmerchant", "queryauthcode@@@of-another"))
	for range 2 {
		push(200, authorised("authorized", "wxmerchant", code))
	}
	s.ask(t, 200, "POST", "/admin/v1/wechat/path", body)
	untilHealth(t, s.service, "degraded", "the last component_verify_ticket is of 1970") // CreateTime 500.
	s.stop()
	logs := s.log.String()

	s = startDescribed(t, settings)
	s.ask(t, 200, "POST", "/admin/v1/wechat/path", body)
	push(200, authorised("updateauthorized", "wxmerchant", up.Authorize("wxmerchant")))
	s.stop()
	logs += s.log.String()
	s = startDescribed(t, settings)
	if got := string(s.ask(t, 200, "POST", "/admin/v1/wechat/path", body)); !strings.Contains(got, `"path_item_num":1`) {
		t.Errorf("after the second authorisation: %s", got)
	}
	s.stop()
	if logs += s.log.String(); strings.Count(logs, "its code was exchanged") != 3 || strings.Count(logs, "is refused; let the merchant authorise again") != 1 ||
		strings.Count(logs, "that is not configured") != 1 {
		t.Errorf("the log: %s", logs)
	}
	for _, secret := range []string{"canary-", "@@@"} {
		if i := strings.Index(logs, secret); i >= 0 {
			t.Errorf("the log shows a secret: %.300s", logs[max(0, i-100):])
		}
	}
	if files := everything(t, settings.Store); strings.Contains(files, "@@@") {
		t.Error("the store shows a secret")
	}
}
