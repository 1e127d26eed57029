package app

import (
	"fmt"

	"carrier/internal/pathpush"
	"carrier/internal/telemetry"
)

// quotaTrouble says what is the matter with an account's quota of the day; empty if it lasts the day, as far as that is
// known. reserve is push.quota_reserve.
func quotaTrouble(s *pathpush.Snapshot, reserve float64) string {
	q := &s.Quota
	beijing := q.Day.Location()
	switch {
	case !q.HeldSince.IsZero():
		return fmt.Sprintf("account %s: transit scans wait until midnight in Beijing: %d of %d calls of updatePath remain today, and %d are kept (push.quota_reserve)",
			s.DeliveryID, q.Remaining, q.Limit, q.Reserved)
	case q.Limit > 0 && q.Remaining == 0:
		return fmt.Sprintf("account %s: the day's quota of updatePath (%d calls) is used up", s.DeliveryID, q.Limit)
	case !q.EndsAt.IsZero():
		return fmt.Sprintf("account %s: at this rate (%.0f calls a minute) the day's quota of updatePath ends at %s in Beijing: %d of %d calls remain",
			s.DeliveryID, q.RatePerMinute, q.EndsAt.In(beijing).Format("15:04"), q.Remaining, q.Limit)
	case q.Limit == 0 && q.AskError != "" && reserve > 0:
		return fmt.Sprintf("account %s: push.quota_reserve keeps nothing, because WeChat does not say how high the day's quota is: %s",
			s.DeliveryID, telemetry.MaskPhones(q.AskError))
	}
	return ""
}
