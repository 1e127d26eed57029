package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"carrier/internal/adminclient"
)

func TestQuotaInWords(t *testing.T) {
	ends := time.Date(2026, 3, 4, 9, 40, 0, 0, time.UTC)
	number := func(n int64) *int64 { return &n }
	tests := []struct {
		name    string
		quota   adminclient.Quota
		want    []string
		trouble bool
	}{
		{"no limit known", adminclient.Quota{Used: 3}, []string{"3 calls used", "not known"}, false},
		{"no limit told", adminclient.Quota{Used: 3, AskError: "errcode 48001"}, []string{"errcode 48001"}, false},
		{"it lasts", adminclient.Quota{Used: 3, Limit: number(10), Remaining: number(7), RatePerMinute: 0.33}, []string{"3 calls used of 10, 0.33 a minute", "lasts the day"}, false},
		{"it ends", adminclient.Quota{Used: 3, Limit: number(10), Remaining: number(7), EndsAt: &ends}, []string{"at this rate it ends at 2026-03-04 17:40:00"}, true},
		{"used up", adminclient.Quota{Used: 12, Limit: number(10), Remaining: number(0), EndsAt: &ends}, []string{"it is used up"}, true},
		{"held", adminclient.Quota{Used: 9, Limit: number(10), Remaining: number(1), Reserved: 2, TransitHeldSince: &ends},
			[]string{"lasts the day", "transit scans wait since 2026-03-04 17:40:00", "2 calls"}, true},
	}
	s := &screen{zone: time.FixedZone("", 8*60*60)}
	zh := &screen{zone: s.zone, zh: true}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := s.quota(&tt.quota)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q does not say %q", got, want)
				}
			}
			if trouble := s.quotaTrouble(&tt.quota); (trouble != "") != tt.trouble {
				t.Errorf("the trouble is %q", trouble)
			}
			if text := zh.quota(&tt.quota); strings.Contains(text, "%!") || strings.Contains(text, "calls") {
				t.Errorf("in Chinese: %q", text)
			}
		})
	}
}

// TestAccountsShowJSON: the one account, as the service wrote it.
func TestAccountsShowJSON(t *testing.T) {
	f := newFakeAdmin(t)
	f.on("GET /admin/v1/accounts", 200, `{"items":[{"delivery_id":"YTO"},{"delivery_id":"SF","new":1,"quota":{"used":7}}],"next_cursor":""}`)
	status, out, errs := f.run(t, "C", "accounts", "show", "SF", "--json")
	var got struct {
		DeliveryID string `json:"delivery_id"`
		New        int    `json:"new"`
		Quota      struct{ Used int64 }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != exitDone || got.DeliveryID != "SF" || got.New != 1 || got.Quota.Used != 7 {
		t.Errorf("status %d, %v: %s%s", status, err, out, errs)
	}
}
