package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"carrier/internal/app/apptest"
)

// TestNATSToken: a Token by request releases what waits for it, in order, and is seen nowhere.
func TestNATSToken(t *testing.T) {
	r := startNATS(t, func(s *apptest.Settings) { s.LogLevel = "debug" })
	var events []apptest.Event
	for n, action := range []int{100001, 200001, 300002} {
		e := scan("WAITS", n+1, action)
		e.Token = ""
		events = append(events, e)
	}
	r.publishEvents("sorter-7", events...)
	r.drained()
	if p := r.s.Pushes(t, "waiting_for=token"); len(p) == 0 {
		t.Fatalf("nothing waits for a Token: %+v", r.s.Pushes(t, ""))
	}
	const first, second = canaryToken, "another-" + canaryToken
	give := func(token string, changed bool) {
		t.Helper()
		a := r.ask("carrier.token.SF", asJSON(t, map[string]string{"waybill_id": "WAITS", "token": token}), nil)
		var answer map[string]any
		if err := json.Unmarshal(a.Body, &answer); err != nil || a.HTTP != 0 || answer["delivery_id"] != "SF" || answer["waybill_id"] != "WAITS" ||
			answer["changed"] != changed || len(answer) != 3 {
			t.Errorf("the Token is answered %d %s, want changed %v", a.HTTP, a.Body, changed)
		}
	}
	give(first, true)
	give(first, false)
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, events)
	if w := r.s.Waybill(t, "SF", "WAITS"); !w.TokenSet {
		t.Errorf("the waybill is %+v", w)
	}
	give(second, true)
	for _, c := range []struct {
		name, account, body string
		status              int
		code                string
	}{
		{"no JSON", "SF", `{"waybill_id":`, 400, "malformed_json"},
		{"nothing", "SF", ``, 400, "malformed_json"},
		{"no Token", "SF", `{"waybill_id":"W"}`, 0, ""},
		{"an empty Token", "SF", `{"waybill_id":"W","token":""}`, 0, ""},
		{"a Token that is too long", "SF", `{"waybill_id":"W","token":"` + strings.Repeat("x", 257) + `"}`, 0, ""},
		{"a Token that is a number", "SF", `{"waybill_id":"W","token":1}`, 0, ""},
		{"no waybill", "SF", `{"token":"T"}`, 0, ""},
		{"a waybill with spaces", "SF", `{"waybill_id":"W 1","token":"T"}`, 0, ""},
		{"a waybill of 65 characters", "SF", `{"waybill_id":"` + strings.Repeat("x", 65) + `","token":"T"}`, 0, ""},
		{"an unknown field", "SF", `{"waybill_id":"W","token":"T","extra":1}`, 0, ""},
		{"a field twice", "SF", `{"waybill_id":"W","waybill_id":"W2","token":"T"}`, 0, ""},
		{"an account that is none", "JD", `{"waybill_id":"W","token":"` + canaryToken + `"}`, 404, "not_found"},
	} {
		a := r.ask("carrier.token."+c.account, []byte(c.body), nil)
		if a.HTTP < 400 || a.HTTP > 499 || c.status != 0 && (a.HTTP != c.status || a.Code != c.code) {
			t.Errorf("%s: %d %s, want it refused with %d %s", c.name, a.HTTP, a.Body, c.status, c.code)
		}
		if strings.Contains(string(a.Body), canaryToken) {
			t.Errorf("%s: the answer holds the Token", c.name)
		}
	}
	if status, _ := r.s.Ask(t, http.MethodGet, "/admin/v1/waybills/SF/W", nil); status != http.StatusNotFound {
		t.Errorf("a Token that was refused made a waybill: %d", status)
	}
	noCanaryToken(t, r)
}

// noCanaryToken looks for the Token in what comes out.
func noCanaryToken(t *testing.T, r *natsRig) {
	t.Helper()
	pages := map[string]string{}
	for _, path := range []string{"/metrics", "/readyz", "/admin/v1/pushes", "/admin/v1/events", "/admin/v1/audit", "/admin/v1/stats", "/admin/v1/waybills/SF/WAITS"} {
		_, body := r.s.Ask(t, http.MethodGet, path, nil)
		pages[path] = string(body)
	}
	for _, o := range r.outcomes(3) {
		pages["outcome "+o.EventID] = fmt.Sprint(o.Header, string(o.Raw))
	}
	stats, err := r.nc.Request("$SRV.STATS.carrier", nil, soon)
	if err != nil {
		t.Fatal(err)
	}
	pages["the statistics"] = string(stats.Data)
	r.s.stop()
	pages["the log"] = r.s.log.String()
	for where, text := range pages {
		if strings.Contains(text, canaryToken) {
			t.Errorf("the Token is in %s", where)
		}
	}
}

// TestNATSTokenPutsBack: a waybill that was parked for its Token goes on by itself when a new one comes over NATS.
func TestNATSTokenPutsBack(t *testing.T) {
	r := startNATS(t, func(s *apptest.Settings) {
		s.Push = `{token_retries: 1, retry: {initial: 10ms, max: 20ms, multiplier: 2, max_age: 72h}}`
	})
	r.up.Faulty(t, refusing("PARKED", 40199, 1))
	events := story("PARKED", 100001, 200001)
	r.publishEvents("sorter-7", events...)
	r.eventually(func() bool {
		p := r.s.Pushes(t, "status=failed")
		return len(p) == 1 && r.s.Waybill(t, "SF", "PARKED").Parked
	}, "the waybill is parked")
	if a := r.ask("carrier.token.SF", []byte(`{"waybill_id":"PARKED","token":"new"}`), nats.Header{"content-type": {"application/json"}}); a.HTTP != 0 {
		t.Fatalf("the Token is answered %d %s", a.HTTP, a.Body)
	}
	r.eventually(func() bool { return len(r.up.Nodes("PARKED").Nodes) == 2 }, "both scans arrive")
	arrivedInOrder(t, r.up, events)
	r.s.Settled(t, later)
	var statuses []string
	for _, o := range r.outcomes(3) {
		statuses = append(statuses, fmt.Sprint(o.header(nats.MsgIdHdr), " ", o.Status))
	}
	first := r.s.EventsOf(t, "waybill_id=PARKED")[1].Seq
	want := []string{fmt.Sprint(first, " failed"), fmt.Sprintf("%d-2 delivered", first), fmt.Sprint(first+1, " delivered")}
	if !slices.Equal(statuses, want) {
		t.Errorf("the outcomes are %q, want %q", statuses, want)
	}
}
