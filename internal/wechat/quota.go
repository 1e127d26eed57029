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
	day := o.object("quota")
	return Quota{
		Day:  DayQuota{day.integer("daily_limit"), day.integer("used"), day.integer("remain")},
		Rate: readRate(o.object("rate_limit")), Component: readRate(o.object("component_rate_limit")),
	}
}

func readRate(o object) RateQuota {
	return RateQuota{o.integer("call_count"), o.integer("refresh_second")}
}
