package orders

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/wiretest"
)

var hookKey = []byte("0123456789abcdef0123456789abcdef")

// newHook is a hook to a server of the test's own.
func newHook(t *testing.T, serve http.HandlerFunc) *Hook {
	t.Helper()
	server := httptest.NewServer(serve)
	hook := NewHook(HookOptions{URL: server.URL + "/orders", Key: hookKey, UserAgent: "carrier/test"})
	t.Cleanup(func() {
		hook.Close()
		server.Close()
	})
	return hook
}

var aQuestion = Question{ID: "id-1", DeliveryID: "SF", Event: AddWaybill, Body: map[string]string{"biz_pwd": canaryPwd, "name": "<张三&>"}}

// TestHookAsks: the question is signed as Standard Webhooks says, and the answer is read.
func TestHookAsks(t *testing.T) {
	hook := newHook(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		mac := hmac.New(sha256.New, hookKey)
		mac.Write([]byte(h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "." + string(body)))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); h.Get("webhook-signature") != want {
			t.Errorf("the signature is %q, want %q", h.Get("webhook-signature"), want)
		}
		at, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
		if err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
			t.Errorf("the timestamp is %q", h.Get("webhook-timestamp"))
		}
		if r.Method != http.MethodPost || r.URL.Path != "/orders" || h.Get("webhook-id") != "id-1" || h.Get("Content-Type") != "application/json" ||
			h.Get("User-Agent") != "carrier/test" || h.Values("Idempotency-Key") != nil {
			t.Errorf("asked %s %s with %v", r.Method, r.URL, h)
		}
		if want := `{"biz_pwd":"` + canaryPwd + `","name":"<张三&>"}`; string(body) != want {
			t.Errorf("asked %s, want %s", body, want)
		}
		_, _ = io.WriteString(w, `{"result_code":0,"result_msg":"好","waybill_id":"OWN","waybill_data":{"a":"1"},"quota":7,"more":true}`)
	})
	a, err := hook.Ask(t.Context(), aQuestion)
	if err != nil || a.Code != 0 || a.Msg != "好" || a.WaybillID != "OWN" || a.WaybillData["a"] != "1" || a.Quota != 7 {
		t.Errorf("got %+v, %v", a, err)
	}
}

// TestHookMisbehaves: what is no usable answer is an error that says what to change, and repeats nothing.
func TestHookMisbehaves(t *testing.T) {
	write := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/"+canaryPwd)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"result_code":0}`)
		}
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}
	tests := []struct {
		name  string
		serve http.HandlerFunc
		want  string
	}{
		{"no JSON", write("ok " + canaryPwd), "no JSON object"},
		{"HTML", write("<html>" + canaryPwd), "no JSON object"},
		{"empty", write(""), "no JSON object"},
		{"null", write("null"), "no JSON object"},
		{"an array", write("[]"), "no JSON object"},
		{"no result_code", write(`{"waybill_id":"1"}`), "no result_code"},
		{"result_code null", write(`{"result_code":null}`), "no result_code"},
		{"result_code as a text", write(`{"result_code":"0"}`), "no JSON object"},
		{"result_code with a fraction", write(`{"result_code":0.5}`), "no JSON object"},
		{"more behind it", write(`{"result_code":0} ` + canaryPwd), "goes on"},
		{"no UTF-8", write("{\"result_code\":0,\"result_msg\":\"\xff\"}"), "UTF-8"},
		{"too large", write(strings.Repeat(" ", 70_000) + `{"result_code":0}`), "more than 65536 bytes"},
		{"201", status(201), "status 201"},
		{"a redirect", status(307), "status 307"},
		{"401", status(401), "status 401"},
		{"500", status(500), "status 500"},
		{"no HTTP", raw("canary " + canaryPwd + "\r\n\r\n"), "no HTTP answer"},
		{"a broken header", raw("HTTP/1.1 " + canaryPwd + "\r\n\r\n"), "no HTTP answer"},
		{"a cut answer", raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), "ended before"},
		{"nothing", raw(""), "ended before"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := newHook(t, tt.serve).Ask(t.Context(), aQuestion)
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrNobody) {
				t.Errorf("got %+v, %v; want %q", a, err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), canaryPwd) || strings.Contains(err.Error(), "http://")) {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

// TestHookIsGone: nobody listens there.
func TestHookIsGone(t *testing.T) {
	hook := NewHook(HookOptions{URL: "http://" + wiretest.Nobody(t) + "/" + canaryName, Key: hookKey})
	defer hook.Close()
	if _, err := hook.Ask(t.Context(), aQuestion); err == nil || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), canaryName) {
		t.Errorf("got %v", err)
	}
	if _, err := hook.Ask(t.Context(), Question{Body: func() {}}); err == nil || !strings.Contains(err.Error(), "not JSON") {
		t.Errorf("got %v", err)
	}
}

// TestHookIsSlow: the question ends with its context, for the reason that it ended.
func TestHookIsSlow(t *testing.T) {
	done := make(chan struct{})
	hook := newHook(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(done)
	})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errSlowDispatch)
	defer cancel()
	if _, err := hook.Ask(ctx, aQuestion); !errors.Is(err, errSlowDispatch) {
		t.Errorf("got %v", err)
	}
	<-done
}

// TestHookAnswersNo: a no is an answer.
func TestHookAnswersNo(t *testing.T) {
	hook := newHook(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"result_code":20005,"result_msg":"不派送"}`)
	})
	if a, err := hook.Ask(t.Context(), aQuestion); err != nil || a.Code != 20005 || a.Msg != "不派送" {
		t.Errorf("got %+v, %v", a, err)
	}
}

// TestHookReconnects: a connection that the other side closed while it was idle is no failure.
func TestHookReconnects(t *testing.T) {
	var asked atomic.Int32
	hook := newHook(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if asked.Add(1) == 2 {
			panic(http.ErrAbortHandler) // Of a connection used before: the request is sent once more.
		}
		_, _ = io.WriteString(w, `{"result_code":0}`)
	})
	for range 2 {
		if _, err := hook.Ask(t.Context(), aQuestion); err != nil {
			t.Error(err)
		}
	}
	if asked.Load() != 3 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// FuzzReadAnswer: whatever a dispatch system sends, it is read or refused, and only a result_code of 0 is a yes.
func FuzzReadAnswer(f *testing.F) {
	for _, seed := range []string{`{"result_code":0,"waybill_id":"1","waybill_data":{"a":"b"}}`, `{}`, `{"result_code":-1}`, `{"RESULT_CODE":0}`, `null`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := ReadAnswer(body)
		if err != nil && (a.Code != 0 || a.WaybillID != "" || a.WaybillData != nil) {
			t.Errorf("%+v beside %v", a, err)
		}
		if err == nil && !strings.Contains(strings.ToLower(string(body)), "result") && !strings.Contains(string(body), `\u`) {
			t.Errorf("%s is a yes", body)
		}
		text, err := label(a.WaybillData, canaryPwd)
		if err == nil && len(labelFields(text)) != len(a.WaybillData) {
			t.Errorf("%q is read as %v", text, labelFields(text))
		}
	})
}
