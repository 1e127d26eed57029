package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"carrier/api/apicheck"
	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// described is the service with a client whose every exchange is held against the API's description.
type described struct{ *service }

func startDescribed(t *testing.T, settings *apptest.Settings) described {
	t.Helper()
	s := start(t, settings)
	s.HTTP.Transport = apicheck.Transport(t, s.HTTP.Transport)
	return described{s}
}

// ask makes a request to the admin listener and checks its status too; body is JSON, empty for none.
func (s described) ask(t *testing.T, want int, method, path, body string, header ...string) []byte {
	t.Helper()
	status, _, text, err := s.Do(t.Context(), method, s.Admin+path, "application/json", []byte(body), func(r *http.Request, _ []byte) {
		r.Header.Set("Authorization", "Bearer "+s.Operator)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
	})
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if status != want {
		t.Errorf("%s %s: status %d, want %d: %.500s", method, path, status, want, text)
	}
	return text
}

// scene is a service in which something of every kind has happened.
type scene struct {
	described
	up                                            *apptest.Upstream
	delivered, failed, noToken, rejected, retried uint64
}

func newScene(t *testing.T) *scene {
	t.Helper()
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up), apptest.Account{DeliveryID: "ZTO", BaseURL: up.URL})
	settings.Push = `{retry: {initial: 1h, max: 1h, multiplier: 2, max_age: 72h}, token_retries: 1, ` +
		`breaker: {min_requests: 1000, failure_ratio: 1, interval: 10s, open_for: 1h, half_open: 2}}`
	s := &scene{described: startDescribed(t, settings), up: up}
	up.Faulty(t, sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{
		"REFUSED": {Errcode: 9300526}, "BUSY": {Errcode: -1}, "BUSY2": {Errcode: -1},
	}})
	s.delivered = s.Accept(t, scan("DONE", 1, 100001))[0]
	s.rejected = s.Send(t, scan("DONE", 2, 400001)).Seq
	s.Send(t, scan("DONE", 3, 100001))                           // Ignored.
	s.Send(t, scan("HELD", 1, 300003))                           // A scan is missing.
	s.failed = s.Accept(t, scan("REFUSED", 1, 100001))[0]        // For good.
	s.retried = s.Accept(t, scan("BUSY", 1, 100001))[0]          // Waits for its next attempt.
	s.Accept(t, scan("BUSY", 2, 200001))                         // Behind it.
	s.Accept(t, scan("BUSY2", 1, 100001))                        //
	s.noToken = s.Accept(t, without(scan("BARE", 1, 100001)))[0] //
	s.eventually(t, s.failed, "failed")
	s.eventually(t, s.delivered, "delivered")
	apptest.Eventually(t, soon, func() bool { return len(s.GetPush(t, s.retried).Attempts) > 0 }, apptest.Text("no attempt was made"))
	return s
}

// without is an event without a Token, on a waybill that has none.
func without(e apptest.Event) apptest.Event {
	e.Token = ""
	return e
}

func (s *scene) eventually(t *testing.T, seq uint64, status string) {
	t.Helper()
	apptest.Eventually(t, soon, func() bool { return s.GetPush(t, seq).Status == status },
		func() string { return fmt.Sprintf("push %d is %s, want %s", seq, s.GetPush(t, seq).Status, status) })
}

// TestReadsFollowTheDescription asks every GET route for everything there is, as an operator and as a viewer.
func TestReadsFollowTheDescription(t *testing.T) {
	s := newScene(t)
	s.ask(t, 200, "POST", "/admin/v1/waybills/SF/BUSY2/freeze", `{"reason":"盘点 18666666666"}`)
	s.ask(t, 200, "POST", "/admin/v1/accounts/ZTO/pause", `{"reason":"维护"}`)
	s.ask(t, 202, "POST", "/admin/v1/replays", `{"filter":{"status":"failed","since":"24h"},"reason":"补推"}`)
	paths := []string{"/livez", "/readyz", "/metrics", "/openapi.yaml", "/asyncapi.yaml", "/docs", "/docs/docs.js", "/docs/docs.css", "/docs/swagger-ui.css",
		"/docs/swagger-ui-bundle.js", "/docs/favicon-32x32.png", "/admin/v1/accounts", "/admin/v1/replays", "/admin/v1/replays/1",
		"/admin/v1/dead-letters", "/admin/v1/audit", "/admin/v1/stats"}
	for _, w := range []string{"DONE", "HELD", "REFUSED", "BUSY", "BUSY2", "BARE"} {
		paths = append(paths, "/admin/v1/waybills/SF/"+w)
	}
	for _, seq := range []uint64{s.delivered, s.failed, s.noToken, s.retried, s.retried + 1} {
		paths = append(paths, fmt.Sprintf("/admin/v1/pushes/%d", seq))
	}
	for _, filter := range []string{"", "?limit=1", "?status=failed", "?status=pending&waiting_for=retry", "?waiting_for=token", "?waiting_for=waybill",
		"?errcode=-1", "?reason=refused", "?delivery_id=SF&source=scanner", "?waybill_id=BUSY", "?action_type=100001", "?since=1h", "?until=2020-01-02T15:04:05%2B08:00"} {
		paths = append(paths, "/admin/v1/pushes"+filter, "/admin/v1/events"+filter)
	}
	for _, verdict := range []string{"accepted", "held", "ignored", "rejected"} {
		paths = append(paths, "/admin/v1/events?verdict="+verdict)
	}
	for _, filter := range []string{"?by=ops", "?action=waybill.freeze", "?delivery_id=SF&waybill_id=BUSY2", "?since=1h", "?until=1s", "?limit=1"} {
		paths = append(paths, "/admin/v1/audit"+filter)
	}
	for _, path := range paths {
		for _, token := range []string{s.Operator, s.Viewer} {
			s.ask(t, 200, "GET", path, "", "Authorization", "Bearer "+token)
		}
		s.ask(t, 200, "HEAD", path, "")
	}
	s.walk(t, "/admin/v1/events?limit=2")
	s.walk(t, "/admin/v1/audit?limit=1")
}

// walk reads a list to its end by its cursors.
func (s described) walk(t *testing.T, path string) {
	t.Helper()
	pages := 0
	for next := ""; ; pages++ {
		var page struct {
			Next string `json:"next_cursor"`
		}
		if err := json.Unmarshal(s.ask(t, 200, "GET", path+next, ""), &page); err != nil {
			t.Fatal(err)
		}
		if page.Next == "" {
			break
		}
		next = "&cursor=" + url.QueryEscape(page.Next)
	}
	if pages < 2 {
		t.Errorf("%s has only %d pages", path, pages+1)
	}
}

// TestActsFollowTheDescription does everything that an operator can, where it is possible and where it is not.
func TestActsFollowTheDescription(t *testing.T) {
	s := newScene(t)
	push := func(seq uint64) string { return fmt.Sprintf("/admin/v1/pushes/%d", seq) }
	const why = `{"reason":"一次测试"}`
	s.ask(t, 202, "POST", push(s.retried)+"/retry", why)
	s.ask(t, 409, "POST", push(s.delivered)+"/retry", "")
	s.ask(t, 409, "POST", push(s.noToken)+"/retry", "", "Accept-Language", "zh")
	s.ask(t, 409, "POST", push(s.delivered)+"/replay", `{}`)
	s.ask(t, 409, "POST", push(s.rejected)+"/replay", "")
	s.ask(t, 202, "POST", push(s.delivered)+"/replay", `{"force":true,"reason":"用户端未显示"}`)
	s.ask(t, 202, "POST", push(s.failed)+"/replay", "")
	s.ask(t, 200, "POST", push(s.noToken)+"/discard", why)
	s.ask(t, 409, "POST", push(s.noToken)+"/discard", why)
	s.ask(t, 200, "POST", fmt.Sprintf("/admin/v1/events/%d/accept", s.rejected), why)
	s.ask(t, 409, "POST", fmt.Sprintf("/admin/v1/events/%d/accept", s.rejected), why)

	waybill := "/admin/v1/waybills/SF/BUSY"
	s.ask(t, 200, "POST", waybill+"/freeze", why)
	s.ask(t, 200, "POST", waybill+"/freeze", "")
	s.ask(t, 409, "POST", waybill+"/retry", why)
	s.ask(t, 200, "POST", waybill+"/thaw", why)
	s.ask(t, 200, "POST", waybill+"/skip", why)
	s.ask(t, 409, "POST", "/admin/v1/waybills/SF/HELD/skip", why)
	s.ask(t, 200, "POST", "/admin/v1/waybills/SF/BUSY2/retry", why)
	s.ask(t, 200, "PUT", waybill+"/token", `{"token":"another","reason":"微信侧重新下发"}`)
	s.ask(t, 200, "PUT", waybill+"/token", `{"token":"another"}`)

	s.eventually(t, s.failed, "failed")
	s.ask(t, 200, "POST", "/admin/v1/replays", `{"filter":{},"dry_run":true}`)
	s.ask(t, 202, "POST", "/admin/v1/replays", `{"filter":{"errcode":9300526,"delivery_id":"SF","action_type":"100001"},"rate":5,"skip_superseded":true,"reason":"补推"}`)
	s.ask(t, 200, "GET", "/admin/v1/replays", "")
	id := s.slowReplay(t)
	s.ask(t, 200, "POST", "/admin/v1/replays/"+id+"/pause", why)
	s.ask(t, 409, "POST", "/admin/v1/replays/"+id+"/pause", "", "Accept-Language", "zh")
	s.ask(t, 200, "POST", "/admin/v1/replays/"+id+"/resume", why)
	s.ask(t, 200, "POST", "/admin/v1/replays/"+id+"/cancel", why)
	s.ask(t, 409, "POST", "/admin/v1/replays/"+id+"/resume", "")

	s.ask(t, 200, "POST", "/admin/v1/accounts/SF/resume", "")
	s.ask(t, 409, "POST", "/admin/v1/accounts/SF/probe", why)
	s.ask(t, 200, "POST", "/admin/v1/accounts/SF/pause", why)
	s.ask(t, 409, "POST", "/admin/v1/accounts/SF/probe", "", "Accept-Language", "zh")
	s.ask(t, 200, "POST", "/admin/v1/accounts/SF/resume", `{"reason":"结束","let_fail_for":"10m"}`)
	s.ask(t, 200, "POST", "/admin/v1/store/backup", `{"reason":"升级前备份"}`)
	s.ask(t, 200, "POST", waybill+"/expunge", `{"reason":"用户要求删除"}`)
	s.ask(t, 200, "POST", waybill+"/expunge", why)
	s.ask(t, 200, "PUT", "/admin/v1/waybills/SF/TOKEN/token", `{"token":"alone"}`)
	s.ask(t, 200, "POST", "/admin/v1/waybills/SF/TOKEN/expunge", why)
	s.ask(t, 404, "POST", "/admin/v1/waybills/SF/TOKEN/expunge", why)
	s.ask(t, 409, "POST", push(s.retried)+"/replay", `{"force":true}`)
	s.ask(t, 200, "GET", waybill, "")
	s.ask(t, 200, "GET", "/admin/v1/audit?action=waybill.expunge", "")
	s.ask(t, 200, "GET", "/admin/v1/audit", "")
	s.ask(t, 200, "GET", "/admin/v1/stats", "")
}

// slowReplay starts a replay that waits, so that it can be acted on: its account is paused meanwhile.
func (s *scene) slowReplay(t *testing.T) string {
	t.Helper()
	s.ask(t, 200, "POST", "/admin/v1/accounts/SF/pause", "")
	var made struct{ ID string }
	if err := json.Unmarshal(s.ask(t, 202, "POST", "/admin/v1/replays", `{"filter":{"status":"discarded"}}`), &made); err != nil {
		t.Fatal(err)
	}
	s.ask(t, 200, "GET", "/admin/v1/replays/"+made.ID, "")
	return made.ID
}

// TestAnOutageFollowsTheDescription: what is told while the breaker is open, and a probe that closes it.
func TestAnOutageFollowsTheDescription(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	settings.Push = `{retry: {initial: 10ms, max: 20ms, multiplier: 2, max_age: 72h}, ` +
		`breaker: {min_requests: 5, failure_ratio: 0.5, interval: 10s, open_for: 1h, half_open: 1}}`
	s := startDescribed(t, settings)
	s.Accept(t, scan("BEFORE", 1, 100001))
	s.Settled(t, soon)
	up.Faulty(t, sandbox.Faults{Outage: true})
	seq := s.Accept(t, scan("OUTAGE", 1, 100001))[0]
	apptest.Eventually(t, soon, func() bool { return s.Account(t, "SF").Breaker.State == "open" }, apptest.Text("the breaker does not open"))
	s.Accept(t, scan("OUTAGE", 2, 200001))
	for _, path := range []string{
		"/readyz", "/admin/v1/accounts", "/admin/v1/pushes?waiting_for=breaker", "/admin/v1/waybills/SF/OUTAGE", fmt.Sprintf("/admin/v1/pushes/%d", seq),
	} {
		s.ask(t, 200, "GET", path, "")
	}
	up.Faulty(t, sandbox.Faults{})
	s.ask(t, 200, "POST", "/admin/v1/accounts/SF/probe", `{"reason":"微信侧已恢复"}`)
	s.Settled(t, soon)
	s.ask(t, 200, "GET", fmt.Sprintf("/admin/v1/pushes/%d", seq), "")
}

// TestRefusalsFollowTheDescription: what is wrong with a request to the admin API, as far as it is cheap to provoke.
func TestRefusalsFollowTheDescription(t *testing.T) {
	s := newScene(t)
	refused := []struct {
		status       int
		method, path string
		body         string
	}{
		{400, "GET", "/admin/v1/pushes?stauts=failed", ""},
		{400, "GET", "/admin/v1/pushes?limit=0", ""},
		{400, "GET", "/admin/v1/events?verdict=invalid", ""},
		{400, "GET", "/admin/v1/accounts?x=1", ""},
		{400, "GET", "/admin/v1/audit?action=nothing", ""},
		{400, "GET", "/admin/v1/replays?cursor=x", ""},
		{400, "POST", "/admin/v1/replays", `{}`},
		{400, "POST", "/admin/v1/replays", `{"filter":{"stauts":"failed"}}`},
		{400, "POST", "/admin/v1/replays", `{"filter":{},"rate":-1}`},
		{400, "POST", "/admin/v1/replays", `{"filter":`},
		{400, "POST", "/admin/v1/pushes/1/discard", `{}`},
		{400, "POST", "/admin/v1/accounts/SF/resume", `{"let_fail_for":"long"}`},
		{400, "PUT", "/admin/v1/waybills/SF/BUSY/token", `{"token":""}`},
		{404, "GET", "/admin/v1/pushes/999", ""},
		{404, "GET", "/admin/v1/pushes/x", ""},
		{404, "GET", "/admin/v1/replays/999", ""},
		{404, "GET", "/admin/v1/waybills/SF/NOBODY", ""},
		{404, "POST", "/admin/v1/pushes/999/replay", ""},
		{404, "POST", "/admin/v1/events/999/accept", `{"reason":"x"}`},
		{404, "POST", "/admin/v1/replays/999/pause", ""},
		{404, "POST", "/admin/v1/waybills/SF/NOBODY/freeze", ""},
		{400, "POST", "/admin/v1/waybills/SF/BUSY/expunge", ""},
		{404, "POST", "/admin/v1/waybills/SF/NOBODY/expunge", `{"reason":"x"}`},
		{404, "POST", "/admin/v1/accounts/XX/pause", ""},
		{404, "GET", "/docs/nothing", ""},
		{404, "GET", "/nothing", ""},
		{405, "DELETE", "/admin/v1/pushes", ""},
		{413, "POST", "/admin/v1/accounts/SF/pause", `{"reason":"` + string(bytes.Repeat([]byte("x"), 70_000)) + `"}`},
	}
	for _, r := range refused {
		for _, language := range []string{"en", "zh"} {
			s.ask(t, r.status, r.method, r.path, r.body, "Accept-Language", language)
		}
	}
	s.ask(t, 403, "POST", "/admin/v1/accounts/SF/pause", "", "Authorization", "Bearer "+s.Viewer)
	for status := 401; ; {
		resp := s.wrongToken(t)
		if resp != 401 && resp != 429 {
			t.Fatalf("a wrong token is answered %d", resp)
		}
		if status = resp; status == 429 {
			break
		}
	}
}

func (s described) wrongToken(t *testing.T) int {
	t.Helper()
	ctx := t.Context()
	req, err := http.NewRequestWithContext(ctx, "GET", s.Admin+"/admin/v1/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer nonsense")
	resp, err := s.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	return resp.StatusCode
}
