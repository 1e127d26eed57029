package doctor_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carrier/internal/app"
	"carrier/internal/config"
	"carrier/internal/doctor"
)

const canary = "CANARY-0123456789abcdef"

// configured is a configuration that can work, in a folder of its own.
func configured(t *testing.T, yaml string) *config.Config {
	t.Helper()
	return configuredWith(t, yaml, "", "")
}

// configuredWith is configured with a file beside it.
func configuredWith(t *testing.T, yaml, name, held string) *config.Config {
	t.Helper()
	t.Chdir(t.TempDir())
	if name != "" {
		if err := os.WriteFile(name, []byte(held), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("c.yaml", []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load("c.yaml", []string{"CARRIER_STORE_MIN_FREE=1"})
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// examine runs all checks and gives the findings of one, or of those that begin with it and a dot, as lines. None may
// hold a secret, be without words in either language, or be no line.
func examine(t *testing.T, o doctor.Options, check string) []string {
	t.Helper()
	o.NATS = app.NATSOptions(o.Config, "test")
	var lines []string
	doctor.Run(t.Context(), o, func(f doctor.Finding) {
		for _, text := range []string{f.Text.En, f.Text.Zh} {
			if text == "" || strings.ContainsAny(text, "\n") {
				t.Errorf("a finding of %s says %q", f.Check, text)
			}
		}
		if (f.Advice.En == "") != (f.Advice.Zh == "") {
			t.Errorf("the advice is in one language only: %+v", f.Advice)
		}
		if f.Level == doctor.Fail && f.Advice.En == "" {
			t.Errorf("a failure comes without advice: %+v", f)
		}
		if strings.Contains(fmt.Sprintf("%+v", f), canary) {
			t.Errorf("a secret shows in %+v", f)
		}
		if f.Check == check || strings.HasPrefix(f.Check, check+".") {
			lines = append(lines, fmt.Sprintf("%s %s %s: %s; %s", f.Level, f.Check, f.About, f.Text.En, f.Advice.En))
		}
	})
	return lines
}

// wantLines compares findings with what each must begin with and, after "...", contain.
func wantLines(t *testing.T, got, want []string) {
	t.Helper()
	matches := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		parts := strings.Split(want[i], "...")
		matches = matches && strings.HasPrefix(got[i], parts[0])
		for _, part := range parts[1:] {
			matches = matches && strings.Contains(got[i], part)
		}
	}
	if !matches {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestConfiguration(t *testing.T) {
	got := examine(t, doctor.Options{Config: configured(t, "sources: [{name: app, api_key: "+canary+"}]\n")}, "config")
	wantLines(t, got, []string{
		"ok config : 0 accounts, 1 source, 0 admin tokens; ",
		"warn config : accounts: there is none, so nothing is pushed",
		"warn config : admin.tokens: there is none",
	})
}

func TestStore(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		prepare    func(t *testing.T)
		want       []string
	}{
		{"not there yet", "store: {url: \"file:a/b\"}\n", nil, []string{"ok store a/b: will be made at the first start, ... free"}},
		{"there", "store: {url: \"file:here\"}\n", func(t *testing.T) { mkdir(t, "here") }, []string{"ok store here: can be written to, ... free"}},
		{"a file", "store: {url: \"file:c.yaml\"}\n", nil, []string{"fail store c.yaml: open ...is a file, not a folder...change store.url"}},
		{"below a file", "store: {url: \"file:c.yaml/store\"}\n", nil, []string{"fail store c.yaml/store: ...change store.url"}},
		{"streams", "nats: {url: embedded, embedded: {store_dir: c.yaml, listen: \"127.0.0.1:1\"}}\n", nil, []string{
			"ok store carrier-data: ", "fail store c.yaml: ...change nats.embedded.store_dir"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := configured(t, tt.yaml)
			if tt.prepare != nil {
				tt.prepare(t)
			}
			wantLines(t, examine(t, doctor.Options{Config: c}, "store"), tt.want)
			if left, err := filepath.Glob(".carrier-doctor-*"); err != nil || len(left) > 0 {
				t.Errorf("it leaves %v, %v", left, err)
			}
		})
	}
}

func mkdir(t *testing.T, name string) {
	t.Helper()
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestStoreWithoutRoom(t *testing.T) {
	c := configured(t, "")
	c.Store.MinFree = 1 << 62
	wantLines(t, examine(t, doctor.Options{Config: c}, "store"),
		[]string{"fail store carrier-data: only ... so events are answered with 503 (store.min_free is 4294967296GiB)"})
}

// listening is the address of a server that answers as h does.
func listening(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func TestService(t *testing.T) {
	answer := func(status int, body string) string {
		return listening(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" || r.Header.Get("Authorization") != "" {
				t.Errorf("it asks for %s with %v", r.URL, r.Header)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	for _, tt := range []struct {
		name, address string
		want          []string
	}{
		{"not running", "127.0.0.1:1", []string{"warn service http://127.0.0.1:1: no service runs there ...start it: carrier serve"}},
		{"ready", answer(200, `{"status":"ready"}`), []string{"ok service http://127.0.0.1...the service runs and is ready"}},
		{"degraded", answer(200, `{"status":"degraded","degraded":["SF is paused","NATS is away"]}`),
			[]string{"warn service ...SF is paused", "warn service ...NATS is away"}},
		{"unready", answer(503, `{"status":"unready","reason":"the disk is full"}`), []string{"fail service ...takes no events: the disk is full"}},
		{"another program", answer(200, "<html>"), []string{"fail service ...what answers there is not the service (status 200)...server.admin_listen"}},
		{"another API", answer(404, "{}"), []string{"fail service ...what answers there is not the service (status 404)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := configured(t, "server: {admin_listen: \""+tt.address+"\"}\n")
			wantLines(t, examine(t, doctor.Options{Config: c}, "service"), tt.want)
		})
	}
}

func TestUpstream(t *testing.T) {
	at := func(ahead time.Duration) string {
		return "http://" + listening(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery != "" || r.Header.Get("Authorization") != "" || r.ContentLength > 0 {
				t.Errorf("it sends %s %v", r.URL, r.Header)
			}
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusNotFound) // Any answer will do.
		})
	}
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(t.Output(), "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	undated := "http://" + listening(t, func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil })
	for _, tt := range []struct {
		name, base, fallback string
		want                 []string
	}{
		{"reachable", at(0), "", []string{"ok upstream http://...can be reached, and the clocks agree"}},
		{"once only", at(0), "", []string{"ok upstream http://...can be reached, and the clocks agree"}},
		{"without a date", undated, "", []string{"ok upstream http://...does not say what time it is"}},
		{"a minute off", at(time.Minute), "", []string{"warn upstream http://...clock is ...NTP"}},
		{"an hour behind", at(-time.Hour), "", []string{"fail upstream http://...clock is ...NTP"}},
		{"nobody there", "http://127.0.0.1:1", "", []string{"fail upstream http://127.0.0.1:1: can't be reached: dial tcp ...firewall"}},
		{"untrusted", untrusted.URL, "", []string{"fail upstream https://...can't be reached: ...certificate...ca-certificates"}},
		{"a fallback away", at(0), "http://127.0.0.1:1", []string{"ok upstream ", "warn upstream http://127.0.0.1:1: the fallback can't be reached"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			yaml := "accounts:\n"
			for _, id := range []string{"SF", "YTO"} { // Both on one host.
				yaml += fmt.Sprintf("- {delivery_id: %s, appid: wx, secret: %s, base_url: %q, fallback_base_url: %q}\n", id, canary, tt.base, tt.fallback)
			}
			wantLines(t, examine(t, doctor.Options{Config: configured(t, yaml)}, "upstream"), tt.want)
		})
	}
}

func TestToken(t *testing.T) {
	for _, tt := range []struct {
		name, mode, answer string
		want               []string
	}{
		{"given", "stable", `{"access_token":"` + canary + `","expires_in":7200}`, []string{"ok token SF: WeChat gives an access_token"}},
		{"IP not in the whitelist", "stable", `{"errcode":40164,"errmsg":"invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 1"}`,
			[]string{"fail token SF: no access_token: errcode 40164: ...add 203.0.113.7 to the IP whitelist"}},
		{"an address in IPv6", "stable", `{"errcode":40164,"errmsg":"invalid ip 2001:db8::7, not in whitelist rid: 1"}`,
			[]string{"fail token SF: ...add 2001:db8::7 to the IP whitelist"}},
		{"wrong secret", "stable", `{"errcode":40125,"errmsg":"invalid appsecret ` + canary + `"}`,
			[]string{"fail token SF: no access_token: errcode 40125: ...The AppSecret is wrong"}},
		{"unknown", "stable", `{"errcode":12345,"errmsg":"x"}`, []string{"fail token SF: ...look the errcode up"}},
		{"no answer of WeChat's", "stable", `<html>`, []string{"fail token SF: no access_token: ...see what is said of its host"}},
		{"basic", "basic", "", []string{"ok token SF: not tried: "}},
		{"none", "none", "", []string{"ok token SF: token_mode is none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := listening(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					return
				}
				if tt.answer == "" || r.URL.Path != "/cgi-bin/stable_token" {
					t.Errorf("it asks for %s", r.URL.Path)
				}
				_, _ = w.Write([]byte(tt.answer))
			})
			c := configured(t, fmt.Sprintf("accounts: [{delivery_id: SF, appid: wx, secret: %s, base_url: \"http://%s\", token_mode: %s}]\n", canary, base, tt.mode))
			wantLines(t, examine(t, doctor.Options{Config: c, Online: true}, "token"), tt.want)
		})
	}
}

// TestOffline: without being told to, it asks for no access_token.
func TestOffline(t *testing.T) {
	base := listening(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("it asks for %s", r.URL.Path)
		}
	})
	c := configured(t, fmt.Sprintf("accounts: [{delivery_id: SF, appid: wx, secret: %s, base_url: \"http://%s\"}]\n", canary, base))
	wantLines(t, examine(t, doctor.Options{Config: c}, "token"), nil)
}

// TestHangs: what takes connections and says nothing holds nothing up for longer than the time-out.
func TestHangs(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c := configured(t, "server: {admin_listen: \""+l.Addr().String()+"\"}\n")
	got := examine(t, doctor.Options{Config: c, Timeout: 50 * time.Millisecond}, "service")
	wantLines(t, got, []string{"fail service ...gives no answer: no answer within 50ms"})
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	doctor.Run(ctx, doctor.Options{Config: configured(t, "")}, func(f doctor.Finding) { t.Errorf("it goes on: %+v", f) })
}

// TestMerchantTokens: a merchant's is asked for like an account's; not one that comes by way of a third-party platform.
func TestMerchantTokens(t *testing.T) {
	base := listening(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cgi-bin/stable_token" {
			_, _ = w.Write([]byte(`{"errcode":40125,"errmsg":"invalid appsecret"}`))
		} else if r.URL.Path != "/" {
			t.Errorf("it asks for %s", r.URL.Path)
		}
	})
	c := configured(t, fmt.Sprintf("platform: {appid: wxp, secret: %s, callback: {token: tttt, encoding_aes_key: %s}}\n"+
		"merchants: [{name: shop, appid: wx1, secret: s, base_url: \"http://%[3]s\"}, {name: other, appid: wx2, authorizer: true, base_url: \"http://%[3]s\"}]\n",
		canary, strings.Repeat("A", 43), base))
	wantLines(t, examine(t, doctor.Options{Config: c, Online: true}, "token"), []string{
		"fail token shop: no access_token: errcode 40125: ...The AppSecret is wrong", "ok token other: not tried: ...readyz",
	})
}

// TestCloudToken: where a container's file is to hold the access_token, it is looked into.
func TestCloudToken(t *testing.T) {
	for _, tt := range []struct {
		name string
		held string // Of the file; "-": there is none.
		want string
	}{
		{"there", canary, "ok token SF: the container has an access_token"},
		{"empty", " \n", "fail token SF: ...can't be read from ...微信令牌"},
		{"missing", "-", "fail token SF: ...no such file...cloud_token_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := configured(t, "accounts: [{delivery_id: SF, token_mode: none, cloud_token_file: cloudbase_access_token, base_url: \"http://127.0.0.1:1\"}]\n")
			if tt.held != "-" {
				if err := os.WriteFile("cloudbase_access_token", []byte(tt.held), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			wantLines(t, examine(t, doctor.Options{Config: c, Online: true}, "token"), []string{tt.want})
		})
	}
}
