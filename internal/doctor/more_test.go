package doctor_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"carrier/internal/callback"
	"carrier/internal/doctor"
	"carrier/internal/store/pebble"
)

func TestFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("who may read a file is not in its mode on Windows")
	}
	const withFiles = "accounts: [{delivery_id: SF, appid: wx, secret_file: sf.secret, base_url: \"http://127.0.0.1:1\"}]\n"
	for _, tt := range []struct {
		name, yaml string
		modes      map[string]os.FileMode
		want       []string
	}{
		{"private", withFiles, map[string]os.FileMode{"sf.secret": 0o640}, []string{
			"ok files : secrets that only the service's user and group can read: 1 file", "ok files : waybill Tokens are kept unencrypted"}},
		{"readable", withFiles, map[string]os.FileMode{"sf.secret": 0o644}, []string{
			"warn files sf.secret: accounts[0].secret_file: every user of this machine can read it...; chmod 640 sf.secret", "ok files : waybill Tokens"}},
		{"the configuration with a secret in it", "sources: [{name: a, api_key: " + canary + "}]\n", map[string]os.FileMode{"c.yaml": 0o644}, []string{
			"warn files c.yaml: the configuration: every user of this machine can read it...; chmod 640 c.yaml", "ok files : waybill Tokens"}},
		{"the configuration without one", withFiles, map[string]os.FileMode{"c.yaml": 0o644, "sf.secret": 0o600}, []string{
			"ok files : secrets that only", "ok files : waybill Tokens"}},
		{"a configuration that anybody can change", withFiles, map[string]os.FileMode{"c.yaml": 0o666, "sf.secret": 0o600}, []string{
			"fail files c.yaml: the configuration: every user of this machine can change it; chmod o-w c.yaml", "ok files : secrets that only", "ok files : waybill Tokens"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := configuredWith(t, tt.yaml, "sf.secret", canary)
			for name, mode := range tt.modes {
				if err := os.Chmod(name, mode); err != nil {
					t.Fatal(err)
				}
			}
			wantLines(t, examine(t, doctor.Options{Config: c}, "files"), tt.want)
		})
	}
}

// TestEngine: a store that is whole, one that is open, one that is half there.
func TestEngine(t *testing.T) {
	c := configured(t, "store: {url: \"file:here\"}\n")
	folder := filepath.Join(".", "here")
	s, err := pebble.Open(folder, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, examine(t, doctor.Options{Config: c}, "store"), []string{"ok store here: can be written to", "ok store here: ...is open in a running process"})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // It leaves the store as it was.
		wantLines(t, examine(t, doctor.Options{Config: c}, "store"), []string{"ok store here: can be written to", "ok store here: the store " + s.Instance() + " is of format"})
	}
	if err := os.RemoveAll(filepath.Join(folder, "db")); err != nil {
		t.Fatal(err)
	}
	wantLines(t, examine(t, doctor.Options{Config: c}, "store"), []string{"ok store here: can be written to", "fail store here: the store in it can't be used: INSTANCE says ...restore a backup"})
	if runtime.GOOS != "windows" {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		got := examine(t, doctor.Options{Config: c}, "store")
		wantLines(t, got[1:2], []string{"warn store here: every user of this machine can look into it...chmod 700 /"})
	}
}

func TestSync(t *testing.T) {
	c := configured(t, "nats: {url: embedded, embedded: {listen: \"127.0.0.1:1\"}}\n")
	got := examine(t, doctor.Options{Config: c}, "sync")
	if len(got) < 2 || !strings.Contains(strings.Join(got, "\n"), "sync carrier-data: one sync takes ") {
		t.Errorf("got %q", got)
	}
	if left, err := filepath.Glob(".carrier-doctor-*"); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

func TestMachine(t *testing.T) {
	got := strings.Join(examine(t, doctor.Options{Config: configured(t, "")}, "machine"), "\n")
	if !strings.Contains(got, "time zone") || runtime.GOOS == "linux" && !strings.Contains(got, "open") {
		t.Errorf("got %s", got)
	}
	const many = "accounts:\n"
	yaml := many
	for i := range 200 {
		yaml += fmt.Sprintf("- {delivery_id: A%d, appid: wx, secret: s, base_url: \"http://127.0.0.1:1\", concurrency: 10000}\n", i)
	}
	if runtime.GOOS == "linux" {
		got = strings.Join(examine(t, doctor.Options{Config: configured(t, yaml)}, "machine"), "\n")
		if !strings.Contains(got, "2001024") {
			t.Errorf("of 2,000,000 connections it says %s", got)
		}
	}
}

func TestListeners(t *testing.T) {
	const open = "sources: [{name: a, api_key: " + canary + "}]\nadmin: {tokens: [{name: o, token: " + canary + canary + ", role: viewer}]}\n"
	for _, tt := range []struct {
		name, yaml string
		want       []string
	}{
		{"as they are by default", "", []string{"ok listen 127.0.0.1:8081: admin API", "ok listen 127.0.0.1:8080: events are taken from this machine only"}},
		{"open", open + "server: {listen: \":8080\", admin_listen: \"0.0.0.0:8081\"}\n", []string{
			"warn listen 0.0.0.0:8081: other machines can reach the admin listener...firewall", "ok listen :8080: events and callbacks are taken from other machines"}},
		{"behind a proxy", "accounts: [{delivery_id: SF, appid: wx, secret: s, base_url: \"http://127.0.0.1:1\", callback: {token: tttt}}]\n", []string{
			"ok listen 127.0.0.1:8081: ", "ok listen 127.0.0.1:8080: ...a reverse proxy here must pass WeChat's pushes on"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantLines(t, examine(t, doctor.Options{Config: configured(t, tt.yaml)}, "listen"), tt.want)
		})
	}
}

func TestCallback(t *testing.T) {
	const token = "CANARYtoken"
	keys, err := callback.NewKeys(callback.Settings{Token: token, AppID: "wx", Window: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	right := func(w http.ResponseWriter, r *http.Request) {
		echostr, err := keys.Verify(r.URL.RawQuery, time.Now())
		if r.URL.Path != "/base/wechat/SF/callback" || err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		_, _ = w.Write([]byte(echostr))
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"right", right, "ok callback http://...takes WeChat's pushes"},
		{"another Token", status(http.StatusUnauthorized), "fail callback ...another callback.token"},
		{"not passed on", status(http.StatusNotFound), "fail callback ...pass /wechat/ on"},
		{"another program", status(http.StatusOK), "fail callback ...does not send the echostr back (status 200)"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }, "fail callback ...(status 302)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.answer)
			defer srv.Close()
			c := configured(t, "accounts: [{delivery_id: SF, appid: wx, secret: s, base_url: \"http://127.0.0.1:1\", callback: {token: "+token+"}}]\n")
			wantLines(t, examine(t, doctor.Options{Config: c, CallbackURL: srv.URL + "/base/"}, "callback"), []string{
				"warn callback ...ports 80 and 443 only", "warn callback ...without TLS", tt.want})
		})
	}
	c := configured(t, "accounts: [{delivery_id: SF, appid: wx, secret: s, base_url: \"http://127.0.0.1:1\", callback: {token: "+token+"}}]\n")
	wantLines(t, examine(t, doctor.Options{Config: c}, "callback"), []string{"ok callback : not tried from outside"})
	wantLines(t, examine(t, doctor.Options{Config: c, CallbackURL: "wx.example.com"}, "callback"), []string{"fail callback wx.example.com: is no address"})
	wantLines(t, examine(t, doctor.Options{Config: configured(t, "")}, "callback"), nil)
}

func TestSharedAppID(t *testing.T) {
	c := configured(t, "accounts: [{delivery_id: SF, appid: wx1, secret: s, base_url: \"http://127.0.0.1:1\", token_mode: basic}]\n"+
		"merchants: [{name: shop, appid: wx1, secret: s, base_url: \"http://127.0.0.1:1\"}, {name: other, appid: wx2, secret: s, base_url: \"http://127.0.0.1:1\"}]\n")
	wantLines(t, examine(t, doctor.Options{Config: c}, "token"), []string{"fail token SF, shop: all use the AppID wx1...token_mode: stable"})
}
