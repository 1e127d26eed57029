package sandbox

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	s := New(Options{Open: true})
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Host = `127.0.0.1:9000"><script>`
	s.ServeHTTP(rec, req)
	page := rec.Body.String()
	if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") {
		t.Errorf("status %d, Content-Type %s", rec.Code, rec.Header().Get("Content-Type"))
	}
	for _, want := range []string{"/_sandbox/orders", "/_sandbox/faults", "/_sandbox/nodes", updateURL, "物流助手", "首次推送", "127.0.0.1:9000"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if !strings.Contains(page, "--carriers FILE") || strings.Contains(page, addURL) {
		t.Error("without carriers the page does not say how to have one")
	}
	with, _ := newFake(t, formatXML, modeSafe).box(Options{})
	rec = httptest.NewRecorder()
	with.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	for _, want := range []string{addURL, cancelURL, "verify?carrier=SF", "/_sandbox/callbacks"} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, "<script>") {
		t.Error("the Host header gets into the page unescaped")
	}
}

// TestLogHoldsNoSecrets looks for what must not be in a log at any level.
func TestLogHoldsNoSecrets(t *testing.T) {
	var out bytes.Buffer
	s := New(Options{Open: true, Logger: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	token := testToken(t, s, "wx1")
	setFaults(t, s, Faults{Trouble: Trouble{Busy: 0.5}})
	for i := range 10 {
		push(t, s, token, strings.Replace(bodyOf("W1", "ORDER-TOKEN", i), "到达", "18666666666", 1))
	}
	if n := strings.Count(out.String(), `"msg":"push"`); n != 10 || !strings.Contains(out.String(), `"waybill_id":"W1"`) {
		t.Errorf("%d lines for 10 pushes:\n%s", n, &out)
	}
	for _, secret := range []string{token, "ORDER-TOKEN", "18666666666", "secret"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(out.String(), `"busy":0.5`) {
		t.Error("the log does not tell which faults were set")
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	for _, o := range []Options{{TokenLife: 1}, {MaxNodes: -1}, {MaxWaybills: -1}, {MaxMessageBytes: -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%+v) did not panic", o)
				}
			}()
			New(o)
		}()
	}
}
