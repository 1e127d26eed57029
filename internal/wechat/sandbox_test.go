package wechat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"carrier/internal/sandbox"
)

// box is the sandbox over real HTTP, with a delivery company SF that gives its waybills the numbers of the documents.
type box struct {
	*sandbox.Sandbox
	client *Client
	tokens map[string]string // The Tokens that SF was given, by waybill.
}

// waybillsOfDocuments are SF's numbers for the documents' orders.
var waybillsOfDocuments = map[string]string{"01234567890123456789": "123456789", "01234567890123456789_2": "123456789_2"}

func newBox(t *testing.T, o sandbox.Options) *box {
	t.Helper()
	b := &box{tokens: map[string]string{}}
	sf := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e map[string]any
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		text := func(name string) string { s, _ := e[name].(string); return s }
		waybill := waybillsOfDocuments[text("OrderID")]
		if token := text("Token"); token != "" {
			b.tokens[waybill] = token
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"ToUserName": e["FromUserName"], "FromUserName": e["ToUserName"], "CreateTime": e["CreateTime"], "MsgType": "event",
			"Event": e["Event"], "Token": e["Token"], "OrderID": e["OrderID"], "BizID": e["BizID"], "WayBillID": waybill,
			"ResultCode": 0, "ResultMsg": "ok", "WaybillData": "##SF_bagAddr##广州##SF_mark##101- 07-03 509##",
		})
	}))
	t.Cleanup(sf.Close)
	o.Carriers = []sandbox.Carrier{{DeliveryID: "SF", AppID: "wxsf", URL: sf.URL, Token: "signingToken", Format: "json", Mode: "plain", OwnWaybillIDs: true}}
	b.Sandbox = sandbox.New(o)
	up := httptest.NewServer(b.Sandbox)
	t.Cleanup(up.Close)
	b.client = NewClient(ClientOptions{BaseURL: up.URL})
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

// as calls on behalf of an appid.
func (b *box) as(t *testing.T, appID string) (*Caller, *AccessToken) {
	t.Helper()
	a := NewAccessToken(AccessTokenOptions{Clients: []*Client{b.client}, AppID: appID, Secret: func() string { return canarySecret }})
	t.Cleanup(a.Close)
	return NewCaller(a, b.client), a
}

// order places an order as a merchant.
func (b *box) order(t *testing.T, accessToken, deliveryID, bizID, orderID string) {
	t.Helper()
	party := `{"name":"张三","mobile":"18666666666","province":"广东省","city":"广州市","area":"海珠区","address":"XX路"}`
	body := fmt.Sprintf(`{"add_source":0,"order_id":%q,"openid":"oABC123456","delivery_id":%q,"biz_id":%q,"shop":{},"sender":%s,"receiver":%s,
		"cargo":{"count":1,"weight":1,"space_x":1,"space_y":1,"space_z":1,"detail_list":[]},"insured":{"use_insured":0,"insured_value":0},
		"service":{"service_type":0,"service_name":"标准快递"}}`, orderID, deliveryID, bizID, party, party)
	resp := must(http.Post(b.client.base.String()+"/cgi-bin/express/business/order/add?access_token="+accessToken, "application/json", strings.NewReader(body)))
	defer resp.Body.Close()
	if answer := string(must(io.ReadAll(resp.Body))); !strings.Contains(answer, `"waybill_id"`) {
		t.Fatalf("order/add: %s", answer)
	}
}

// The documents' requests go to the sandbox as they stand there, and what comes back has the shape of their answers.
func TestDocumentsAgainstTheSandbox(t *testing.T) {
	b := newBox(t, sandbox.Options{})
	merchant, merchantToken := b.as(t, "wxmerchant")
	_, sfToken := b.as(t, "wxsf")
	for order := range waybillsOfDocuments {
		b.order(t, mustGet(t, merchantToken), "SF", "biz", order)
	}
	request := func(call string, into any) {
		t.Helper()
		if err := json.Unmarshal(document(t, call, "request", "https"), into); err != nil {
			t.Fatal(err)
		}
	}
	documented := func(call string, into any) {
		t.Helper()
		if err := json.Unmarshal(document(t, call, "answer", "https"), into); err != nil {
			t.Fatal(err)
		}
	}

	var push PathUpdate
	request("updatePath", &push)
	if _, err := b.AddOrder(sandbox.Order{WaybillID: push.WaybillID, Token: push.Token}); err != nil {
		t.Fatal(err)
	}
	said := must(b.client.UpdatePath(t.Context(), mustGet(t, sfToken), push))
	sameJSON(t, "updatePath's answer", must(json.Marshal(said)), document(t, "updatePath", "answer", "https"))
	sameJSON(t, "updatePath's answer in 云调用", must(CloudAnswer("updatePath", must(json.Marshal(said)))), document(t, "updatePath", "answer", "cloud"))

	var pathQuery PathQuery
	var wantPath Path
	request("getPath", &pathQuery)
	documented("getPath", &wantPath)
	wantPath.OpenID, wantPath.WaybillID = pathQuery.OpenID, pathQuery.WaybillID
	wantPath.PathItemList[2].ActionType = 300002 // updatePath does not take the document's 300001.
	for _, node := range wantPath.PathItemList {
		u := PathUpdate{b.tokens[pathQuery.WaybillID], pathQuery.WaybillID, node.ActionTime, int32(node.ActionType), node.ActionMsg}
		if answer := must(b.client.UpdatePath(t.Context(), mustGet(t, sfToken), u)); answer.Errcode != 0 {
			t.Fatalf("a node: %+v", answer)
		}
	}
	if got := must(merchant.GetPath(t.Context(), pathQuery)); !reflect.DeepEqual(got, wantPath) {
		t.Errorf("getPath %+v\nwant    %+v", got, wantPath)
	}

	var orderQuery OrderQuery
	var wantOrder Order
	request("getOrder", &orderQuery)
	documented("getOrder", &wantOrder)
	got := must(merchant.GetOrder(t.Context(), orderQuery))
	if label, err := got.HTML(); err != nil || !strings.Contains(string(label), "<dd>101- 07-03 509</dd>") {
		t.Errorf("the label is %s (%v)", label, err)
	}
	wantOrder.PrintHTML, wantOrder.OrderID, wantOrder.WaybillID = got.PrintHTML, orderQuery.OrderID, orderQuery.WaybillID
	if !reflect.DeepEqual(got, wantOrder) {
		t.Errorf("getOrder %+v\nwant     %+v", got, wantOrder)
	}

	var batch OrderListQuery
	request("batchGetOrder", &batch)
	results := must(merchant.BatchGetOrder(t.Context(), batch.OrderList))
	for i, r := range results {
		if r.Errcode != 0 || r.Errmsg != "ok" || !reflect.DeepEqual(r.Order, got) {
			t.Errorf("batchGetOrder, result %d: %+v", i, r)
		}
	}
	if len(results) != 2 {
		t.Errorf("%d results", len(results))
	}
}

// 250 orders are three calls and 250 results in order, two of them refused by themselves.
func TestBatchAgainstTheSandbox(t *testing.T) {
	b := newBox(t, sandbox.Options{})
	merchant, token := b.as(t, "wxmerchant")
	asked := make([]OrderRef, 250)
	for i := range asked {
		asked[i] = OrderRef{OrderID: fmt.Sprintf("T-%03d", i), DeliveryID: "TEST"}
		if i != 17 && i != 201 {
			b.order(t, mustGet(t, token), "TEST", "test_biz_id", asked[i].OrderID)
		}
	}
	results := must(merchant.BatchGetOrder(t.Context(), asked))
	for i, r := range results {
		want := 0
		if i == 17 || i == 201 {
			want = 930563
		}
		if r.OrderID != asked[i].OrderID || r.Errcode != want {
			t.Errorf("result %d: %+v", i, r)
		}
	}
	quota := must(merchant.GetQuota(t.Context(), batchGetOrder.path))
	if len(results) != 250 || quota.Day.Used != 3 {
		t.Errorf("%d results in %d calls, want 250 in 3", len(results), quota.Day.Used)
	}
}

func TestRefusalsOfTheSandbox(t *testing.T) {
	b := newBox(t, sandbox.Options{})
	merchant, _ := b.as(t, "wxmerchant")
	stranger, _ := b.as(t, "wxstranger")
	_, err := merchant.GetPath(t.Context(), PathQuery{DeliveryID: "SF", WaybillID: "unknown"})
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || refused.Errcode != 40199 || refused.RID == "" {
		t.Fatalf("%v", err)
	}
	info, err := merchant.GetRID(t.Context(), refused.RID)
	if err != nil || info.RequestURL != b.client.base.String()+getPath.path || !strings.Contains(info.RequestBody, "unknown") || info.ClientIP != "127.0.0.1" {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err = stranger.GetRID(t.Context(), refused.RID); err == nil || !strings.Contains(err.Error(), "76003") {
		t.Errorf("another app's: %v", err)
	}
	// An access_token that has died is replaced, and the caller hears nothing of it.
	if err := b.SetFaults(sandbox.Faults{ExpireNow: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := merchant.GetQuota(t.Context(), getPath.path); err != nil {
		t.Errorf("after all access_tokens have expired: %v", err)
	}
}

// In the cloud there is no access_token at all.
func TestCloudAgainstTheSandbox(t *testing.T) {
	b := newBox(t, sandbox.Options{Cloud: true})
	none := NewAccessToken(AccessTokenOptions{Mode: ModeNone})
	defer none.Close()
	b.order(t, "", "TEST", "test_biz_id", "T-1")
	order, err := NewCaller(none, b.client).GetOrder(t.Context(), OrderQuery{OrderRef: OrderRef{OrderID: "T-1", DeliveryID: "TEST"}})
	if err != nil || order.WaybillID != "T-1_waybill_id" {
		t.Errorf("%+v, %v", order, err)
	}
}
