package main

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"carrier/internal/app/apptest"
)

// fakeUpstream has a line of each kind.
const fakeUpstream = `{"delivery_id":"SF","waybill_id":"1234567890","stage":"in_transit","stage_name":{"en":"in transit","zh":"运输中"},"merchant":"shop","asked_at":"2018-07-31T16:10:00Z",` +
	`"order":{"order_id":"order-1","errcode":0,"errmsg":"","order_status":1,"cancelled":true},"same":false,` +
	`"totals":{"same":1,"moved":1,"changed":1,"missing":1,"pending":1,"extra":1,"own":1},"notes":[{"en":"The order was cancelled at WeChat.","zh":"该订单已在微信侧取消。"}],"lines":[` +
	`{"kind":"same","seq":7,"status":"delivered","delivered":{"action_time":1533052800,"action_type":100001,"action_msg":"已揽件"},"upstream":{"action_time":1533052800,"action_type":100001,"action_msg":"已揽件"},"text":{"en":"","zh":""}},` +
	`{"kind":"own","seq":0,"status":"","delivered":null,"upstream":{"action_time":1533052801,"action_type":300001,"action_msg":"快递员\u001b[2J已出发"},"text":{"en":"","zh":""}},` +
	`{"kind":"missing","seq":8,"status":"delivered","delivered":{"action_time":1533052810,"action_type":200001,"action_msg":"到达广州"},"upstream":null,"text":{"en":"","zh":""}},` +
	`{"kind":"changed","seq":9,"status":"delivered","delivered":{"action_time":1533052820,"action_type":200001,"action_msg":"离开广州"},"upstream":{"action_time":1533052820,"action_type":200001,"action_msg":"离开 广州"},"text":{"en":"","zh":""}},` +
	`{"kind":"moved","seq":10,"status":"delivered","delivered":{"action_time":1533052830,"action_type":200001,"action_msg":"到达深圳"},"upstream":{"action_time":1533052830,"action_type":200001,"action_msg":"到达深圳"},"text":{"en":"","zh":""}},` +
	`{"kind":"pending","seq":11,"status":"delivered","delivered":{"action_time":1533052840,"action_type":300002,"action_msg":"派送中"},"upstream":null,"text":{"en":"","zh":""}},` +
	`{"kind":"extra","seq":0,"status":"","delivered":null,"upstream":{"action_time":1533052850,"action_type":300003,"action_msg":"已签收"},"text":{"en":"","zh":""}}]}`

// TestHealAsks: what is missing is shown first, and pushed again after a yes alone.
func TestHealAsks(t *testing.T) {
	begun := `{"dry_run":false,"seqs":[8],"replay":` + fakeReplay("13", "running", 1, 0, 0, 1) + `,"text":{"en":"Out again: 1.","zh":""},"upstream":` + fakeUpstream + `}`
	plan := `{"dry_run":true,"seqs":[8],"replay":null,"text":{"en":"Out again: 1.","zh":""},"upstream":` + fakeUpstream + `}`
	well := `{"dry_run":true,"seqs":[],"replay":null,"text":{"en":"Nothing is missing at WeChat.","zh":""},"upstream":` + fakeUpstream + `}`
	for _, test := range []struct {
		name, plan, typed string
		calls             int
		says              []string
		fails             bool
	}{
		{"yes", plan, "y\n", 2, []string{"missing", "Out again: 1.", "Replay 13 sends 1 of them"}, false},
		{"no", plan, "n\n", 1, []string{"missing", "Out again: 1."}, true},
		{"nothing is missing", well, "", 1, []string{"Nothing is missing at WeChat."}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeAdmin(t)
			f.on("POST /admin/v1/waybills/SF/1/heal", 200, test.plan, begun)
			var out, asked strings.Builder
			w := &world{stdin: strings.NewReader(test.typed), stdout: &out, stderr: &asked, env: []string{"CARRIER_ADMIN_URL=" + f.url, "CARRIER_ADMIN_TOKEN=" + fakeToken}}
			heal := &waybillHeal{Reason: "asked"}
			err := heal.with(t.Context(), w, func(s *session) error { return heal.heal(t.Context(), s, "SF", "1") })
			if (err != nil) != test.fails {
				t.Errorf("it ends with %v", err)
			}
			if calls := f.log(); len(calls) != test.calls || !strings.Contains(calls[0], `"dry_run":true`) {
				t.Errorf("asked %q, want %d calls, a dry run first", calls, test.calls)
			}
			for _, want := range test.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it says %s, want %s", &out, want)
				}
			}
			if (test.typed != "") != strings.Contains(asked.String(), "Push them again?") {
				t.Errorf("it asks %q", &asked)
			}
		})
	}
}

// TestThroughTheService: with --service the admin API is asked, and its answers are WeChat's.
func TestThroughTheService(t *testing.T) {
	const admin = "canary-admin-token-0123456789abcdef"
	var asked []string
	answer := ""
	status := 200
	api := apptest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer "+admin {
			t.Errorf("the token is %q", r.Header.Get("Authorization"))
		}
		asked = append(asked, r.Method+" "+r.URL.String()+" "+strings.TrimSpace(string(body)))
		if status != 200 {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	env := []string{"CARRIER_ADMIN_URL=" + api, "CARRIER_ADMIN_TOKEN=" + admin}
	tests := []struct {
		name   string
		args   []string
		answer string
		http   int
		status int
		asked  string
		out    string
		errs   string
	}{
		{name: "path", args: []string{"get-path", "--merchant", "via", "--delivery-id", "SF", "--waybill-id", "1"}, answer: `{"waybill_id":"1","path_item_list":[]}`,
			asked: `POST /admin/v1/wechat/path {"merchant":"via","delivery_id":"SF","waybill_id":"1"}`,
			out:   `{"openid":"","delivery_id":"","waybill_id":"1","path_item_num":0,"path_item_list":[]}`},
		{name: "order in the cloud's form", args: []string{"get-order", "--cloud", "--order-id", "o", "--delivery-id", "SF"}, answer: `{"order_id":"o","order_status":1}`,
			asked: `POST /admin/v1/wechat/order {"order_id":"o","delivery_id":"SF"}`,
			out:   `{"printHtml":"","waybillData":[],"deliveryId":"","waybillId":"","orderId":"o","orderStatus":1,"errMsg":"openapi.logistics.getOrder:ok"}`},
		{name: "orders", args: []string{"batch-get-order", "--order-id", "o", "--delivery-id", "SF"}, answer: `{"order_list":[{"errcode":930563,"errmsg":"no","order_id":"o","delivery_id":"SF"}]}`,
			status: 1, asked: `POST /admin/v1/wechat/orders {"order_list":[{"order_id":"o","delivery_id":"SF"}]}`,
			out: `{"order_list":[{"errcode":930563,"errmsg":"no","order_id":"o","delivery_id":"SF"}]}`, errs: "1 of 1 order has"},
		{name: "WeChat refuses", args: []string{"get-path", "--delivery-id", "SF", "--waybill-id", "1"}, answer: `{"errcode":40199,"errmsg":"no"}`, status: 1,
			asked: `POST /admin/v1/wechat/path {"delivery_id":"SF","waybill_id":"1"}`, out: `{"errcode":40199,"errmsg":"no"}`, errs: "WeChat does not know the waybill"},
		{name: "the service refuses", args: []string{"get-path", "--delivery-id", "SF", "--waybill-id", "1"}, http: 502,
			answer: `{"type":"urn:carrier:problem:upstream_failed","title":"T","status":502,"detail":"WeChat gives no access_token.","code":"upstream_failed"}`, status: 1,
			asked: `POST /admin/v1/wechat/path {"delivery_id":"SF","waybill_id":"1"}`, errs: "WeChat gives no access_token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked, answer, status = nil, tt.answer, max(tt.http, 200)
			got, out, errs := inProcess(t.Context(), env, "", append([]string{"wechat", tt.args[0], "--service"}, tt.args[1:]...)...)
			if got != tt.status || !slices.Equal(asked, []string{tt.asked}) {
				t.Errorf("status %d, asked %q; want %d, %q", got, asked, tt.status, tt.asked)
			}
			if tt.out == "" && out != "" || tt.errs == "" && errs != "" || !strings.Contains(errs, tt.errs) || strings.Contains(errs, "canary") {
				t.Errorf("standard output %s, errors %s; want %s, %q", out, errs, tt.out, tt.errs)
			}
			if tt.out != "" {
				sameMeaning(t, "the answer", out, tt.out)
			}
		})
	}
}

// TestManyThroughTheService: the service takes 500 orders at most, the command any number; what came before a failure is
// printed.
func TestManyThroughTheService(t *testing.T) {
	requests := 0
	api := apptest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			OrderList []json.RawMessage `json:"order_list"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		if requests++; requests > 6 {
			_, _ = io.WriteString(w, `{"errcode":45009,"errmsg":"quota"}`)
			return
		}
		_, _ = io.WriteString(w, `{"order_list":[`+strings.TrimSuffix(strings.Repeat(`{"errcode":0},`, len(q.OrderList)), ",")+`]}`)
	}))
	env := []string{"CARRIER_ADMIN_URL=" + api, "CARRIER_ADMIN_TOKEN=canary-admin-token-0123456789abcdef"}
	for _, test := range []struct {
		orders, status, came int
		errs                 string
	}{
		{orders: 501, came: 501},
		{orders: 150, status: 1, came: 0, errs: "carrier: orders 1 to 100 of 150: batchGetOrder: errcode 45009: quota"},
	} {
		body := `{"order_list":[` + strings.TrimSuffix(strings.Repeat(`{"order_id":"1","delivery_id":"SF"},`, test.orders), ",") + `]}`
		status, out, errs := inProcess(t.Context(), env, body, "wechat", "batch-get-order", "--service", "-f", "-")
		if status != test.status || strings.Count(out, `"errcode": 0`) != test.came || !strings.HasPrefix(errs, test.errs) {
			t.Errorf("status %d, %d orders, %s", status, strings.Count(out, `"errcode": 0`), errs)
		}
	}
}
