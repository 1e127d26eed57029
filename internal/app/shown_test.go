package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestWhatTheCustomerSees: a merchant orders, scans are pushed, and WeChat tells what the customer sees after each. It
// is in the waybill's story, with phone numbers for operators alone, until it is expunged; and after that it stays away.
func TestWhatTheCustomerSees(t *testing.T) {
	for _, format := range []string{"xml", "json"} {
		t.Run(format, func(t *testing.T) {
			carrier := sandbox.Carrier{
				DeliveryID: "SF", AppID: "wx0000000000000001", URL: apptest.CallbackURL("SF"), Token: callbackToken, EncodingAESKey: aesKey(),
				PreviousEncodingAESKey: aesKey(), Format: format, ExpressPath: true,
			}
			route := &apptest.Route{}
			up := apptest.NewUpstream(t, sandbox.Options{Carriers: []sandbox.Carrier{carrier}, CallbackTransport: route})
			up.Faulty(t, sandbox.Faults{Callback: wechatFaults})
			s := startDescribed(t, apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL, Callback: fmt.Sprintf(
				"{token: %s, encoding_aes_key: %q, previous_encoding_aes_key: %q}", callbackToken, carrier.EncodingAESKey, carrier.PreviousEncodingAESKey)}))
			route.Lead(s.Client)
			ordered, err := apptest.NewMerchant(t, up).Order(t.Context(), "SF", "order-1")
			if err != nil || ordered.Errcode != 0 {
				t.Fatalf("ordering: %+v, %v", ordered, err)
			}
			waybill := "/admin/v1/waybills/SF/" + ordered.WaybillID
			if seen := s.shown(t, waybill, s.Operator); seen != nil {
				t.Errorf("before any scan the customer sees %+v", seen)
			}
			scans := story(ordered.WaybillID, 100003, 100001, 200001, 300002)
			for i := range scans {
				scans[i] = without(scans[i])
				scans[i].ActionMsg = fmt.Sprintf("第 %d 步 <丽影邓丽君&【18666666666】>", i)
			}
			s.Accept(t, scans...)
			s.Settled(t, soon)
			sees(t, s.shown(t, waybill, s.Operator), "order-1", trace(scans...))
			masked := trace(scans...)
			for i := range masked {
				masked[i].ActionMsg = strings.Replace(masked[i].ActionMsg, "18666666666", "186****6666", 1)
			}
			sees(t, s.shown(t, waybill, s.Viewer), "order-1", masked)

			s.ask(t, 200, "POST", waybill+"/expunge", `{"reason":"用户要求删除"}`)
			known, err := up.AddOrder(sandbox.Order{DeliveryID: "SF", WaybillID: ordered.WaybillID})
			if err != nil {
				t.Fatal(err)
			}
			last := scan(ordered.WaybillID, 9, 300003)
			last.Token = known.Token
			s.Accept(t, last)
			s.Settled(t, soon)
			nodes := trace(append(scans, last)...)
			for i := range nodes {
				nodes[i].ActionMsg = "" // Of the last, too: it was scanned before.
			}
			sees(t, s.shown(t, waybill, s.Operator), "order-1", nodes)
			for _, c := range up.Mistakes() {
				t.Errorf("WeChat finds %s (%s) wrong: %s; status %d: %s", c.Event, c.Kind, c.Mistake, c.Status, c.Answer)
			}
		})
	}
}

// shown reads what the customer sees of a waybill, as an admin token may.
func (s described) shown(t *testing.T, waybill, token string) *apptest.Shown {
	t.Helper()
	var w apptest.Waybill
	if err := json.Unmarshal(s.ask(t, 200, "GET", waybill, "", "Authorization", "Bearer "+token), &w); err != nil {
		t.Fatal(err)
	}
	return w.Shown
}

func sees(t *testing.T, got *apptest.Shown, orderID string, want []sandbox.Node) {
	t.Helper()
	if got == nil || got.OrderID != orderID || got.Version == 0 || len(got.Actions) != len(want) {
		t.Fatalf("the customer sees %+v, want %v", got, want)
	}
	for i, a := range got.Actions {
		if sandbox.Node(a) != want[i] {
			t.Errorf("the customer sees %+v, want %+v", a, want[i])
		}
	}
}

// TestShownOfAnyCompany: a merchant's own program is an account here. It hears of waybills that nobody here knows, and
// they can be looked up and expunged.
func TestShownOfAnyCompany(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{})
	s := startDescribed(t, apptest.NewSettings(t, apptest.Account{DeliveryID: "SHOP", BaseURL: up.URL, Callback: "{token: " + callbackToken + "}"}))
	tell := func(version int, text string) {
		t.Helper()
		status, answer := weChatPushes(t, s.service, "SHOP", callbackToken, fmt.Sprintf("<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName>"+
			"<CreateTime>%d</CreateTime><MsgType>event</MsgType><Event>add_express_path</Event><DeliveryID>ZTO</DeliveryID><WayBillId>Z1</WayBillId>"+
			"<Version>%d</Version><Count>1</Count><Actions><ActionTime>%d</ActionTime><ActionType>300001</ActionType><ActionMsg>%s</ActionMsg>"+
			"<Lat>0</Lat><Lng>0</Lng></Actions><OrderId>01234</OrderId></xml>", time.Now().Unix(), version, base, text))
		if status != http.StatusOK || answer != "success" {
			t.Errorf("version %d is answered %d %s", version, status, answer)
		}
	}
	const waybill = "/admin/v1/waybills/ZTO/Z1"
	s.ask(t, 404, "GET", waybill, "")
	for _, version := range []int{16, 16, 3, 17} {
		tell(version, fmt.Sprintf("text %d", version))
	}
	sees(t, s.shown(t, waybill, s.Operator), "01234", []sandbox.Node{{ActionTime: base, ActionType: 300001, ActionMsg: "text 17"}})
	s.ask(t, 404, "POST", waybill+"/freeze", `{"reason":"nothing to hold"}`)
	s.ask(t, 200, "POST", waybill+"/expunge", `{"reason":"用户要求删除"}`)
	tell(18, "text 17 again")
	sees(t, s.shown(t, waybill, s.Operator), "01234", []sandbox.Node{{ActionTime: base, ActionType: 300001}})
	_, metrics := s.Ask(t, http.MethodGet, "/metrics", nil)
	for result, n := range map[string]int{"accepted": 3, "repeated": 2} {
		if want := fmt.Sprintf(`carrier_callbacks_total{delivery_id="SHOP",event="add_express_path",result=%q} %d`, result, n); !strings.Contains(string(metrics), want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
}
