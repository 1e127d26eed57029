package console

import (
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"carrier/internal/problem"
)

func testLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// hello is a page of its own.
func hello(v *Visit) error {
	return v.Show("confirm", Confirm{Title: "hello " + v.By.Name, Action: "/", Submit: "go", Back: "/"})
}

func TestLogIn(t *testing.T) {
	b := open(t, &fakeAdmin{})
	b.get("/pushes?status=failed", Viewer, hello).leadsTo("/login?next=%2Fpushes%3Fstatus%3Dfailed")
	b.get("/login?next=/pushes", Anyone, b.console.LoginPage).says(200, "Log in").has(`value="/pushes"`)

	b.post("/login", Anyone, b.console.Login, url.Values{"token": {"wrong"}}).says(401, "No such token")
	a := b.post("/login", Anyone, b.console.Login, url.Values{"token": {opsToken}, "next": {"/pushes?status=failed"}})
	a.leadsTo("/pushes?status=failed")
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the session's cookie has no %s: %s", want, cookie)
		}
	}
	if strings.Contains(cookie, "Secure") || strings.Contains(cookie, opsToken) {
		t.Errorf("the cookie is %s", cookie)
	}
	b.get("/", Viewer, hello).says(200, "hello ops", "operator")
	b.get("/login?next=/audit", Anyone, b.console.LoginPage).leadsTo("/audit")

	before := b.cookies[sessionCookie]
	b.post("/logout", Viewer, b.console.Logout, nil).leadsTo("/login")
	b.cookies[sessionCookie] = before
	b.get("/", Viewer, hello).leadsTo("/login")
}

func TestLogInUnderTLS(t *testing.T) {
	b := open(t, &fakeAdmin{})
	b.secure = true
	a := b.post("/login", Anyone, b.console.Login, url.Values{"token": {opsToken}})
	if cookie := a.header.Get("Set-Cookie"); !strings.Contains(cookie, "Secure") {
		t.Errorf("the cookie is %s", cookie)
	}
}

// TestLogInBeginsANewSession: an id that was there before, as somebody may have planted it, is worth nothing after it.
func TestLogInBeginsANewSession(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(opsToken)
	first := b.cookies[sessionCookie]
	b.as(deskToken)
	if b.cookies[sessionCookie] == first {
		t.Error("the session's id did not change")
	}
	b.cookies[sessionCookie] = first
	b.get("/", Viewer, hello).leadsTo("/login")
}

func TestNextStaysHere(t *testing.T) {
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "", "pushes", "/\t/evil.example"} {
		b := open(t, &fakeAdmin{})
		b.post("/login", Anyone, b.console.Login, url.Values{"token": {opsToken}, "next": {next}}).leadsTo("/")
	}
}

func TestTokenTakenOutEndsItsSessions(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(opsToken)
	b.get("/", Viewer, hello).says(200)
	b.tokens.takeOut()
	b.get("/", Viewer, hello).leadsTo("/login")
}

func TestRoles(t *testing.T) {
	act := func(v *Visit) error { return v.Done("/", "accounts.paused_now", "SF") }
	tests := []struct {
		name, token string
		who         Access
		status      int
	}{
		{"nobody on a page", "", Viewer, 303},
		{"nobody at an act", "", Operator, 303},
		{"a viewer on a page", deskToken, Viewer, 200},
		{"a viewer at an act", deskToken, Operator, 403},
		{"an operator on a page", opsToken, Viewer, 200},
		{"an operator at an act", opsToken, Operator, 303},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t, &fakeAdmin{})
			if tt.token != "" {
				b.as(tt.token)
			}
			var a answer
			if tt.who == Operator {
				a = b.post("/act", tt.who, act, nil)
			} else {
				a = b.get("/page", tt.who, hello)
			}
			a.says(tt.status)
		})
	}
	b := open(t, &fakeAdmin{})
	b.post("/act", Operator, act, nil).leadsTo("/login?ended=1&next=%2F")
	b.get("/login?ended=1", Anyone, b.console.LoginPage).says(200, "nothing was done")
	b.as(deskToken).post("/act", Operator, act, nil).says(403, `The token "desk" is a viewer's`, "Nothing was done")
}

// TestForgedPosts: a form that another site's page sends does nothing, session or not, and neither does a log-in.
func TestForgedPosts(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(opsToken)
	acted := false
	act := func(*Visit) error { acted = true; return nil }
	for _, header := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Sec-Fetch-Site": {""}, "Origin": {"https://evil.example"}},
	} {
		b.header = header
		b.post("/act", Operator, act, nil).says(403, "another site's page")
		b.post("/login", Anyone, b.console.Login, url.Values{"token": {opsToken}}).says(403)
	}
	if acted {
		t.Error("the act was carried out")
	}
}

func TestHeaders(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(opsToken)
	for name, a := range map[string]answer{
		"a page": b.get("/", Viewer, hello), "an error": b.get("/", Viewer, func(*Visit) error { return problem.New(problem.NotFound) }),
		"the log-in": b.get("/login?next=/", Anyone, func(v *Visit) error { return v.Show("login", loginView{}) }),
	} {
		for header, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
			"Content-Type": "text/html; charset=utf-8",
		} {
			if got := a.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		if strings.Contains(a.body, "<script>") || strings.Contains(a.body, "style=") || strings.Contains(a.body, "onclick") {
			t.Errorf("%s has script or style in it: %s", name, a.body)
		}
	}
	if strings.Contains(policy, "unsafe-") {
		t.Error("the policy lets in what is unsafe")
	}
}

func TestErrorsArePages(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(opsToken)
	b.header.Set("Referer", "http://example.com/accounts?x=1")
	refused := problem.New(problem.InvalidRequest).Say("That is wrong.", "那是错的。")
	refused.Errors = []problem.FieldError{{Field: "reason", Code: "required", Message: problem.Text{En: "say why", Zh: "说明原因"}}}
	b.get("/x", Viewer, func(*Visit) error { return refused }).says(refused.Status(), "That is wrong.", "reason : say why", "Back").has(`href="/accounts?x=1"`)
	secret := "s3cret"
	b.get("/x", Viewer, func(*Visit) error { return &url.Error{Op: "Get", URL: secret, Err: http.ErrNoCookie} }).says(500).lacks(secret)
}

// TestHostileText: whatever strangers wrote stays text.
func TestHostileText(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(opsToken)
	evil := `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	a := b.get("/", Viewer, func(v *Visit) error {
		return v.Confirm(Confirm{Title: evil, Lead: []string{evil}, Facts: []Fact{{evil, evil}}, Hidden: url.Values{evil: {evil}}, Typed: evil, Submit: evil, Action: "javascript:alert(1)", Back: "javascript:alert(1)"})
	})
	a.says(200, evil).lacks("<script>alert", "<img src=x", `"javascript:`)
}

func TestPreferences(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(opsToken)
	b.get("/", Viewer, hello).has(`lang="en"`).lacks("data-theme")
	b.get("/audit?by=x&lang=zh-CN&theme=dark", Viewer, hello).leadsTo("/audit?by=x")
	b.get("/", Viewer, hello).has(`lang="zh-CN"`, `data-theme="dark"`).says(200, "总览")
	b.get("/?theme=auto&lang=klingon", Viewer, hello).leadsTo("/")
	b.get("/", Viewer, hello).has(`lang="zh-CN"`).lacks("data-theme")
	delete(b.cookies, langCookie)
	b.header.Set("Accept-Language", "zh-TW,en;q=0.5")
	b.get("/", Viewer, hello).says(200, "审计记录")
}

func TestFlashIsToldOnce(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(opsToken)
	b.post("/x", Operator, func(v *Visit) error { return v.Done("/accounts", "accounts.paused_now", "<SF>") }, nil).leadsTo("/accounts")
	b.get("/accounts", Viewer, hello).says(200, "<SF> is paused")
	if a := b.get("/accounts", Viewer, hello); strings.Contains(a.text, "is paused") {
		t.Error("it is told twice")
	}
}

func TestConfirm(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(opsToken)
	ask := func(v *Visit) error {
		form, err := v.Form()
		if err != nil {
			return err
		}
		if !v.Confirmed("SF1") {
			return v.Confirm(Confirm{Title: "Sure?", Action: "/x", Hidden: form, Typed: "SF1", Submit: "Yes", Danger: true})
		}
		return v.Done("/", "accounts.resumed_now", v.Field("what"))
	}
	a := b.post("/x", Operator, ask, url.Values{"what": {"it", "more"}, "typed": {"old"}}).says(200, "Sure?", "Type SF1 to confirm")
	a.has(`name="what" value="it"`, `name="what" value="more"`).lacks(`value="old"`)
	b.post("/x", Operator, ask, url.Values{"confirmed": {"yes"}, "typed": {"SF2"}}).says(200, "Sure?")
	b.post("/x", Operator, ask, url.Values{"confirmed": {"yes"}, "typed": {" SF1 "}, "what": {"it"}}).leadsTo("/")
}

func TestStatic(t *testing.T) {
	b := open(t, &fakeAdmin{})
	for _, name := range []string{"console.css", "console.js", "icon.svg"} {
		a := b.with("file", name).get(assetPath(name), Anyone, b.console.Static)
		if a.status != 200 || a.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %d, %s", name, a.status, a.header.Get("Cache-Control"))
		}
		old := b.get("/console/static/0000/"+name, Anyone, b.console.Static)
		if old.body != a.body || old.header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s of another build: %d, %s", name, old.status, old.header.Get("Cache-Control"))
		}
	}
	for _, name := range []string{"", "none.css", "../console.go", "."} {
		b.with("file", name).get("/console/static/x/x", Anyone, b.console.Static).says(404)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s, tokens := newSessions(), newFakeTokens()
	key := TokenKey(sha256.Sum256([]byte(opsToken)))
	now := time.Now()
	first := s.begin(key, now)
	for range maxSessions + 5 {
		s.begin(key, now.Add(time.Second))
	}
	if len(s.byID) != maxSessions {
		t.Errorf("%d sessions are kept", len(s.byID))
	}
	if s.find(first, tokens, now) != nil {
		t.Error("the one that was not used for longest is still there")
	}
	last := s.begin(key, now)
	kept := s.find(last, tokens, now.Add(sessionIdle-1))
	if kept == nil {
		t.Fatal("a session ended while it was used")
	}
	if s.find(last, tokens, now.Add(2*sessionIdle-1)) != nil {
		t.Error("a session that nobody used for 12 h goes on")
	}
	select {
	case <-kept.ended:
	default:
		t.Error("who listens under a session does not hear that it ended")
	}
}

func TestHeadHasNoBody(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(opsToken)
	if a := b.do(httptest.NewRequest(http.MethodHead, "/", nil), Viewer, hello); a.status != 200 || a.body != "" {
		t.Errorf("%d %q", a.status, a.body)
	}
}
