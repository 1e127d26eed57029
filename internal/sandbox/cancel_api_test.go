package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestSilentCancel: an order is cancelled, and only whoever asks about it hears of it.
func TestSilentCancel(t *testing.T) {
	f := newFake(t, formatJSON, modePlain)
	s, merchant := f.box(Options{})
	id := order(t, s, addURL, merchant, orderBody("order-1")).WaybillID
	for _, test := range []struct {
		name, method, body string
		want               int
	}{
		{"an order", http.MethodPost, `{"delivery_id":"SF","waybill_id":"` + id + `"}`, http.StatusOK},
		{"again", http.MethodPost, `{"delivery_id":"SF","waybill_id":"` + id + `"}`, http.StatusOK},
		{"no order", http.MethodPost, `{"delivery_id":"SF","waybill_id":"0"}`, http.StatusNotFound},
		{"another carrier's", http.MethodPost, `{"delivery_id":"YD","waybill_id":"` + id + `"}`, http.StatusNotFound},
		{"an unknown field", http.MethodPost, `{"order_id":"order-1"}`, http.StatusBadRequest},
		{"no POST", http.MethodGet, "", http.StatusMethodNotAllowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, httptest.NewRequest(test.method, "/_sandbox/cancel", strings.NewReader(test.body)))
			if rec.Code != test.want || rec.Code == http.StatusOK && !strings.Contains(rec.Body.String(), `"state":"cancelled"`) {
				t.Errorf("%d %s, want %d", rec.Code, rec.Body, test.want)
			}
		})
	}
	if n := len(f.pushes("cancel_waybill")); n != 0 {
		t.Errorf("the carrier was told %d times", n)
	}
	var got struct {
		OrderStatus int `json:"order_status"`
	}
	if read(t, s, getURL, merchant, `{"order_id":"order-1","delivery_id":"SF"}`, &got); got.OrderStatus != 1 {
		t.Errorf("order/get says order_status %d", got.OrderStatus)
	}
}

// TestSilentCancelOfABusyOrder: an order about which its carrier is being asked can't be cancelled by the way.
func TestSilentCancelOfABusyOrder(t *testing.T) {
	f := newFake(t, formatJSON, modePlain)
	s, merchant := f.box(Options{})
	id := order(t, s, addURL, merchant, orderBody("order-1")).WaybillID
	f.change = func(*pushedEvent, map[string]any) {
		if _, err := s.CancelSilently("SF", id); err == nil {
			t.Error("it is cancelled while its carrier is asked to cancel it")
		}
	}
	if got := order(t, s, cancelURL, merchant, cancelBody("order-1", id)); got.Errcode != 0 {
		t.Errorf("order/cancel: %+v", got)
	}
}
