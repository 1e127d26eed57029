package app_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// wechatAccount is a delivery company in one of the ways that WeChat's console offers.
type wechatAccount struct {
	sandbox.Carrier
	callback string // The service's side of it, in YAML's flow form.
}

// wechatAccounts are all formats and modes, each with waybill numbers of WeChat's and of the company's own.
func wechatAccounts() (all []wechatAccount) {
	for _, format := range []string{"xml", "json"} {
		for _, mode := range []string{"plain", "compat", "safe"} {
			for _, own := range []bool{false, true} {
				id := strings.ToUpper(format + "-" + mode)
				if own {
					id += "-OWN"
				}
				a := wechatAccount{Carrier: sandbox.Carrier{
					DeliveryID: id, AppID: fmt.Sprintf("wx%016d", len(all)+1), URL: apptest.CallbackURL(id), Token: rand.Text(),
					Format: format, Mode: mode, OwnWaybillIDs: own,
				}}
				a.callback = fmt.Sprintf("{token: %s}", a.Token)
				if mode != "plain" {
					a.EncodingAESKey, a.PreviousEncodingAESKey = aesKey(), aesKey()
					a.callback = fmt.Sprintf("{token: %s, encoding_aes_key: %q, previous_encoding_aes_key: %q}",
						a.Token, a.EncodingAESKey, a.PreviousEncodingAESKey)
				}
				all = append(all, a)
			}
		}
	}
	return all
}

// aesKey is a random EncodingAESKey.
func aesKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // It never fails.
	return base64.RawStdEncoding.EncodeToString(key)
}

// numbering is a dispatch system that never gives the same number twice: who asks twice has two waybills.
type numbering struct {
	mu    sync.Mutex
	asked map[string]int // By event and order.
	last  int
}

func (n *numbering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Event     string `json:"event"`
		OrderID   string `json:"order_id"`
		WaybillID string `json:"waybill_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked[q.Event+" "+q.OrderID]++
	if q.WaybillID == "" {
		n.last++
		q.WaybillID = fmt.Sprintf("OWN%06d", n.last)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"result_code": 0, "result_msg": "ok", "waybill_id": q.WaybillID, "waybill_data": map[string]string{"mark": "888-666 <" + q.WaybillID + ">"},
	})
}

// wechatFaults are what an honest WeChat and its enemies do, none of which may be seen by a merchant.
var wechatFaults = sandbox.CallbackFaults{
	Repeats: 0.3, ConcurrentRepeats: 0.4, SameQuery: 0.5, PreviousKey: 0.5, WrongSignature: 0.4, PlainInSafe: 0.4,
}

// TestSandboxAndServiceAgree connects the two, which share no code, over HTTP in every format and mode: merchants
// order and cancel, copies come at once, forged ones between them, keys are rotated. Neither side may find a mistake.
func TestSandboxAndServiceAgree(t *testing.T) {
	accounts := wechatAccounts()
	hook := &numbering{asked: map[string]int{}}
	hookURL := apptest.Serve(t, hook)
	route := &apptest.Route{}
	o := sandbox.Options{CallbackTransport: route}
	for _, a := range accounts {
		o.Carriers = append(o.Carriers, a.Carrier)
	}
	up := apptest.NewUpstream(t, o)
	up.Faulty(t, sandbox.Faults{Callback: wechatFaults})
	settings := apptest.NewSettings(t)
	secret := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, a := range accounts {
		settings.Accounts = append(settings.Accounts, apptest.Account{
			DeliveryID: a.DeliveryID, BaseURL: up.URL, Callback: a.callback, Orders: fmt.Sprintf("{url: %q, secret: %q}", hookURL, secret),
		})
	}
	s := start(t, settings)
	route.Lead(s.Client)
	merchant := apptest.NewMerchant(t, up)

	numbers := map[string]string{}
	wanted := map[string][]apptest.Event{} // By waybill.
	for _, a := range accounts {
		for n := range ordersEach {
			orderID := fmt.Sprintf("%s-%d", a.DeliveryID, n)
			waybillID := placeOrder(t, merchant, &a, orderID)
			if other := numbers[waybillID]; other != "" {
				t.Errorf("orders %s and %s have the same waybill %s", other, orderID, waybillID)
			}
			numbers[waybillID] = orderID
			wanted[waybillID] = playOrder(t, s, merchant, n, a.DeliveryID, orderID, waybillID)
		}
	}
	s.Settled(t, soon)
	for waybillID, scans := range wanted {
		if nodes := up.Nodes(waybillID).Nodes; !slices.Equal(nodes, trace(scans...)) {
			t.Errorf("%s: upstream has %v of waybill %s, want %v", numbers[waybillID], nodes, waybillID, trace(scans...))
		}
	}
	agreed(t, s, up, hook, len(accounts)*ordersEach)
}

const ordersEach = 6 // Of each account; the first is cancelled, and the last too late.

// placeOrder places an order that must be taken, and returns the number of its waybill.
func placeOrder(t *testing.T, m *apptest.Merchant, a *wechatAccount, orderID string) string {
	t.Helper()
	got, err := m.Order(t.Context(), a.DeliveryID, orderID)
	if err != nil || got.Errcode != 0 || got.WaybillID == "" || strings.HasPrefix(got.WaybillID, "OWN") != a.OwnWaybillIDs {
		t.Fatalf("ordering %s: %+v (%v)", orderID, got, err)
	}
	return got.WaybillID
}

// playOrder does what becomes of the n-th order of an account, and returns what WeChat must have of its waybill.
func playOrder(t *testing.T, s *service, m *apptest.Merchant, n int, deliveryID, orderID, waybillID string) []apptest.Event {
	t.Helper()
	scans := story(waybillID, 100003, 100001, 200001)
	for i := range scans {
		scans[i] = without(scans[i]) // The order brought the Token.
		scans[i].DeliveryID = deliveryID
	}
	if n == 0 {
		agreeToCancel(t, s, m, deliveryID, orderID, waybillID)
		if v := s.Send(t, scans[1]).Verdict; v != "rejected" {
			t.Errorf("%s: a pickup of the cancelled waybill is %s", orderID, v)
		}
		return nil
	}
	s.Accept(t, scans...)
	if n == ordersEach-1 {
		if got, err := m.Cancel(t.Context(), deliveryID, orderID, waybillID); err != nil || got.Errcode != apptest.CarrierRefused || got.ResultCode != 30002 {
			t.Errorf("cancelling %s after its pickup: %+v (%v)", orderID, got, err)
		}
	}
	return scans
}

// agreeToCancel cancels an order that no scan stands against.
func agreeToCancel(t *testing.T, s *service, m *apptest.Merchant, deliveryID, orderID, waybillID string) {
	t.Helper()
	got, err := m.Cancel(t.Context(), deliveryID, orderID, waybillID)
	if err != nil || got.Errcode != 0 || got.ResultCode != 0 {
		t.Errorf("cancelling %s: %+v (%v)", orderID, got, err)
	}
	if w := s.Waybill(t, deliveryID, waybillID); w.Stage != "cancelled" || !w.TokenSet {
		t.Errorf("%s is cancelled, and its waybill is %+v", orderID, w)
	}
}

// agreed looks for mistakes on either side, and for whether anything happened that could have caused one.
func agreed(t *testing.T, s *service, up *apptest.Upstream, hook *numbering, orders int) {
	t.Helper()
	for _, c := range up.Mistakes() {
		t.Errorf("WeChat finds %s of %s (%s) wrong: %s; status %d: %s", c.Event, c.OrderID, c.Kind, c.Mistake, c.Status, c.Answer)
	}
	for code, n := range up.Stats().Errcodes {
		if code != 0 {
			t.Errorf("WeChat answers %d pushes with errcode %d", n, code)
		}
	}
	counts := up.Stats().Callbacks
	if min(counts.Forged, counts.Repeats) < 5 || counts.Sent < uint64(orders+20) {
		t.Errorf("the run is void: %+v", counts)
	}
	if n := strings.Count(s.log.String(), `"previous_key":true`); n < 5 {
		t.Errorf("the run is void: the previous key was used %d times", n)
	}
	hook.mu.Lock()
	defer hook.mu.Unlock()
	added := 0
	for what, n := range hook.asked {
		if strings.HasPrefix(what, "add_waybill ") {
			added++
			if n != 1 {
				t.Errorf("the dispatch system was asked %d times for %s", n, what)
			}
		}
	}
	if added != orders {
		t.Errorf("the dispatch system was asked about %d orders, want %d", added, orders)
	}
}
