package wechat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"testing"

	"pgregory.net/rapid"
)

func TestRedactURL(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"access_token", "https://api.weixin.qq.com/a/b?access_token=CANARY", "https://api.weixin.qq.com/a/b"},
		{"nothing to hide", "https://api.weixin.qq.com/a/b", "https://api.weixin.qq.com/a/b"},
		{"user and fragment", "http://me:CANARY@host:81/x?y=CANARY#CANARY", "http://host:81/x"},
		{"empty query", "http://host/x?", "http://host/x"},
		{"no URL", "appid=wx1&secret=CANARY", "appid=wx1&secret=***"},
		{"broken escape", "http://host/%zz?access_token=CANARY", "http://host/%zz"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := RedactURL(tt.in); got != tt.want {
				t.Errorf("RedactURL(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	inner := &url.Error{Op: "Post", URL: "http://h/p?access_token=CANARY", Err: io.ErrUnexpectedEOF}
	tests := []struct {
		name string
		in   error
		want string
		is   error
	}{
		{"of net/http", inner, `Post "http://h/p": unexpected EOF`, io.ErrUnexpectedEOF},
		{"wrapped", fmt.Errorf("push: %w", inner), `push: Post "http://h/p": unexpected EOF`, io.ErrUnexpectedEOF},
		{"joined", errors.Join(context.Canceled, inner), "context canceled\nPost \"http://h/p\": unexpected EOF", context.Canceled},
		{"URL in text", errors.New("get https://h/x?secret=CANARY&a=b failed"), "get https://h/x failed", nil},
		{"user in text", errors.New("proxy http://u:CANARY@h:1 refused"), "proxy http://h:1 refused", nil},
		{"query alone", errors.New("bad access_token=CANARY"), "bad access_token=***", nil},
		{"JSON", errors.New(`got {"access_token":"CANARY","expires_in":1}`), `got {"access_token":"***","expires_in":1}`, nil},
		{"escaped JSON", errors.New(`got "{\"secret\": \"CANARY\"}"`), `got "{\"secret\": \"***\"}"`, nil},
		{"words are no secret", errors.New("invalid token: cannot be decrypted"), "invalid token: cannot be decrypted", nil},
		{"nothing to hide", io.EOF, "EOF", io.EOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := redact(tt.in)
			if got.Error() != tt.want {
				t.Errorf("text %q, want %q", got, tt.want)
			}
			clean(t, "%+v", fmt.Sprintf("%+v %#v", got, errors.Unwrap(got)))
			if tt.is != nil && !errors.Is(got, tt.is) {
				t.Errorf("%q is no longer %q", got, tt.is)
			}
			if ue, ok := errors.AsType[*url.Error](got); ok {
				clean(t, "its URL", ue.URL)
			}
		})
	}
	if redact(nil) != nil {
		t.Error("redact(nil) is an error")
	}
}

// Also a secret inside of which another one stands is hidden whole, however a URL or JSON spells it.
func TestHideLeavesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Za-z0-9+/=&<"_-]{4,40}`).Draw(t, "secret")
		part := secret[:rapid.IntRange(shortestSecret, len(secret)).Draw(t, "part")]
		spelling := rapid.SampledFrom([]string{secret, url.QueryEscape(secret), url.PathEscape(secret), inJSON(secret, true), inJSON(secret, false)}).Draw(t, "spelling")
		if got := hide("..."+spelling+"...", part, secret); got != "...***..." {
			t.Errorf("hide left %q", got)
		}
	})
}
