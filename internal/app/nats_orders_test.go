package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"carrier/internal/app/apptest"
)

// question is what the dispatch system is asked.
type question struct {
	subject string
	header  nats.Header
	raw     string

	Event      string `json:"event"`
	DeliveryID string `json:"delivery_id"`
	OrderID    string `json:"order_id"`
	WaybillID  string `json:"waybill_id"`
	BizPwd     string `json:"biz_pwd"`
}

func (q *question) id() string { return q.header.Get(nats.MsgIdHdr) }

// orderDesk is a dispatch system that is asked about orders over NATS. It is safe for concurrent use.
type orderDesk struct {
	mu     sync.Mutex
	asked  []question
	answer func(q *question) *nats.Msg // nil: it is silent.
}

// serve answers the questions about one account until the test, or the returned subscription, ends.
func (d *orderDesk) serve(r *natsRig, deliveryID string) *nats.Subscription {
	r.t.Helper()
	sub, err := r.nc.Subscribe("carrier.orders."+deliveryID+".*", func(m *nats.Msg) {
		q := question{subject: m.Subject, header: m.Header, raw: string(m.Data)}
		if err := json.Unmarshal(m.Data, &q); err != nil {
			r.t.Errorf("asked %s: %v", m.Data, err)
		}
		d.mu.Lock()
		d.asked = append(d.asked, q)
		answer := d.answer(&q)
		d.mu.Unlock()
		if answer != nil {
			_ = m.RespondMsg(answer)
		}
	})
	if err == nil {
		err = r.nc.Flush()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return sub
}

// answers sets what is answered from now on: text, with this header; no text: silence.
func (d *orderDesk) answers(text string, header nats.Header) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = func(*question) *nats.Msg {
		if text == "" {
			return nil
		}
		return &nats.Msg{Data: []byte(text), Header: header}
	}
}

// questions are those since the last call.
func (d *orderDesk) questions() []question {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked := d.asked
	d.asked = nil
	return asked
}

const (
	yes     = `{"result_code":0}`
	silence = ""
)

// withCallback gives the account SF a callback in plain mode.
func withCallback(s *apptest.Settings) { s.Accounts[0].Callback = "{token: " + callbackToken + "}" }

// pushOrder has WeChat push a message in plain mode, which must be answered with a result code; it returns the answer.
func pushOrder(t *testing.T, s *service, deliveryID, message string, code int) string {
	t.Helper()
	began := time.Now()
	status, answer := weChatPushes(t, s, deliveryID, callbackToken, message)
	if status != http.StatusOK || !strings.Contains(answer, fmt.Sprintf("<ResultCode>%d</ResultCode>", code)) {
		t.Errorf("answered %d %s, want %d", status, answer, code)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the answer took %v; WeChat waits 5 s", took)
	}
	return answer
}

// askWeChat is a check_biz or get_quota in JSON.
func askWeChat(t *testing.T, s *service, event string) string {
	t.Helper()
	message := fmt.Sprintf(`{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":%d,"MsgType":"event","Event":%q,"BizID":"biz","BizPwd":%q,"ShopAppID":"wx1"}`,
		time.Now().Unix(), event, canaryPwd)
	status, answer := weChatAsks(t, s, http.MethodPost, "SF", callbackToken, "application/json", message)
	if status != http.StatusOK {
		t.Errorf("%s is answered %d %s", event, status, answer)
	}
	return answer
}

// TestNATSOrders asks a dispatch system over NATS about everything that WeChat pushes.
func TestNATSOrders(t *testing.T) {
	r := startNATS(t, func(s *apptest.Settings) { withCallback(s); s.LogLevel = "debug" })
	order := func(id, waybill string) string { return orderMessage("add_waybill", id, waybill, "token-"+waybill) }
	push := func(message string, code int) string { t.Helper(); return pushOrder(t, r.s, "SF", message, code) }

	t.Run("nobody is there", func(t *testing.T) {
		push(order("1", "W1"), 0)
		push(order("none", "0"), -1)
		push(orderMessage("cancel_waybill", "1", "W1", ""), 0)
		for _, event := range []string{"check_biz", "get_quota"} {
			if answer := askWeChat(t, r.s, event); !strings.Contains(answer, `"ResultCode":-1`) {
				t.Errorf("%s is answered %s", event, answer)
			}
		}
	})

	desk := &orderDesk{}
	sub := desk.serve(r, "SF")
	one := func(event string) question {
		t.Helper()
		asked := desk.questions()
		if len(asked) != 1 {
			t.Fatalf("asked %d times, want once", len(asked))
		}
		q := asked[0]
		if q.subject != "carrier.orders.SF."+event || q.Event != event || q.DeliveryID != "SF" || q.BizPwd != canaryPwd || q.id() == "" ||
			q.header.Get("content-type")+q.header.Get("Content-Type") != "application/json" {
			t.Errorf("asked %s on %s with %v", q.raw, q.subject, q.header)
		}
		return q
	}
	t.Run("yes", func(t *testing.T) {
		desk.answers(`{"result_code":0,"result_msg":"","waybill_data":{"mark":"888-666"}}`, nil)
		message := order("2", "W2")
		answer := push(message, 0)
		if !strings.Contains(answer, "W2") || !strings.Contains(answer, "##mark##888-666##") {
			t.Errorf("answered %s", answer)
		}
		if q := one("add_waybill"); q.OrderID != "2" || q.WaybillID != "W2" {
			t.Errorf("asked %s", q.raw)
		}
		if again := push(message, 0); again != answer || len(desk.questions()) != 0 {
			t.Errorf("the repeat is answered %s, want the same without asking", again)
		}
	})
	t.Run("a number of the company's own", func(t *testing.T) {
		early := without(scan("OWN-3", 1, 100001))
		r.s.Accept(t, early)
		desk.answers(`{"result_code":0,"waybill_id":"OWN-3"}`, nil)
		if answer := push(order("3", "0"), 0); !strings.Contains(answer, "OWN-3") {
			t.Errorf("answered %s", answer)
		}
		if q := one("add_waybill"); strings.Contains(q.raw, "waybill_id") {
			t.Errorf("asked %s, want no number", q.raw)
		}
		r.s.Settled(t, later)
		if got := r.up.Nodes("OWN-3").Nodes; !slices.Equal(got, trace(early)) {
			t.Errorf("upstream has %v; the order brought the Token", got)
		}
	})
	t.Run("no", func(t *testing.T) {
		desk.answers(`{"result_code":20005,"result_msg":"超出派送范围"}`, nil)
		message := order("4", "W4")
		if answer := push(message, 20005); !strings.Contains(answer, "超出派送范围") {
			t.Errorf("answered %s", answer)
		}
		first := one("add_waybill")
		desk.answers(yes, nil)
		push(message, 0) // A no is not kept.
		if q := one("add_waybill"); q.id() != first.id() {
			t.Errorf("the repeat has the id %s, want %s", q.id(), first.id())
		}
		push(order("5", "W5"), 0)
		if q := one("add_waybill"); q.id() == first.id() {
			t.Errorf("another order has the id %s too", q.id())
		}
	})
	t.Run("nothing that can be used", func(t *testing.T) {
		failure := nats.Header{micro.ErrorHeader: {"broken"}, micro.ErrorCodeHeader: {"500"}}
		for i, c := range []struct {
			text   string
			header nats.Header
		}{{"no JSON", nil}, {`{}`, nil}, {`{"result_code":"0"}`, nil}, {"{}", failure}, {yes, failure}, {"\xff", nil}, {yes + yes, nil}, {`{"result_code":31337}`, nil}} {
			desk.answers(c.text, c.header)
			message := order(fmt.Sprint("bad-", i), fmt.Sprint("BAD", i))
			push(message, -1)
			first := one("add_waybill")
			desk.answers(yes, nil)
			push(message, 0) // Nothing was kept.
			if q := one("add_waybill"); q.id() != first.id() {
				t.Errorf("the repeat has the id %s, want %s", q.id(), first.id())
			}
		}
	})
	t.Run("too slow", func(t *testing.T) {
		desk.answers(silence, nil)
		push(order("6", "W6"), -1)
		one("add_waybill")
		if status, _ := r.s.Ask(t, http.MethodGet, "/admin/v1/waybills/SF/W6", nil); status != http.StatusNotFound {
			t.Errorf("the waybill is known: %d", status)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		desk.answers(`{"result_code":30004,"result_msg":"已装车"}`, nil)
		push(orderMessage("cancel_waybill", "2", "W2", ""), 30004)
		if q := one("cancel_waybill"); q.OrderID != "2" || q.WaybillID != "W2" {
			t.Errorf("asked %s", q.raw)
		}
		desk.answers(yes, nil)
		push(orderMessage("cancel_waybill", "2", "W2", ""), 0)
		one("cancel_waybill")
		if w := r.s.Waybill(t, "SF", "W2"); w.Stage != "cancelled" {
			t.Errorf("the waybill is %s", w.Stage)
		}
		push(orderMessage("cancel_waybill", "3", "OWN-3", ""), 30002) // Picked up: nobody is asked.
		if asked := desk.questions(); len(asked) != 0 {
			t.Errorf("asked %v", asked)
		}
	})
	t.Run("check_biz and get_quota", func(t *testing.T) {
		for _, event := range []string{"check_biz", "get_quota"} {
			desk.answers(`{"result_code":0,"quota":4711}`, nil)
			if answer := askWeChat(t, r.s, event); !strings.Contains(answer, `"ResultCode":0`) || !strings.Contains(answer, "4711") {
				t.Errorf("%s is answered %s", event, answer)
			}
			one(event)
			desk.answers(`{"result_code":10002,"result_msg":"密码错误"}`, nil)
			if answer := askWeChat(t, r.s, event); !strings.Contains(answer, `"ResultCode":10002`) {
				t.Errorf("%s is answered %s", event, answer)
			}
			one(event)
		}
	})
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	if err := r.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	push(order("8", "W8"), 0) // The default rule again.
	r.s.stop()
	for _, secret := range []string{canaryPwd, canaryPhone, canaryAddress, "token-W"} {
		if strings.Contains(r.s.log.String(), secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
}

// TestNATSOrdersBesideAHook: the hook is asked where nobody listens on NATS, and nowhere else.
func TestNATSOrdersBesideAHook(t *testing.T) {
	var mu sync.Mutex
	hooked := 0
	hook := apptest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		mu.Lock()
		hooked++
		mu.Unlock()
		_, _ = io.WriteString(w, `{"result_code":0,"waybill_id":"BY-HOOK"}`)
	}))
	times := func() int {
		mu.Lock()
		defer mu.Unlock()
		n := hooked
		hooked = 0
		return n
	}
	r := startNATS(t, func(s *apptest.Settings) {
		withCallback(s)
		s.Accounts[0].Orders = fmt.Sprintf("{url: %q, secret: %q}", hook, "whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	})
	if answer := pushOrder(t, r.s, "SF", orderMessage("add_waybill", "1", "0", "T1"), 0); !strings.Contains(answer, "BY-HOOK") || times() != 1 {
		t.Errorf("with nobody on NATS: %s", answer)
	}
	desk := &orderDesk{}
	desk.serve(r, "SF")
	desk.answers(`{"result_code":0,"waybill_id":"BY-NATS"}`, nil)
	if answer := pushOrder(t, r.s, "SF", orderMessage("add_waybill", "2", "0", "T2"), 0); !strings.Contains(answer, "BY-NATS") || times() != 0 {
		t.Errorf("with somebody on NATS: %s", answer)
	}
	desk.answers(`{"result_code":-1,"result_msg":"no"}`, nil)
	pushOrder(t, r.s, "SF", orderMessage("add_waybill", "3", "0", "T3"), -1)
	desk.answers("no JSON", nil)
	pushOrder(t, r.s, "SF", orderMessage("add_waybill", "4", "0", "T4"), -1)
	if n := times(); n != 0 || len(desk.questions()) != 3 {
		t.Errorf("after a no, or an answer that can't be used, the hook was asked %d times: two systems would make a waybill each", n)
	}
}

// TestNATSOrdersWhileAway: while the server is away nobody knows whether somebody would be there, so WeChat is told no,
// in time, and nothing is kept.
func TestNATSOrdersWhileAway(t *testing.T) {
	r := startNATS(t, withCallback)
	desk := &orderDesk{}
	desk.serve(r, "SF")
	desk.answers(yes, nil)
	r.srv.Down()
	r.degraded("nats")
	message := orderMessage("add_waybill", "1", "W1", "T")
	pushOrder(t, r.s, "SF", message, -1)
	if status, _ := r.s.Ask(t, http.MethodGet, "/admin/v1/waybills/SF/W1", nil); status != http.StatusNotFound {
		t.Errorf("the waybill is known: %d", status)
	}
	r.srv.Up()
	r.ready()
	if err := r.nc.FlushTimeout(soon); err != nil { // The dispatch system is back too.
		t.Fatal(err)
	}
	pushOrder(t, r.s, "SF", message, 0)
	if asked := desk.questions(); len(asked) != 1 || asked[0].OrderID != "1" {
		t.Errorf("asked %+v", asked)
	}
}
