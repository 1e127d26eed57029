package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// setup is a set-up for doctor to look at: a configuration in a folder of its own, with its secrets beside it, on an
// upstream that knows its AppSecret.
type setup struct {
	upstream string
	secret   string // What the file with the AppSecret holds.
	more     string // Of the configuration.
	flags    []string
}

// examined runs doctor in the set-up's folder.
func (s *setup) examined(t *testing.T, change func(t *testing.T)) (status int, out string) {
	t.Helper()
	t.Chdir(t.TempDir())
	yaml := fmt.Sprintf(`server: {admin_listen: "127.0.0.1:1"}
store: {url: "file:store", min_free: 0}
sources: [{name: app, api_key_file: app.key}]
accounts: [{delivery_id: SF, appid: wx1, secret_file: sf.secret, base_url: %q, callback: {token: tokenofcallbacks, encoding_aes_key: %s}}]
admin: {tokens: [{name: ops, token_file: ops.token, role: operator}]}
%s`, s.upstream, strings.Repeat("A", 43), s.more)
	for name, text := range map[string]string{
		"carrier.yaml": yaml, "app.key": strings.Repeat("k", 32), "ops.token": strings.Repeat("t", 40), "sf.secret": s.secret,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if change != nil {
		change(t)
	}
	status, out, errs := inProcess(t.Context(), nil, "", append([]string{"doctor", "-c", "carrier.yaml"}, s.flags...)...)
	if (status == exitDone) != (errs == "") {
		t.Errorf("status %d, %q", status, errs)
	}
	return status, out
}

// linesOf are the lines of a level, with single spaces.
func linesOf(out, level string) (lines []string) {
	for line := range strings.Lines(out) {
		if words := strings.Fields(line); len(words) > 0 && words[0] == level {
			lines = append(lines, strings.Join(words[1:], " "))
		}
	}
	return lines
}

// TestDoctorOnSetups has doctor look at a healthy set-up, and at the ways in which new ones are broken most often: each is
// one failure that names what to do.
func TestDoctorOnSetups(t *testing.T) {
	known := sandbox.Options{Apps: []sandbox.App{{AppID: "wx1", Secret: "right"}}}
	healthy := func(t *testing.T) *setup {
		return &setup{upstream: apptest.NewUpstream(t, known).URL, secret: "right", flags: []string{"--online"}}
	}
	answering := func(t *testing.T, body string, ahead time.Duration) string {
		return apptest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			_, _ = w.Write([]byte(body))
		}))
	}
	t.Run("healthy", func(t *testing.T) {
		status, out := healthy(t).examined(t, nil)
		if fails := linesOf(out, "fail"); status != exitDone || len(fails) != 0 {
			t.Errorf("status %d\n%s", status, out)
		}
		for _, want := range []string{"upstream http://", "token SF: WeChat gives an access_token", "store store: will be made at the first start", "files secrets that only"} {
			if !slices.ContainsFunc(linesOf(out, "ok"), func(line string) bool { return strings.HasPrefix(line, want) }) {
				t.Errorf("no line begins with %q in\n%s", want, out)
			}
		}
	})
	for _, tt := range []struct {
		name   string
		breaks func(t *testing.T, s *setup)
		change func(t *testing.T)
		want   []string // What the one failure contains.
	}{
		{"the AppSecret is wrong", func(_ *testing.T, s *setup) { s.secret = "wrong" }, nil,
			[]string{"token SF: no access_token: errcode 40125", "The AppSecret is wrong. Copy it again"}},
		{"the address is not in the IP whitelist", func(t *testing.T, s *setup) {
			s.upstream = answering(t, `{"errcode":40164,"errmsg":"invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"}`, 0)
		}, nil, []string{"token SF: ", "add 203.0.113.7 to the IP whitelist"}},
		{"the clock is wrong", func(t *testing.T, s *setup) {
			s.upstream = answering(t, `{"access_token":"A","expires_in":7200}`, time.Hour)
		}, nil, []string{"upstream http://", "this machine's clock is", "keep it by NTP"}},
		{"upstream can't be reached", func(_ *testing.T, s *setup) { s.upstream, s.flags = "http://127.0.0.1:1", nil }, nil,
			[]string{"upstream http://127.0.0.1:1: can't be reached", "check base_url, firewall and HTTPS_PROXY"}},
		{"the store's disk is not mounted", func(*testing.T, *setup) {}, func(t *testing.T) {
			if err := os.MkdirAll("store", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join("store", "INSTANCE"), []byte("a-store-that-is-elsewhere\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"store store: the store in it can't be used: INSTANCE says that a store (a-store-that-is-elsewhere) belongs here", "Mount or restore it"}},
		{"NATS is away", func(_ *testing.T, s *setup) { s.more = "nats: {url: \"nats://127.0.0.1:1\"}\n" }, nil, []string{"nats nats://127.0.0.1:1: "}},
		{"the proxy does not pass callbacks on", func(t *testing.T, s *setup) {
			s.flags = []string{"--callback-url", apptest.Serve(t, http.NotFoundHandler())}
		}, nil, []string{"callback http://", "/wechat/SF/callback: there is no such path (status 404)", "pass /wechat/ on to server.listen"}},
		{"anybody can change the configuration", func(*testing.T, *setup) {}, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("who may write a file is not in its mode on Windows")
			}
			if err := os.Chmod("carrier.yaml", 0o666); err != nil {
				t.Fatal(err)
			}
		}, []string{"files carrier.yaml: the configuration: every user of this machine can change it; chmod o-w carrier.yaml"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := healthy(t)
			tt.breaks(t, s)
			status, out := s.examined(t, tt.change)
			fails := linesOf(out, "fail")
			if status != exitFailed || len(fails) != 1 {
				t.Fatalf("status %d, and %d failures\n%s", status, len(fails), out)
			}
			for _, want := range tt.want {
				if !strings.Contains(fails[0], want) {
					t.Errorf("it does not say %q: %s", want, fails[0])
				}
			}
		})
	}
}
