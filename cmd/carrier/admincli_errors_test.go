package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carrier/internal/wiretest"
)

// TestAdminMistakes makes mistakes and meets refusals: one line each, that says what to do, with the right status.
func TestAdminMistakes(t *testing.T) {
	f := newFakeAdmin(t)
	f.on("GET /admin/v1/pushes", 400, `{"title":"Invalid filter","detail":"A filter has a value that it can't have.","code":"invalid_filter","errors":[{"field":"status","code":"value","message":"status must be given once, as one of pending."}]}`)
	f.on("POST /admin/v1/pushes/7/replay", 409, `{"detail":"The push is delivered.","code":"conflict_state","push_status":"delivered"}`)
	f.on("POST /admin/v1/pushes/8/replay", 403, `{"detail":"This token may not do that.","code":"forbidden"}`)
	f.on("GET /admin/v1/pushes/66", 404, `{"detail":"There is no push \u001b[31m66.","code":"not_found"}`)
	f.on("GET /admin/v1/stats", 200, `<html>`)
	f.on("GET /admin/v1/replays", 404, `{"detail":"There is nothing at this address.","code":"not_found"}`)
	f.on("GET /admin/v1/accounts", 200, `{"items":[{"delivery_id":"SF"},{"delivery_id":"YTO"}]}`)
	f.on("POST /admin/v1/store/backup", 503, `{"detail":"The disk is \u001b[31mfull.","code":"store_unavailable"}`)
	two := filepath.Join(t.TempDir(), "two")
	for name, text := range map[string]string{two: "a token of words", two + ".empty": "\n", two + ".long": strings.Repeat("x", 5000)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gone := "http://" + wiretest.Nobody(t)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<h1>no</h1>", http.StatusBadGateway) }))
	t.Cleanup(page.Close)
	away := httptest.NewServer(http.RedirectHandler("https://elsewhere.example/", http.StatusFound))
	t.Cleanup(away.Close)

	for _, test := range []struct {
		name   string
		env    []string
		args   string
		status int
		says   []string
	}{
		{"no verb", nil, "pushes", 2, []string{"list", "show", "replay", "discard"}},
		{"no number", nil, "pushes show x", 2, []string{"<seq>"}},
		{"no reason to discard", nil, "pushes discard 7", 2, []string{"--reason"}},
		{"no reason to accept", nil, "events accept 7", 2, []string{"--reason"}},
		{"no reason to expunge", nil, "waybill expunge SF/1 --yes", 2, []string{"--reason"}},
		{"nobody to ask", nil, "waybill expunge SF/1 --because asked", 2, []string{"for good", "no terminal", "--yes"}},
		{"nobody to ask about one of several accounts", nil, "waybill expunge 123 --because asked", 2, []string{"--yes"}},
		{"nobody to ask before a heal", nil, "waybill heal SF/1", 2, []string{"no terminal", "--dry-run", "--yes"}},
		{"nothing to look at before a heal", nil, "waybill heal SF/1 --json", 2, []string{"--json", "--dry-run", "--yes"}},
		{"no Token file", nil, "waybill token SF/1", 2, []string{"--new-token-file"}},
		{"no limit", nil, "pushes list --limit 0", 2, []string{"--limit", "--all"}},
		{"an empty filter", nil, "pushes list --status=", 2, []string{"--status has no value"}},
		{"an empty filter of events", nil, "events list --verdict=", 2, []string{"--verdict has no value"}},
		{"an empty filter of the audit log", nil, "audit --waybill-id=", 2, []string{"--waybill-id has no value"}},
		{"a replay of everything", nil, "pushes replay", 2, []string{"--status failed"}},
		{"a dry run of everything", nil, "pushes replay --dry-run", 2, []string{"--status failed"}},
		{"a replay that an empty variable widens", nil, "pushes replay --status failed --waybill-id=", 2, []string{"--waybill-id has no value"}},
		{"numbers and filters", nil, "pushes replay 7 --status failed", 2, []string{"not both"}},
		{"numbers and a dry run", nil, "pushes replay 7 --dry-run", 2, []string{"--dry-run"}},
		{"numbers and a rate", nil, "pushes replay 7 --rate 5", 2, []string{"--rate"}},
		{"filters and force", nil, "pushes replay --status failed --force", 2, []string{"--force goes with the numbers"}},
		{"a rate below 0", nil, "pushes replay --status failed --rate=-1", 2, []string{"--rate must be 0.01 to 10000"}},
		{"a rate that is a pause", nil, "pushes replay --status failed --rate 0.001", 2, []string{"--rate must be 0.01 to 10000"}},
		{"a rate that is no number", nil, "pushes replay --status failed --rate NaN", 2, []string{"--rate"}},
		{"a reason for a filter", nil, "pushes replay --status failed --reason outage", 2, []string{"--reason", "--because"}},
		{"let fail for less than nothing", nil, "accounts resume SF --let-fail-for=-1m", 2, []string{"--let-fail-for"}},
		{"no waybill", nil, "waybill show SF/", 2, []string{"names no waybill"}},
		{"no account", nil, "waybill show /1", 2, []string{"names no waybill"}},
		{"an account that is not there", nil, "accounts show ZTO", 1, []string{`no account "ZTO"`}},
		{"several accounts", nil, "waybill show 123", 2, []string{"SF, YTO", "SF/123"}},
		{"Token file: missing", nil, "waybill token SF/1 --new-token-file missing", 2, []string{"--new-token-file", "missing"}},
		{"Token file: empty", nil, "waybill token SF/1 --new-token-file " + two + ".empty", 2, []string{"no Token in it"}},
		{"Token file: long", nil, "waybill token SF/1 --new-token-file " + two + ".long", 2, []string{"too long for a Token"}},
		{"no token", []string{"CARRIER_ADMIN_TOKEN="}, "stats", 2, []string{"CARRIER_ADMIN_TOKEN", "--token-file"}},
		{"token file missing", nil, "stats --token-file missing", 2, []string{"--token-file", "missing"}},
		{"token of two words", nil, "stats --token-file " + two, 2, []string{"visible ASCII", "--token-file"}},
		{"a wrong address", nil, "stats --admin-url 127.0.0.1:8081", 2, []string{"http://127.0.0.1:8081", "--admin-url"}},
		{"a configuration that is missing", []string{"CARRIER_ADMIN_URL="}, "stats -c missing.yaml", 2, []string{"missing.yaml"}},

		{"a wrong token", []string{"CARRIER_ADMIN_TOKEN=wrong"}, "stats", 1, []string{"no valid credentials", "--token-file", "CARRIER_ADMIN_TOKEN"}},
		{"a wrong token, in Chinese", []string{"CARRIER_ADMIN_TOKEN=wrong", "LANG=zh_CN"}, "stats", 1, []string{"请用 --token-file"}},
		{"a refused filter", nil, "pushes list --status x", 2, []string{"carrier: status must be given once"}},
		{"not there, and in colours", nil, "pushes show 66", 1, []string{`no push \x1b[31m66.`}},
		{"another address of the service's", nil, "replays list", 1, []string{"asked for /admin/v1/replays", "--admin-url"}},
		{"delivered already", nil, "pushes replay 7", 1, []string{"push 7", "delivered", "--force"}},
		{"not allowed", nil, "pushes replay 8 9", 1, []string{"may not do that"}},
		{"no JSON", nil, "stats", 1, []string{"is not the admin API's"}},
		{"nobody there", nil, "stats --admin-url " + gone, 1, []string{gone, "refused", "is the service running", "--admin-url"}},
		{"an act, and nobody there", nil, "accounts pause SF --admin-url " + gone, 1, []string{"is the service running"}},
		{"another server", nil, "stats --admin-url " + page.URL, 1, []string{"502", "is this the admin API's address"}},
		{"a backup that is refused, in colours", nil, "store backup --to " + two + ".copy", 1, []string{`disk is \x1b[31mfull`}},
		{"a backup with a wrong token", []string{"CARRIER_ADMIN_TOKEN=wrong"}, "store backup --to " + two + ".copy", 1, []string{"--token-file"}},
		{"a backup, and nobody there", nil, "store backup --to " + two + ".copy --admin-url " + gone, 1, []string{"is the service running"}},
		{"a backup that is redirected", nil, "store backup --to " + two + ".copy --admin-url " + away.URL, 1, []string{"does not get the token"}},
		{"a redirect", nil, "stats --admin-url " + away.URL, 1, []string{"302", "elsewhere.example", "does not get the token"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, out, errs := f.runWith(t.Context(), t, "", test.env, strings.Fields(test.args)...)
			if status != test.status || out != "" {
				t.Errorf("status %d, standard output %q; want %d and nothing", status, out, test.status)
			}
			oneLine(t, errs)
			for _, word := range test.says {
				if !strings.Contains(errs, word) {
					t.Errorf("the error does not say %q: %s", word, errs)
				}
			}
		})
	}
}

// TestAdminActs looks at what acts ask for.
func TestAdminActs(t *testing.T) {
	const empty = "{}"
	for _, test := range []struct {
		args, want string
	}{
		{"pushes replay 7 --force --because again", `POST /admin/v1/pushes/7/replay {"force":true,"reason":"again"}`},
		{"pushes replay 7 --reason again", `POST /admin/v1/pushes/7/replay {"force":false,"reason":"again"}`},
		{"pushes discard 7 --because lost", `POST /admin/v1/pushes/7/discard {"reason":"lost"}`},
		{"pushes replay --status failed --errcode=-1 --reason retries_ended --since 24h --rate 2.5 --skip-superseded --because over --no-follow",
			`POST /admin/v1/replays {"filter":{"errcode":-1,"reason":"retries_ended","since":"24h","status":"failed"},"dry_run":false,"rate":2.5,"reason":"over","skip_superseded":true}`},
		{"pushes replay --status discarded --reason lost --dry-run",
			`POST /admin/v1/replays {"filter":{"reason":"lost","status":"discarded"},"dry_run":true,"rate":0,"reason":"","skip_superseded":false}`},
		{"pushes list --waiting-for token --delivery-id SF --waybill-id 1 --action-type 300003 --source app --until 1h --limit 7 --cursor c",
			`GET /admin/v1/pushes?action_type=300003&cursor=c&delivery_id=SF&limit=7&source=app&until=1h&waiting_for=token&waybill_id=1`},
		{"events list --verdict rejected", `GET /admin/v1/events?limit=100&verdict=rejected`},
		{"events accept 9 --reason seen", `POST /admin/v1/events/9/accept {"reason":"seen"}`},
		{"waybill thaw SF/1", `POST /admin/v1/waybills/SF/1/thaw {"reason":""}`},
		{"waybill skip SF/1 --reason lost", `POST /admin/v1/waybills/SF/1/skip {"reason":"lost"}`},
		{"waybill retry A/B --delivery-id SF", `POST /admin/v1/waybills/SF/A%2FB/retry {"reason":""}`},
		{"waybill expunge SF/1 --because asked --yes", `POST /admin/v1/waybills/SF/1/expunge {"reason":"asked"}`},
		{"waybill expunge A/B --delivery-id SF --reason asked --yes", `POST /admin/v1/waybills/SF/A%2FB/expunge {"reason":"asked"}`},
		{"waybill upstream SF/1", `GET /admin/v1/waybills/SF/1/upstream`},
		{"waybill upstream A/B --delivery-id SF --merchant shop --order-id o/1 --openid oABC",
			`GET /admin/v1/waybills/SF/A%2FB/upstream?merchant=shop&openid=oABC&order_id=o%2F1`},
		{"waybill heal SF/1 --dry-run", `POST /admin/v1/waybills/SF/1/heal {"dry_run":true}`},
		{"waybill heal SF/1 --yes --because asked --merchant shop --order-id o --openid oABC",
			`POST /admin/v1/waybills/SF/1/heal {"merchant":"shop","order_id":"o","openid":"oABC","dry_run":false,"reason":"asked"}`},
		{"waybill token SF/1 --new-token-file -", `PUT /admin/v1/waybills/SF/1/token {"token":"the-new-one"}`},
		{"waybill token SF/1 --new-token-file - --reason r", `PUT /admin/v1/waybills/SF/1/token {"token":"the-new-one","reason":"r"}`},
		{"accounts pause SF --reason test", `POST /admin/v1/accounts/SF/pause {"reason":"test"}`},
		{"accounts resume SF", `POST /admin/v1/accounts/SF/resume {"reason":""}`},
		{"accounts resume SF --let-fail-for 10m", `POST /admin/v1/accounts/SF/resume {"reason":"","let_fail_for":"10m0s"}`},
		{"accounts probe SF", `POST /admin/v1/accounts/SF/probe {"reason":""}`},
		{"replays pause 12 --reason r", `POST /admin/v1/replays/12/pause {"reason":"r"}`},
		{"replays resume 12", `POST /admin/v1/replays/12/resume {"reason":""}`},
		{"replays cancel 12", `POST /admin/v1/replays/12/cancel {"reason":""}`},
		{"audit --by ops --action push.replay --since 1h", `GET /admin/v1/audit?action=push.replay&by=ops&limit=100&since=1h`},
		{"differences", `GET /admin/v1/differences`},
		{"dead-letters --limit 3", `GET /admin/v1/dead-letters?limit=3`},
	} {
		t.Run(test.args, func(t *testing.T) {
			f := newFakeAdmin(t)
			method, rest, _ := strings.Cut(test.want, " ")
			path, _, _ := strings.Cut(rest, " ")
			path, _, _ = strings.Cut(path, "?")
			f.on(method+" "+path, 200, empty)
			status, out, errs := f.runWith(t.Context(), t, "\ufeffthe-new-one\r\n", nil, strings.Fields(test.args)...)
			if asked := f.log(); status != exitDone || !slices.Equal(asked, []string{test.want}) {
				t.Errorf("status %d, %s; asked\n%s\nwant\n%s", status, errs, strings.Join(asked, "\n"), test.want)
			}
			if strings.Contains(out+errs, "the-new-one") {
				t.Errorf("the waybill's Token is printed: %s%s", out, errs)
			}
		})
	}
}

// TestOneRefusedReplayKeepsNoOther replays several pushes, of which one was delivered and one is not known.
func TestOneRefusedReplayKeepsNoOther(t *testing.T) {
	f := newFakeAdmin(t)
	f.on("POST /admin/v1/pushes/7/replay", 409, `{"detail":"It was delivered.","code":"conflict_state","push_status":"delivered"}`)
	f.on("POST /admin/v1/pushes/8/replay", 202, fakePush(8, 300003, fakeWaiting, 0))
	f.on("POST /admin/v1/pushes/10/replay", 202, fakePush(10, 300003, fakeWaiting, 0))
	status, out, errs := f.run(t, "C", "pushes", "replay", "7", "8", "9", "10")
	wantOut := "push 8 of SF/1234567890: pending (waybill): Push 7 of the same waybill goes first.\n" +
		"push 10 of SF/1234567890: pending (waybill): Push 7 of the same waybill goes first.\n"
	wantErrs := "carrier: push 7 is delivered already, and sending it again shows the customer the same scan twice; --force does that all the same\n" +
		"carrier: push 9: there is none of that number\n"
	if status != exitFailed || out != wantOut || errs != wantErrs {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
}

func TestAdminListsGoOnToTheirEnd(t *testing.T) {
	pages := []string{
		fakeList("c1", fakePush(9, 200001, fakeDelivered, 1)), fakeList("c2"), fakeList("c3", fakePush(8, 200001, fakeDelivered, 1)),
		fakeList("", fakePush(7, 200001, fakeDelivered, 1)),
	}
	for _, test := range []struct {
		args string
		rows int
		last string // The last thing asked for.
		says string
	}{
		{"pushes list --all", 3, "GET /admin/v1/pushes?cursor=c3&limit=1000", ""},
		{"pushes list --limit 2", 2, "GET /admin/v1/pushes?cursor=c2&limit=1", "carrier: there are more: --all lists all, --limit N more, --cursor c3 those that follow\n"},
		{"pushes list --limit 2000", 3, "GET /admin/v1/pushes?cursor=c3&limit=1000", ""},
	} {
		t.Run(test.args, func(t *testing.T) {
			f := newFakeAdmin(t).on("GET /admin/v1/pushes", 200, pages...)
			status, out, errs := f.run(t, "C", strings.Fields(test.args)...)
			asked := f.log()
			if status != exitDone || strings.Count(out, "\n") != 1+test.rows || errs != test.says || asked[len(asked)-1] != test.last {
				t.Errorf("status %d, asked %q\n%s%s", status, asked, out, errs)
			}
			f = newFakeAdmin(t).on("GET /admin/v1/pushes", 200, pages...)
			if _, out, _ = f.run(t, "C", append(strings.Fields(test.args), "--json")...); strings.Count(out, `"seq"`) != test.rows {
				t.Errorf("as JSON:\n%s", out)
			}
		})
	}
	f := newFakeAdmin(t).on("GET /admin/v1/pushes", 200, fakeList(""))
	if status, out, errs := f.run(t, "C", "pushes", "list"); status != exitDone || out != "" || errs != "carrier: nothing matches\n" {
		t.Errorf("an empty list: status %d, %q, %q", status, out, errs)
	}
	if status, out, errs := f.run(t, "C", "pushes", "list", "--json"); status != exitDone || out != "{\n  \"items\": [],\n  \"next_cursor\": \"\"\n}\n" || errs != "" {
		t.Errorf("an empty list as JSON: status %d, %q, %q", status, out, errs)
	}
}

// TestAdminAddress looks at where the address comes from.
func TestAdminAddress(t *testing.T) {
	dir := t.TempDir()
	file := func(name, listen string) string {
		path := filepath.Join(dir, name)
		text := "server: {admin_listen: \"" + listen + "\"}\nadmin: {tokens: [{name: ops, token: " + strings.Repeat("t", 40) + ", role: operator}]}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		name string
		a    asking
		env  []string
		want string
	}{
		{"nothing", asking{}, nil, "http://127.0.0.1:8081"},
		{"the flag", asking{adminFlags: adminFlags{AdminURL: "https://a/x/"}, Config: "missing"}, []string{"CARRIER_ADMIN_URL=http://b"}, "https://a/x"},
		{"the environment", asking{Config: "missing"}, []string{"CARRIER_ADMIN_URL=http://b/"}, "http://b"},
		{"a configuration", asking{Config: file("a", "127.0.0.1:9000")}, nil, "http://127.0.0.1:9000"},
		{"a service that listens everywhere", asking{Config: file("b", "0.0.0.0:9000")}, nil, "http://127.0.0.1:9000"},
		{"the same in IPv6", asking{Config: file("c", "[::]:9000")}, nil, "http://127.0.0.1:9000"},
		{"the same, shorter", asking{Config: file("d", ":9000")}, nil, "http://127.0.0.1:9000"},
		{"one IPv6 address", asking{Config: file("e", "[::1]:9000")}, nil, "http://[::1]:9000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.a.address(&world{env: test.env})
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

// TestAdminInterrupted presses Ctrl-C while the service thinks.
func TestAdminInterrupted(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"stats", "carrier: interrupted\n"},
		{"accounts pause SF", "carrier: interrupted; whether it was done all the same is not known, so look before you do it again\n"},
	} {
		t.Run(test.args, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // Else the server does not notice that nobody waits any more.
				cancel()
				<-r.Context().Done()
			}))
			t.Cleanup(srv.Close)
			f := &fakeAdmin{url: srv.URL}
			status, out, errs := f.runWith(ctx, t, "", nil, strings.Fields(test.args)...)
			if status != exitFailed || out != "" || errs != test.want {
				t.Errorf("status %d, %q, %q", status, out, errs)
			}
		})
	}
}
