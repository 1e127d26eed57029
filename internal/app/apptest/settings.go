package apptest

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Settings is a configuration, as far as tests choose it. NewSettings fills in the credentials.
type Settings struct {
	Listen, AdminListen string        // Default: a free port of this machine.
	Store               string        // The store's folder.
	StoreURL            string        // A database, instead of the folder.
	Lease               time.Duration // store.lease; default 10s.
	KeyFile             string        // store.key_file; default none.
	Accounts            []Account
	ReorderWindow       time.Duration // Default 2m.
	Push                string        // The section push in YAML's flow form; default QuickPush.
	LogLevel            string        // Default info.
	NATS                string        // The section nats in YAML's flow form; default none.
	Merchants           string        // The section merchants in YAML's flow form; default none.
	Verify              string        // The section verify likewise; default {}.
	Platform            string        // The section platform likewise.
	Sources             []string      // More sources, each in YAML's flow form.
	MinFree             string        // store.min_free; default 0.
	TrustedProxies      string        // A network in CIDR form whose X-Forwarded-For is believed; default none.

	Key           string // Of the source "scanner".
	SigningSecret string // Of the source "depot", which signs.
	Operator      string // Token of "ops".
	Viewer        string // Token of "desk".
}

// Account is one delivery company.
type Account struct {
	DeliveryID  string
	BaseURL     string
	Secret      string        // Default: one of the test's own.
	TokenMode   string        // Default stable.
	CloudToken  string        // cloud_token_file.
	Concurrency int           // Default 64.
	Timeout     time.Duration // Default 10s.
	Callback    string        // The section callback in YAML's flow form; default none.
	Orders      string        // The section orders likewise.
}

// QuickPush retries within milliseconds, and has a breaker that stays out of the way.
const QuickPush = `{retry: {initial: 10ms, max: 100ms, multiplier: 2, max_age: 72h}, ` +
	`breaker: {min_requests: 1000000, failure_ratio: 1, interval: 10s, open_for: 300ms, half_open: 2}}`

// Names of the two sources.
const (
	Scanner = "scanner" // Sends its key.
	Depot   = "depot"   // Signs.
)

// NewSettings is a configuration with a store of the test's own and these accounts.
func NewSettings(t testing.TB, accounts ...Account) *Settings {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // It never fails.
	return &Settings{
		Store: filepath.Join(t.TempDir(), "store"), Accounts: accounts,
		Key: secret(), SigningSecret: "whsec_" + base64.StdEncoding.EncodeToString(key),
		Operator: secret(), Viewer: secret(),
	}
}

func secret() string { return rand.Text() + rand.Text() }

// YAML is the configuration file.
func (s *Settings) YAML() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	proxies := ""
	if s.TrustedProxies != "" {
		proxies = fmt.Sprintf(", trusted_proxies: [%q]", s.TrustedProxies)
	}
	line("server: {listen: %q, admin_listen: %q%s}", cmp.Or(s.Listen, "127.0.0.1:0"), cmp.Or(s.AdminListen, "127.0.0.1:0"), proxies)
	line("store: {url: %q, min_free: %s, key_file: %q, lease: %v}", cmp.Or(s.StoreURL, "file:"+s.Store), cmp.Or(s.MinFree, "0"),
		s.KeyFile, cmp.Or(s.Lease, 10*time.Second))
	line("state: {reorder_window: %v}", cmp.Or(s.ReorderWindow, 2*time.Minute))
	line("push: %s", cmp.Or(s.Push, QuickPush))
	line("merchants: %s", cmp.Or(s.Merchants, "[]"))
	line("verify: %s", cmp.Or(s.Verify, "{}"))
	line("platform: %s", cmp.Or(s.Platform, "{}"))
	line("log: {level: %s, format: json}", cmp.Or(s.LogLevel, "info"))
	line("nats: %s", cmp.Or(s.NATS, "{}"))
	line("sources:")
	line("  - {name: %s, api_key: %q}", Scanner, s.Key)
	line("  - {name: %s, signing_secret: %q}", Depot, s.SigningSecret)
	for _, source := range s.Sources {
		line("  - %s", source)
	}
	line("admin:\n  tokens:")
	line("    - {name: ops, token: %q, role: operator}", s.Operator)
	line("    - {name: desk, token: %q, role: viewer}", s.Viewer)
	line("accounts:")
	for i, a := range s.Accounts {
		line("  - delivery_id: %s", a.DeliveryID)
		line("    appid: wx%016d", i+1)
		line("    secret: %q", cmp.Or(a.Secret, "appsecret-"+a.DeliveryID))
		line("    token_mode: %s", cmp.Or(a.TokenMode, "stable"))
		line("    cloud_token_file: %q", a.CloudToken)
		line("    base_url: %q", a.BaseURL)
		line("    concurrency: %d", cmp.Or(a.Concurrency, 64))
		line("    timeout: %v", cmp.Or(a.Timeout, 10*time.Second))
		line("    callback: %s", cmp.Or(a.Callback, "{}"))
		line("    orders: %s", cmp.Or(a.Orders, "{}"))
	}
	return b.String()
}

// File writes the configuration file and returns its path.
func (s *Settings) File(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "carrier.yaml")
	if err := os.WriteFile(path, []byte(s.YAML()), 0o600); err != nil {
		t.Fatalf("writing the configuration: %v", err)
	}
	return path
}

// Client is a client of a service with this configuration, at the addresses that it tells.
func (s *Settings) Client(t testing.TB, events, admin string) *Client {
	return newClient(t, s, "http://"+events, "http://"+admin)
}
