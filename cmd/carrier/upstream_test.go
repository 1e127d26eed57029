package main

import (
	"strings"
	"testing"
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
