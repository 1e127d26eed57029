package browsertest

import (
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/network"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	s := startPlain(t)
	b := openTab(t, s.Admin)

	if status := b.open("/pushes?status=failed"); status != http.StatusOK || b.path() != "/login?next=%2Fpushes%3Fstatus%3Dfailed" {
		t.Fatalf("who is not logged in is led to %s with %d", b.path(), status)
	}
	if status := b.sendToken("no-token-of-anybody"); status != http.StatusUnauthorized {
		t.Errorf("a wrong token was answered %d", status)
	}
	b.says("No such token.")
	if eval[bool](b, "document.querySelector('input[name=token]').value !== ''") {
		t.Error("the page repeats the wrong token")
	}
	if len(b.cookies()) != 0 {
		t.Errorf("a wrong token got cookies: %v", b.cookies())
	}

	b.sendToken(s.Operator)
	if b.path() != "/pushes?status=failed" {
		t.Errorf("the log-in led to %s, and not to the page that was asked for", b.path())
	}
	b.says("ops")
	session := b.cookies()["carrier_session"]
	if session == nil || !session.HTTPOnly || session.SameSite != network.CookieSameSiteStrict || session.Expires > 0 {
		t.Fatalf("the session's cookie is %+v", session)
	}
	if eval[string](b, "document.cookie") != "" {
		t.Error("scripts can read a cookie")
	}

	b.click("form[action='/logout'] button")
	if b.path() != "/login" || len(b.cookies()) != 0 {
		t.Errorf("the log-out led to %s with the cookies %v", b.path(), b.cookies())
	}
	b.do("putting the old cookie back", setCookie(session, s.Admin))
	if b.open("/pushes"); b.path() != "/login?next=%2Fpushes" {
		t.Error("the old cookie logs in after the log-out")
	}
	b.well("log-in")
}
