package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestWhoMayCall asks every route with every kind of credentials.
// TestRefusedActsAreLogged: who tries what only operators may do shows up.
func TestRefusedActsAreLogged(t *testing.T) {
	r := newRig(t)
	wantProblem(t, r.do("POST", "/admin/v1/accounts/SF/pause", "", "Authorization", "Bearer "+deskToken), http.StatusForbidden, "forbidden")
	if text := r.log.String(); !strings.Contains(text, "by=desk") || !strings.Contains(text, "/admin/v1/accounts/:delivery/pause") {
		t.Errorf("the log has %q", text)
	}
}

func TestWhoMayCall(t *testing.T) {
	credentials := []struct{ name, header string }{
		{"none", ""}, {"a wrong token", "Bearer nonsense"}, {"a viewer's", "Bearer " + deskToken},
		{"an operator's", "Bearer " + opsToken}, {"an operator's, another case", "bearer " + opsToken},
		{"Basic", "Basic " + opsToken}, {"no scheme", opsToken}, {"an empty token", "Bearer "},
		{"a token and more", "Bearer " + opsToken + "x"}, {"half a token", "Bearer " + opsToken[:20]},
	}
	for _, route := range Routes() {
		if !route.Admin {
			continue
		}
		for _, c := range credentials {
			t.Run(route.Method+" "+route.Path+" with "+c.name, func(t *testing.T) {
				r := newRig(t)
				r.store.pushes = []store.Push{{Seq: 1, Status: store.Failed}}
				path := strings.NewReplacer(":seq", "1", ":delivery", "SF", ":waybill", "W1", ":id", "1", "*", "docs.js").Replace(route.Path)
				w := r.do(route.Method, path, `{}`, "Authorization", c.header)
				isOps, isDesk := strings.HasSuffix(c.name, "case") || c.name == "an operator's", c.name == "a viewer's"
				switch {
				case route.Access == "anyone":
					if w.Code != http.StatusOK {
						t.Errorf("got %d", w.Code)
					}
				case !isOps && !isDesk:
					wantProblem(t, w, http.StatusUnauthorized, "unauthorized")
					if w.Header().Get("WWW-Authenticate") == "" {
						t.Error("a 401 without WWW-Authenticate")
					}
				case isDesk && route.Access == "operator":
					wantProblem(t, w, http.StatusForbidden, "forbidden")
				case w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden:
					t.Errorf("got %d %s", w.Code, w.Body)
				}
				if route.Access != "anyone" && w.Header().Get("Cache-Control") != "no-store" {
					t.Error("the answer may be cached")
				}
			})
		}
	}
}

func TestNoTokenConfigured(t *testing.T) {
	r := newRig(t)
	r.o.Tokens = nil
	w := r.do("GET", "/admin/v1/accounts", "", "Authorization", "Bearer ")
	wantProblem(t, w, http.StatusUnauthorized, "unauthorized")
	if !strings.Contains(w.Body.String(), "admin.tokens") {
		t.Errorf("it does not say what to configure: %s", w.Body)
	}
}

// TestListenersAreApart: nothing of the inside can be reached from the side that faces the network.
func TestListenersAreApart(t *testing.T) {
	r := newRig(t)
	for _, route := range Routes() {
		if !route.Admin || route.Path == "/livez" {
			continue
		}
		req := httptest.NewRequest(route.Method, route.Path, nil)
		req.Header.Set("Authorization", "Bearer "+opsToken)
		w := r.doEvents(req)
		wantProblem(t, w, http.StatusNotFound, "not_found")
		if !strings.Contains(w.Body.String(), "server.admin_listen") {
			t.Errorf("%s %s does not say where it is: %s", route.Method, route.Path, w.Body)
		}
	}
	w := r.do("POST", "/v1/events", "{}")
	wantProblem(t, w, http.StatusNotFound, "not_found")
	if !strings.Contains(w.Body.String(), "the other listener, server.listen") {
		t.Errorf("it does not say where events are taken: %s", w.Body)
	}
}

func TestRouterErrors(t *testing.T) {
	tests := []struct {
		name, method, path string
		status             int
		code, allow, route string
	}{
		{"unknown path", "GET", "/nope/12345", 404, "not_found", "", "none"},
		{"root", "GET", "/", 404, "not_found", "", "none"},
		{"unknown below a known one", "GET", "/admin/v1/pushes/1/attempts/2", 404, "not_found", "", "none"},
		{"trailing slash", "GET", "/admin/v1/pushes/", 404, "not_found", "", ""},
		{"dots", "GET", "/admin/v1/../v1/pushes", 404, "not_found", "", "none"},
		{"method", "DELETE", "/admin/v1/pushes", 405, "method_not_allowed", "GET, HEAD, OPTIONS", "/admin/v1/pushes"},
		{"unheard-of method", "BREW", "/admin/v1/accounts/SF/pause", 405, "method_not_allowed", "OPTIONS, POST", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			w := r.do(tt.method, tt.path, "")
			wantProblem(t, w, tt.status, tt.code)
			if tt.allow != "" && !sameList(w.Header().Get("Allow"), tt.allow) {
				t.Errorf("Allow is %q, want %q", w.Header().Get("Allow"), tt.allow)
			}
			if len(r.seen) != 1 || r.seen[0].status != tt.status {
				t.Fatalf("observed %+v", r.seen)
			}
			if got := r.seen[0].route; tt.route != "" && got != tt.route || strings.Contains(got, "12345") {
				t.Errorf("observed the route %q, want %q", got, tt.route)
			}
		})
	}
}

func sameList(got, want string) bool {
	in := map[string]bool{}
	for s := range strings.SplitSeq(got, ",") {
		in[strings.TrimSpace(s)] = true
	}
	for s := range strings.SplitSeq(want, ",") {
		if !in[strings.TrimSpace(s)] {
			return false
		}
		delete(in, strings.TrimSpace(s))
	}
	return len(in) == 0
}

func TestHeadAndOptions(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/admin/v1/accounts"} {
		w := r.do("HEAD", path, "")
		wantStatus(t, w, http.StatusOK)
		if w := r.do("OPTIONS", path, ""); w.Code != http.StatusNoContent || w.Header().Get("Allow") == "" {
			t.Errorf("OPTIONS %s: got %d, Allow %q", path, w.Code, w.Header().Get("Allow"))
		}
	}
	if w := r.do("HEAD", "/admin/v1/accounts", "", "Authorization", ""); w.Code != http.StatusUnauthorized || w.Body.Len() > 0 {
		t.Errorf("HEAD without a token: got %d %q", w.Code, w.Body)
	}
	if w := r.doEvents(httptest.NewRequest("HEAD", "/livez", nil)); w.Code != http.StatusOK {
		t.Errorf("HEAD /livez of the events: got %d", w.Code)
	}
}

// TestWaybillInThePath: numbers hold any character but spaces and control characters.
func TestWaybillInThePath(t *testing.T) {
	for _, id := range []string{
		"12345678901234567890", "SF/1", "a/b/c", "../x", "..", "顺丰0001", "100%", "100%25", "A%41", "a+b", "a?b=c", "a#b", "a;b",
		"a&b", ":seq", "*", "token", strings.Repeat("é", 64),
	} {
		t.Run(id, func(t *testing.T) {
			r := newRig(t)
			want := state.Waybill{DeliveryID: "中通", WaybillID: id}
			path := "/admin/v1/waybills/" + url.PathEscape("中通") + "/" + url.PathEscape(id)
			wantStatus(t, r.do("GET", path, ""), http.StatusOK)
			if r.store.waybill != want {
				t.Errorf("got %s, want %s", r.store.waybill, want)
			}
			r.store.waybill = state.Waybill{}
			wantStatus(t, r.do("PUT", path+"/token", `{"token":"T"}`), http.StatusOK)
			if r.store.waybill != want || r.store.token != "T" {
				t.Errorf("got %s %q, want %s", r.store.waybill, r.store.token, want)
			}
		})
	}
}

func TestPathsThatNameNothing(t *testing.T) {
	for _, path := range []string{
		"/admin/v1/waybills/SF/%20", "/admin/v1/waybills/SF/a%0Ab", "/admin/v1/waybills/SF/%7F", "/admin/v1/waybills/SF/%FF",
		"/admin/v1/waybills/SF/%C2%A01", "/admin/v1/waybills/SF/%C2%85", "/admin/v1/waybills/SF/1%E2%80%AE", "/admin/v1/waybills/SF/%E3%80%80",
		"/admin/v1/waybills/SF/",
		"/admin/v1/waybills/SF/" + strings.Repeat("a", 65), "/admin/v1/pushes/0", "/admin/v1/pushes/-1", "/admin/v1/pushes/1.0",
		"/admin/v1/pushes/99999999999999999999", "/admin/v1/pushes/x", "/admin/v1/pushes/5",
	} {
		t.Run(path, func(t *testing.T) { wantProblem(t, newRig(t).do("GET", path, ""), http.StatusNotFound, "not_found") })
	}
}

func TestBodies(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		want       string
	}{
		{"right", `{"token":"T"}`, 200, `"token_set":true`},
		{"spaces around", " \n{\"token\":\"T\"}\n ", 200, `"token_set":true`},
		{"empty", "", 400, `"field":"token"`},
		{"no token", `{}`, 400, `"field":"token"`},
		{"empty token", `{"token":""}`, 400, `"field":"token"`},
		{"token too long", `{"token":"` + strings.Repeat("x", 257) + `"}`, 400, `"field":"token"`},
		{"longest token", `{"token":"` + strings.Repeat("x", 256) + `"}`, 200, `"token_set":true`},
		{"wrong type", `{"token":1}`, 400, `"field":"token"`},
		{"null", `null`, 400, `"code":"invalid_request"`},
		{"unknown member", `{"token":"T","tokn":"x"}`, 400, `"field":"tokn"`},
		{"array", `["T"]`, 400, "JSON object"},
		{"string", `"T"`, 400, "JSON object"},
		{"no JSON", `token=T`, 400, `"code":"malformed_json"`},
		{"two values", `{"token":"T"}{"token":"U"}`, 400, `"code":"malformed_json"`},
		{"cut short", `{"token":"T"`, 400, `"code":"malformed_json"`},
		{"too large", `{"token":"` + strings.Repeat("x", 70_000) + `"}`, 413, `"code":"body_too_large"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			w := r.do("PUT", "/admin/v1/waybills/SF/1/token", tt.body)
			wantStatus(t, w, tt.status)
			if !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("got %s, want %s", w.Body, tt.want)
			}
			if tt.status != 200 && r.store.token != "" {
				t.Errorf("the token %q was taken", r.store.token)
			}
		})
	}
}

// TestStoreErrors: what the store says becomes a status that tells the caller what to do, and never its own words.
func TestStoreErrors(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		code   string
		logged bool
	}{
		{"not found", fmt.Errorf("secret words: %w", store.ErrNotFound), 404, "not_found", false},
		{"not in this status", fmt.Errorf("secret words: %w", store.ErrState), 409, "conflict_state", false},
		{"closing", store.ErrClosing, 503, "store_unavailable", false},
		{"disk low", fmt.Errorf("secret words: %w", store.ErrDiskLow), 503, "store_unavailable", false},
		{"anything else", errors.New("secret words"), 500, "internal", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.store.err = tt.err
			for _, call := range []struct{ method, path, body string }{
				{"GET", "/admin/v1/pushes", ""}, {"GET", "/admin/v1/events", ""}, {"GET", "/admin/v1/waybills/SF/1", ""},
				{"PUT", "/admin/v1/waybills/SF/1/token", `{"token":"T"}`}, {"POST", "/admin/v1/store/backup", ""},
			} {
				w := r.do(call.method, call.path, call.body)
				wantProblem(t, w, tt.status, tt.code)
				if strings.Contains(w.Body.String(), "secret words") {
					t.Errorf("%s shows the store's words: %s", call.path, w.Body)
				}
				if tt.status == 503 && w.Header().Get("Retry-After") == "" {
					t.Errorf("%s: no Retry-After", call.path)
				}
			}
			if logged := strings.Contains(r.log.String(), "level=ERROR"); logged != tt.logged {
				t.Errorf("logged is %t: %s", logged, r.log)
			}
		})
	}
}

func TestReplay(t *testing.T) {
	tests := []struct {
		name   string
		status store.Status
		body   string
		want   int
		say    string
	}{
		{"failed", store.Failed, "", 202, `"status":"pending"`},
		{"discarded", store.Discarded, "{}", 202, ""},
		{"delivered", store.Delivered, "", 409, "force"},
		{"delivered, by force", store.Delivered, `{"force":true}`, 202, ""},
		{"delivered, by half", store.Delivered, `{"force":false}`, 409, "force"},
		{"pending", store.Pending, `{"force":true}`, 409, `"push_status":"pending"`},
		{"no push", store.NoPush, "", 409, "not accepted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.store.pushes = []store.Push{{Seq: 5, Status: tt.status}}
			w := r.do("POST", "/admin/v1/pushes/5/replay", tt.body)
			wantStatus(t, w, tt.want)
			if !strings.Contains(w.Body.String(), tt.say) {
				t.Errorf("got %s, want %s", w.Body, tt.say)
			}
		})
	}
}

func TestAccounts(t *testing.T) {
	r := newRig(t)
	w := r.do("POST", "/admin/v1/accounts/"+url.PathEscape("中通")+"/pause", `{"reason":"盘点"}`)
	wantStatus(t, w, http.StatusOK)
	var account struct {
		DeliveryID  string `json:"delivery_id"`
		Paused      bool   `json:"paused"`
		PauseReason string `json:"pause_reason"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &account); err != nil || !account.Paused || account.PauseReason != "盘点" {
		t.Errorf("got %s, %v", w.Body, err)
	}
	wantStatus(t, r.do("POST", "/admin/v1/accounts/SF/pause", ""), http.StatusOK)
	if got := r.pusher.paused["SF"]; got != "paused by ops" {
		t.Errorf("without a reason it is %q", got)
	}
	wantStatus(t, r.do("POST", "/admin/v1/accounts/SF/resume", ""), http.StatusOK)
	wantProblem(t, r.do("POST", "/admin/v1/accounts/XX/pause", ""), http.StatusNotFound, "not_found")
	if len(r.pusher.paused) != 1 {
		t.Errorf("paused are %v", r.pusher.paused)
	}
	r.pusher.err = store.ErrUnavailable
	wantProblem(t, r.do("POST", "/admin/v1/accounts/SF/resume", ""), http.StatusServiceUnavailable, "store_unavailable")
}

func TestFiltersReachTheStore(t *testing.T) {
	r := newRig(t)
	wantStatus(t, r.do("GET", "/admin/v1/pushes?status=failed&limit=7", ""), http.StatusOK)
	if q := r.store.query; q.Status != store.Failed || q.Limit != 7 || q.Held == nil {
		t.Errorf("the store was asked %+v", q)
	}
	wantStatus(t, r.do("GET", "/admin/v1/events?verdict=rejected", ""), http.StatusOK)
	if q := r.store.query; q.Verdict != state.Rejected || q.Limit != 100 {
		t.Errorf("the store was asked %+v", q)
	}
	w := r.do("GET", "/admin/v1/pushes?stauts=failed", "", "Accept-Language", "zh")
	wantProblem(t, w, http.StatusBadRequest, "invalid_filter")
	if !strings.Contains(w.Body.String(), "没有筛选条件") {
		t.Errorf("got %s", w.Body)
	}
}

// TestPanics: the caller learns nothing, the log everything but secrets, the process goes on.
func TestPanics(t *testing.T) {
	for _, thrown := range []any{"secret words", errors.New("an error"), 7, struct{ s string }{"secret words"}} {
		t.Run(fmt.Sprintf("%T", thrown), func(t *testing.T) {
			r := newRig(t)
			r.store.panics = thrown
			w := r.do("GET", "/admin/v1/pushes", "")
			wantProblem(t, w, http.StatusInternalServerError, "internal")
			for _, text := range []string{"secret words", "an error", "goroutine", ".go:"} {
				if strings.Contains(w.Body.String(), text) {
					t.Errorf("the caller sees %q: %s", text, w.Body)
				}
			}
			if log := r.log.String(); !strings.Contains(log, "panic") || !strings.Contains(log, "fakes_test.go") || strings.Contains(log, "secret words") {
				t.Errorf("logged %s", log)
			}
			if len(r.seen) != 1 || r.seen[0] != (seen{"/admin/v1/pushes", 500}) {
				t.Errorf("observed %+v", r.seen)
			}
		})
	}
}

func TestReadyz(t *testing.T) {
	tests := []struct {
		name     string
		degraded []string
		err      error
		status   int
		want     string
	}{
		{"ready", nil, nil, 200, `{"status":"ready"}`},
		{"degraded", []string{"account SF waits"}, nil, 200, `{"status":"degraded","degraded":["account SF waits"]}`},
		{"unready", nil, errors.New("disk low"), 503, `{"status":"unready","reason":"disk low"}`},
		{"both", []string{"x"}, errors.New("y"), 503, `{"status":"unready","reason":"y","degraded":["x"]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.o.Ready = func() ([]string, error) { return tt.degraded, tt.err }
			w := r.do("GET", "/readyz", "", "Authorization", "")
			wantStatus(t, w, tt.status)
			if got := strings.TrimSpace(w.Body.String()); got != tt.want || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestWhoseAddress(t *testing.T) {
	tests := []struct {
		name      string
		trusted   []string
		peer, xff string
		want      string
	}{
		{"no proxy", nil, "203.0.113.9:1", "", "203.0.113.9"},
		{"a header from a stranger", nil, "203.0.113.9:1", "1.1.1.1", "203.0.113.9"},
		{"a header from this machine", nil, "127.0.0.1:1", "1.1.1.1", "127.0.0.1"},
		{"a trusted proxy", []string{"10.0.0.0/8"}, "10.1.2.3:1", "1.1.1.1", "1.1.1.1"},
		{"a stranger beside it", []string{"10.0.0.0/8"}, "203.0.113.9:1", "1.1.1.1", "203.0.113.9"},
		{"a private network that nobody named", []string{"10.0.0.0/8"}, "192.168.1.1:1", "1.1.1.1", "192.168.1.1"},
		{"made up in front of the proxy", []string{"10.0.0.0/8"}, "10.1.2.3:1", "8.8.8.8, 1.1.1.1", "1.1.1.1"},
		{"two proxies", []string{"10.0.0.0/8", "192.0.2.7/32"}, "10.1.2.3:1", "8.8.8.8, 1.1.1.1, 192.0.2.7", "1.1.1.1"},
		{"IPv6", []string{"2001:db8::/32"}, "[2001:db8::1]:1", "2001:db9::5", "2001:db9::5"},
		{"nonsense", []string{"10.0.0.0/8"}, "10.1.2.3:1", "unknown", "10.1.2.3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			for _, p := range tt.trusted {
				r.o.TrustedProxies = append(r.o.TrustedProxies, netip.MustParsePrefix(p))
			}
			req := httptest.NewRequest("POST", "/v1/events", strings.NewReader("{}"))
			req.RemoteAddr = tt.peer
			if tt.xff != "" {
				req.Header.Set("X-Forwarded-For", tt.xff)
			}
			if w := r.doEvents(req); !strings.Contains(w.Body.String(), `"`+tt.want+`"`) {
				t.Errorf("got %s, want %s", w.Body, tt.want)
			}
		})
	}
}

func TestEveryTimeoutIsSet(t *testing.T) {
	s := newHTTPServer(nil, newRig(t).o.Log)
	for name, d := range map[string]time.Duration{
		"ReadHeaderTimeout": s.ReadHeaderTimeout, "ReadTimeout": s.ReadTimeout, "WriteTimeout": s.WriteTimeout, "IdleTimeout": s.IdleTimeout,
	} {
		if d <= 0 || d > 2*time.Minute {
			t.Errorf("%s is %s", name, d)
		}
	}
	if s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("MaxHeaderBytes is %d", s.MaxHeaderBytes)
	}
}

func TestBackup(t *testing.T) {
	r := newRig(t)
	w := r.do("POST", "/admin/v1/store/backup", "")
	wantStatus(t, w, http.StatusOK)
	if w.Header().Get("Content-Type") != "application/x-tar" || !bytes.Contains(w.Body.Bytes(), []byte("INSTANCE")) {
		t.Errorf("got %q with %d bytes", w.Header().Get("Content-Type"), w.Body.Len())
	}
}

// TestCallbacks: WeChat's pushes reach the one who knows their accounts, and their paths never become labels.
func TestCallbacks(t *testing.T) {
	r := newRig(t)
	for _, method := range []string{"GET", "POST"} {
		w := r.doEvents(httptest.NewRequest(method, "/wechat/SF/callback?nonce=1", nil))
		if want := method + " SF nonce=1"; w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("got %d %s, want %s", w.Code, w.Body, want)
		}
	}
	wantProblem(t, r.doEvents(httptest.NewRequest("POST", "/wechat/XX/callback", nil)), http.StatusNotFound, "not_found")
	wantProblem(t, r.doEvents(httptest.NewRequest("PUT", "/wechat/SF/callback", nil)), http.StatusMethodNotAllowed, "method_not_allowed")
	for _, s := range r.seen {
		if s.route != "/wechat/:delivery/callback" {
			t.Errorf("observed the route %q", s.route)
		}
	}
}

func TestPublicRoutes(t *testing.T) {
	r := newRig(t)
	if w := r.do("GET", "/metrics", "", "Authorization", ""); w.Body.String() != "carrier_up 1\n" {
		t.Errorf("got %s", w.Body)
	}
	if w := r.do("GET", "/livez", "", "Authorization", ""); w.Body.String() != "ok\n" {
		t.Errorf("got %s", w.Body)
	}
	w := r.doEvents(httptest.NewRequest("POST", "/v1/events/batch", io.NopCloser(strings.NewReader("[]"))))
	wantStatus(t, w, http.StatusOK)
}
