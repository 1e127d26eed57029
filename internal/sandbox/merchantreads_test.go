package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	pathURL  = "/cgi-bin/express/business/path/get"
	getURL   = "/cgi-bin/express/business/order/get"
	batchURL = "/cgi-bin/express/business/order/batchget"
	testURL  = "/cgi-bin/express/business/test_update_order"
	quotaURL = "/cgi-bin/openapi/quota/get"
	ridURL   = "/cgi-bin/openapi/rid/get"
	clearURL = "/cgi-bin/clear_quota"
)

// ask makes one of the calls that read, and gives the answer as it is.
func ask(t testing.TB, s *Sandbox, url, accessToken, body string) string {
	t.Helper()
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, url+"?access_token="+accessToken, strings.NewReader(body)))
	if rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != contentType {
		t.Fatalf("%s: %d %s", url, rec.Code, rec.Header().Get("Content-Type"))
	}
	return rec.Body.String()
}

// read makes a call and decodes the answer.
func read(t testing.TB, s *Sandbox, url, accessToken, body string, out any) {
	t.Helper()
	answer := ask(t, s, url, accessToken, body)
	if err := json.Unmarshal([]byte(answer), out); err != nil {
		t.Fatalf("%s: %v in %s", url, err, answer)
	}
}

// shop is a sandbox in which a merchant has ordered, and two nodes of the waybill have arrived.
type shop struct {
	*Sandbox
	merchant, stranger, carrier string // access_tokens
	waybill, token              string
}

func newShop(t testing.TB) *shop {
	f := newFake(t, formatJSON, modePlain)
	s, merchant := f.box(Options{Seed: 5})
	id := order(t, s, addURL, merchant, orderBody("order-1")).WaybillID
	sh := &shop{s, merchant, testToken(t, s, "wxstranger"), testToken(t, s, "wxcarrier"), id, f.pushes("add_waybill")[0].Token}
	for n := range 2 {
		sh.push(t, n, 0)
	}
	return sh
}

func (sh *shop) push(t testing.TB, n, want int) {
	t.Helper()
	if code := push(t, sh.Sandbox, sh.carrier, bodyOf(sh.waybill, sh.token, n)); code != want {
		t.Fatalf("node %d: errcode %d, want %d", n, code, want)
	}
}

func TestPathGet(t *testing.T) {
	sh := newShop(t)
	// As in the document's example: without an errcode.
	want := fmt.Sprintf(`{"openid":"oCUSTOMER","delivery_id":"SF","waybill_id":%q,"path_item_num":2,"path_item_list":[`+
		`{"action_time":1533052800,"action_type":200001,"action_msg":"到达 0 \u003c深圳\u0026广州\u003e"},`+
		`{"action_time":1533052801,"action_type":200001,"action_msg":"到达 1 \u003c深圳\u0026广州\u003e"}]}`, sh.waybill)
	for name, body := range map[string]string{
		"least":              `{"delivery_id":"SF","waybill_id":"W"}`,
		"the older document": `{"order_id":"order-1","openid":"oCUSTOMER","delivery_id":"SF","waybill_id":"W"}`,
		"the newer":          `{"openid":"oCUSTOMER","delivery_id":"SF","waybill_id":"W","further":[]}`,
	} {
		if got := ask(t, sh.Sandbox, pathURL, sh.merchant, strings.Replace(body, `"W"`, `"`+sh.waybill+`"`, 1)); got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
	if _, err := sh.AddOrder(Order{WaybillID: "W1"}); err != nil {
		t.Fatal(err)
	}
	want = `{"openid":"o","delivery_id":"YD","waybill_id":"W1","path_item_num":0,"path_item_list":[]}`
	if got := ask(t, sh.Sandbox, pathURL, sh.stranger, `{"openid":"o","delivery_id":"YD","waybill_id":"W1"}`); got != want {
		t.Errorf("what no merchant ordered is %s\nwant %s", got, want)
	}
}

func TestReadsRefuse(t *testing.T) {
	sh := newShop(t)
	f := newFake(t, formatJSON, modePlain)
	f.raw = func(w http.ResponseWriter, _ *http.Request, _ *pushedEvent) bool { w.WriteHeader(500); return true }
	lost, lostMerchant := f.box(Options{})
	order(t, lost, addURL, lostMerchant, orderBody("order-1")) // Its outcome is not known.

	full := fmt.Sprintf(`{"order_id":"order-1","openid":"oCUSTOMER","delivery_id":"SF","waybill_id":%q}`, sh.waybill)
	with := func(old, new string) string { return strings.Replace(full, old, new, 1) }
	list := func(n int) string {
		return `{"order_list":[` + strings.TrimSuffix(strings.Repeat(`{"order_id":"order-1","delivery_id":"SF"},`, n), ",") + `]}`
	}
	tests := []struct {
		name, url, token, body string
		want                   int
		errmsg                 string
	}{
		{"path: good", pathURL, sh.merchant, full, 0, ""},
		{"path: no access_token", pathURL, "", full, codeTokenMissing, ""},
		{"path: no delivery_id", pathURL, sh.merchant, with("delivery_id", "x"), codeOrderArgs, "delivery_id is required"},
		{"path: no waybill_id", pathURL, sh.merchant, with("waybill_id", "x"), codeOrderArgs, "waybill_id is required"},
		{"path: a number", pathURL, sh.merchant, `{"delivery_id":"SF","waybill_id":1}`, codeFormat, "waybill_id has the wrong type"},
		{"path: another order", pathURL, sh.merchant, with("order-1", "order-2"), codeNoOrder, ""},
		{"path: another merchant's order", pathURL, sh.stranger, full, codeNoOrder, ""},
		{"path: another merchant's waybill", pathURL, sh.stranger, with(`"order_id":"order-1",`, ""), codeNoWaybill, "another merchant's"},
		{"path: another waybill", pathURL, sh.merchant, with(sh.waybill, "SF0"), codeWrongWaybill, ""},
		{"path: an unknown waybill", pathURL, sh.merchant, `{"delivery_id":"SF","waybill_id":"SF0"}`, codeNoWaybill, ""},
		{"path: another company", pathURL, sh.merchant, with(`"SF",`, `"YD",`), codeNoOrder, ""},
		{"path: another customer", pathURL, sh.merchant, with("oCUSTOMER", "oOTHER"), codeOpenID, ""},
		{"path: another customer, without order_id", pathURL, sh.merchant, strings.Replace(with("oCUSTOMER", "oOTHER"), `"order_id":"order-1",`, "", 1), codeOpenID, ""},
		{"path: no JSON", pathURL, sh.merchant, "x", codeFormat, ""},
		{"path: nothing", pathURL, sh.merchant, "", codeEmptyBody, ""},
		{"order: good", getURL, sh.merchant, full, 0, ""},
		{"order: least", getURL, sh.merchant, `{"order_id":"order-1","delivery_id":"SF"}`, 0, ""},
		{"order: no order_id", getURL, sh.merchant, with("order_id", "x"), codeOrderArgs, "order_id is required"},
		{"order: another merchant's", getURL, sh.stranger, full, codeNoOrder, ""},
		{"order: another waybill", getURL, sh.merchant, with(sh.waybill, "SF0"), codeWrongWaybill, ""},
		{"order: another customer", getURL, sh.merchant, with("oCUSTOMER", "oOTHER"), codeOpenID, ""},
		{"order: a third form", getURL, sh.merchant, with("{", `{"print_type":2,`), codeOrderArgs, "print_type is 2"},
		{"batch: 100", batchURL, sh.merchant, list(100), 0, ""},
		{"batch: 101", batchURL, sh.merchant, list(101), codeTooLong, "at most 100"},
		{"batch: none", batchURL, sh.merchant, list(0), codeOrderArgs, "order_list is empty"},
		{"batch: no list", batchURL, sh.merchant, `{}`, codeOrderArgs, "order_list is required"},
		{"batch: a name without order_id", batchURL, sh.merchant, `{"order_list":[{"order_id":"1","delivery_id":"SF"},{"delivery_id":"SF"}]}`, codeOrderArgs, "order_list[1].order_id is required"},
		{"batch: a number", batchURL, sh.merchant, `{"order_list":[7]}`, codeFormat, "order_list[0]"},
		{"quota: an unknown path", quotaURL, sh.carrier, `{"cgi_path":"/cgi-bin/x"}`, codeNoPath, "cgi_path not found"},
		{"quota: no path", quotaURL, sh.carrier, `{}`, codeOrderArgs, "cgi_path is required"},
		{"clear_quota: another's", clearURL, sh.carrier, `{"appid":"wxelse"}`, codeAppID, ""},
		{"clear_quota: no appid", clearURL, sh.carrier, `{}`, codeOrderArgs, "appid is required"},
		{"clear_quota: no access_token", clearURL, "", `{"appid":"wxcarrier"}`, codeTokenMissing, ""},
		{"rid: no rid", ridURL, sh.carrier, `{"rid":"x"}`, codeRIDForm, ""},
		{"rid: unknown", ridURL, sh.carrier, `{"rid":"00000000-00000000-00000000"}`, codeNoRID, ""},
		{"rid: no access_token", ridURL, "", `{"rid":"x"}`, codeTokenMissing, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got reply
			read(t, sh.Sandbox, tt.url, tt.token, tt.body, &got)
			if got.code() != tt.want || !strings.Contains(got.Errmsg, tt.errmsg) || ridAtEnd.MatchString(got.Errmsg) != (tt.want != 0) {
				t.Errorf("%d %s, want %d %s", got.code(), got.Errmsg, tt.want, tt.errmsg)
			}
		})
	}
	var got reply
	if read(t, lost, getURL, lostMerchant, `{"order_id":"order-1","delivery_id":"SF"}`, &got); got.code() != codeWrongWaybill {
		t.Errorf("an order of which nothing is known: %+v", got)
	}
}

func TestOrderGet(t *testing.T) {
	sh := newShop(t)
	body := `{"order_id":"order-1","delivery_id":"SF","print_type":%d}`
	var first, second orderDetails
	read(t, sh.Sandbox, getURL, sh.merchant, fmt.Sprintf(body, 0), &first)
	if first.OrderID != "order-1" || first.DeliveryID != "SF" || first.WaybillID != sh.waybill || first.OrderStatus != 0 ||
		fmt.Sprint(first.WaybillData) != "[{SF_bagAddr 广州} {SF_mark 888-666}]" {
		t.Errorf("%+v", first)
	}
	label, err := base64.StdEncoding.DecodeString(first.PrintHTML)
	if err != nil || strings.Count(string(label), sh.waybill) != 2 || !strings.Contains(string(label), "<dd>广州</dd>") {
		t.Errorf("label %s, %v", label, err)
	}
	order(t, sh.Sandbox, cancelURL, sh.merchant, cancelBody("order-1", sh.waybill))
	read(t, sh.Sandbox, getURL, sh.merchant, fmt.Sprintf(body, 1), &second)
	if label, _ = base64.StdEncoding.DecodeString(second.PrintHTML); second.OrderStatus != 1 || strings.Count(string(label), sh.waybill) != 1 {
		t.Errorf("cancelled, in one part: %+v %s", second, label)
	}
}

func TestOrderBatchGet(t *testing.T) {
	sh := newShop(t)
	answer := ask(t, sh.Sandbox, batchURL, sh.merchant, `{"order_list":[{"order_id":"order-2","delivery_id":"SF","waybill_id":"SF2"},{"order_id":"order-1","delivery_id":"SF"}]}`)
	var got struct {
		Errcode   *int             `json:"errcode"`
		OrderList []map[string]any `json:"order_list"`
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.Errcode != nil || len(got.OrderList) != 2 {
		t.Fatalf("%s (%v): two results and no errcode above them are wanted", answer, err)
	}
	if want := `map[delivery_id:SF errcode:930563 errmsg:order not exists order_id:order-2 waybill_id:SF2]`; fmt.Sprint(got.OrderList[0]) != want {
		t.Errorf("an unknown one is %v, want %s", got.OrderList[0], want)
	}
	if r := got.OrderList[1]; r["errcode"] != 0.0 || r["errmsg"] != "ok" || r["waybill_id"] != sh.waybill || r["order_status"] != 0.0 || r["print_html"] == "" {
		t.Errorf("%v", r)
	}
}

func TestTestOrders(t *testing.T) {
	s := New(Options{Seed: 1})
	merchant := testToken(t, s, "wxmerchant")
	body := strings.NewReplacer(`"SF"`, `"TEST"`, "biz-1", "test_biz_id").Replace(orderBody("T-1"))
	if got := order(t, s, addURL, merchant, strings.Replace(body, "test_biz_id", "biz-1", 1)); got.Errcode != codeNotBound {
		t.Errorf("with another biz_id: %+v", got)
	}
	if got := order(t, s, addURL, merchant, body); got.Errcode != 0 || got.WaybillID != "T-1_waybill_id" || len(got.WaybillData) != 2 {
		t.Fatalf("order/add: %+v", got)
	}
	if got := order(t, s, addURL, merchant, body); got.Errcode != codeOrderRepeated {
		t.Errorf("again: %+v", got)
	}
	node := `{"biz_id":"test_biz_id","order_id":"T-1","delivery_id":"TEST","waybill_id":"T-1_waybill_id","action_time":1533052800,"action_type":100001,"action_msg":"揽件"}`
	with := func(old, new string) string { return strings.Replace(node, old, new, 1) }
	for _, tt := range []struct {
		name, body string
		want       int
	}{
		{"good", node, 0},
		{"a code of no list", with("100001", "300001"), 0},
		{"milliseconds", with("1533052800", "1533052800000"), codeArgs},
		{"a real biz_id", with("test_biz_id", "biz-1"), codeArgs},
		{"a real company", with(`"TEST"`, `"SF"`), codeArgs},
		{"an unknown code", with("100001", "7"), codeArgs},
		{"an unknown order", with("T-1", "T-2"), codeNoOrder},
		{"another waybill", with("_waybill_id", "_x"), codeWrongWaybill},
		{"no text", with("揽件", ""), codeOrderArgs},
		{"no time", with(`"action_time":1533052800,`, ""), codeOrderArgs},
	} {
		var got reply
		if read(t, s, testURL, merchant, tt.body, &got); got.Errcode == nil || got.code() != tt.want {
			t.Errorf("%s: %+v, want %d", tt.name, got, tt.want)
		}
	}
	var trace pathAnswer
	read(t, s, pathURL, merchant, `{"delivery_id":"TEST","waybill_id":"T-1_waybill_id"}`, &trace)
	if trace.PathItemNum != 2 || trace.PathItemList[1].ActionType != 300001 {
		t.Errorf("the trace is %+v", trace)
	}
	if got := order(t, s, cancelURL, merchant, strings.Replace(cancelBody("T-1", "T-1_waybill_id"), `"SF"`, `"TEST"`, 1)); got.Errcode != 0 {
		t.Errorf("order/cancel: %+v", got)
	}
	var details orderDetails
	if read(t, s, getURL, merchant, `{"order_id":"T-1","delivery_id":"TEST"}`, &details); details.OrderStatus != 1 {
		t.Errorf("cancelled, and order_status is %d", details.OrderStatus)
	}
}

func TestQuotaGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Open: true, TokenLife: 100 * time.Hour})
		one, two := testToken(t, s, "wx1"), testToken(t, s, "wx2")
		quota := func(token, call string) string {
			t.Helper()
			return ask(t, s, quotaURL, token, `{"cgi_path":"`+call+`"}`)
		}
		want := func(got, limit string, used, remain int, rate string) {
			t.Helper()
			if want := fmt.Sprintf(`{"errcode":0,"errmsg":"ok","quota":{"daily_limit":%s,"used":%d,"remain":%d}%s}`, limit, used, remain, rate); got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		}
		works(t, s, one)
		ask(t, s, pathURL, one, `{}`)
		want(quota(one, updateURL), "1000000", 1, 999_999, "")
		want(quota(one, pathURL), "1000000", 1, 999_999, "")
		want(quota(two, updateURL), "1000000", 0, 1_000_000, "")
		setFaults(t, s, Faults{QuotaDay: 3, QuotaMinute: 2})
		for range 3 {
			works(t, s, one)
		}
		const rate = `,"rate_limit":{"call_count":2,"refresh_second":60}`
		want(quota(one, updateURL), "3", 2, 1, rate)
		time.Sleep(24 * time.Hour)
		want(quota(one, updateURL), "3", 0, 3, rate)
	})
}

func TestClearQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Open: true, TokenLife: 1000 * time.Hour})
		one, two := testToken(t, s, "wx1"), testToken(t, s, "wx2")
		setFaults(t, s, Faults{QuotaDay: 1})
		clears := func(want int) {
			t.Helper()
			var got reply
			if read(t, s, clearURL, one, `{"appid":"wx1"}`, &got); got.code() != want {
				t.Errorf("clear_quota: %d %s, want %d", got.code(), got.Errmsg, want)
			}
		}
		for range maxClears {
			works(t, s, one)
			clears(codeOK)
		}
		works(t, s, one)
		works(t, s, two)
		clears(codeNoClear)
		for _, token := range []string{one, two} { // Neither a refused clearing nor another's gives anything back.
			if got := call(t, s, http.MethodPost, updateURL+"?access_token="+token, bodyOf("W9", "T9", 9)); got.code() != codeDayQuota {
				t.Errorf("%d %s, want %d", got.code(), got.Errmsg, codeDayQuota)
			}
		}
		time.Sleep(31 * 24 * time.Hour)
		clears(codeOK)
	})
}

func TestRIDGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{TokenLife: 1000 * time.Hour})
		token, other := testToken(t, s, "wx1"), testToken(t, s, "wx2")
		refused := call(t, s, http.MethodPost, updateURL+"?access_token="+token, bodyOf("W1", "T1", 0))
		rid := refused.Errmsg[strings.LastIndex(refused.Errmsg, " ")+1:]
		var got ridAnswer
		read(t, s, ridURL, token, `{"rid":"`+rid+`"}`, &got)
		r := got.Request
		if got.Errcode != 0 || r.InvokeTime != time.Now().Unix() || r.RequestBody != bodyOf("W1", "T1", 0) || r.ClientIP != "192.0.2.1" ||
			r.RequestURL != "http://example.com"+updateURL+"?access_token="+token[:8]+"xxxx" || !strings.Contains(r.ResponseBody, "40199") {
			t.Errorf("%+v", got)
		}
		var no reply
		if read(t, s, ridURL, other, `{"rid":"`+rid+`"}`, &no); no.code() != codeOthersRID {
			t.Errorf("another app's: %+v", no)
		}
		time.Sleep(8 * 24 * time.Hour)
		if read(t, s, ridURL, token, `{"rid":"`+rid+`"}`, &no); no.code() != codeOldRID {
			t.Errorf("an old one: %+v", no)
		}
		for range maxRefusals {
			push(t, s, token, "{}")
		}
		if read(t, s, ridURL, token, `{"rid":"`+rid+`"}`, &no); no.code() != codeNoRID || len(s.refusals.byRID) != maxRefusals {
			t.Errorf("beyond what is kept: %+v, %d kept", no, len(s.refusals.byRID))
		}
	})
}

// No rid leads to a secret.
func TestRIDOfTokenCalls(t *testing.T) {
	s := New(Options{Apps: []App{{AppID: "wx1", Secret: "right"}}})
	got := call(t, s, http.MethodPost, "/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"wx1","secret":"wrong"}`)
	if got.code() == 0 || len(s.refusals.byRID) != 0 {
		t.Errorf("%+v, kept %v", got, s.refusals.byRID)
	}
}

// What the faults of a trace do, and that the same node mends it.
func TestTraceFaults(t *testing.T) {
	for _, tt := range []struct {
		fault string
		want  []int // The nodes shown; -1 is one with another text.
	}{
		{"drop", []int{0, 1, 3, 2}}, {"duplicate", []int{0, 1, 2, 2, 3}}, {"change", []int{0, 1, -1, 3, 2}},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			sh := newShop(t)
			setFaults(t, sh.Sandbox, Faults{Waybills: map[string]WaybillFault{sh.waybill: {Fault: tt.fault, Times: 1}}})
			sh.push(t, 2, 0) // It is answered with success.
			sh.push(t, 3, 0)
			sh.push(t, 2, 0) // Again: now it shows as it is.
			var got []int
			for _, n := range sh.Nodes(sh.waybill).Nodes {
				if strings.HasSuffix(n.ActionMsg, changedText) {
					got = append(got, -1)
					continue
				}
				got = append(got, int(n.ActionTime-1533052800))
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("nodes %v, want %v", got, tt.want)
			}
			arrivals := sh.Nodes(sh.waybill).Arrivals
			if arrivals[2].Trace != tt.fault || arrivals[3].Trace != "" || arrivals[4].Trace != "" {
				t.Errorf("arrivals %+v", arrivals)
			}
			if st := sh.Stats(); st.Trace[tt.fault] != 1 || len(st.Trace) != 1 {
				t.Errorf("counted %v", st.Trace)
			}
		})
	}
}

// Drawn by chance, each fault befalls its share of the nodes, and the arrivals tell exactly which.
func TestTraceFaultShares(t *testing.T) {
	s := New(Options{Seed: 4, Open: true})
	token := testToken(t, s, "wx1")
	setFaults(t, s, Faults{Trouble: Trouble{Busy: 0.2}, Trace: TraceFaults{Drop: 0.1, Duplicate: 0.2, Change: 0.3}})
	const n = 2000
	for i := range n {
		for push(t, s, token, bodyOf(fmt.Sprint("W", i), "T", i)) != 0 {
		}
	}
	counts := map[string]int{}
	for i := range n {
		v := s.Nodes(fmt.Sprint("W", i))
		trace := v.Arrivals[0].Trace
		counts[trace]++
		if want := map[string]int{"drop": 0, "duplicate": 2, "change": 1, "": 1}[trace]; len(v.Nodes) != want {
			t.Fatalf("%s shows %d nodes, want %d", trace, len(v.Nodes), want)
		}
	}
	for name, share := range map[string]float64{"drop": 0.1, "duplicate": 0.2, "change": 0.3, "": 0.4} {
		if got := float64(counts[name]) / n; got < share-0.04 || got > share+0.04 {
			t.Errorf("%q befell %.3f of the nodes, want %.1f", name, got, share)
		}
	}
}

func TestWaybillFaultsByName(t *testing.T) {
	s := New(Options{Open: true})
	client, base := far(t, s)
	url := base + updateURL + "?access_token=" + testToken(t, s, "wx1")
	setFaults(t, s, Faults{Waybills: map[string]WaybillFault{"W1": {Fault: "resets", Times: 1}, "W2": {Fault: "busy"}}})
	if _, _, _, err := send(t, client, url, bodyOf("W1", "T", 0)); err == nil {
		t.Error("the answer was to be lost")
	}
	if a := s.Nodes("W1").Arrivals; len(a) != 1 || !a[0].Unanswered {
		t.Errorf("lost on its way back, and not applied: %+v", a)
	}
	if _, answer, _, err := send(t, client, url, bodyOf("W1", "T", 0)); err != nil || string(answer) != string(okBody) {
		t.Errorf("the next push: %s, %v", answer, err)
	}
	if code := push(t, s, testToken(t, s, "wx1"), bodyOf("W2", "T", 0)); code != codeBusy {
		t.Errorf("busy: errcode %d", code)
	}
}

func TestBusinessFaults(t *testing.T) {
	sh := newShop(t)
	body := fmt.Sprintf(`{"delivery_id":"SF","waybill_id":%q}`, sh.waybill)
	setFaults(t, sh.Sandbox, Faults{Business: Trouble{Busy: 1}})
	var got reply
	if read(t, sh.Sandbox, pathURL, sh.merchant, body, &got); got.code() != codeBusy {
		t.Errorf("%+v, want busy", got)
	}
	sh.push(t, 2, 0)
	setFaults(t, sh.Sandbox, Faults{Business: Trouble{HalfJSON: 1}})
	if answer := ask(t, sh.Sandbox, pathURL, sh.merchant, body); json.Valid([]byte(answer)) {
		t.Errorf("half an answer is %s", answer)
	}
	setFaults(t, sh.Sandbox, Faults{Trouble: Trouble{Busy: 1}})
	var trace pathAnswer
	if read(t, sh.Sandbox, pathURL, sh.merchant, body, &trace); trace.PathItemNum != 3 {
		t.Errorf("%+v: faults of pushes befall reads", trace)
	}
}

// FuzzReads sends any body to each call that reads: JSON comes back, and what is asked about is not changed.
func FuzzReads(f *testing.F) {
	for _, body := range []string{
		`{"order_id":"order-1","openid":"oCUSTOMER","delivery_id":"SF","waybill_id":"W"}`, `{"order_list":[{"order_id":"order-1","delivery_id":"SF"}]}`,
		`{"order_list":[null,{}]}`, `{"biz_id":"test_biz_id","order_id":"1","delivery_id":"TEST","waybill_id":"2","action_time":1e9,"action_type":1,"action_msg":"x"}`,
		`{"cgi_path":"/cgi-bin/express/business/path/get"}`, `{"rid":"00000000-00000000-00000000"}`, "", "null", "\xff",
	} {
		f.Add(body)
	}
	sh := newShop(f)
	before := fmt.Sprint(sh.Nodes(sh.waybill), sh.MerchantOrders())
	f.Fuzz(func(t *testing.T, body string) {
		for _, url := range []string{pathURL, getURL, batchURL, testURL, quotaURL, ridURL, clearURL} {
			if answer := ask(t, sh.Sandbox, url, sh.merchant, body); !json.Valid([]byte(answer)) {
				t.Fatalf("%s: %s", url, answer)
			}
		}
		if after := fmt.Sprint(sh.Nodes(sh.waybill), sh.MerchantOrders()); after != before {
			t.Fatalf("%s\nbecame %s", before, after)
		}
	})
}
