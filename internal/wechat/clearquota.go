package wechat

import "context"

// quotaClear sets what is used of all calls back. Source: WeChat, 重置API调用次数 (clear_quota).
var quotaClear = question{op: "clearQuota", path: "/cgi-bin/clear_quota", answerBytes: maxAnswerBytes, once: true}

// ClearQuota sets what a mini program has used of its calls today back to 0. Upstream does that 10 times a month and no
// more, so it is never tried a second time by itself: after an error that is no *RefusedError it may have been done, which
// GetQuota tells. appID is the mini program whose access_tokens the caller has.
func (c *Caller) ClearQuota(ctx context.Context, appID string) error {
	return c.ask(ctx, &quotaClear, append(appendMember([]byte{'{'}, "appid", appID), '}'), func(object) {})
}
