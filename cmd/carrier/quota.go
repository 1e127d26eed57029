package main

import (
	"strconv"

	"carrier/internal/adminclient"
)

// quotaLeft is what remains of the day's quota.
func quotaLeft(q *adminclient.Quota) string {
	if q.Remaining == nil {
		return "-"
	}
	return strconv.FormatInt(*q.Remaining, 10)
}

// quota says what is used of the day's quota, and how long it lasts.
func (s *screen) quota(q *adminclient.Quota) string {
	text := s.sayf("quota of %s: %d {2:call|calls} used", "%s 配额：已用 %d 次", q.Day, q.Used)
	if q.Limit == nil {
		text += s.say(" of a number that is not known", "，总数未知")
		if q.AskError != "" {
			text += s.sayf(" (%s)", "（%s）", q.AskError)
		}
		return text
	}
	text += s.sayf(" of %d, %g a minute", "，共 %d 次，每分钟 %g 次", *q.Limit, q.RatePerMinute)
	switch ends := s.time(q.EndsAt); {
	case q.Remaining != nil && *q.Remaining == 0:
		text += s.say("; it is used up", "；已用尽")
	case ends != "":
		text += s.sayf("; at this rate it ends at %s", "；按此速率将于 %s 用尽", ends)
	default:
		text += s.say("; it lasts the day", "；当日够用")
	}
	if since := s.time(q.TransitHeldSince); since != "" {
		text += s.sayf("; transit scans wait since %s until %s, so that %d {3:call is|calls are} left for the others", "；运输轨迹自 %s 起等待，至 %s，为其他扫描保留 %d 次",
			since, cell(s.time(q.TransitHeldUntil)), q.Reserved)
	}
	return text
}

// quotaTrouble is the same if something is the matter with it, else empty.
func (s *screen) quotaTrouble(q *adminclient.Quota) string {
	usedUp := q.Remaining != nil && *q.Remaining == 0
	if q.EndsAt == nil && q.TransitHeldSince == nil && !usedUp {
		return ""
	}
	return s.quota(q)
}
