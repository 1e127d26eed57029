package admin

import (
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"carrier/internal/store"
)

// TestNoTokenInDeadLetters: in whatever shape it came, of whatever could not be read.
func TestNoTokenInDeadLetters(t *testing.T) {
	const token = "S3cretToken+/=="
	tests := []struct{ name, body, want string }{
		{"JSON", `{"id":"1","token":"` + token + `"}`, `{"id":"1","token":"***"}`},
		{"spaces", "{ \"token\" :\n \"" + token + "\" , \"id\":\"1\"}", "{ \"token\" :\n \"***\" , \"id\":\"1\"}"},
		{"capitals", `{"Token":"` + token + `"}`, `{"Token":"***"}`},
		{"cut short", `{"token":"` + token, `{"token":"***"`},
		{"an escaped quote", `{"token":"a\"` + token + `","id":"1"}`, `{"token":"***","id":"1"}`},
		{"single quotes", `{'token':'` + token + `','id':'1'}`, `{'token':"***",'id':'1'}`},
		{"a form", `id=1&token=` + token + `&x=1`, `id=1&token="***"&x=1`},
		{"YAML", "id: 1\ntoken: " + token + "\nx: 1", "id: 1\ntoken: \"***\"\nx: 1"},
		{"no quotes", `{token:` + token + `}`, `{token:"***"}`},
		{"a number", `{"token":12345}`, `{"token":"***"}`},
		{"several", `[{"token":"` + token + `"},{"token":"` + token + `"}]`, `[{"token":"***"},{"token":"***"}]`},
		{"none", `{"id":"1"`, `{"id":"1"`},
		{"a word only", `no token here`, `no token here`},
		{"empty", ``, ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			item := deadLetterItem(&store.DeadLetter{Number: 1, Body: []byte(tt.body)}, operator)
			if item.Body == nil || *item.Body != tt.want || item.BodyBase64 != "" {
				t.Fatalf("got %+v, want %s", item, tt.want)
			}
			raw, err := base64.StdEncoding.DecodeString(deadLetterItem(&store.DeadLetter{Body: []byte("\xff" + tt.body)}, operator).BodyBase64)
			if err != nil || string(raw) != "\xff"+tt.want {
				t.Errorf("of bytes: got %q, %v", raw, err)
			}
		})
	}
}

// TestDeadLettersTextIsKept: what holds no token is shown as it came.
func TestDeadLettersTextIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.String().Filter(func(s string) bool { return !strings.Contains(strings.ToLower(s), "token") }).Draw(t, "body")
		item := deadLetterItem(&store.DeadLetter{Body: []byte(body)}, operator)
		if item.Body == nil || *item.Body != body {
			t.Fatalf("%q is shown as %v", body, item.Body)
		}
	})
}

// TestEscapesHideNoNumber: what came as \u escapes before a number does not keep it from being masked for viewers.
func TestEscapesHideNoNumber(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"brackets", `{"action_msg":"\u4e3d\u5f71\u301018666666666\u3011"}`, `{"action_msg":"丽影【186****6666】"}`},
		{"an ampersand", `"\u002618666666666"`, `"&186****6666"`},
		{"beyond the basic plane", `"\ud83d\ude0018666666666"`, `"😀186****6666"`},
		{"half a character", `"\ud83d18666666666"`, `"�186****6666"`},
		{"escaped digits", `"\u0031866666666\u0036"`, `"186****6666"`},
		{"a quote", `"a\u0022\u005c\u000a"`, `"a���"`},
		{"cut short", `"18666666666\u30`, `"186****6666\u30`},
		{"none", `"a\\nb"`, `"a\\nb"`},
	} {
		d := store.DeadLetter{Number: 1, Body: []byte(tt.body)}
		if got := *deadLetterItem(&d, Actor{}).Body; tt.want != "" && got != tt.want {
			t.Errorf("%s: a viewer sees %s, want %s", tt.name, got, tt.want)
		}
		if got := *deadLetterItem(&d, Actor{Operator: true}).Body; got != tt.body {
			t.Errorf("%s: an operator sees %s", tt.name, got)
		}
		e := store.AuditEntry{Act: store.Act{Detail: tt.body}}
		if got := auditItem(&e, Actor{}).Detail; tt.want != "" && got != tt.want {
			t.Errorf("%s: a viewer of the audit log sees %s, want %s", tt.name, got, tt.want)
		}
	}
}
