package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// givenTokens gives access_tokens one after the other, the next one after a refusal; the last one for good.
type givenTokens struct {
	mu      sync.Mutex
	list    []string
	refused []string
	err     error
}

func (g *givenTokens) Get(context.Context) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list[0], g.err
}

func (g *givenTokens) Refused(token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = append(g.refused, token)
	if len(g.list) > 1 {
		g.list = g.list[1:]
	}
	return true
}

// upstreamOf is a host that answers with what handle gives, and a client of it.
func upstreamOf(t *testing.T, handle func(path, query, body string) (status int, answer string)) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := string(must(io.ReadAll(r.Body)))
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s", r.Method, r.Header.Get("Content-Type"))
		}
		status, answer := handle(r.URL.Path, r.URL.RawQuery, body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	c := NewClient(ClientOptions{BaseURL: s.URL})
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// Each call goes out as documented, and its documented answer comes back.
func TestCallsGoThrough(t *testing.T) {
	var path, query, sent string
	answer := ""
	caller := NewCaller(&givenTokens{list: []string{"A"}}, upstreamOf(t, func(p, q, b string) (int, string) {
		path, query, sent = p, q, b
		return 200, answer
	}))
	fill := func(call string, into any) {
		if err := json.Unmarshal(document(t, call, "request", "https"), into); err != nil {
			t.Fatal(err)
		}
		answer = string(document(t, call, "answer", "https"))
	}
	wire := func(call, wantPath string, got any) {
		t.Helper()
		if path != wantPath || query != "access_token=A" {
			t.Errorf("%s went to %s?%s", call, path, query)
		}
		sameJSON(t, call+"'s request", []byte(sent), document(t, call, "request", "https"))
		sameJSON(t, call+"'s answer", must(json.Marshal(got)), document(t, call, "answer", "https"))
	}
	t.Run("getPath", func(t *testing.T) {
		var q PathQuery
		fill("getPath", &q)
		got := must(caller.GetPath(t.Context(), q))
		wire("getPath", "/cgi-bin/express/business/path/get", got)
		if n := len(got.PathItemList); n != 3 || got.PathItemList[2].ActionType != 300001 {
			t.Errorf("%+v, want three nodes, the last of a type in no list", got)
		}
	})
	t.Run("getOrder", func(t *testing.T) {
		var q OrderQuery
		fill("getOrder", &q)
		got := must(caller.GetOrder(t.Context(), q))
		wire("getOrder", "/cgi-bin/express/business/order/get", got)
		if label, err := got.HTML(); err != nil || len(label) != 55 || got.Cancelled() {
			t.Errorf("a label of %d bytes, %v; cancelled %v", len(label), err, got.Cancelled())
		}
	})
	t.Run("batchGetOrder", func(t *testing.T) {
		var q OrderListQuery
		fill("batchGetOrder", &q)
		got := must(caller.BatchGetOrder(t.Context(), q.OrderList))
		wire("batchGetOrder", "/cgi-bin/express/business/order/batchget", OrderList{got})
	})
	t.Run("openapi/quota/get", func(t *testing.T) {
		answer = `{"errcode":0,"errmsg":"ok","quota":{"daily_limit":1000,"used":7,"remain":993},"rate_limit":{"call_count":5,"refresh_second":60}}`
		got := must(caller.GetQuota(t.Context(), PathOfUpdatePath))
		want := Quota{Day: DayQuota{1000, 7, 993}, Rate: RateQuota{5, 60}}
		if got != want || path != "/cgi-bin/openapi/quota/get" || sent != `{"cgi_path":"`+PathOfUpdatePath+`"}` {
			t.Errorf("%+v from %s with %s, want %+v", got, path, sent, want)
		}
		sameJSON(t, "the quota", must(json.Marshal(got)), []byte(strings.Replace(answer, `"errcode":0,"errmsg":"ok",`, "", 1)))
		var back Quota
		if err := json.Unmarshal([]byte(answer), &back); err != nil || back != want {
			t.Errorf("%+v, %v", back, err)
		}
	})
	t.Run("openapi/rid/get", func(t *testing.T) {
		answer = `{"errcode":0,"errmsg":"ok","request":{"invoke_time":1635927298,"cost_in_ms":100,
			"request_url":"https://h/cgi-bin/x?access_token=CANARY","request_body":"{\"token\":\"CANARY\",\"waybill_id\":\"1\"}",
			"response_body":"{\"errcode\":45009}","client_ip":"203.0.113.7"}}`
		got := must(caller.GetRID(t.Context(), "61725984-6126f6f9-040f19c4"))
		want := RequestInfo{1635927298, 100, "https://h/cgi-bin/x", `{"token":"***","waybill_id":"1"}`, `{"errcode":45009}`, "203.0.113.7"}
		if got != want || path != "/cgi-bin/openapi/rid/get" || sent != `{"rid":"61725984-6126f6f9-040f19c4"}` {
			t.Errorf("%+v from %s with %s\nwant %+v", got, path, sent, want)
		}
	})
}

// What the real upstream sends beside the documents' examples, and what is none of its answers.
func TestPathAnswers(t *testing.T) {
	one := []PathItem{{1533052800, 300001, "x"}}
	tests := []struct {
		name, body string
		want       Path
		kind       string // of a *CallError
		errcode    int    // of a *RefusedError
	}{
		{name: "with errcode 0", body: `{"errcode":0,"errmsg":"ok","path_item_list":[{"action_time":1533052800,"action_type":300001,"action_msg":"x"}]}`,
			want: Path{PathItemList: one}},
		{name: "more fields", body: `{"path_item_list":[{"action_time":1533052800,"action_type":300001,"action_msg":"x","Lat":0,"lng":[{}]}],"x":{"path_item_num":7}}`,
			want: Path{PathItemList: one}},
		{name: "numbers as strings", body: `{"path_item_num":"1","path_item_list":[{"action_time":"1533052800","action_type":"300001","action_msg":"x"}]}`,
			want: Path{PathItemNum: 1, PathItemList: one}},
		{name: "a string as a number", body: `{"waybill_id":12345678901234567890,"path_item_list":[]}`,
			want: Path{WaybillID: "12345678901234567890", PathItemList: []PathItem{}}},
		{name: "null", body: `{"openid":null,"path_item_num":null,"path_item_list":null}`, want: Path{PathItemList: []PathItem{}}},
		{name: "no nodes", body: `{"errcode":0,"errmsg":"ok"}`, want: Path{PathItemList: []PathItem{}}},
		{name: "names in another case", body: `{"path_item_num":1,"Waybill_ID":"no"}`, want: Path{PathItemNum: 1, PathItemList: []PathItem{}}},
		{name: "refused", body: `{"errcode":40199,"errmsg":"waybill not found"}`, errcode: 40199},
		{name: "refused, with data", body: `{"errcode":9300528,"path_item_list":[]}`, errcode: 9300528},
		{name: "neither an errcode nor data", body: `{"errmsg":"ok"}`, kind: KindNoErrcode},
		{name: "errcode null", body: `{"errcode":null,"path_item_list":[]}`, kind: KindNoErrcode},
		{name: "two errcodes", body: `{"errcode":0,"errcode":40001,"path_item_list":[]}`, kind: KindBadErrcode},
		{name: "a page", body: `<html>`, kind: KindNotJSON},
		{name: "a list that is none", body: `{"path_item_list":{"0":{}}}`, kind: KindBadAnswer},
		{name: "a node that is none", body: `{"path_item_list":[1]}`, kind: KindBadAnswer},
		{name: "a time that is none", body: `{"path_item_list":[{"action_time":"yesterday"}]}`, kind: KindBadAnswer},
		{name: "a fraction", body: `{"path_item_list":[{"action_time":1.5}]}`, kind: KindBadAnswer},
		{name: "a text that is none", body: `{"path_item_list":[{"action_msg":{}}]}`, kind: KindBadAnswer},
		{name: "too large", body: `{"path_item_list":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`, kind: KindTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			caller := NewCaller(&givenTokens{list: []string{"A"}}, upstreamOf(t, func(string, string, string) (int, string) { return 200, tt.body }))
			got, err := caller.GetPath(t.Context(), PathQuery{DeliveryID: "SF", WaybillID: "1"})
			refused, _ := errors.AsType[*RefusedError](err)
			switch {
			case tt.kind != "":
				if e := wantCallError(t, err, "getPath"); e.Kind != tt.kind {
					t.Errorf("kind %s, want %s (%v)", e.Kind, tt.kind, err)
				}
			case tt.errcode != 0:
				if refused == nil || refused.Errcode != tt.errcode || !strings.Contains(err.Error(), Meaning(tt.errcode, false)) {
					t.Errorf("%v, want errcode %d and what it means", err, tt.errcode)
				}
			case err != nil || !reflect.DeepEqual(got, tt.want):
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

// The place of what is wrong is named.
func TestBadAnswerNamesTheField(t *testing.T) {
	var p Path
	err := json.Unmarshal([]byte(`{"path_item_list":[{},{"action_time":"x","action_msg":[]}]}`), &p)
	if err == nil || !strings.Contains(err.Error(), "path_item_list[1].action_time is no whole number") {
		t.Errorf("%v", err)
	}
}

func TestRefusedAccessToken(t *testing.T) {
	answers := func(good ...string) func(string, string, string) (int, string) {
		return func(_, query, _ string) (int, string) {
			for _, token := range good {
				if query == "access_token="+token {
					return 200, `{"path_item_list":[]}`
				}
			}
			return 200, `{"errcode":40001,"errmsg":"invalid credential ` + strings.TrimPrefix(query, "access_token=") + `"}`
		}
	}
	tests := []struct {
		name    string
		good    []string
		refused string
		want    int
	}{
		{"good", []string{"CANARY1"}, "[]", 0},
		{"refused once", []string{"CANARY2"}, "[CANARY1]", 0},
		{"refused twice", []string{"CANARY3"}, "[CANARY1]", 40001},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tokens := &givenTokens{list: []string{"CANARY1", "CANARY2", "CANARY3"}}
			_, err := NewCaller(tokens, upstreamOf(t, answers(tt.good...))).GetPath(t.Context(), PathQuery{})
			refused, _ := errors.AsType[*RefusedError](err)
			if (tt.want == 0) != (err == nil) || tt.want != 0 && (refused == nil || refused.Errcode != tt.want) {
				t.Errorf("%v, want errcode %d", err, tt.want)
			}
			if got := fmt.Sprint(tokens.refused); got != tt.refused {
				t.Errorf("refused %s, want %s", got, tt.refused)
			}
			if err != nil {
				clean(t, "the error", err.Error()+refused.Errmsg)
			}
		})
	}
	tokens := &givenTokens{list: []string{""}, err: &TokenError{Scope: ScopeAccount, Err: errors.New("no secret")}}
	_, err := NewCaller(tokens, upstreamOf(t, answers())).GetPath(t.Context(), PathQuery{})
	wantTokenError(t, err, ScopeAccount, 0)
}

// The next host is asked while one is in trouble, and only then.
func TestFallbackOfReads(t *testing.T) {
	tests := []struct {
		name     string
		status   int
		body     string
		fallback bool
	}{
		{"busy", 200, `{"errcode":-1,"errmsg":"system error"}`, true},
		{"502", 502, `<html>`, true},
		{"an answer that can't be read", 200, `{"path_item_list":7}`, true},
		{"a refusal", 200, `{"errcode":40199}`, false},
		{"a quota", 200, `{"errcode":45009}`, false},
		{"well", 200, `{"path_item_list":[]}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first := upstreamOf(t, func(string, string, string) (int, string) { return tt.status, tt.body })
			asked := false
			second := upstreamOf(t, func(string, string, string) (int, string) {
				asked = true
				return 200, `{"waybill_id":"1","path_item_list":[]}`
			})
			got, err := NewCaller(&givenTokens{list: []string{"A"}}, first, second).GetPath(t.Context(), PathQuery{})
			if asked != tt.fallback || asked && (err != nil || got.WaybillID != "1") {
				t.Errorf("the second host was asked: %v, want %v; %+v, %v", asked, tt.fallback, got, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := upstreamOf(t, func(string, string, string) (int, string) { cancel(); return 502, "" })
	_, err := NewCaller(&givenTokens{list: []string{"A"}}, first, first).GetPath(ctx, PathQuery{})
	if err == nil {
		t.Error("a call whose caller has gone is a success")
	}
}

// In the cloud no access_token is sent, or the container's, as it is at the moment.
func TestCloudToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cloudbase_access_token")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var query string
	plain := upstreamOf(t, func(path, q, _ string) (int, string) {
		query = q
		return 200, `{"errcode":0,"errmsg":"ok"}`
	})
	inCloud := NewClient(ClientOptions{BaseURL: plain.base.String(), CloudTokenFile: file})
	defer inCloud.CloseIdleConnections()
	none := NewAccessToken(AccessTokenOptions{Mode: ModeNone})
	defer none.Close()
	calls := map[string]func(*Client) error{
		"getPath": func(c *Client) error { _, err := NewCaller(none, c).GetPath(t.Context(), PathQuery{}); return err },
		"updatePath": func(c *Client) error {
			_, err := c.UpdatePath(t.Context(), "", PathUpdate{Token: canaryToken})
			return err
		},
	}
	for name, do := range calls {
		t.Run(name, func(t *testing.T) {
			if err := do(plain); err != nil || query != "" {
				t.Errorf("to the side-car: %v, query %q", err, query)
			}
			for _, token := range []string{"first", "second\n"} {
				write(token)
				if err := do(inCloud); err != nil || query != "cloudbase_access_token="+strings.TrimSpace(token) {
					t.Errorf("%v, query %q, want %q", err, query, token)
				}
			}
			for what, spoil := range map[string]func(){
				"empty":   func() { write("") },
				"no text": func() { write("a b\x00" + canaryAccess) },
				"missing": func() { _ = os.Remove(file) },
			} {
				spoil()
				err := do(inCloud)
				if e := wantCallError(t, err, name); e.Kind != KindCloudToken || e.Sent || !strings.Contains(err.Error(), file) {
					t.Errorf("%s: %+v", what, e)
				}
				clean(t, "the error", err.Error())
			}
		})
	}
	if _, err := inCloud.UpdatePath(t.Context(), "own", PathUpdate{}); err != nil || query != "access_token=own" {
		t.Errorf("an access_token of its own comes first: %v, %q", err, query)
	}
}
