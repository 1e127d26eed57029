package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const example = "../../configs/carrier.yaml"

// exampleEnv is what the head of the example says that it needs.
var exampleEnv = []string{
	"COURIER_APP_KEY=app-key-0123456789abcdef",
	"OPS_TOKEN=ops-token-0123456789abcdef0123456789",
	"SF_SECRET=sf-secret",
}

// inFolder writes files into a new folder and makes it the working directory, so that paths in findings are short.
func inFolder(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// load loads a text that must be readable.
func load(t *testing.T, yaml string, env ...string) *Config {
	t.Helper()
	inFolder(t, map[string]string{"c.yaml": yaml})
	c, err := Load("c.yaml", env)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func TestLoadExample(t *testing.T) {
	got, err := Load(example, exampleEnv)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Check(); err != nil {
		t.Errorf("Check: %v", err)
	}
	want := Default()
	want.Sources = []Source{{Name: "courier-app", APIKey: "app-key-0123456789abcdef", DeliveryIDs: []string{"SF"}}}
	a := DefaultAccount()
	a.DeliveryID, a.AppID, a.Secret = "SF", "wx0000000000000000", "sf-secret"
	want.Accounts = []Account{a}
	want.Merchants = []Merchant{}
	want.Server.TrustedProxies = []netip.Prefix{}
	want.Push.Errcodes = map[int]string{}
	want.Admin.Tokens = []AdminToken{{Name: "ops", Token: "ops-token-0123456789abcdef0123456789", Role: RoleOperator}}
	want.loaded = got.loaded
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if w := got.Warnings(); len(w) != 1 || !strings.HasPrefix(w[0], "accounts[0].appid: is the example's") {
		t.Errorf("warnings %q, want one: that the AppID is to be written", w)
	}
}

func TestLoadExampleNamesEachVariable(t *testing.T) {
	_, err := Load(example, nil)
	for _, name := range []string{"COURIER_APP_KEY", "OPS_TOKEN", "SF_SECRET"} {
		if !strings.Contains(errorText(err), "the environment variable "+name+" is not set") {
			t.Errorf("no finding for %s in:\n%v", name, err)
		}
	}
}

func TestLoadWithoutFile(t *testing.T) {
	c, err := Load("", []string{"HOME=/", "CARRIER_LOG_LEVEL=debug"})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Log.Level = "debug"
	want.loaded = c.loaded
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	if err := c.Check(); err != nil {
		t.Errorf("Check: %v", err)
	}
}

func TestDefaultIsSound(t *testing.T) {
	if err := Default().Check(); err != nil {
		t.Error(err)
	}
	if a, b := Default(), Default(); !reflect.DeepEqual(a, b) || a == b {
		t.Error("Default gives different, or shared, values")
	}
}

func TestLoadForms(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
	}{
		{"nothing", ""},
		{"comments only", "# a\n# b\n"},
		{"sections without keys", "server:\naccounts:\npush:\n  errcodes:\n  retry:\n"},
		{"byte order mark", "\ufefflog: {level: info}\n"},
		{"line ends of Windows", "log:\r\n  level: info\r\n  format: auto\r\n"},
		{"document marks", "---\nlog: {level: info}\n...\n"},
		{"second document of comments", "log: {level: info}\n---\n# nothing\n"},
		{"zero durations", "state: {max_age: 0}\n"},
		{"quoted zero", "state: {max_age: \"0\"}\n"},
		{"quoted keys", "\"log\": {'level': info}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := load(t, tt.yaml)
			want := Default()
			if c.Accounts != nil && len(c.Accounts) == 0 {
				c.Accounts = nil
			}
			want.loaded = c.loaded
			if !reflect.DeepEqual(c, want) {
				t.Errorf("got %+v, want the defaults", c)
			}
		})
	}
}

func TestLoadValues(t *testing.T) {
	c := load(t, `
server: {listen: "[::1]:9000", max_body: 2MiB, trusted_proxies: [10.1.2.3/8, "fd00::/8"]}
store: {retention: 1000h30m, min_free: 65536, url: "file:a$${b}"}
state: {max_action_msg: "2KiB"}
push:
  errcodes: {40199: event, -1: upstream}
  retry: {multiplier: 1.5}
accounts:
- delivery_id: "${ID}"
  concurrency: ${N}
  rate: 12.5
  timeout: ${T}ms
  secret: 'p$w{}"# : ${X}-${X}'
`, "N=7", "T=1500", "ID=YTO", "X=${N}: {}")
	want := Default()
	want.Server.Listen, want.Server.MaxBody = "[::1]:9000", 2*MiB
	want.Server.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	want.Store.Retention, want.Store.MinFree, want.Store.URL = Duration(1000*time.Hour+30*time.Minute), 64*KiB, "file:a${b}"
	want.State.MaxActionMsg = 2048
	want.Push.Errcodes = map[int]string{40199: "event", -1: "upstream"}
	want.Push.Retry.Multiplier = 1.5
	a := DefaultAccount()
	a.DeliveryID, a.Concurrency, a.Rate, a.Timeout = "YTO", 7, 12.5, Duration(1500*time.Millisecond)
	a.Secret = `p$w{}"# : ${N}: {}-${N}: {}`
	want.Accounts = []Account{a}
	want.loaded = c.loaded
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if got := c.Accounts[0].Secret.Reveal(); got != a.Secret.Reveal() {
		t.Errorf("secret %q, want %q", got, a.Secret.Reveal())
	}
}

// Long lines and long lists are no reason to refuse a file.
func TestLoadLargeLists(t *testing.T) {
	const n = 2000
	var ids, accounts strings.Builder
	for i := range n {
		fmt.Fprintf(&ids, "A%d, ", i)
		fmt.Fprintf(&accounts, "- {delivery_id: A%d, appid: wx%d, secret: s%d, timeout: 5s}\n", i, i, i)
	}
	c := load(t, "sources:\n- {name: app, api_key: "+canary+", delivery_ids: ["+ids.String()+"]}\naccounts:\n"+accounts.String())
	if len(c.Accounts) != n || len(c.Sources[0].DeliveryIDs) != n {
		t.Fatalf("%d accounts, %d delivery_ids; want %d", len(c.Accounts), len(c.Sources[0].DeliveryIDs), n)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

func TestEnvironmentOverFile(t *testing.T) {
	c := load(t, `
log: {level: warn, format: json}
sources:
  - name: app
    api_key: ${UNDEFINED}
    delivery_ids: [SF]
accounts:
  - delivery_id: SF
    secret: from-file
`, "CARRIER_LOG_LEVEL=error", "CARRIER_SOURCES_0_API_KEY=from-env", "CARRIER_SOURCES_0_DELIVERY_IDS=SF, YTO,",
		"CARRIER_ACCOUNTS_0_TIMEOUT=3s", "CARRIER_ACCOUNTS_1_DELIVERY_ID=YTO", "CARRIER_ACCOUNTS_1_CALLBACK_TOKEN=abc",
		"CARRIER_PUSH_RETRY_MAX_AGE=5h", "CARRIER_PUSH_ERRCODES_40199=event", "CARRIER_SERVER_TRUSTED_PROXIES_0=10.0.0.0/8",
		"CARRIER_STATE_MAX_ACTION_MSG=99", "CARRIER_ACCOUNTS_1_CONCURRENCY=7", "CARRIER_STORE_URL=file:${not replaced}",
		"CARRIER_NATS_EMBEDDED_STORE_DIR=streams", "CARRIER_LOG_LEVEL=debug")
	if c.Log != (Log{Level: "debug", Format: "json"}) {
		t.Errorf("log %+v", c.Log)
	}
	if want := []Source{{Name: "app", APIKey: "from-env", DeliveryIDs: []string{"SF", "YTO"}}}; !reflect.DeepEqual(c.Sources, want) {
		t.Errorf("sources %+v, want %+v", c.Sources, want)
	}
	sf, yto := DefaultAccount(), DefaultAccount()
	sf.DeliveryID, sf.Secret, sf.Timeout = "SF", "from-file", Duration(3*time.Second)
	yto.DeliveryID, yto.Callback.Token, yto.Concurrency = "YTO", "abc", 7
	if want := []Account{sf, yto}; !reflect.DeepEqual(c.Accounts, want) {
		t.Errorf("accounts %+v, want %+v", c.Accounts, want)
	}
	if c.Push.Retry.MaxAge != Duration(5*time.Hour) || c.Push.Errcodes[40199] != "event" || c.State.MaxActionMsg != 99 {
		t.Errorf("push %+v, state %+v", c.Push, c.State)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}; !reflect.DeepEqual(c.Server.TrustedProxies, want) {
		t.Errorf("trusted_proxies %v, want %v", c.Server.TrustedProxies, want)
	}
	if c.Store.URL != "file:${not replaced}" {
		t.Errorf("a variable's value was looked into: %q", c.Store.URL.Reveal())
	}
}

func TestEnvironmentLeavesOthersAlone(t *testing.T) {
	env := []string{
		"CARRIER_API_KEY=k", "CARRIER_SIGNING_SECRET=s", "CARRIER_ADMIN_URL=u", "CARRIER_ADMIN_TOKEN=t", // The command line's.
		"CARRIER_SERVICE_HOST=10.0.0.1", "CARRIER_SERVICE_PORT=80", "CARRIER_SERVICE_PORT_HTTP=80",
		"CARRIER_PORT=tcp://10.0.0.1:80", "CARRIER_PORT_80_TCP=tcp://10.0.0.1:80", "CARRIER_PORT_80_TCP_PROTO=tcp",
		"CARRIER_NATS_SERVICE_HOST=10.0.0.2", "CARRIER_NATS_PORT_4222_TCP_ADDR=10.0.0.2", // Kubernetes'.
		"carrier_log=x", "MY_CARRIER_LOG=x",
	}
	c, err := Load("", env)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.loaded = c.loaded
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want the defaults", c)
	}
}

// Every key must be reachable, by a name that no other key has.
func TestEnvironmentNames(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range envNames() {
		if seen[name] {
			t.Errorf("%s stands for two keys", name)
		}
		seen[name] = true
		steps, ok := resolve(reflect.TypeFor[Config](), strings.TrimPrefix(name, envPrefix))
		if !ok || foreign(name, "") {
			t.Errorf("%s can't be used", name)
			continue
		}
		if back := nameOf(steps); back != name {
			t.Errorf("%s leads to the key of %s", name, back)
		}
	}
	if len(seen) < 60 {
		t.Errorf("only %d names", len(seen))
	}
}

// nameOf is the variable for the key that steps lead to.
func nameOf(steps []step) string {
	parts := []string{"CARRIER"}
	for _, s := range steps {
		if s.key == "" {
			parts = append(parts, "0")
			continue
		}
		parts = append(parts, strings.ToUpper(s.key))
	}
	return strings.Join(parts, "_")
}

func TestFallbackFollowsBaseURL(t *testing.T) {
	for _, tt := range []struct {
		name, keys, base, fallback string
	}{
		{"both default", "", DefaultBaseURL, DefaultFallbackBaseURL},
		{"default written out", "base_url: https://api.weixin.qq.com/", DefaultBaseURL, DefaultFallbackBaseURL},
		{"sandbox", "base_url: http://127.0.0.1:9090", "http://127.0.0.1:9090", ""},
		{"other host of WeChat", "base_url: https://sh.api.weixin.qq.com", "https://sh.api.weixin.qq.com", ""},
		{"both given", "base_url: https://a.example\n    fallback_base_url: https://b.example/", "https://a.example", "https://b.example"},
		{"switched off", `fallback_base_url: ""`, DefaultBaseURL, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := load(t, "accounts:\n  - delivery_id: SF\n    "+tt.keys+"\n")
			if a := c.Accounts[0]; a.BaseURL != tt.base || a.FallbackBaseURL != tt.fallback {
				t.Errorf("base %q, fallback %q; want %q, %q", a.BaseURL, a.FallbackBaseURL, tt.base, tt.fallback)
			}
		})
	}
}

func TestFallbackFollowsBaseURLOfEnvironment(t *testing.T) {
	c := load(t, "accounts: [{delivery_id: SF}]", "CARRIER_ACCOUNTS_0_BASE_URL=http://sandbox:9090")
	if got := c.Accounts[0].FallbackBaseURL; got != "" {
		t.Errorf("a sandbox falls back to %s", got)
	}
}

func TestSecretFiles(t *testing.T) {
	inFolder(t, map[string]string{"app": "key-of-the-app-0123\n", "sf": "sf-secret\r\n", "dsn": "file:elsewhere\n"})
	absolute, err := filepath.Abs("sf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("conf", 0o700); err != nil {
		t.Fatal(err)
	}
	text := `
sources: [{name: app, api_key_file: ../app, signing_secret_file: "${SIGNING}"}]
accounts: [{delivery_id: SF, secret_file: ` + absolute + `}]
store: {url_file: ../dsn, key_file: keys}
`
	if err := errors.Join(
		os.WriteFile("conf/keys", []byte(strings.Repeat("ab", 32)), 0o600), os.WriteFile("conf/c.yaml", []byte(text), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	c, err := Load("conf/c.yaml", []string{"SIGNING=../sf"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Sources[0].APIKey.Reveal(); got != "key-of-the-app-0123" {
		t.Errorf("api_key %q", got)
	}
	if got := c.Sources[0].SigningSecret.Reveal(); got != "sf-secret" {
		t.Errorf("signing_secret %q", got)
	}
	if got := c.Accounts[0].Secret.Reveal(); got != "sf-secret" {
		t.Errorf("secret %q", got)
	}
	if folder, ok := c.Store.Folder(); folder != "elsewhere" || !ok {
		t.Errorf("store in %q, %t", folder, ok)
	}
	if want := filepath.Join("conf", "keys"); c.Store.KeyFile != want {
		t.Errorf("key_file %q, want %q", c.Store.KeyFile, want)
	}
}

// Whichever form the environment gives takes the place of whichever form the file gives.
func TestSecretFilesAndEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name, key, env string
	}{
		{"secret over secret", "secret: old", "CARRIER_ACCOUNTS_0_SECRET=new"},
		{"secret over file", "secret_file: missing", "CARRIER_ACCOUNTS_0_SECRET=new"},
		{"file over secret", "secret: old", "CARRIER_ACCOUNTS_0_SECRET_FILE=new"},
		{"file over file", "secret_file: missing", "CARRIER_ACCOUNTS_0_SECRET_FILE=new"},
		{"file over nothing", "rate: 1", "CARRIER_ACCOUNTS_0_SECRET_FILE=new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFolder(t, map[string]string{"new": "new\n", "c.yaml": "accounts: [{delivery_id: SF, " + tt.key + "}]"})
			c, err := Load("c.yaml", []string{tt.env})
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Accounts[0].Secret.Reveal(); got != "new" {
				t.Errorf("secret %q, want new", got)
			}
		})
	}
}

func TestErrorsAreFindings(t *testing.T) {
	inFolder(t, map[string]string{"c.yaml": "log:\n  level: loud\n  fromat: text\n"})
	_, err := Load("c.yaml", nil)
	f, ok := errors.AsType[*Finding](err)
	if !ok {
		t.Fatalf("%T is no *Finding", err)
	}
	want := Finding{File: "c.yaml", Line: 3, Key: "log.fromat", Message: "is no key; did you mean format?"}
	if *f != want {
		t.Errorf("got %+v, want %+v", *f, want)
	}
}

// errorText is the text of an error, empty for nil.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
