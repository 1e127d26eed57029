package wechat

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAppendJSON(t *testing.T) {
	tests := []struct {
		name string
		in   PathUpdate
		want string
	}{
		{"the documents' example",
			PathUpdate{"TOKEN", "12345678901234567890", 1533052800, 300002, "丽影邓丽君【18666666666】正在派件"},
			`{"token":"TOKEN","waybill_id":"12345678901234567890","action_time":1533052800,"action_type":300002,"action_msg":"丽影邓丽君【18666666666】正在派件"}`},
		{"HTML", PathUpdate{ActionMsg: "<a href='x'>&</a>"},
			`{"token":"","waybill_id":"","action_time":0,"action_type":0,"action_msg":"<a href='x'>&</a>"}`},
		{"what must be escaped", PathUpdate{ActionMsg: "\"\\\n\r\t\b\f\x00\x1f\x7f"},
			`{"token":"","waybill_id":"","action_time":0,"action_type":0,"action_msg":"\"\\\n\r\t\b\f\u0000\u001f` + "\x7f" + `"}`},
		{"line separators stay", PathUpdate{ActionMsg: "\u2028\u2029😀"},
			`{"token":"","waybill_id":"","action_time":0,"action_type":0,"action_msg":"` + "\u2028\u2029😀" + `"}`},
		{"no UTF-8", PathUpdate{ActionMsg: "a\xffb\xe4\xb8"},
			`{"token":"","waybill_id":"","action_time":0,"action_type":0,"action_msg":"a` + "\ufffdb\ufffd\ufffd" + `"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(tt.in.appendJSON(nil)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// For all strings encoding/json reads back what was written, and writes the same but for U+2028, U+2029 and U+FFFD, which
// it escapes.
func TestAppendJSONAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		u := PathUpdate{text.Draw(t, "token"), text.Draw(t, "waybill"), rapid.Int64().Draw(t, "time"),
			rapid.Int32().Draw(t, "type"), text.Draw(t, "msg")}
		mirror := wireUpdate(u)
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(mirror); err != nil {
			t.Fatal(err)
		}
		plain := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", `\ufffd`, "\ufffd")
		got := u.appendJSON(nil)
		// A backslash in the text is doubled, so that the replacer would take `\\u2028` for an escape.
		if !strings.Contains(u.Token+u.WaybillID+u.ActionMsg, `\`) && string(got)+"\n" != plain.Replace(want.String()) {
			t.Errorf("got  %s\nwant %s", got, want.String())
		}
		var back, same wireUpdate
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		if err := json.Unmarshal(want.Bytes(), &same); err != nil || back != same {
			t.Errorf("read back %+v, want %+v (%v)", back, same, err)
		}
	})
}

type wireUpdate struct {
	Token      string `json:"token"`
	WaybillID  string `json:"waybill_id"`
	ActionTime int64  `json:"action_time"`
	ActionType int32  `json:"action_type"`
	ActionMsg  string `json:"action_msg"`
}

func TestUpdatePathRequest(t *testing.T) {
	u := PathUpdate{canaryToken, "SF1", 1533052800, 300002, "<正在派件>"}
	tests := []struct {
		name, base, access, agent string
		wantURI, wantAgent        string
	}{
		{"with an access_token", "", canaryAccess, "carrier/1.2.3",
			"/cgi-bin/express/delivery/path/update?access_token=CANARY-access_token-57_xYz%2B%2F%3D%26Q", "carrier/1.2.3"},
		{"without one", "", "", "", "/cgi-bin/express/delivery/path/update", "carrier"},
		{"below a path", "/proxy/", "A", "", "/proxy/cgi-bin/express/delivery/path/update?access_token=A", "carrier"},
		{"a long one", "", strings.Repeat("x", 1024), "",
			"/cgi-bin/express/delivery/path/update?access_token=" + strings.Repeat("x", 1024), "carrier"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got *http.Request
			var body []byte
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, body = r, must(io.ReadAll(r.Body))
				io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
			}))
			defer s.Close()
			c := NewClient(ClientOptions{BaseURL: s.URL + tt.base, UserAgent: tt.agent})
			defer c.CloseIdleConnections()
			for range 2 { // The second uses the template of the first.
				answer, err := c.UpdatePath(t.Context(), tt.access, u)
				if want := (Answer{0, "ok", "", 200}); err != nil || answer != want {
					t.Fatalf("UpdatePath = %+v, %v; want %+v", answer, err, want)
				}
				if got.Method != "POST" || got.RequestURI != tt.wantURI || got.Proto != "HTTP/1.1" {
					t.Errorf("%s %s %s, want POST %s HTTP/1.1", got.Method, got.RequestURI, got.Proto, tt.wantURI)
				}
				if want := string(u.appendJSON(nil)); string(body) != want || got.ContentLength != int64(len(want)) {
					t.Errorf("body %s of length %d, want %s", body, got.ContentLength, want)
				}
				want := http.Header{"Content-Type": {"application/json"}, "User-Agent": {tt.wantAgent},
					"Content-Length": got.Header["Content-Length"]}
				if len(got.Header) != len(want) || got.UserAgent() != tt.wantAgent || got.Header.Get("Content-Type") != "application/json" {
					t.Errorf("header %v, want %v", got.Header, want)
				}
			}
		})
	}
}

// The template of one access_token is never used for another, however they alternate.
func TestUpdatePathAlternatingAccessTokens(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var u wireUpdate
		if err := json.NewDecoder(r.Body).Decode(&u); err != nil || u.Token != r.URL.Query().Get("access_token") {
			t.Errorf("push of %q came with %q (%v)", u.Token, r.URL.RawQuery, err)
		}
		w.Write(okAnswer)
	}))
	defer s.Close()
	c := NewClient(ClientOptions{BaseURL: s.URL, MaxConns: 4})
	defer c.CloseIdleConnections()
	done := make(chan struct{})
	for worker := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 50 {
				name := string(rune('A' + (worker+i)%3))
				if _, err := c.UpdatePath(t.Context(), name, PathUpdate{Token: name}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
}

func TestNewClientRefusesBaseURL(t *testing.T) {
	for _, base := range []string{"api.weixin.qq.com", "ftp://h", "https://", "https://u:CANARY@h", "https://h?a=CANARY", "https://h#f", "://"} {
		t.Run(base, func(t *testing.T) {
			defer func() {
				text, _ := recover().(string)
				if !strings.HasPrefix(text, "wechat: base URL") {
					t.Errorf("NewClient panicked with %q", text)
				}
				clean(t, "the panic", text)
			}()
			NewClient(ClientOptions{BaseURL: base})
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
