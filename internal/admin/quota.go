package admin

import (
	"math"
	"time"

	"carrier/internal/pathpush"
	"carrier/internal/telemetry"
)

// QuotaItem tells how much of the day's quota of updatePath an account has used, and how long it will last.
type QuotaItem struct {
	Day              string     `json:"day"`       // In Beijing.
	Used             int64      `json:"used"`      // Upstream's own count at AskedAt, and what was sent since.
	Limit            *int64     `json:"limit"`     // Calls a day; null while upstream has not said so, and then Remaining too.
	Remaining        *int64     `json:"remaining"` // Of Limit.
	RatePerMinute    float64    `json:"rate_per_minute"`
	EndsAt           *time.Time `json:"ends_at"`   // At this rate; null if it lasts the day, or if that is not known.
	AskedAt          *time.Time `json:"asked_at"`  // When upstream last said what is used.
	AskError         string     `json:"ask_error"` // Why it did not, when it was asked after that.
	Reserved         int64      `json:"reserved"`  // Calls that push.quota_reserve keeps for main scans.
	TransitHeldSince *time.Time `json:"transit_held_since"`
	TransitHeldUntil *time.Time `json:"transit_held_until"`
}

func quotaItem(s *pathpush.QuotaSnapshot) QuotaItem {
	item := QuotaItem{
		Day: s.Day.Format(time.DateOnly), Used: s.Used, RatePerMinute: math.Round(s.RatePerMinute*100) / 100,
		EndsAt: wholeSecond(s.EndsAt), AskedAt: instant(s.AskedAt), AskError: telemetry.MaskPhones(s.AskError), Reserved: s.Reserved,
	}
	if s.Limit > 0 {
		item.Limit, item.Remaining = &s.Limit, &s.Remaining
	}
	if !s.HeldSince.IsZero() {
		item.TransitHeldSince, item.TransitHeldUntil = instant(s.HeldSince), instant(s.DayEnds())
	}
	return item
}

// wholeSecond is instant for a forecast, of which fractions of a second say nothing.
func wholeSecond(t time.Time) *time.Time { return instant(t.Truncate(time.Second)) }

// quota: what remains of the day is kept for main scans.
func (w *WaitItem) quota(s *pathpush.Snapshot) {
	q := &s.Quota
	w.Since, w.Until = instant(q.HeldSince), instant(q.DayEnds())
	w.Text = textf("The day's quota of the account %[1]s is short: %[2]d of %[3]d {3:call|calls} remain, and push.quota_reserve keeps %[4]d for pickup, delivery, signature and exception. "+
		"A waybill that has only transit scans to send waits since %[5]s; it goes on at %[6]s (midnight in Beijing), when such a scan stands behind them, when WeChat raises the quota, or with a resume.",
		"账户 %[1]s 的当日配额不足：剩余 %[2]d 次（共 %[3]d 次），push.quota_reserve 为揽收、派送、签收、异常保留 %[4]d 次。"+
			"只有运输轨迹待推送的运单自 %[5]s 起等待，将于 %[6]s（北京时间零点）继续；其后出现上述扫描、微信提高配额或恢复（resume）账户时提前继续。",
		s.DeliveryID, q.Remaining, q.Limit, q.Reserved, moment(q.HeldSince), moment(q.DayEnds()))
}
