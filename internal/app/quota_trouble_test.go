package app

import (
	"strings"
	"testing"
	"time"

	"carrier/internal/pathpush"
)

func TestQuotaTrouble(t *testing.T) {
	day := time.Date(2026, 3, 4, 0, 0, 0, 0, time.FixedZone("Asia/Shanghai", 8*60*60))
	ends := time.Date(2026, 3, 4, 9, 40, 0, 0, time.UTC)
	tests := []struct {
		name    string
		quota   pathpush.QuotaSnapshot
		reserve float64
		want    string // "": none
	}{
		{"nothing known", pathpush.QuotaSnapshot{Used: 5}, 0.5, ""},
		{"it lasts the day", pathpush.QuotaSnapshot{Used: 5, Limit: 10, Remaining: 5, RatePerMinute: 0.001}, 0.2, ""},
		{"it ends", pathpush.QuotaSnapshot{Used: 400, Limit: 1000, Remaining: 600, RatePerMinute: 119.6, EndsAt: ends}, 0,
			"account SF: at this rate (120 calls a minute) the day's quota of updatePath ends at 17:40 in Beijing: 600 of 1000 calls remain"},
		{"used up", pathpush.QuotaSnapshot{Used: 1001, Limit: 1000, EndsAt: ends}, 0,
			"account SF: the day's quota of updatePath (1000 calls) is used up"},
		{"held", pathpush.QuotaSnapshot{Used: 900, Limit: 1000, Remaining: 100, Reserved: 100, HeldSince: ends, EndsAt: ends}, 0.1,
			"account SF: transit scans wait until midnight in Beijing: 100 of 1000 calls of updatePath remain today, and 100 are kept (push.quota_reserve)"},
		{"not told", pathpush.QuotaSnapshot{AskError: "errcode 48001 for 13800138000"}, 0.1,
			"account SF: push.quota_reserve keeps nothing, because WeChat does not say how high the day's quota is: errcode 48001 for "},
		{"not told, and nothing to keep", pathpush.QuotaSnapshot{AskError: "errcode 48001"}, 0, ""},
		{"told before", pathpush.QuotaSnapshot{AskError: "time-out", Limit: 1000, Remaining: 1000}, 0.1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.quota.Day = day
			got := quotaTrouble(&pathpush.Snapshot{DeliveryID: "SF", Quota: tt.quota}, tt.reserve)
			if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" || strings.Contains(got, "13800138000") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
