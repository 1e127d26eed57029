package app_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// who may call a route.
type who string

const (
	anyone   who = "anyone"
	sources  who = "sources"
	weixin   who = "WeChat"
	viewer   who = "viewer"
	operator who = "operator"
)

// call is one route with a request that can be made.
type call struct {
	admin  bool // On the admin listener.
	method string
	path   string
	who    who
	body   string
	status int // For somebody who may.
}

// calls are all routes. TestAccessToEveryRoute compares them with the server's own list: a new route needs a row.
func calls(seq uint64) []call {
	push := fmt.Sprintf("/admin/v1/pushes/%d", seq)
	return []call{
		{false, "POST", "/v1/events", sources, `{}`, 422},
		{false, "POST", "/v1/events/batch", sources, `[]`, 200},
		{false, "GET", "/wechat/SF/callback", weixin, "", 200},
		{false, "POST", "/wechat/SF/callback", weixin, "<xml></xml>", 200},
		{false, "GET", "/livez", anyone, "", 200},
		{true, "GET", "/livez", anyone, "", 200},
		{true, "GET", "/readyz", anyone, "", 200},
		{true, "GET", "/metrics", anyone, "", 200},
		{true, "GET", "/openapi.yaml", anyone, "", 200},
		{true, "GET", "/asyncapi.yaml", anyone, "", 200},
		{true, "GET", "/docs", anyone, "", 200},
		{true, "GET", "/docs/docs.js", anyone, "", 200},
		{true, "GET", "/admin/v1/pushes", viewer, "", 200},
		{true, "GET", push, viewer, "", 200},
		{true, "GET", "/admin/v1/events", viewer, "", 200},
		{true, "GET", "/admin/v1/silent", viewer, "", 200},
		{true, "GET", "/admin/v1/waybills?ends_with=OUTES", viewer, "", 200},
		{true, "GET", "/admin/v1/waybills/SF/ROUTES", viewer, "", 200},
		{true, "GET", "/admin/v1/accounts", viewer, "", 200},
		{true, "GET", "/admin/v1/replays", viewer, "", 200},
		{true, "GET", "/admin/v1/waybills/SF/ROUTES/upstream", viewer, "", 409}, // There is no merchant.
		{true, "POST", "/admin/v1/waybills/SF/ROUTES/heal", operator, ``, 409},
		{true, "GET", "/admin/v1/differences", viewer, "", 200},
		{true, "GET", "/admin/v1/dead-letters", viewer, "", 200},
		{true, "GET", "/admin/v1/audit", viewer, "", 200},
		{true, "GET", "/admin/v1/stats", viewer, "", 200},
		{true, "POST", "/admin/v1/wechat/path", viewer, `{"delivery_id":"SF","waybill_id":"ROUTES"}`, 400}, // No merchant is configured.
		{true, "POST", "/admin/v1/wechat/order", operator, `{"order_id":"1","delivery_id":"SF"}`, 400},
		{true, "POST", "/admin/v1/wechat/orders", operator, `{"order_list":[{"order_id":"1","delivery_id":"SF"}]}`, 400},
		{true, "POST", push + "/discard", operator, `{"reason":"a test"}`, 409}, // It is delivered.
		{true, "POST", push + "/retry", operator, ``, 409},
		{true, "POST", fmt.Sprintf("/admin/v1/events/%d/accept", seq), operator, `{"reason":"a test"}`, 409},
		{true, "POST", "/admin/v1/waybills/SF/ROUTES/skip", operator, ``, 409},
		{true, "POST", "/admin/v1/waybills/SF/ROUTES/retry", operator, ``, 409},
		{true, "POST", "/admin/v1/waybills/SF/ROUTES/freeze", operator, ``, 200},
		{true, "POST", "/admin/v1/waybills/SF/ROUTES/thaw", operator, ``, 200},
		{true, "POST", "/admin/v1/replays", operator, `{"filter":{"status":"failed"}}`, 202}, // Nothing failed, so it is done at once.
		{true, "GET", "/admin/v1/replays/1", viewer, "", 200},
		{true, "POST", "/admin/v1/replays/1/pause", operator, ``, 409},
		{true, "POST", "/admin/v1/replays/1/resume", operator, ``, 409},
		{true, "POST", "/admin/v1/replays/1/cancel", operator, ``, 409},
		{true, "POST", push + "/replay", operator, `{"force":true}`, 202},
		{true, "PUT", "/admin/v1/waybills/SF/ROUTES/token", operator, `{"token":"another"}`, 200},
		{true, "POST", "/admin/v1/waybills/SF/ROUTES/expunge", operator, `{"reason":"a test"}`, 200},
		{true, "POST", "/admin/v1/accounts/SF/probe", operator, ``, 409}, // Nothing is open.
		{true, "POST", "/admin/v1/accounts/SF/pause", operator, `{"reason":"a test"}`, 200},
		{true, "POST", "/admin/v1/accounts/SF/resume", operator, ``, 200},
		{true, "POST", "/admin/v1/store/backup", operator, ``, 200},
	}
}

// TestAccessToEveryRoute makes every request without a token, with a wrong one, and as everybody there is.
func TestAccessToEveryRoute(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	account := sf(up)
	account.Callback = "{token: pushToken1}"
	settings := apptest.NewSettings(t, account)
	settings.TrustedProxies = "127.0.0.1/32" // Each request comes from an address of its own: wrong tokens are throttled by it.
	s := start(t, settings)
	seq := s.Accept(t, scan("ROUTES", 1, 100001))[0]
	s.Settled(t, soon)

	all := calls(seq)
	if got, want := patternsOf(all), serverRoutes(t); !slices.Equal(got, want) {
		t.Errorf("this test has the routes\n%s\nthe server has\n%s\nAdd the missing rows to calls, each with who may call it.",
			strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	tokens := []struct {
		name, header string
		is           []who
	}{
		{"nobody", "", []who{anyone}},
		{"a wrong token", "Bearer " + strings.Repeat("x", 52), []who{anyone}},
		{"a token cut short", "Bearer " + settings.Operator[:len(settings.Operator)-1], []who{anyone}},
		{"a token in another scheme", "Basic " + settings.Operator, []who{anyone}},
		{"two tokens", "Bearer " + settings.Viewer + " " + settings.Operator, []who{anyone}},
		{"a source", "Bearer " + settings.Key, []who{anyone, sources}},
		{"a viewer", "Bearer " + settings.Viewer, []who{anyone, viewer}},
		{"an operator", "Bearer " + settings.Operator, []who{anyone, viewer, operator}},
	}
	asked := 0
	for _, c := range all {
		for _, token := range tokens {
			asked++
			t.Run(fmt.Sprintf("%s %s/%s", c.method, strings.ReplaceAll(c.path, "/", "."), token.name), func(t *testing.T) {
				base := s.Events
				if c.admin {
					base = s.Admin
				}
				status, head, body, err := s.Do(t.Context(), c.method, base+c.path, "application/json", []byte(c.body), func(r *http.Request, _ []byte) {
					r.Header.Set("X-Forwarded-For", fmt.Sprintf("203.0.%d.%d", asked/256, asked%256))
					if token.header != "" {
						r.Header.Set("Authorization", token.header)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				want := c.status
				switch {
				case slices.Contains(token.is, c.who):
				case c.who == operator && slices.Contains(token.is, viewer):
					want = http.StatusForbidden
				default:
					want = http.StatusUnauthorized
				}
				if status != want {
					t.Fatalf("status %d, want %d: %.200s", status, want, body)
				}
				if want == http.StatusUnauthorized || want == http.StatusForbidden {
					checkRefusal(t, want, head, body)
				}
			})
		}
	}
	if a := s.Account(t, "SF"); a.Paused {
		t.Errorf("the account is paused in the end: %+v", a)
	}
}

// checkRefusal checks that a refusal is a problem that says nothing of what is there.
func checkRefusal(t *testing.T, status int, head http.Header, body []byte) {
	t.Helper()
	var p apptest.Answer
	if err := json.Unmarshal(body, &p); err != nil || head.Get("Content-Type") != "application/problem+json" || p.Status != status || p.Detail == "" {
		t.Errorf("not a complete problem (%v): %s", err, body)
	}
	if strings.Contains(string(body), "ROUTES") || strings.Contains(string(body), "扫描") {
		t.Errorf("the refusal tells of the store's content: %s", body)
	}
}

// TestViewersChangeNothing tries every act as a viewer, and looks whether something is different afterwards.
func TestViewersChangeNothing(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{})
	s := start(t, apptest.NewSettings(t, sf(up)))
	e := scan("VIEWER", 1, 100001)
	e.Token = ""
	seq := s.Accept(t, e)[0]
	for _, c := range calls(seq) {
		if c.who == operator {
			var body any = json.RawMessage(c.body)
			if c.body == "" {
				body = nil
			}
			path := strings.ReplaceAll(c.path, "ROUTES", "VIEWER")
			if status, answer := s.AskAs(t, s.Viewer, c.method, path, body); status != http.StatusForbidden {
				t.Errorf("%s %s answers a viewer with %d: %s", c.method, path, status, answer)
			}
		}
	}
	if w := s.Waybill(t, "SF", "VIEWER"); w.TokenSet {
		t.Error("a viewer has set a Token")
	}
	if a := s.Account(t, "SF"); a.Paused {
		t.Error("a viewer has paused an account")
	}
	if p := s.GetPush(t, seq); p.Status != "pending" || p.WaitingFor != "token" {
		t.Errorf("the push is %+v, want it as it was", p)
	}
}

// TestRoutesStayOnTheirSide asks each listener for what the other one serves.
func TestRoutesStayOnTheirSide(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	s := start(t, apptest.NewSettings(t, sf(up)))
	both := map[string]bool{"/livez": true}
	for _, c := range calls(1) {
		base := s.Admin
		if c.admin {
			base = s.Events
		}
		if both[c.path] {
			continue
		}
		status, _, body, err := s.Do(t.Context(), c.method, base+c.path, "application/json", []byte(c.body), func(r *http.Request, _ []byte) {
			r.Header.Set("Authorization", "Bearer "+s.Operator)
		})
		if err != nil || status != http.StatusNotFound {
			t.Errorf("%s %s on the other listener answers %d (%v), want 404: %.200s", c.method, c.path, status, err, body)
		}
	}
}

// number is the part of a path that stands for :seq.
var number = regexp.MustCompile(`/[0-9]+`)

// patternsOf lists the routes of calls as the server writes them, sorted.
func patternsOf(calls []call) []string {
	var out []string
	for _, c := range calls {
		path, _, _ := strings.Cut(c.path, "?")
		path = number.ReplaceAllString(path, "/:seq")
		path = strings.ReplaceAll(path, "/replays/:seq", "/replays/:id")
		path = strings.ReplaceAll(path, "/docs/docs.js", "/docs/*")
		path = strings.ReplaceAll(path, "/waybills/SF/ROUTES", "/waybills/:delivery/:waybill")
		path = strings.ReplaceAll(path, "/accounts/SF/", "/accounts/:delivery/")
		path = strings.ReplaceAll(path, "/wechat/SF/", "/wechat/:delivery/")
		out = append(out, c.method+" "+path)
	}
	slices.Sort(out)
	return out
}

// serverRoutes reads the routes in the server's own list, sorted: {http.MethodGet, "/livez", ...}.
func serverRoutes(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../server/routes.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == "consolePages" {
			return false // Sessions get there, not tokens: package console's tests see to it.
		}
		lit, ok := n.(*ast.CompositeLit)
		if !ok || len(lit.Elts) < 3 {
			return true
		}
		method, isMethod := lit.Elts[0].(*ast.SelectorExpr)
		path, isPath := lit.Elts[1].(*ast.BasicLit)
		if isMethod && isPath && strings.HasPrefix(method.Sel.Name, "Method") {
			text, err := strconv.Unquote(path.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, strings.ToUpper(strings.TrimPrefix(method.Sel.Name, "Method"))+" "+text)
		}
		return true
	})
	slices.Sort(out)
	return out
}
