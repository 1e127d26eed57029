package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"carrier/internal/app/apptest"
)

// weChat is an upstream that keeps what it was asked.
type weChat struct {
	URL string

	mu     sync.Mutex
	calls  []string // Paths, but those for access_tokens.
	bodies []string
}

func newWeChat(t *testing.T, answer http.Handler) *weChat {
	t.Helper()
	u := &weChat{}
	u.URL = apptest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !strings.HasSuffix(r.URL.Path, "token") {
			u.mu.Lock()
			u.calls, u.bodies = append(u.calls, r.URL.Path), append(u.bodies, string(body))
			u.mu.Unlock()
		}
		answer.ServeHTTP(w, r)
	}))
	return u
}

// heard gives what was asked since the last time.
func (u *weChat) heard() (calls, bodies []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	calls, bodies, u.calls, u.bodies = u.calls, u.bodies, nil, nil
	return calls, bodies
}

const (
	secretOfShop = "canary-shop-secret-0123456789"
	secretOfSF   = "canary-sf-secret-0123456789"
	tokenOfW     = "canary-waybill-Token-0123456789"
)

// config is a configuration with the account SF and the merchant shop at the upstream.
func (u *weChat) config(t *testing.T, more string) string {
	t.Helper()
	return fileOf(t, "carrier.yaml", fmt.Sprintf("accounts: [{delivery_id: SF, appid: wxsf, secret: %s, base_url: %q}]\n"+
		"merchants: [{name: shop, appid: wxshop, secret: %s, base_url: %q}%s]\n", secretOfSF, u.URL, secretOfShop, u.URL, more))
}

// document is an example of a document: "getPath", "request" or "answer", "https" or "cloud".
func document(t *testing.T, call, part, form string) string {
	t.Helper()
	return read(t, filepath.Join("../../internal/wechat/testdata/documents", call+"."+part+"."+form+".json"))
}

func sameMeaning(t *testing.T, what, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Errorf("%s is no JSON (%v): %s", what, err, got)
		return
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("%s is %s\nwant %s", what, got, want)
	}
}
