package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"carrier/internal/console"
)

// consoleRig is the admin listener with the console.
func consoleRig(t *testing.T) http.Handler {
	t.Helper()
	r := newRig(t)
	con, err := console.New(console.Options{Admin: r.o.Admin, Log: r.o.Log})
	if err != nil {
		t.Fatal(err)
	}
	a := newAuth(&r.o)
	e := newEcho(&r.o, adminRoutes(&r.o), a, notOnAdmin)
	addPages(e, con, a)
	return e
}

func visit(h http.Handler, method, path string, form url.Values, cookies []*http.Cookie) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://"+r.Host)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// pathOf is a path that a pattern matches.
var pathOf = strings.NewReplacer(":delivery", "SF", ":waybill", "W1", ":seq", "1", ":id", "1", ":build", "x", ":file", "console.css")

// TestAccessToEveryPage visits every page as nobody, as a viewer and as an operator. What a page does is for the tests of
// package console; here only who gets there counts.
func TestAccessToEveryPage(t *testing.T) {
	h := consoleRig(t)
	cookies := map[string][]*http.Cookie{"anyone": nil}
	for role, token := range map[string]string{"viewer": deskToken, "operator": opsToken} {
		res := visit(h, http.MethodPost, "/login", url.Values{"token": {token}}, nil)
		if cookies[role] = res.Cookies(); res.StatusCode != http.StatusSeeOther || len(cookies[role]) != 1 {
			t.Fatalf("the log-in of the %s was answered %d", role, res.StatusCode)
		}
	}
	may := map[string][]string{"anyone": {"anyone", "viewer", "operator"}, "viewer": {"viewer", "operator"}, "operator": {"operator"}}
	for _, p := range Pages() {
		if p.Path == "/logout" || p.Path == "/login" || p.Path == "/console/events" {
			continue // Their own tests look at them: they end sessions, begin them, or do not end.
		}
		for _, role := range []string{"anyone", "viewer", "operator"} {
			res := visit(h, p.Method, pathOf.Replace(p.Path), nil, cookies[role])
			toLogin := res.StatusCode == http.StatusSeeOther && strings.HasPrefix(res.Header.Get("Location"), "/login")
			refused := toLogin || res.StatusCode == http.StatusForbidden
			if let := slices.Contains(may[p.Access], role); let == refused {
				t.Errorf("%s %s as %s: %d %s", p.Method, p.Path, role, res.StatusCode, res.Header.Get("Location"))
			}
			if role == "anyone" && refused && !toLogin {
				t.Errorf("%s %s does not lead nobody to the log-in: %d", p.Method, p.Path, res.StatusCode)
			}
		}
	}
}

// readings are sent with POST and change nothing. What WeChat shows costs of a quota, so no link leads there.
var readings = []string{"/waybills/:delivery/:waybill/upstream"}

// TestEveryActOfThePagesNeedsAnOperator: whatever else is sent with POST changes something.
func TestEveryActOfThePagesNeedsAnOperator(t *testing.T) {
	for _, p := range Pages() {
		if p.Method != http.MethodGet && p.Access != "operator" && p.Path != "/login" && p.Path != "/logout" && !slices.Contains(readings, p.Path) {
			t.Errorf("%s %s may be sent by %s", p.Method, p.Path, p.Access)
		}
	}
}

// TestWrongTokensAtTheLogInAreThrottled: as at the API, and together with those.
func TestWrongTokensAtTheLogInAreThrottled(t *testing.T) {
	h := consoleRig(t)
	for range maxWrong {
		if res := visit(h, http.MethodPost, "/login", url.Values{"token": {"wrong"}}, nil); res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a wrong token was answered %d", res.StatusCode)
		}
	}
	res := visit(h, http.MethodPost, "/login", url.Values{"token": {opsToken}}, nil)
	if res.StatusCode != http.StatusTooManyRequests || len(res.Cookies()) != 0 || res.Header.Get("Retry-After") == "" {
		t.Errorf("after %d wrong tokens: %d, %v, %v", maxWrong, res.StatusCode, res.Cookies(), res.Header)
	}
	r := httptest.NewRequest(http.MethodGet, "/admin/v1/accounts", nil)
	r.Header.Set("Authorization", "Bearer "+opsToken)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusTooManyRequests {
		t.Errorf("the API still takes tokens from there: %d", w.Code)
	}
}

// TestErrorsAreForWhoAsks: a browser gets a page, a program a problem document.
func TestErrorsAreForWhoAsks(t *testing.T) {
	h := consoleRig(t)
	if res := visit(h, http.MethodGet, "/nowhere", nil, nil); res.StatusCode != http.StatusNotFound || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		t.Errorf("a browser got %d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	if res := visit(h, http.MethodGet, "/admin/v1/nowhere", nil, nil); res.StatusCode != http.StatusNotFound || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the API answered %d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	// A session is no token: the API takes it from nobody, so that no other site's page can use it there.
	res := visit(h, http.MethodPost, "/login", url.Values{"token": {opsToken}}, nil)
	if res := visit(h, http.MethodGet, "/admin/v1/accounts", nil, res.Cookies()); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the API took a session: %d", res.StatusCode)
	}
}

// TestOtherTokens: what a token may do follows the configuration at once, in the API and in the console.
func TestOtherTokens(t *testing.T) {
	r := newRig(t)
	con, err := console.New(console.Options{Admin: r.o.Admin, Log: r.o.Log})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{auth: newAuth(&r.o), console: con}
	h := newEcho(&r.o, adminRoutes(&r.o), s.auth, notOnAdmin)
	addPages(h, con, s.auth)
	cookies := map[string][]*http.Cookie{}
	for name, token := range map[string]string{"ops": opsToken, "desk": deskToken} {
		cookies[name] = visit(h, http.MethodPost, "/login", url.Values{"token": {token}}, nil).Cookies()
	}
	check := func(when string, ops, desk, deskActs, opsPage int) {
		t.Helper()
		ask := func(method, path, token string) int {
			req := httptest.NewRequest(method, path, strings.NewReader(`{"reason":"x"}`))
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			return w.Code
		}
		got := []int{
			ask(http.MethodGet, "/admin/v1/accounts", opsToken), ask(http.MethodGet, "/admin/v1/accounts", deskToken),
			ask(http.MethodPost, "/admin/v1/accounts/SF/pause", deskToken),
			visit(h, http.MethodGet, "/accounts", nil, cookies["ops"]).StatusCode,
		}
		if want := []int{ops, desk, deskActs, opsPage}; !slices.Equal(got, want) {
			t.Errorf("%s: status %v, want %v", when, got, want)
		}
	}
	check("at first", 200, 200, 403, 200)
	s.SetTokens([]Token{{Name: "desk", Value: deskToken, Operator: true}})
	check("with one token out and another's role changed", 401, 200, 200, 303)
	s.SetTokens([]Token{{Name: "ops", Value: opsToken, Operator: true}})
	check("with the first one back", 200, 401, 401, 303) // Its session has ended for good.
}
