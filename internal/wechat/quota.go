package wechat

import "context"

// quotaGet reads how much of a call's quota is used. Source: WeChat, 查询API调用额度 (openapi/quota/get).
var quotaGet = question{
	op: "getApiQuota", path: "/cgi-bin/openapi/quota/get", marks: []string{"quota"},
	answerBytes: maxAnswerBytes,
}

// Quota is what a mini program may use of one call.
type Quota struct {
	Day       DayQuota  `json:"quota"`
	Rate      RateQuota `json:"rate_limit,omitzero"`           // Zero: no limit but the day's.
	Component RateQuota `json:"component_rate_limit,omitzero"` // Of calls through a third-party platform.
}

// DayQuota counts calls of one day in Beijing.
type DayQuota struct {
	DailyLimit int64 `json:"daily_limit"`
	Used       int64 `json:"used"`
	Remain     int64 `json:"remain"`
}

// RateQuota is how many calls are taken in how many seconds.
type RateQuota struct {
	CallCount     int64 `json:"call_count"`
	RefreshSecond int64 `json:"refresh_second"`
}

// GetQuota reads the quota of a call, by its path as in "/cgi-bin/express/delivery/path/update". Asking uses none of
// it.
func (c *Caller) GetQuota(ctx context.Context, cgiPath string) (Quota, error) {
	return ask(ctx, c, &quotaGet, append(appendMember([]byte{'{'}, "cgi_path", cgiPath), '}'), readQuota)
}

// UnmarshalJSON reads a quota as tolerantly as an answer of upstream.
func (q *Quota) UnmarshalJSON(body []byte) error {
	return readJSON(body, func(o object) { *q = readQuota(o) })
}

func readQuota(o object) Quota {
	return Quota{
		Day:  readDayQuota(o.object("quota")),
		Rate: readRate(o.object("rate_limit")), Component: readRate(o.object("component_rate_limit")),
	}
}

// readDayQuota tells a figure that is not there by the other two: a missing remain is no quota that is used up.
func readDayQuota(o object) DayQuota {
	q := DayQuota{o.integer("daily_limit"), o.integer("used"), o.integer("remain")}
	_, hasUsed := o.raw("used")
	_, hasRemain := o.raw("remain")
	switch {
	case hasUsed && !hasRemain:
		q.Remain = max(0, q.DailyLimit-q.Used)
	case hasRemain && !hasUsed:
		q.Used = max(0, q.DailyLimit-q.Remain)
	case !hasRemain && q.DailyLimit != 0:
		o.fail("used", "number that is there, nor is remain")
	}
	return q
}

func readRate(o object) RateQuota {
	return RateQuota{o.integer("call_count"), o.integer("refresh_second")}
}
