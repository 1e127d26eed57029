package demo

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// dispatch is the courier's dispatch system, which the service asks about orders over HTTP. It agrees to all. Where a
// courier is at the shop already, the parcel is scanned before the answer: a scan that is faster than its Token. It is
// safe for concurrent use.
type dispatch struct {
	key []byte // Signs what the service asks (Standard Webhooks).

	mu      sync.Mutex
	errands map[string]*errand // By order; of those that were not asked about yet. Owned by mu.
}

// errand is a scan to be made as soon as an order is known.
type errand struct {
	scan func(ctx context.Context, waybill string)
	done chan struct{}
}

// scanFirst is how long an answer waits for such a scan. The service waits 3.5 s for the answer.
const scanFirst = time.Second

func newDispatch() *dispatch {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // It never fails.
	return &dispatch{key: key, errands: map[string]*errand{}}
}

// secret is the key as the service's configuration takes it.
func (d *dispatch) secret() string { return "whsec_" + base64.StdEncoding.EncodeToString(d.key) }

// sendCourier has a waybill scanned when the service asks about its order. The scan's ctx ends when the answer is
// given, before which the service has no Token; done tells that scan has returned.
func (d *dispatch) sendCourier(orderID string, scan func(ctx context.Context, waybill string)) (done <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := &errand{scan: scan, done: make(chan struct{})}
	d.errands[orderID] = e
	return e.done
}

// ServeHTTP answers the service.
func (d *dispatch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var question struct {
		Event     string `json:"event"`
		OrderID   string `json:"order_id"`
		WaybillID string `json:"waybill_id"`
	}
	if err != nil || !d.signed(r.Header, body) || json.Unmarshal(body, &question) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if question.Event == "add_waybill" {
		d.run(r.Context(), question.OrderID, question.WaybillID)
	}
	_, _ = io.WriteString(w, `{"result_code":0,"result_msg":"ok"}`) // The service has gone; nobody is left to be told.
}

// run makes the scan that waits for an order, if there is one. A scan that takes long goes on after the answer; who
// sent the courier waits for it.
func (d *dispatch) run(ctx context.Context, orderID, waybill string) {
	d.mu.Lock()
	e := d.errands[orderID]
	delete(d.errands, orderID)
	d.mu.Unlock()
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, scanFirst)
	defer cancel()
	go func() {
		defer close(e.done)
		e.scan(ctx, waybill)
	}()
	select {
	case <-e.done:
	case <-ctx.Done():
	}
}

// signed checks the signature as Standard Webhooks 1.0 defines it.
func (d *dispatch) signed(h http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, d.key)
	mac.Write([]byte(h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "."))
	mac.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(want), []byte(h.Get("webhook-signature")))
}
