package app_test

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

const callbackToken = "pushToken1"

// weChatPushes sends a message in plain mode, as WeChat does, and returns the answer.
func weChatPushes(t *testing.T, s *service, deliveryID, token, message string) (status int, answer string) {
	t.Helper()
	return weChatAsks(t, s, http.MethodPost, deliveryID, token, "text/xml", message)
}

func weChatAsks(t *testing.T, s *service, method, deliveryID, token, mediaType, message string) (status int, answer string) {
	t.Helper()
	texts := []string{token, strconv.FormatInt(time.Now().Unix(), 10), rand.Text()}
	query := url.Values{"timestamp": {texts[1]}, "nonce": {texts[2]}}
	if method == http.MethodGet {
		query.Set("echostr", "4375120948345356249")
	}
	slices.Sort(texts)
	sum := sha1.Sum([]byte(strings.Join(texts, "")))
	query.Set("signature", hex.EncodeToString(sum[:]))
	status, _, body, err := s.Do(t.Context(), method, s.Events+"/wechat/"+deliveryID+"/callback?"+query.Encode(), mediaType, []byte(message), nil)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(body)
}

// orderMessage is an event of an order in XML.
func orderMessage(event, orderID, waybillID, token string) string {
	person := "<Name>张三</Name><Mobile>" + canaryPhone + "</Mobile><Address>" + canaryAddress + "</Address>"
	return fmt.Sprintf("<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>%d</CreateTime><MsgType>event</MsgType>"+
		"<Event>%s</Event><Token>%s</Token><OrderID>%s</OrderID><BizID>biz</BizID><BizPwd>%s</BizPwd><ShopAppID>wx1</ShopAppID><WayBillID>%s</WayBillID>"+
		"<Sender>%s</Sender><Receiver>%s</Receiver></xml>", time.Now().Unix(), event, token, orderID, canaryPwd, waybillID, person, person)
}

const (
	canaryPwd     = "canary-BizPwd-4711"
	canaryAddress = "金丝雀路四十二号"
)

// TestOrdersFromWeChat is the whole loop: scans wait, the order brings the Token, they are pushed; the dispatch system
// numbers a waybill; a cancellation is answered by the scans.
func TestOrdersFromWeChat(t *testing.T) {
	var asked atomic.Int32
	dispatch := apptest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		var q struct {
			Event     string
			OrderID   string `json:"order_id"`
			WaybillID string `json:"waybill_id"`
			BizPwd    string `json:"biz_pwd"`
		}
		if err := json.Unmarshal(body, &q); err != nil || q.BizPwd != canaryPwd || r.Header.Get("webhook-signature") == "" {
			t.Errorf("the dispatch system was asked %s (%v)", body, err)
		}
		if q.Event == "add_waybill" && q.WaybillID == "" {
			q.WaybillID = "OWN-" + q.OrderID
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"result_code": 0, "result_msg": string(body), "waybill_id": q.WaybillID})
	}))
	secret := make([]byte, 32)
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	account := sf(up)
	account.Callback = "{token: " + callbackToken + "}"
	account.Orders = fmt.Sprintf("{url: %q, secret: %q}", dispatch, "whsec_"+base64.StdEncoding.EncodeToString(secret))
	settings := apptest.NewSettings(t, account, apptest.Account{DeliveryID: "MUTE", BaseURL: up.URL})
	settings.LogLevel = "debug"
	spans := &spanKeeper{}
	s := startTraced(t, settings, newTracing(t, spans))

	early := without(scan("OWN-1", 1, 100003))
	s.Accept(t, early)
	var answers strings.Builder
	push := func(event, orderID, waybillID, code string) {
		t.Helper()
		status, answer := weChatPushes(t, s, "SF", callbackToken, orderMessage(event, orderID, waybillID, "token-OWN-"+orderID))
		answers.WriteString(answer)
		if status != http.StatusOK || !strings.Contains(answer, "<ResultCode>"+code+"</ResultCode>") {
			t.Errorf("%s of order %s is answered %d %s, want %s", event, orderID, status, answer, code)
		}
	}
	status, body := s.Ask(t, http.MethodPost, "/admin/v1/accounts/SF/pause", map[string]string{"reason": "a test"})
	if status != http.StatusOK {
		t.Fatalf("pausing answers %d: %s", status, body)
	}
	push("add_waybill", "1", "0", "0") // A paused account takes orders: only its pushes wait.
	push("add_waybill", "1", "0", "0")
	if status, body := s.Ask(t, http.MethodPost, "/admin/v1/accounts/SF/resume", nil); status != http.StatusOK {
		t.Fatalf("resuming answers %d: %s", status, body)
	}
	picked := without(scan("OWN-1", 2, 100001))
	s.Accept(t, picked)
	s.Settled(t, soon)
	if got, want := up.Nodes("OWN-1").Nodes, trace(early, picked); !slices.Equal(got, want) {
		t.Errorf("upstream has %v, want %v", got, want)
	}
	push("cancel_waybill", "1", "OWN-1", "30002")
	push("add_waybill", "2", "W2", "0")
	push("cancel_waybill", "2", "W2", "0")
	push("cancel_waybill", "3", "W3", "30001")
	if a := s.Send(t, scan("W2", 1, 100001)); a.HTTP != http.StatusConflict || a.Verdict != "rejected" {
		t.Errorf("a pickup after the cancellation is %+v", a)
	}
	if asked.Load() != 3 {
		t.Errorf("the dispatch system was asked %d times", asked.Load())
	}
	for deliveryID, want := range map[string]int{"SF": 401, "MUTE": 404, "NOBODY": 404} {
		if status, answer := weChatPushes(t, s, deliveryID, "anotherToken", orderMessage("add_waybill", "9", "W9", "T")); status != want {
			t.Errorf("a forged push to %s is answered %d %s", deliveryID, status, answer)
		}
	}
	secretsOfOrders(t, s, answers.String(), spans)
}

// secretsOfOrders looks for what was in the orders wherever something comes out.
func secretsOfOrders(t *testing.T, s *service, answers string, spans *spanKeeper) {
	t.Helper()
	pages := map[string]string{"the answers to WeChat": answers}
	for _, path := range []string{"/metrics", "/readyz", "/admin/v1/pushes", "/admin/v1/events", "/admin/v1/accounts", "/admin/v1/audit", "/admin/v1/stats",
		"/admin/v1/waybills/SF/OWN-1", "/admin/v1/waybills/SF/W2"} {
		status, body := s.Ask(t, http.MethodGet, path, nil)
		if status != http.StatusOK {
			t.Errorf("GET %s answers %d: %s", path, status, body)
		}
		pages[path] = string(body)
	}
	for _, sample := range []string{
		`carrier_callbacks_total{delivery_id="SF",event="add_waybill",result="accepted"} 2`, `carrier_callbacks_total{delivery_id="SF",event="add_waybill",result="repeated"} 1`,
		`carrier_callbacks_total{delivery_id="SF",event="cancel_waybill",result="refused"} 2`, `carrier_callbacks_total{delivery_id="SF",event="",result="forged"} 1`,
		`carrier_callbacks_total{delivery_id="",event="",result="unknown"} 2`,
	} {
		if !strings.Contains(pages["/metrics"], sample) {
			t.Errorf("/metrics has no %s", sample)
		}
	}
	s.stop()
	pages["the log"], pages["the spans"] = s.log.String(), spans.text()
	if !strings.Contains(pages["the spans"], "ask dispatch") {
		t.Error("there is no span of a question")
	}
	for where, text := range pages {
		for _, secret := range []string{canaryPwd, canaryPhone, canaryAddress, callbackToken} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s is in %s: ...%s...", secret, where, text[max(0, i-100):i+len(secret)])
			}
		}
		if where != "the answers to WeChat" && strings.Contains(text, "token-OWN") { // Those repeat the Token, as the document wants it.
			t.Errorf("the Token is in %s", where)
		}
	}
	if len(pages) != 12 {
		t.Errorf("only %v were looked at", slices.Sorted(maps.Keys(pages)))
	}
}

// TestCallbacksFollowTheDescription asks for every answer that is described.
func TestCallbacksFollowTheDescription(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	account := sf(up)
	account.Callback = "{token: " + callbackToken + "}"
	s := startDescribed(t, apptest.NewSettings(t, account))
	const asXML, asJSON = "text/xml", "application/json"
	question := fmt.Sprintf(`{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":%d,"MsgType":"event","Event":"get_quota","BizID":"biz","BizPwd":"x","ShopAppID":"wx1"}`, time.Now().Unix())
	for _, c := range []struct {
		name, method, account, token, mediaType, message string
		status                                           int
		want                                             string
	}{
		{"the address is checked", "GET", "SF", callbackToken, "", "", 200, "4375120948345356249"},
		{"an order in XML", "POST", "SF", callbackToken, asXML, orderMessage("add_waybill", "1", "W1", "T"), 200, "<WayBillID><![CDATA[W1]]></WayBillID>"},
		{"a question in JSON", "POST", "SF", callbackToken, asJSON, question, 200, `"ResultCode":-1`},
		{"an event that is nobody's", "POST", "SF", callbackToken, asXML, orderMessage("another", "1", "W1", "T"), 200, "success"},
		{"another Token", "POST", "SF", "another", asXML, orderMessage("add_waybill", "1", "W1", "T"), 401, "unauthorized"},
		{"another Token when it is checked", "GET", "SF", "another", "", "", 401, "unauthorized"},
		{"another account", "POST", "ZTO", callbackToken, asXML, "<xml></xml>", 404, "not_found"},
		{"too large", "POST", "SF", callbackToken, asXML, strings.Repeat("x", 1<<20+1), 413, "body_too_large"},
	} {
		if status, answer := weChatAsks(t, s.service, c.method, c.account, c.token, c.mediaType, c.message); status != c.status || !strings.Contains(answer, c.want) {
			t.Errorf("%s: answered %d %s, want %d %s", c.name, status, answer, c.status, c.want)
		}
	}
}
