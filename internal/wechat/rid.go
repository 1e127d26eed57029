package wechat

import "context"

// ridGet reads what upstream kept of a call. Source: WeChat, 查询rid信息 (openapi/rid/get).
var ridGet = question{
	op: "getRidInfo", path: "/cgi-bin/openapi/rid/get", marks: []string{"request"},
	answerBytes: 4 << 20, // It repeats a request and its answer.
}

// RequestInfo is what upstream kept of a call that it refused, without its access_token and Token.
type RequestInfo struct {
	InvokeTime   int64  `json:"invoke_time"` // Unix seconds.
	CostInMs     int64  `json:"cost_in_ms"`
	RequestURL   string `json:"request_url"`   // The call's path without its query.
	RequestBody  string `json:"request_body"`  // For a person to read: secrets in it are replaced.
	ResponseBody string `json:"response_body"` // Likewise.
	ClientIP     string `json:"client_ip"`
}

// GetRID reads what upstream kept of a call, by the rid in its errmsg: for 7 days, and for the mini program that made
// the call alone.
func (c *Caller) GetRID(ctx context.Context, rid string) (RequestInfo, error) {
	return ask(ctx, c, &ridGet, append(appendMember([]byte{'{'}, "rid", rid), '}'), readRequestInfo)
}

func readRequestInfo(o object) RequestInfo {
	o = o.object("request")
	return RequestInfo{
		InvokeTime: o.integer("invoke_time"), CostInMs: o.integer("cost_in_ms"), RequestURL: RedactURL(o.text("request_url")),
		RequestBody: redactText(o.text("request_body")), ResponseBody: redactText(o.text("response_body")), ClientIP: o.text("client_ip"),
	}
}
