package merchant

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"carrier/internal/wechat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is an upstream that gives access_tokens named after who asks, and answers getPath with its query as openid, in hex.
type host struct {
	URL string

	mu     sync.Mutex
	asked  []string // Path and body of each call for an access_token.
	answer func(path, body string) string
}

func newHost(t *testing.T) *host {
	h := &host{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/path/get") {
			_, _ = io.WriteString(w, `{"openid":"`+hex.EncodeToString([]byte(r.URL.RawQuery))+`","path_item_list":[]}`)
			return
		}
		h.asked = append(h.asked, r.URL.Path+" "+string(body))
		_, _ = io.WriteString(w, h.answer(r.URL.Path, string(body)))
	}))
	t.Cleanup(s.Close)
	h.URL = s.URL
	return h
}

// stable gives each appid its own access_token.
func stable(_, body string) string {
	for _, appID := range []string{"wx1", "wx2"} {
		if strings.Contains(body, `"appid":"`+appID+`"`) && strings.Contains(body, `"secret":"secret-`+appID+`"`) {
			return `{"access_token":"token-` + appID + `","expires_in":7200}`
		}
	}
	return `{"errcode":40125,"errmsg":"invalid appsecret"}`
}

func (h *host) calls() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

func newRegistry(t *testing.T, o Options) *Registry {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func (h *host) settings(name, appID string, shops ...string) Settings {
	return Settings{Name: name, AppID: appID, Secret: func() string { return "secret-" + appID }, BaseURL: h.URL, ShopAppIDs: shops}
}

// sees is the query with which a merchant's call arrives.
func sees(t *testing.T, m *Merchant) string {
	t.Helper()
	p, err := m.GetPath(t.Context(), wechat.PathQuery{DeliveryID: "SF", WaybillID: "1"})
	if err != nil {
		t.Fatalf("%s: %v", m.Name, err)
	}
	query, err := hex.DecodeString(p.OpenID) // As it is, it would be hidden: no field may repeat an access_token.
	if err != nil {
		t.Fatal(err)
	}
	return string(query)
}

func TestMerchantsAreFound(t *testing.T) {
	h := newHost(t)
	h.answer = stable
	one, two := h.settings("one", "wx1", "wxA", "wx1"), h.settings("two", "wx2", "wxB")
	both := newRegistry(t, Options{Merchants: []Settings{one, two}})
	if got := both.Names(); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("Names() = %q", got)
	}
	only, none := newRegistry(t, Options{Merchants: []Settings{one}}), newRegistry(t, Options{})
	tests := []struct {
		name  string
		r     *Registry
		given string
		want  string // Its AppID.
		err   error
	}{
		{"by name", both, "two", "wx2", nil},
		{"unknown", both, "three", "", ErrUnknown},
		{"the name of a shop", both, "wxB", "", ErrUnknown},
		{"which of two", both, "", "", ErrAmbiguous},
		{"the only one", only, "", "wx1", nil},
		{"the only one by name", only, "one", "wx1", nil},
		{"not the only one", only, "two", "", ErrUnknown},
		{"of none", none, "", "", ErrNone},
		{"one of none", none, "one", "", ErrNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := tt.r.Find(tt.given)
			byName, ok := tt.r.ByName(tt.given)
			if !errors.Is(err, tt.err) || ok != (tt.err == nil) || byName != m || ok && m.AppID != tt.want {
				t.Errorf("%+v, %v, %v; want %s, %v", m, err, ok, tt.want, tt.err)
			}
		})
	}
	for shop, want := range map[string]string{"wx1": "one", "wxA": "one", "wx2": "two", "wxB": "two", "wxC": "", "": ""} {
		m, ok := both.ByShop(shop)
		if ok != (want != "") || ok && m.Name != want {
			t.Errorf("ByShop(%q) = %+v, %v; want %q", shop, m, ok, want)
		}
	}
}

func TestCallsBringTheMerchantsOwnToken(t *testing.T) {
	h := newHost(t)
	h.answer = stable
	file := filepath.Join(t.TempDir(), "cloudbase_access_token")
	cloud, container := h.settings("cloud", ""), h.settings("container", "")
	cloud.TokenMode, container.TokenMode, container.CloudTokenFile = wechat.ModeNone, wechat.ModeNone, file
	r := newRegistry(t, Options{Merchants: []Settings{h.settings("one", "wx1"), h.settings("two", "wx2"), cloud, container}})
	if calls := h.calls(); len(calls) != 0 {
		t.Errorf("called before anybody asked: %q", calls)
	}
	for range 2 {
		for name, want := range map[string]string{"one": "access_token=token-wx1", "two": "access_token=token-wx2", "cloud": ""} {
			if m, _ := r.ByName(name); sees(t, m) != want {
				t.Errorf("%s does not call with %q", name, want)
			}
		}
	}
	if calls := h.calls(); len(calls) != 2 {
		t.Errorf("access_tokens were fetched by %q, want two calls", calls)
	}
	m, _ := r.ByName("container")
	for _, token := range []string{"first", "second"} { // The cloud replaces it every 10 minutes.
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := sees(t, m); got != "cloudbase_access_token="+token {
			t.Errorf("called with %q, want %s", got, token)
		}
	}
}

func TestWhatCanNotBe(t *testing.T) {
	h := newHost(t)
	authorizer := h.settings("one", "wx1")
	authorizer.Authorizer = true
	for want, merchants := range map[string][]Settings{
		"a name of its own":       {h.settings("one", "wx1"), h.settings("one", "wx2")},
		`merchant ""`:             {h.settings("", "wx1")},
		"answer for shop wx1":     {h.settings("one", "wx1"), h.settings("two", "wx1")},
		"answer for shop wxA":     {h.settings("one", "wx1", "wxA"), h.settings("two", "wx2", "wxA")},
		"no third-party platform": {authorizer},
	} {
		if r, err := New(Options{Merchants: merchants}); err == nil || r != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
}

// TestPlatform: a merchant that has authorised a platform is called for with what the platform gets for it, from the
// first ticket on, and the newest refresh_token outlives the registry.
func TestPlatform(t *testing.T) {
	h := newHost(t)
	refresh := "R0"
	h.answer = func(path, body string) string {
		switch {
		case strings.HasSuffix(path, "/api_component_token"):
			if !strings.Contains(body, `"component_verify_ticket":"ticket"`) || !strings.Contains(body, `"component_appsecret":"platform-secret"`) {
				return `{"errcode":61006,"errmsg":"ticket is invalid"}`
			}
			return `{"component_access_token":"C","expires_in":7200}`
		case !strings.Contains(body, `"authorizer_refresh_token":"`+refresh+`"`):
			return `{"errcode":61023,"errmsg":"refresh_token is invalid"}`
		}
		refresh = "R1"
		return `{"authorizer_access_token":"A","expires_in":7200,"authorizer_refresh_token":"R1"}`
	}
	keeper := memory{}
	open := func() (*Registry, *Vault) {
		vault := NewVault(keeper, "wxplatform", map[string]string{"wx1": "R0"})
		return newRegistry(t, Options{
			Merchants: []Settings{{Name: "one", AppID: "wx1", BaseURL: h.URL, Authorizer: true}},
			Platform:  &Platform{AppID: "wxplatform", Secret: func() string { return "platform-secret" }, BaseURL: h.URL, Store: vault},
		}), vault
	}
	r, vault := open()
	m, _ := r.ByName("")
	if _, err := m.GetPath(t.Context(), wechat.PathQuery{}); err == nil || !strings.Contains(err.Error(), "component_verify_ticket") {
		t.Errorf("without a ticket: %v", err)
	}
	if err := vault.KeepTicket(t.Context(), "ticket", 1); err != nil {
		t.Fatal(err)
	}
	r.TicketCame()
	if got := sees(t, m); got != "access_token=A" {
		t.Errorf("called with %q", got)
	}
	r, _ = open() // After a restart R0 would be refused.
	m, _ = r.ByShop("wx1")
	if got := sees(t, m); got != "access_token=A" {
		t.Errorf("after a restart called with %q", got)
	}
}

// memory is a Keeper for one goroutine at a time.
type memory map[string][]byte

func (m memory) Secret(_ context.Context, name string) ([]byte, error) { return m[name], nil }

func (m memory) PutSecret(_ context.Context, name string, value []byte) error {
	m[name] = value
	return nil
}
