package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"carrier/internal/admin"
	"carrier/internal/pathpush"
	"carrier/internal/replay"
	"carrier/internal/state"
	"carrier/internal/store"
)

// parts stand for the variable parts of paths.
var parts = strings.NewReplacer(":seq", "4", ":delivery", "SF", ":waybill", "W1", ":id", "1")

// guarded are the routes of the admin API itself.
func guarded() []RouteInfo {
	var out []RouteInfo
	for _, r := range Routes() {
		if r.Access == "viewer" || r.Access == "operator" {
			out = append(out, r)
		}
	}
	return out
}

// TestUnknownParameters: no route ignores one.
func TestUnknownParameters(t *testing.T) {
	for _, route := range guarded() {
		for _, query := range []string{"x=1", "Limit=5", "token=abc", "reason=why", "dry_run=true", "a;b=1", "a=%zz"} {
			if query == "reason=why" && strings.HasSuffix(route.Path, "s") {
				continue // Lists have that filter.
			}
			t.Run(route.Method+" "+route.Path+"?"+query, func(t *testing.T) {
				r := newRig(t)
				r.scene()
				w := r.do(route.Method, parts.Replace(route.Path)+"?"+query, `{"reason":"why"}`)
				wantProblem(t, w, http.StatusBadRequest, "invalid_filter")
				if name, _, _ := strings.Cut(query, "="); !strings.ContainsAny(query, ";%") && !strings.Contains(w.Body.String(), `"field":"`+name+`"`) {
					t.Errorf("it does not name the parameter: %s", w.Body)
				}
				if len(r.store.acts) > 0 {
					t.Errorf("it was done: %+v", r.store.acts)
				}
			})
		}
	}
}

// TestBodiesOfEveryRoute: whatever takes a body takes it strictly, and does nothing with a wrong one.
func TestBodiesOfEveryRoute(t *testing.T) {
	bodies := []struct {
		name, body string
		status     int
		want       string
	}{
		{"unknown member", `{"raeson":"x"}`, 400, `"field":"raeson"`},
		{"another case", `{"Reason":"x"}`, 400, `"field":"Reason"`},
		{"repeated", `{"reason":"x","reason":"y"}`, 400, `"code":"repeated_field"`},
		{"repeated by an escape", `{"reason":"x","re\u0061son":"y"}`, 400, `"code":"repeated_field"`},
		{"wrong type", `{"reason":["x"]}`, 400, `"field":"reason"`},
		{"null", `{"reason":null}`, 400, `"field":"reason"`},
		{"no object", `"x"`, 400, "JSON object"},
		{"no JSON", `reason=x`, 400, `"code":"malformed_json"`},
		{"more after it", `{"reason":"x"} {}`, 400, `"code":"malformed_json"`},
		{"no UTF-8", "{\"reason\":\"\xff\"}", 400, `"code":"not_utf8"`},
		{"too large", `{"reason":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "65536"},
		{"a name without end", `{"` + strings.Repeat("y", 5000) + `":1}`, 400, "yyy…"},
		{"a thousand names", `{"a` + strings.Repeat(`":1,"b`, 1000) + `":1}`, 400, `"field":"a"`},
	}
	for _, route := range guarded() {
		if route.Method == http.MethodGet {
			continue
		}
		for _, b := range bodies {
			t.Run(route.Method+" "+route.Path+"/"+b.name, func(t *testing.T) {
				r := newRig(t)
				r.scene()
				w := r.do(route.Method, parts.Replace(route.Path), b.body)
				wantStatus(t, w, b.status)
				if !strings.Contains(w.Body.String(), b.want) || w.Body.Len() > 8<<10 {
					t.Errorf("got %d bytes %.2000s, want %s", w.Body.Len(), w.Body, b.want)
				}
				if len(r.store.acts) > 0 || r.store.token != "" {
					t.Errorf("it was done: %+v", r.store.acts)
				}
			})
		}
	}
}

// TestCursors: what a list gives out leads to its next page, and to no other list's.
func TestCursors(t *testing.T) {
	lists := map[string]func(*rig) uint64{
		"pushes":       func(r *rig) uint64 { return r.store.query.Before },
		"events":       func(r *rig) uint64 { return r.store.query.Before },
		"audit":        func(r *rig) uint64 { return r.store.audited.Before },
		"replays":      func(r *rig) uint64 { return r.store.page.Before },
		"dead-letters": func(r *rig) uint64 { return r.store.page.Before },
	}
	next := regexp.MustCompile(`"next_cursor":"([^"]+)"`)
	for list, before := range lists {
		r := newRig(t)
		r.store.next = 4711
		m := next.FindStringSubmatch(r.do("GET", "/admin/v1/"+list, "").Body.String())
		if m == nil {
			t.Errorf("%s gives out no cursor", list)
			continue
		}
		wantStatus(t, r.do("GET", "/admin/v1/"+list+"?limit=5&cursor="+url.QueryEscape(m[1]), ""), http.StatusOK)
		if before(r) != 4711 {
			t.Errorf("%s goes on at %d", list, before(r))
		}
		for other := range lists {
			if other != list {
				wantProblem(t, r.do("GET", "/admin/v1/"+other+"?cursor="+m[1], ""), http.StatusBadRequest, "invalid_filter")
			}
		}
	}
}

// TestListsOfWaybills: what is asked for reaches the store, a cursor leads to the next page of its own list, and a list that
// is not whole yet says so.
func TestListsOfWaybills(t *testing.T) {
	r := newRig(t)
	r.store.summaries = store.Summaries{
		Items: []store.Summary{{
			Waybill: state.Waybill{DeliveryID: "SF", WaybillID: "W1"}, Stage: state.InTransit, Open: 2, Failed: 1, HeardAt: time.Unix(7, 0),
			Newest: &store.Event{Seq: 6, Event: state.Event{DeliveryID: "SF", WaybillID: "W1", Type: state.Transit}, ReceivedAt: time.Unix(7, 0)},
		}}, Next: "\x00place", Read: 5, Total: 9,
	}
	cursor := regexp.MustCompile(`"next_cursor":"([^"]+)"`)
	asked := map[string]string{"/waybills?ends_with=7890": "", "/silent?stage=in_transit&hours=30&no_token=1": ""}
	for path := range asked {
		w := r.do("GET", "/admin/v1"+path, "")
		wantStatus(t, w, http.StatusOK)
		for _, want := range []string{`"waybill_id":"W1","stage":"in_transit"`, `"pending":2,"failed":1,"accepted":{"seq":6,`, `"heard_at":"1970-01-01T00:00:07Z"`} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("GET %s: %s has no %s", path, w.Body, want)
			}
		}
		asked[path] = cursor.FindStringSubmatch(w.Body.String())[1]
		wantStatus(t, r.do("GET", "/admin/v1"+path+"&limit=5&cursor="+asked[path], ""), http.StatusOK)
		if isSilent := strings.HasPrefix(path, "/silent"); isSilent != strings.Contains(w.Body.String(), `"reading":{"events":5,"total":9}`) {
			t.Errorf("GET %s: %s", path, w.Body)
		}
	}
	if got, want := r.store.found, (store.FindQuery{End: "7890", After: "\x00place", Limit: 5}); got != want {
		t.Errorf("looked for %+v, want %+v", got, want)
	}
	got := r.store.silent
	if ago := time.Since(got.Before[state.InTransit]).Round(time.Hour); len(got.Before) != 1 || ago != 30*time.Hour || !got.NoToken || got.After != "\x00place" || got.Limit != 5 {
		t.Errorf("asked for %+v", got)
	}
	wantProblem(t, r.do("GET", "/admin/v1/silent?cursor="+asked["/waybills?ends_with=7890"], ""), http.StatusBadRequest, "invalid_filter")
	wantProblem(t, r.do("GET", "/admin/v1/waybills", ""), http.StatusBadRequest, "invalid_filter")
}

const (
	canaryToken = "canary-waybill-Token-0123456789"
	canaryPhone = "18612345678"
)

// canaries fill the store with secrets that must not show, and with phone numbers wherever a person or upstream may have
// written one.
func (r *rig) canaries() {
	said := "call " + canaryPhone
	event := state.Event{ID: "e", Source: "app", DeliveryID: "SF", WaybillID: "W1", Type: state.Transit, Time: 1, Msg: said, Token: canaryToken}
	attempts := []store.Attempt{{At: time.Unix(1, 0), Errcode: new(-1), Errmsg: said}}
	r.store.pushes = []store.Push{
		{Seq: 4, Ord: 4, Event: event, Status: store.Pending, WaitingFor: store.WaitRetry, Attempts: attempts, NextAt: time.Unix(9, 0)},
		{Seq: 5, Ord: 5, Event: event, Status: store.Pending, WaitingFor: store.WaitAccount},
		{Seq: 7, Ord: 7, Event: event, Status: store.Pending, WaitingFor: store.WaitWaybill, Waiting: store.Waiting{Frozen: true, Reason: said}},
		{Seq: 8, Ord: 8, Event: event, Status: store.Failed, Reason: said},
	}
	e := store.Event{Seq: 6, Event: event, First: state.Rejected, Verdict: state.Rejected, Reason: state.IllegalStep, Allowed: []state.ActionType{}}
	r.store.events = []store.Event{e}
	r.store.summaries.Items = []store.Summary{{Waybill: event.Waybill(), Stage: state.InTransit, Newest: &e}}
	r.store.story = store.Waybill{Frozen: true, Held: store.Hold{By: "ops", Reason: said}, Timeline: []store.Step{{Event: e}}}
	r.store.replays = []store.Replay{{ID: 1, Status: store.ReplayRunning, Reason: said, Filter: store.Query{Reason: said}}}
	r.replays.waits = []replay.Wait{{DeliveryID: "SF", En: said, Zh: said}}
	r.replays.plan.Sample = []replay.Item{{Push: r.store.pushes[3], Verdict: replay.Send}}
	r.store.entries = []store.AuditEntry{{Number: 1, Act: store.Act{By: "ops", Reason: said, Detail: said}}}
	r.store.letters = []store.DeadLetter{
		{Number: 1, Reason: said, Body: []byte(`{"action_msg":"` + said + `","token":"` + canaryToken + `",`)},
		{Number: 2, Body: []byte("\xff\xfe token=" + canaryToken + " " + said)},
	}
	r.pusher.paused["SF"] = said
}

// TestNoAnswerShowsASecret asks everything as an operator, and all that may be read as a viewer.
func TestNoAnswerShowsASecret(t *testing.T) {
	for _, route := range guarded() {
		for _, who := range []struct {
			name, token string
			viewer      bool
		}{{"operator", opsToken, false}, {"viewer", deskToken, true}} {
			t.Run(route.Method+" "+route.Path+" as "+who.name, func(t *testing.T) {
				r := newRig(t)
				r.canaries()
				body := `{"reason":"why"}`
				switch {
				case route.Path == "/admin/v1/replays":
					body = `{"filter":{},"dry_run":true}`
				case strings.HasSuffix(route.Path, "/token"):
					body = `{"token":"` + canaryToken + `"}`
				}
				path := parts.Replace(route.Path)
				if path == "/admin/v1/waybills" {
					path += "?ends_with=7890"
				}
				w := r.do(route.Method, path, body, "Authorization", "Bearer "+who.token)
				wantNoSecret(t, w, who.viewer)
				if route.Method == http.MethodGet && w.Code != http.StatusOK {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			})
		}
	}
}

func wantNoSecret(t *testing.T, w *httptest.ResponseRecorder, viewer bool) {
	t.Helper()
	for _, secret := range []string{canaryToken, opsToken, deskToken} {
		if strings.Contains(w.Body.String(), secret) {
			t.Errorf("a secret shows: %s", w.Body)
		}
	}
	if viewer && strings.Contains(w.Body.String(), canaryPhone) {
		t.Errorf("a viewer sees a phone number: %s", w.Body)
	}
}

// TestViewersSeeThatSomethingIsMasked: the canaries are really where they are looked for.
func TestViewersSeeThatSomethingIsMasked(t *testing.T) {
	masked := "186****5678"
	for path, times := range map[string]int{
		"/pushes": 9, "/pushes/4": 5, "/pushes/8": 2, "/events": 1, "/waybills/SF/W1": 10, "/waybills?ends_with=7890": 1, "/silent": 1, "/replays": 4, "/replays/1": 4, "/accounts": 1,
		"/dead-letters": 2, "/audit": 2,
	} {
		r := newRig(t)
		r.canaries()
		w := r.do("GET", "/admin/v1"+path, "", "Authorization", "Bearer "+deskToken)
		if got := strings.Count(w.Body.String(), masked); got < times {
			t.Errorf("%s: %d are masked, want %d: %s", path, got, times, w.Body)
		}
	}
	r := newRig(t)
	r.canaries()
	w := r.do("GET", "/admin/v1/dead-letters", "")
	if s := w.Body.String(); !strings.Contains(s, canaryPhone) || !strings.Contains(s, `"body":null,"body_base64":"//4g`) {
		t.Errorf("an operator sees %s", s)
	}
	if w := r.do("GET", "/admin/v1/dead-letters", "", "Authorization", "Bearer "+deskToken); !strings.Contains(w.Body.String(), `"body":null,"body_base64":""`) {
		t.Errorf("a viewer sees %s", w.Body)
	}
}

// TestActorsAddress: the audit log gets the address as the proxies that are trusted tell it.
func TestActorsAddress(t *testing.T) {
	v := newVisitor(t)
	for peer, want := range map[string]string{"203.0.113.9:1": "203.0.113.9", "10.0.0.1:1": "1.2.3.4", "[2001:db8::1]:1": "2001:db8::1"} {
		v.rig.store.acts = nil
		req := httptest.NewRequest("POST", "/admin/v1/accounts/SF/pause", nil)
		req.RemoteAddr = peer
		req.Header.Set("Authorization", "Bearer "+opsToken)
		req.Header.Set("X-Forwarded-For", "1.2.3.4")
		w := httptest.NewRecorder()
		v.echo.ServeHTTP(w, req)
		wantStatus(t, w, http.StatusOK)
		if len(v.rig.store.acts) != 1 || v.rig.store.acts[0].From != want {
			t.Errorf("from %s: kept %+v, want %s", peer, v.rig.store.acts, want)
		}
	}
}

// TestPushesOfAnAccountThatIsGone wait for it, and say so.
func TestPushesOfAnAccountThatIsGone(t *testing.T) {
	r := newRig(t)
	r.store.pushes = []store.Push{{Seq: 1, Ord: 1, Status: store.Pending, Event: state.Event{DeliveryID: "GONE", WaybillID: "W"}}}
	for _, path := range []string{"/pushes/1", "/waybills/GONE/W"} {
		w := r.do("GET", "/admin/v1"+path, "")
		if !strings.Contains(w.Body.String(), `"waiting_for":"account"`) || !strings.Contains(w.Body.String(), "not configured any more") {
			t.Errorf("%s: got %s", path, w.Body)
		}
	}
	wantStatus(t, r.do("GET", "/admin/v1/pushes", ""), http.StatusOK)
	if r.store.query.Held("GONE", false) != store.WaitAccount || r.store.query.Held("SF", false) != store.WaitNothing {
		t.Error("a list would not find them by what they wait for")
	}
}

// TestHoldOfAFrozenPush: one push alone says who froze its waybill; a list has only the reason.
func TestHoldOfAFrozenPush(t *testing.T) {
	r := newRig(t)
	r.canaries()
	if w := r.do("GET", "/admin/v1/pushes/7", ""); !strings.Contains(w.Body.String(), `"en":"ops holds the waybill: call`) {
		t.Errorf("got %s", w.Body)
	}
}

var (
	_ admin.Store    = (*fakeStore)(nil)
	_ admin.Store    = store.Store(nil)
	_ admin.Pusher   = (*pathpush.Pusher)(nil)
	_ admin.Replayer = (*replay.Runner)(nil)
)

// FuzzReplayBody: whatever comes as a body is refused with a problem or understood, and nothing that is no member of it
// gets through.
func FuzzReplayBody(f *testing.F) {
	for _, seed := range []string{`{"filter":{"status":"failed","errcode":-1},"dry_run":true,"rate":1.5,"reason":"x"}`, `{"filter":{}}`, `{"filter":{"a":{}}}`,
		`{"\u0066ilter":{}}`, `{"filter":{"since":"1h"},"filter":1}`, `[]`, `{`, "\xff", `{"rate":1e400}`, `{"reason":"\ud800","filter":{}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := newRig(t)
		w := r.do("POST", "/admin/v1/replays", body)
		switch w.Code {
		case http.StatusOK, http.StatusAccepted:
			if strings.Count(body, `"`) < 2 {
				t.Errorf("%q was taken", body)
			}
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" || len(r.store.acts) > 0 {
				t.Errorf("%q is answered with %s %s", body, got, w.Body)
			}
		default:
			t.Errorf("%q is answered with %d %s", body, w.Code, w.Body)
		}
	})
}
