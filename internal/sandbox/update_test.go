package sandbox

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var ridAtEnd = regexp.MustCompile(` rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$`)

func TestUpdateErrcodes(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(bodyOf("W1", "T1", 0), old, new, 1) }
	tests := []struct {
		name   string
		method string // POST if empty
		token  string // a valid one if empty; "-" leaves it out
		body   string
		want   int
		errmsg string // a part of it
	}{
		{name: "good", body: bodyOf("W1", "T1", 0), want: 0, errmsg: "ok"},
		{name: "further fields", body: with(`{`, `{"courier":"x",`), want: 0, errmsg: "ok"},
		{name: "no access_token", token: "-", body: bodyOf("W1", "T1", 0), want: 41001, errmsg: "access_token missing"},
		{name: "malformed access_token", token: "short", body: bodyOf("W1", "T1", 0), want: 40014, errmsg: "invalid access_token"},
		{name: "access_token with a sign", token: strings.Repeat("x", 40) + "%24", body: bodyOf("W1", "T1", 0), want: 40014},
		{name: "access_token too long", token: strings.Repeat("x", 513), body: bodyOf("W1", "T1", 0), want: 40014},
		{name: "unknown access_token", token: strings.Repeat("x", 136), body: bodyOf("W1", "T1", 0), want: 40001, errmsg: "not latest"},
		{name: "GET", method: http.MethodGet, want: 43002, errmsg: "require POST method"},
		{name: "no body", want: 44002, errmsg: "empty post data"},
		{name: "no JSON", body: "token=T1", want: 47001, errmsg: "data format error"},
		{name: "half JSON", body: bodyOf("W1", "T1", 0)[:40], want: 47001},
		{name: "two documents", body: bodyOf("W1", "T1", 0) + "{}", want: 47001},
		{name: "an array", body: "[" + bodyOf("W1", "T1", 0) + "]", want: 47001},
		{name: "not UTF-8", body: with("到达", "\xe5\x88"), want: 47001, errmsg: "not UTF-8"},
		{name: "over 1 MiB", body: with("到达", strings.Repeat("x", 1<<20)), want: 47001, errmsg: "1 MiB"},
		{name: "Token missing", body: with(`"token":"T1",`, ""), want: 40097, errmsg: "token is required"},
		{name: "Token empty", body: with(`"T1"`, `""`), want: 40097, errmsg: "token is required"},
		{name: "Token in another case", body: with(`"token"`, `"Token"`), want: 40097, errmsg: "token is required"},
		{name: "Token a number", body: with(`"T1"`, `1`), want: 47001, errmsg: "token has the wrong type"},
		{name: "waybill_id missing", body: with(`"waybill_id":"W1",`, ""), want: 40097, errmsg: "waybill_id is required"},
		{name: "waybill_id null", body: with(`"W1"`, "null"), want: 40097, errmsg: "waybill_id is required"},
		{name: "waybill_id a number", body: with(`"W1"`, "12"), want: 47001, errmsg: "waybill_id"},
		{name: "action_time missing", body: with(`"action_time":1533052800,`, ""), want: 40097, errmsg: "action_time"},
		{name: "action_time zero", body: with("1533052800", "0"), want: 40097, errmsg: "action_time"},
		{name: "action_time negative", body: with("1533052800", "-5"), want: 40097, errmsg: "action_time"},
		{name: "action_time in milliseconds", body: with("1533052800", "1533052800000"), want: 40097, errmsg: "not milliseconds"},
		{name: "action_time at the limit", body: with("1533052800", "99999999999"), want: 0},
		{name: "action_time a string", body: with("1533052800", `"1533052800"`), want: 47001, errmsg: "action_time"},
		{name: "action_time a fraction", body: with("1533052800", "1533052800.5"), want: 47001, errmsg: "action_time"},
		{name: "action_type missing", body: with(`"action_type":200001,`, ""), want: 40097, errmsg: "action_type"},
		{name: "action_type of another call", body: with("200001", "300001"), want: 40097, errmsg: "300001"},
		{name: "action_msg missing", body: `{"token":"T1","waybill_id":"W1","action_time":1,"action_type":200001}`, want: 40097, errmsg: "action_msg"},
		{name: "action_msg empty", body: with("到达 0 <深圳&广州>", ""), want: 40097, errmsg: "action_msg"},
		{name: "action_msg of 1024 bytes", body: with("到达 0 <深圳&广州>", strings.Repeat("x", 1024)), want: 0},
		{name: "action_msg of 1026 bytes", body: with("到达 0 <深圳&广州>", strings.Repeat("件", 342)), want: 9300526, errmsg: "1026 bytes, at most 1024"},
		{name: "unknown waybill", body: bodyOf("W2", "T1", 0), want: 40199, errmsg: "waybill not found"},
		{name: "another waybill's Token", body: bodyOf("W1", "T3", 0), want: 9300507, errmsg: "invalid token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Options{Seed: 1})
			addOrder(t, s, Order{WaybillID: "W1", Token: "T1"})
			addOrder(t, s, Order{WaybillID: "W3", Token: "T3"})
			url := updateURL + "?access_token=" + tt.token
			switch tt.token {
			case "":
				url += testToken(t, s, "wx1")
			case "-":
				url = updateURL
			}
			method := tt.method
			if method == "" {
				method = http.MethodPost
			}
			got := call(t, s, method, url, tt.body)
			if got.Errcode == nil || *got.Errcode != tt.want || !strings.Contains(got.Errmsg, tt.errmsg) {
				t.Fatalf("answer %+v (%d), want errcode %d and %q", got, got.code(), tt.want, tt.errmsg)
			}
			if ridAtEnd.MatchString(got.Errmsg) != (tt.want != 0) {
				t.Errorf("errmsg %q: only errors end with a rid", got.Errmsg)
			}
			applied := uint64(0)
			if tt.want == 0 {
				applied = 1
			}
			if st := s.Stats(); st.Pushes != 1 || st.Applied != applied || st.Errcodes[tt.want] != 1 || st.InFlight != 0 {
				t.Errorf("Stats() = %+v", st)
			}
		})
	}
}

func TestUpdateKeepsBytes(t *testing.T) {
	s := New(Options{})
	addOrder(t, s, Order{WaybillID: "W1", Token: "T1"})
	token := testToken(t, s, "wx1")
	for _, msg := range []string{`丽影邓丽君【18666666666】正在派件`, `a<b>&c`, `\u003cb\u003e`} {
		body := fmt.Sprintf(`{"token":"T1","waybill_id":"W1","action_time":7,"action_type":300002,"action_msg":"%s"}`, msg)
		if got := push(t, s, token, body); got != 0 {
			t.Fatalf("%s: errcode %d", msg, got)
		}
	}
	got := s.Nodes("W1").Arrivals
	want := []Arrival{
		{N: 1, AppID: "wx1", WaybillID: "W1", ActionTime: 7, ActionType: 300002, ActionMsg: "丽影邓丽君【18666666666】正在派件"},
		{N: 2, AppID: "wx1", WaybillID: "W1", ActionTime: 7, ActionType: 300002, ActionMsg: "a<b>&c"},
		{N: 3, AppID: "wx1", WaybillID: "W1", ActionTime: 7, ActionType: 300002, ActionMsg: "<b>", Escaped: true},
	}
	if len(got) != len(want) {
		t.Fatalf("%d arrivals, want %d", len(got), len(want))
	}
	for i := range want {
		want[i].At = got[i].At
		if got[i] != want[i] {
			t.Errorf("arrival %+v, want %+v", got[i], want[i])
		}
	}
	if st := s.Stats(); st.Escaped != 1 {
		t.Errorf("Escaped = %d, want 1", st.Escaped)
	}
}

func TestUpdateInAnyOrderAndTwice(t *testing.T) {
	s := New(Options{})
	addOrder(t, s, Order{WaybillID: "W1", Token: "T1"})
	token := testToken(t, s, "wx1")
	for _, n := range []int{5, 2, 5, 9, 2} {
		if got := push(t, s, token, bodyOf("W1", "T1", n)); got != 0 {
			t.Fatalf("push %d: errcode %d: upstream enforces no order", n, got)
		}
	}
	v := s.Nodes("W1")
	var repeats []bool
	for _, a := range v.Arrivals {
		repeats = append(repeats, a.Repeat)
	}
	if got, want := fmt.Sprint(repeats), "[false false true false true]"; got != want {
		t.Errorf("repeats %s, want %s", got, want)
	}
	var times []int64
	for _, n := range v.Nodes {
		times = append(times, n.ActionTime-1533052800)
	}
	if got, want := fmt.Sprint(times), "[5 2 9]"; got != want {
		t.Errorf("the customer sees %s, want %s", got, want)
	}
	if st := s.Stats(); st.Applied != 5 || st.Repeats != 2 || st.Waybills != 1 || st.MaxPerWaybill != 1 {
		t.Errorf("Stats() = %+v", st)
	}
}

func TestUpdateOpen(t *testing.T) {
	s := New(Options{Open: true, Apps: []App{{"wx1", "secret", "SF"}, {"wx2", "secret", "YD"}}})
	one, two := testToken(t, s, "wx1"), testToken(t, s, "wx2")
	steps := []struct {
		name, access, token string
		want                int
	}{
		{"the first push registers", one, "A", 0},
		{"with its Token", one, "B", 9300507},
		{"another company has its own waybill", two, "B", 0},
		{"whose Token stays, too", two, "A", 9300507},
		{"and the first one's", one, "A", 0},
	}
	for i, st := range steps {
		if got := push(t, s, st.access, bodyOf("W", st.token, i)); got != st.want {
			t.Errorf("%s: errcode %d, want %d", st.name, got, st.want)
		}
	}
	if v := s.Nodes("W"); len(v.Arrivals) != 3 || v.Arrivals[1].DeliveryID != "YD" || v.Arrivals[1].AppID != "wx2" {
		t.Errorf("Nodes(W) = %+v", v)
	}
	if got := s.Stats().Waybills; got != 2 {
		t.Errorf("%d waybills, want 2", got)
	}
}

func TestUpdateOfAnotherCompany(t *testing.T) {
	s := New(Options{Apps: []App{{"wx1", "secret", "SF"}, {"wx2", "secret", "YD"}, {"wx3", "secret", ""}}})
	addOrder(t, s, Order{DeliveryID: "SF", WaybillID: "W", Token: "A"})
	addOrder(t, s, Order{DeliveryID: "YD", WaybillID: "W", Token: "B"})
	addOrder(t, s, Order{DeliveryID: "SF", WaybillID: "V", Token: "A"})
	tests := []struct {
		name, app, waybill, token string
		want                      int
	}{
		{"own", "wx1", "W", "A", 0},
		{"the other's own", "wx2", "W", "B", 0},
		{"own waybill with the other's Token", "wx1", "W", "B", 9300507},
		{"only the other has it", "wx2", "V", "A", 40199},
		{"an app for all, by the Token", "wx3", "W", "A", 0},
		{"an app for all, by the other Token", "wx3", "W", "B", 0},
		{"an app for all, no such Token", "wx3", "W", "C", 9300507},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := push(t, s, testToken(t, s, tt.app), bodyOf(tt.waybill, tt.token, i)); got != tt.want {
				t.Errorf("errcode %d, want %d", got, tt.want)
			}
		})
	}
	var sf View
	own(t, s, http.MethodGet, "/_sandbox/nodes?waybill_id=W&delivery_id=SF", "", http.StatusOK, &sf)
	if len(sf.Arrivals) != 2 {
		t.Errorf("SF's W has %d arrivals, want 2", len(sf.Arrivals))
	}
}

func TestUpdateFromTheCloud(t *testing.T) {
	s := New(Options{Cloud: true, Open: true})
	if got := call(t, s, http.MethodPost, updateURL, bodyOf("W", "T", 0)).code(); got != 0 {
		t.Errorf("without access_token: errcode %d, want 0", got)
	}
	if got := push(t, s, strings.Repeat("x", 136), bodyOf("W", "T", 0)); got != 40001 {
		t.Errorf("with a wrong access_token: errcode %d, want 40001", got)
	}
}

func TestCountOnly(t *testing.T) {
	s := New(Options{CountOnly: true, Open: true})
	addOrder(t, s, Order{WaybillID: "W1", Token: "T1"})
	token := testToken(t, s, "wx1")
	for i, want := range []int{0, 0, 0} {
		if got := push(t, s, token, bodyOf(fmt.Sprintf("V%d", i), "any", i)); got != want {
			t.Errorf("errcode %d, want %d", got, want)
		}
	}
	if got := push(t, s, token, bodyOf("W1", "wrong", 0)); got != 9300507 {
		t.Errorf("an ordered waybill's Token is checked: errcode %d, want 9300507", got)
	}
	if st := s.Stats(); st.Applied != 3 || st.Waybills != 1 || len(s.Arrivals(0, 10).Arrivals) != 0 {
		t.Errorf("Stats() = %+v, arrivals %d; want counts only", st, len(s.Arrivals(0, 10).Arrivals))
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Seed: 3, Open: true})
		token := testToken(t, s, "wx1")
		setFaults(t, s, Faults{Trouble: Trouble{Latency: Duration(50 * time.Millisecond), Jitter: Duration(20 * time.Millisecond)}})
		var spread time.Duration
		for i := range 50 {
			body := bodyOf("W", "T", i)
			if i%2 == 1 {
				body = "{" // A refusal takes its time, too.
			}
			start := time.Now()
			push(t, s, token, body)
			took := time.Since(start)
			if took < 50*time.Millisecond || took >= 70*time.Millisecond {
				t.Fatalf("push %d took %v, want 50ms to 70ms", i, took)
			}
			spread = max(spread, took)
		}
		if spread < 60*time.Millisecond {
			t.Errorf("the slowest of 50 took %v: there is no jitter", spread)
		}
	})
}

func TestUnknownCalls(t *testing.T) {
	s := New(Options{})
	if got := call(t, s, http.MethodPost, "/cgi-bin/express/delivery/path/updat", "{}"); got.code() != 40066 {
		t.Errorf("an unknown call: %+v, want 40066", got)
	}
	var problem map[string]string
	own(t, s, http.MethodGet, "/_sandbox/node", "", http.StatusNotFound, &problem)
	if !strings.Contains(problem["error"], "/_sandbox/node") {
		t.Errorf("problem %v does not name the path", problem)
	}
}
