package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// orderKills is how often TestKill9BetweenTokenAndAnswer kills the service.
const orderKills = 10

// forgetful is a dispatch system that numbers a waybill anew each time it is asked: only what the service keeps makes
// two answers the same.
type forgetful struct{ asked atomic.Int64 }

func (f *forgetful) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	n := f.asked.Add(1)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"result_code": 0, "result_msg": "ok", "waybill_id": fmt.Sprintf("OWN%08d", n), "waybill_data": map[string]string{"n": fmt.Sprint(n)}})
}

// answers are what the service answered to add_waybill, as WeChat hears it, also where nobody listens any more.
type answers struct {
	mu       sync.Mutex
	byOrder  map[string]string // Order -> its answer, but for the time of it.
	copies   int               // Answers beside the first of an order.
	violated []string
}

// hear is an apptest.Route's Heard, for plain JSON.
func (a *answers) hear(_, answer []byte, status int) {
	var r map[string]any
	if status != http.StatusOK || json.Unmarshal(answer, &r) != nil || r["ResultCode"] != 0.0 {
		return // WeChat sends it again.
	}
	delete(r, "CreateTime")
	orderID, text := fmt.Sprint(r["OrderID"]), fmt.Sprint(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch first, again := a.byOrder[orderID]; {
	case !again:
		a.byOrder[orderID] = text
	case first != text:
		a.violated = append(a.violated, fmt.Sprintf("order %s is answered\n%s\nafter\n%s", orderID, text, first))
	default:
		a.copies++
	}
}

// shop orders and sends scans through the service's deaths.
type shop struct {
	merchant *apptest.Merchant
	client   atomic.Pointer[apptest.Client]
	taken    atomic.Int64 // Orders that the merchant was told to be taken.
	asked    atomic.Int64 // Orders under way.
	again    atomic.Int64 // Orders placed again, since the service gave no answer.

	mu      sync.Mutex
	waybill map[string]string // By order.
}

// trade orders, and has each parcel scanned, until stop; then it ends what it began.
func (s *shop) trade(ctx context.Context, t *testing.T, worker int, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		orderID := fmt.Sprintf("order-%d-%d", worker, n)
		waybillID, ok := s.place(ctx, t, orderID)
		if !ok {
			return
		}
		for _, e := range orderedScans(waybillID) {
			s.scan(ctx, t, e)
		}
	}
}

// place orders until the order is taken.
func (s *shop) place(ctx context.Context, t *testing.T, orderID string) (waybillID string, ok bool) {
	s.asked.Add(1)
	defer s.asked.Add(-1)
	for ctx.Err() == nil {
		a, err := s.merchant.Order(ctx, "SF", orderID)
		switch {
		case err != nil:
			t.Errorf("ordering %s: %v", orderID, err)
			return "", false
		case a.Errcode == 0:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.waybill[orderID] = a.WaybillID
			s.taken.Add(1)
			return a.WaybillID, true
		case a.Errcode != apptest.CarrierFailed:
			t.Errorf("ordering %s: %+v", orderID, a)
			return "", false
		}
		s.again.Add(1)
		pause(ctx)
	}
	return "", false
}

// scan sends a scan until it is taken.
func (s *shop) scan(ctx context.Context, t *testing.T, e apptest.Event) {
	for ctx.Err() == nil {
		a, err := s.client.Load().Post(ctx, e)
		if err == nil && a.HTTP < http.StatusInternalServerError {
			if a.Final() != "accepted" {
				t.Errorf("scan %s is answered %d %s", e.ID, a.HTTP, a.Body)
			}
			return
		}
		pause(ctx)
	}
}

// pause keeps those whose service is dead from keeping the machine busy.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Millisecond):
	}
}

// orderedScans are a waybill's scans, without a Token: the order brings it.
func orderedScans(waybillID string) []apptest.Event {
	events := make([]apptest.Event, 0, 3)
	for i, action := range []int{100003, 100001, 200001} {
		events = append(events, apptest.Event{
			ID: fmt.Sprintf("%s-%d", waybillID, i), DeliveryID: "SF", WaybillID: waybillID, ActionType: action,
			ActionTime: 1_700_000_000 + int64(i)*60, ActionMsg: fmt.Sprintf("扫描 %d of %s", i, waybillID),
		})
	}
	return events
}

// TestKill9BetweenTokenAndAnswer kills the service at random moments while WeChat brings it orders, some of them in
// three copies at once. Each order that the merchant heard to be taken is there with its Token, every answer that was
// ever given to it is the same, and its scans arrive in order.
func TestKill9BetweenTokenAndAnswer(t *testing.T) {
	seed := rand.Uint64N(1 << 32)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 4))
	heard := &answers{byOrder: map[string]string{}}
	route := &apptest.Route{Heard: heard.hear}
	hook := &forgetful{}
	const token = "killTest1"
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1, CallbackTransport: route, MaxCallbacks: 100_000, Carriers: []sandbox.Carrier{{
		DeliveryID: "SF", AppID: "wx0000000000000001", URL: apptest.CallbackURL("SF"), Token: token, Format: "json", OwnWaybillIDs: true,
	}}})
	up.Faulty(t, sandbox.Faults{Callback: sandbox.CallbackFaults{Repeats: 0.2, ConcurrentRepeats: 0.4, SameQuery: 0.5, DropAnswer: 0.2}})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL, Timeout: 2 * time.Second,
		Callback: "{token: " + token + "}",
		Orders:   fmt.Sprintf("{url: %q, secret: %q}", apptest.Serve(t, hook), "whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 32))),
	})
	file := settings.File(t)
	p, c := serveCarrier(t, settings, file)
	route.Lead(c)
	s := openShop(t, up, c)

	withOrders := 0
	for range orderKills {
		before, moment := s.taken.Load(), time.NewTimer(time.Duration(50+rng.IntN(400))*time.Millisecond)
		apptest.Eventually(t, later, func() bool { return s.taken.Load() > before+5 || t.Failed() }, func() string {
			return fmt.Sprintf("orders are taken after a restart; the log ends with\n%s", p.tail(20))
		})
		if t.Failed() {
			return // There are no more orders to wait for.
		}
		<-moment.C
		if s.asked.Load() > 0 {
			withOrders++
		}
		p.kill()
		p, c = serveCarrier(t, settings, file)
		s.client.Store(c)
		route.Lead(c)
	}
	s.close()
	up.Faulty(t, sandbox.Faults{})
	c.Drain(t, soon)
	checkTrade(t, s, c, up, heard)
	t.Logf("%d kills (%d with orders under way); %d orders, %d of them placed again, the dispatch system asked %d times, %d further answers to the same order",
		orderKills, withOrders, s.taken.Load(), s.again.Load(), hook.asked.Load(), heard.copies)
	// A run without copies, or without orders that were cut, proves nothing.
	if withOrders < orderKills/2 || s.again.Load() < orderKills/2 || heard.copies < orderKills {
		t.Errorf("the run is void: too few orders under way at the kills, or too few copies")
	}
	if status, _ := p.terminate(t); status != 0 {
		t.Errorf("the last process ended with status %d", status)
	}
}

// tradingShop is a shop with its workers.
type tradingShop struct {
	*shop
	close func() // Ends what was begun, and waits for it.
}

func openShop(t *testing.T, up *apptest.Upstream, c *apptest.Client) tradingShop {
	t.Helper()
	s := &shop{merchant: apptest.NewMerchant(t, up), waybill: map[string]string{}}
	s.client.Store(c)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for n := range 6 {
		workers.Go(func() { s.trade(ctx, t, n, stop) })
	}
	t.Cleanup(func() { cancel(); workers.Wait() })
	return tradingShop{s, func() { close(stop); workers.Wait() }}
}

// checkTrade compares what merchants were told with what there is.
func checkTrade(t *testing.T, s tradingShop, c *apptest.Client, up *apptest.Upstream, heard *answers) {
	t.Helper()
	for _, v := range heard.violated {
		t.Error(v)
	}
	for _, m := range up.Mistakes() {
		t.Errorf("WeChat finds %s of %s (%s) wrong: %s; status %d: %s", m.Event, m.OrderID, m.Kind, m.Mistake, m.Status, m.Answer)
	}
	orders := map[string]bool{}
	for orderID, waybillID := range s.waybill {
		if orders[waybillID] {
			t.Errorf("waybill %s is of two orders", waybillID)
		}
		orders[waybillID] = true
		if w := c.Waybill(t, "SF", waybillID); !w.TokenSet || w.Stage != "in_transit" {
			t.Errorf("order %s was taken, and its waybill %s is %+v", orderID, waybillID, w)
		}
		var want []sandbox.Node
		for _, e := range orderedScans(waybillID) {
			want = append(want, sandbox.Node{ActionTime: e.ActionTime, ActionType: int64(e.ActionType), ActionMsg: e.ActionMsg})
		}
		if got := up.Nodes(waybillID).Nodes; !slices.Equal(got, want) {
			t.Errorf("order %s, waybill %s: upstream has %v, want %v", orderID, waybillID, got, want)
		}
	}
	for _, o := range up.MerchantOrders() {
		if o.State != "taken" || s.waybill[o.OrderID] != o.WaybillID {
			t.Errorf("WeChat has order %s as %s with waybill %s; its merchant was told %q", o.OrderID, o.State, o.WaybillID, s.waybill[o.OrderID])
		}
	}
}
