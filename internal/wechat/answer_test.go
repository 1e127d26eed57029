package wechat

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// Bodies that upstream, or what stands before it, may answer with, and what they are taken for.
var answerTests = []struct {
	name   string
	status int
	body   string
	want   Answer
	kind   string // "" if it is an answer.
}{
	{"success", 200, `{"errcode":0,"errmsg":"ok"}`, Answer{0, "ok", "", 200}, ""},
	{"success without words", 200, ` {"errcode":0} `, Answer{0, "", "", 200}, ""},
	{"words that are no string", 200, `{"errcode":0,"errmsg":{"a":1}}`, Answer{0, "", "", 200}, ""},
	{"refusal", 200, `{"errcode":40001,"errmsg":"invalid credential rid: 5f1e2a3b-0c1d2e3f-4a5b6c7d"}`,
		Answer{40001, "invalid credential rid: 5f1e2a3b-0c1d2e3f-4a5b6c7d", "5f1e2a3b-0c1d2e3f-4a5b6c7d", 200}, ""},
	{"busy", 200, `{"errmsg":"system error","errcode":-1}`, Answer{-1, "system error", "", 200}, ""},
	{"more fields", 200, `{"errcode":40199,"errmsg":"no","x":[{"errcode":0}],"y":null}`, Answer{40199, "no", "", 200}, ""},
	{"refusal with 400", 400, `{"errcode":47001,"errmsg":"data format error"}`, Answer{47001, "data format error", "", 400}, ""},
	{"refusal with 412", 412, `{"errcode":40097}`, Answer{40097, "", "", 412}, ""},
	{"created", 201, `{"errcode":0,"errmsg":"ok"}`, Answer{0, "ok", "", 201}, ""},

	{"success with 404", 404, `{"errcode":0,"errmsg":"ok"}`, Answer{}, KindHTTPStatus},
	{"404 page", 404, `<html>`, Answer{}, KindHTTPStatus},
	{"429 without a code", 429, `{}`, Answer{}, KindHTTPStatus},
	{"500 with a success", 500, `{"errcode":0,"errmsg":"ok"}`, Answer{}, KindHTTPStatus},
	{"502 page", 502, `<html>Bad Gateway</html>`, Answer{}, KindHTTPStatus},
	{"503 empty", 503, ``, Answer{}, KindHTTPStatus},
	{"599", 599, `{"errcode":40001}`, Answer{}, KindHTTPStatus},
	{"redirect with a success", 302, `{"errcode":0}`, Answer{}, KindRedirect},
	{"not modified", 304, ``, Answer{}, KindRedirect},
	{"empty", 200, ``, Answer{}, KindNotJSON},
	{"no content", 204, ``, Answer{}, KindNotJSON},
	{"page", 200, `<!DOCTYPE html><html></html>`, Answer{}, KindNotJSON},
	{"half", 200, `{"errcode":0,"errm`, Answer{}, KindNotJSON},
	{"without its end", 200, `{"errcode":0`, Answer{}, KindNotJSON},
	{"list", 200, `[{"errcode":0}]`, Answer{}, KindNotJSON},
	{"word", 200, `ok`, Answer{}, KindNotJSON},
	{"null", 200, `null`, Answer{}, KindNotJSON},
	{"number", 200, `0`, Answer{}, KindNotJSON},
	{"two objects", 200, `{"errcode":0}{"errcode":-1}`, Answer{}, KindNotJSON},
	{"tail", 200, `{"errcode":0}}`, Answer{}, KindNotJSON},
	{"BOM", 200, "\ufeff" + `{"errcode":0}`, Answer{}, KindNotJSON},
	{"key is no string", 200, `{0:1}`, Answer{}, KindNotJSON},
	{"no errcode", 200, `{"errmsg":"ok"}`, Answer{}, KindNoErrcode},
	{"empty object", 200, `{}`, Answer{}, KindNoErrcode},
	{"errcode null", 200, `{"errcode":null,"errmsg":"ok"}`, Answer{}, KindNoErrcode},
	{"errcode in another case", 200, `{"errCode":0,"errMsg":"ok"}`, Answer{}, KindNoErrcode},
	{"errcode within", 200, `{"base":{"errcode":0}}`, Answer{}, KindNoErrcode},
	{"errcode a string", 200, `{"errcode":"0","errmsg":"ok"}`, Answer{}, KindBadErrcode},
	{"errcode a fraction", 200, `{"errcode":0.0}`, Answer{}, KindBadErrcode},
	{"errcode with an exponent", 200, `{"errcode":0e1}`, Answer{}, KindBadErrcode},
	{"errcode true", 200, `{"errcode":true}`, Answer{}, KindBadErrcode},
	{"errcode too large", 200, `{"errcode":99999999999999999999}`, Answer{}, KindBadErrcode},
	{"two errcodes", 200, `{"errcode":40001,"errcode":0}`, Answer{}, KindBadErrcode},
	{"two spellings", 200, `{"errcode":40001,"ErrCode":0}`, Answer{40001, "", "", 200}, ""},
}

func TestInterpret(t *testing.T) {
	for _, tt := range answerTests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, bad := interpret(reply{status: tt.status, header: http.Header{}, body: []byte(tt.body)})
			kind := ""
			if bad != nil {
				kind = bad.kind
			}
			if got != tt.want || kind != tt.kind {
				t.Errorf("interpret = %+v, %q; want %+v, %q", got, kind, tt.want, tt.kind)
			}
		})
	}
}

// No status of an error is ever a success, and no 5xx is ever an answer.
func TestInterpretEveryStatus(t *testing.T) {
	for status := 200; status < 600; status++ {
		for _, code := range []string{"0", "-1", "40001"} {
			r := reply{status: status, header: http.Header{}, body: []byte(`{"errcode":` + code + `}`)}
			_, _, bad := interpret(r)
			want := status < 300 || status >= 400 && status < 500 && code != "0"
			if got := bad == nil; got != want {
				t.Errorf("HTTP %d with errcode %s: an answer: %v, want %v", status, code, got, want)
			}
		}
	}
}

func TestReadRID(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"at the end", "system error rid: 5f1e-2a3b", "5f1e-2a3b"},
		{"without a space", "busy rid:abc", "abc"},
		{"the last of two", "rid: a rid: b", "b"},
		{"something behind", "x rid: 5f1e, hint: [y]", "5f1e"},
		{"none", "invalid credential", ""},
		{"empty", "x rid: ", ""},
		{"not endless", "rid: " + strings.Repeat("a", 100), strings.Repeat("a", 64)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := readRID(tt.in); got != tt.want {
				t.Errorf("readRID(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestCleanErrmsg(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"as it is", "无效的凭证 rid: 1", "无效的凭证 rid: 1"},
		{"control characters", "a\r\nb\x1b[31mc\u0085d", "a  b [31mc d"},
		{"direction", "a\u202eb", "a b"},
		{"secrets", "bad " + canaryAccess + " and " + canaryToken, "bad *** and ***"},
		{"long", strings.Repeat("汉", 300), strings.Repeat("汉", 170)},
		{"secret at the cut", strings.Repeat("x", maxErrmsgBytes-4) + canaryToken, strings.Repeat("x", maxErrmsgBytes-4) + "***"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := cleanErrmsg(tt.in, canaryAccess, canaryToken); got != tt.want {
				t.Errorf("cleanErrmsg(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// FuzzAnswer: whatever comes, an answer is only what encoding/json also takes for an object with that very errcode.
func FuzzAnswer(f *testing.F) {
	for _, tt := range answerTests {
		f.Add(tt.status, []byte(tt.body))
	}
	f.Add(200, []byte(`{"access_token":"T","expires_in":7200}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := reply{status: status, header: http.Header{}, body: body}
		answer, _, bad := interpret(r)
		if g, badGrant := readGrant(r, grantCall{field: "access_token"}); badGrant == nil && g.Errcode == 0 && !usableToken(g.accessToken) {
			t.Errorf("an access_token that can't be used: %q", g.accessToken)
		}
		if bad != nil {
			if answer != (Answer{}) || bad.kind == "" || bad.err == nil {
				t.Errorf("bad answer %+v, %+v", answer, bad)
			}
			return
		}
		var want struct{ Errcode *int }
		if err := json.Unmarshal(body, &want); err != nil || want.Errcode == nil {
			t.Fatalf("taken for an answer: %q (%v)", body, err)
		}
		if msg := cleanErrmsg(answer.Errmsg); len(msg) > maxErrmsgBytes || !utf8.ValidString(msg) {
			t.Errorf("errmsg %q", msg)
		}
	})
}
