package admin

import (
	"reflect"
	"testing"
	"time"

	"carrier/internal/pathpush"
)

func TestQuotaItem(t *testing.T) {
	day := time.Date(2026, 3, 4, 0, 0, 0, 0, time.FixedZone("Asia/Shanghai", 8*60*60))
	asked, since := day.Add(9*time.Hour), day.Add(10*time.Hour)
	ends, midnight := time.Date(2026, 3, 4, 9, 40, 1, 0, time.UTC), time.Date(2026, 3, 4, 16, 0, 0, 0, time.UTC)
	tests := []struct {
		name  string
		quota pathpush.QuotaSnapshot
		want  QuotaItem
	}{
		{"nothing known", pathpush.QuotaSnapshot{Day: day, Used: 3, AskError: "call 13800138000"},
			QuotaItem{Day: "2026-03-04", Used: 3, AskError: "call 138****8000"}},
		{"it lasts the day", pathpush.QuotaSnapshot{Day: day, Used: 3, Limit: 10, Remaining: 7, RatePerMinute: 1. / 3, AskedAt: asked},
			QuotaItem{Day: "2026-03-04", Used: 3, Limit: new(int64(10)), Remaining: new(int64(7)), RatePerMinute: 0.33, AskedAt: instant(asked)}},
		{"it ends, and transit scans wait", pathpush.QuotaSnapshot{
			Day: day, Used: 9, Limit: 10, Remaining: 1, Reserved: 2, RatePerMinute: 2, AskedAt: asked, HeldSince: since, EndsAt: ends.Add(time.Millisecond),
		}, QuotaItem{
			Day: "2026-03-04", Used: 9, Limit: new(int64(10)), Remaining: new(int64(1)), Reserved: 2, RatePerMinute: 2, AskedAt: instant(asked),
			EndsAt: &ends, TransitHeldSince: instant(since), TransitHeldUntil: &midnight,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := quotaItem(&tt.quota); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}
