package demo

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDispatch has an order scanned once, before its answer, and only if the service asks.
func TestDispatch(t *testing.T) {
	d := newDispatch()
	scanned := ""
	done := d.sendCourier("order-1", func(_ context.Context, waybill string) { scanned += waybill })
	ask := func(key []byte, event string) int {
		body := `{"event":"` + event + `","order_id":"order-1","waybill_id":"W1"}`
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("id-1.1700000000." + body))
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)).WithContext(t.Context())
		r.Header.Set("webhook-id", "id-1")
		r.Header.Set("webhook-timestamp", "1700000000")
		r.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		return w.Code
	}
	if status := ask([]byte("another"), "add_waybill"); status != http.StatusUnauthorized || scanned != "" {
		t.Errorf("somebody else is answered %d, and %q was scanned", status, scanned)
	}
	for range 2 {
		if status := ask(d.key, "add_waybill"); status != http.StatusOK {
			t.Errorf("the service is answered %d", status)
		}
	}
	if <-done; scanned != "W1" {
		t.Errorf("scanned %q, want W1 once", scanned)
	}
	if status := ask(d.key, "cancel_waybill"); status != http.StatusOK || scanned != "W1" {
		t.Errorf("a cancellation is answered %d, and %q was scanned", status, scanned)
	}
}
