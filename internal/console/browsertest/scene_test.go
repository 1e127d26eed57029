package browsertest

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"carrier/internal/app/apptest"
	"carrier/internal/bus/natstest"
	"carrier/internal/sandbox"
)

// scene is a service in which something of every kind has happened.
type scene struct {
	*service
	delivered, refused, differs string // Waybills.
	failedPush                  uint64
	replay                      string // One that is not done.
}

// Three accounts: SF is well, JT is paused, and for YTO upstream is always busy.
const (
	paused = "JT"
	busy   = "YTO"
)

func startScene(t *testing.T) *scene {
	t.Helper()
	browser(t)
	s := &scene{delivered: "SF1407020300001", refused: "SF1407020300002"}
	bus, merchant := s.startService(t)
	s.fail(t)
	s.Call(t, http.MethodPost, "/admin/v1/accounts/"+paused+"/pause", map[string]string{"reason": "网点搬迁，暂停推送"}, http.StatusOK, nil)
	s.startReplay(t)
	s.scans(t)
	s.differ(t, merchant)
	s.deadLetters(t, bus)
	return s
}

// startService starts the service beside a NATS server, and an upstream with a shop that orders there.
func (s *scene) startService(t *testing.T) (*nats.Conn, *apptest.Merchant) {
	t.Helper()
	const callbackToken, aesKey = "pushToken1", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	carrier := sandbox.Carrier{DeliveryID: "SF", AppID: "wx0000000000000001", URL: apptest.CallbackURL("SF"), Token: callbackToken, EncodingAESKey: aesKey}
	route := &apptest.Route{}
	up := apptest.NewUpstream(t, sandbox.Options{Open: true, Carriers: []sandbox.Carrier{carrier}, CallbackTransport: route})
	overloaded := apptest.NewUpstream(t, sandbox.Options{Open: true})
	overloaded.Faulty(t, sandbox.Faults{Trouble: sandbox.Trouble{Busy: 1}})
	server := natstest.Start(t, nil)
	settings := apptest.NewSettings(t,
		apptest.Account{DeliveryID: "SF", BaseURL: up.URL, Callback: fmt.Sprintf("{token: %s, encoding_aes_key: %s}", callbackToken, aesKey)},
		apptest.Account{DeliveryID: paused, BaseURL: up.URL},
		apptest.Account{DeliveryID: busy, BaseURL: overloaded.URL})
	settings.NATS = fmt.Sprintf("{url: %q}", server.URL())
	settings.ReorderWindow = time.Hour
	settings.Merchants = fmt.Sprintf("[{name: shop, appid: wxmerchant, secret: s, base_url: %q}]", up.URL)
	settings.Verify = "{share: 1, rate: 1000, per_day: 1000000, after: 100ms, delay: 1ms}"
	settings.Push = `{retry: {initial: 10ms, max: 100ms, multiplier: 2, max_age: 72h}, ` +
		`breaker: {min_requests: 3, failure_ratio: 0.5, interval: 1m, open_for: 1h, half_open: 2}}`
	fallSilent(t, settings.Store, "SF1407020300004", "SF1407020300006")
	s.service = &service{start(t, settings), up}
	route.Lead(s.Client)
	return server.Connect(), apptest.NewMerchant(t, up)
}

// scans brings waybills in every state: delivered, with a rejected scan, held, and waiting for what their accounts
// wait for.
func (s *scene) scans(t *testing.T) {
	t.Helper()
	all := story(s.delivered, 100003, 100001, 200001, 300002, 300003, 200001)
	s.Accept(t, all[:5]...)
	s.verdicts(t, "rejected", all[5])
	s.verdicts(t, "held", story("SF1407020300003", 300003)...)
	for _, account := range []string{paused, busy} {
		s.Accept(t, of(account, story(account+"7755000000001", 100001, 200001))...)
	}
	apptest.Eventually(t, soon, func() bool { return s.Account(t, busy).Breaker.State == "open" }, apptest.Text("an open breaker"))
}

// fail makes pushes that fail for good: some of SF's, and some of the account that is then paused.
func (s *scene) fail(t *testing.T) {
	t.Helper()
	const other, waiting = "SF1407020300005", paused + "7755000000002"
	s.fails(t, s.refused, other, waiting)
	s.failedPush = s.Accept(t, story(s.refused, 100003, 100001, 200001)...)[0]
	s.Accept(t, story(other, 100001, 200001, 300002)...)
	s.Accept(t, of(paused, story(waiting, 100001, 200001))...)
	s.failed(t, 8)
}

// startReplay starts a replay that waits until the paused account goes on.
func (s *scene) startReplay(t *testing.T) {
	t.Helper()
	var started apptest.Replay
	s.Call(t, http.MethodPost, "/admin/v1/replays", map[string]any{
		"filter": map[string]string{"delivery_id": paused}, "reason": "微信已修复",
	}, http.StatusAccepted, &started)
	s.replay = started.ID
}

// differ makes a waybill of which WeChat lost a node.
func (s *scene) differ(t *testing.T, merchant *apptest.Merchant) {
	t.Helper()
	ordered, err := merchant.Order(t.Context(), "SF", "order-1")
	if err != nil || ordered.Errcode != 0 {
		t.Fatalf("ordering: %+v, %v", ordered, err)
	}
	s.differs = ordered.WaybillID
	s.up.Faulty(t, sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{s.differs: {Fault: "drop", Times: 1}}})
	events := story(s.differs, 100003, 100001, 200001, 300002, 300003)
	for i := range events {
		events[i].Token = "" // The order brought it.
	}
	s.Accept(t, events...)
	apptest.Eventually(t, soon, func() bool { return s.count(t, "/admin/v1/differences") > 0 }, apptest.Text("a difference found"))
}

// deadLetters publishes what can never be read.
func (s *scene) deadLetters(t *testing.T, bus *nats.Conn) {
	t.Helper()
	for _, body := range []string{`{"id":"scan-77","waybill_id":`, "\xff\xfe\x00 no text", `{"id":"scan-78","waybill_id":"SF1","action_type":1,"action_time":1,"action_msg":"<b>x</b>"}`} {
		if err := bus.Publish("carrier.events.depot-7", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	apptest.Eventually(t, soon, func() bool { return s.count(t, "/admin/v1/dead-letters") == 3 }, apptest.Text("three dead letters"))
}

// count is how many items a list has.
func (s *scene) count(t *testing.T, path string) int {
	t.Helper()
	var list struct{ Items []struct{} }
	s.Call(t, http.MethodGet, path, nil, http.StatusOK, &list)
	return len(list.Items)
}
