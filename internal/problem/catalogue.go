package problem

import "net/http"

// Code names a kind of problem. Programs go by it; it is the end of the problem's type URN.
type Code string

// Everything that can be wrong. catalogue says what each one means.
const (
	MalformedJSON        Code = "malformed_json"
	NotUTF8              Code = "not_utf8"
	UnreadableBody       Code = "unreadable_body"
	InvalidRequest       Code = "invalid_request"
	InvalidFilter        Code = "invalid_filter"
	Unauthorized         Code = "unauthorized"
	Forbidden            Code = "forbidden"
	ForbiddenDeliveryID  Code = "forbidden_delivery_id"
	NotFound             Code = "not_found"
	MethodNotAllowed     Code = "method_not_allowed"
	BodyTimeout          Code = "body_timeout"
	Rejected             Code = "rejected"
	Conflict             Code = "conflict"
	ConflictState        Code = "conflict_state"
	BodyTooLarge         Code = "body_too_large"
	BatchTooLarge        Code = "batch_too_large"
	UnsupportedMediaType Code = "unsupported_media_type"
	UnsupportedCharset   Code = "unsupported_charset"
	UnsupportedEncoding  Code = "unsupported_encoding"
	InvalidEvent         Code = "invalid_event"
	RateLimited          Code = "rate_limited"
	Internal             Code = "internal"
	UpstreamFailed       Code = "upstream_failed"
	StoreUnavailable     Code = "store_unavailable"
	OutcomeUnknown       Code = "outcome_unknown"
	UpstreamTimeout      Code = "upstream_timeout"
)

// Entry is what is fixed for a code.
type Entry struct {
	Code   Code
	Status int  // The HTTP status.
	Title  Text // The kind of problem: the same for every occurrence.
	Detail Text // What is said when nothing more precise is known: always what to do next.
}

var catalogue = []Entry{
	{MalformedJSON, http.StatusBadRequest,
		Text{"Not JSON", "不是合法的 JSON"},
		Text{"The body is not one JSON value. Check how it is built, and send it again.",
			"请求体不是一个合法的 JSON 值。请检查请求体的生成方式后重新发送。"}},
	{NotUTF8, http.StatusBadRequest,
		Text{"Not UTF-8", "不是 UTF-8 编码"},
		Text{"The body is not valid UTF-8. Encode it as UTF-8 and send it again.",
			"请求体不是合法的 UTF-8。请以 UTF-8 编码后重新发送。"}},
	{UnreadableBody, http.StatusBadRequest,
		Text{"Body cut short", "请求体不完整"},
		Text{"The connection ended before the whole body had arrived; nothing was kept. Send it again.",
			"请求体未完整到达，连接已中断，未保存任何内容。请重新发送。"}},
	{InvalidRequest, http.StatusBadRequest,
		Text{"Invalid request", "请求无效"},
		Text{"The request can't be understood. Compare it with the API description at /docs.",
			"无法理解该请求。请对照 /docs 的接口说明检查。"}},
	{InvalidFilter, http.StatusBadRequest,
		Text{"Invalid filter", "筛选条件无效"},
		Text{"A filter has a value that it can't have. Correct the fields under errors, or leave them out.",
			"筛选条件的取值无效。请修改 errors 中列出的字段，或将其去掉。"}},
	{Unauthorized, http.StatusUnauthorized,
		Text{"Unauthorized", "未通过身份验证"},
		Text{"The request carries no valid credentials. Check the key, or the secret that it is signed with.",
			"请求没有携带有效的凭据。请检查密钥或用于签名的 secret。"}},
	{Forbidden, http.StatusForbidden,
		Text{"Forbidden", "没有权限"},
		Text{"This token may not do that. Use one with the role that the operation needs.",
			"当前令牌无权执行该操作。请使用具备相应角色的令牌。"}},
	{ForbiddenDeliveryID, http.StatusForbidden,
		Text{"delivery_id not allowed", "无权使用该 delivery_id"},
		Text{"This source may not send events for that delivery_id. Correct it, or have it added to the source's delivery_ids.",
			"该来源无权发送此 delivery_id 的事件。请更正，或请运维人员将其加入该来源的 delivery_ids。"}},
	{NotFound, http.StatusNotFound,
		Text{"Not found", "未找到"},
		Text{"There is nothing at this address. Check the path and the number in it.",
			"该地址没有内容。请检查路径及其中的编号。"}},
	{MethodNotAllowed, http.StatusMethodNotAllowed,
		Text{"Method not allowed", "不支持该方法"},
		Text{"The address exists, but not with this method. The header Allow lists those that work.",
			"该地址不支持此 HTTP 方法。可用的方法见响应头 Allow。"}},
	{BodyTimeout, http.StatusRequestTimeout,
		Text{"Body too slow", "请求体接收超时"},
		Text{"The body did not arrive in time; nothing was kept. Send it again.",
			"请求体未能及时到达，未保存任何内容。请重新发送。"}},
	{Rejected, http.StatusConflict,
		Text{"Event rejected", "事件被拒绝"},
		Text{"The waybill's stage has no such step. The event is recorded but not pushed; if the scan is right, an operator can accept it.",
			"运单当前阶段不允许该事件。事件已记录但不会推送；如扫描无误，可由运维人员人工放行。"}},
	{Conflict, http.StatusConflict,
		Text{"id used before", "id 已被使用"},
		Text{"This id came before with other content. Give a new event a new id; to repeat an event, send the same content.",
			"该 id 曾以不同内容发送过。新事件请使用新的 id；重发事件请保持内容不变。"}},
	{ConflictState, http.StatusConflict,
		Text{"Not possible in this state", "当前状态不允许"},
		Text{"What the operation is about is not in a state that allows it. Read it again and decide anew.",
			"操作对象当前的状态不允许该操作。请重新读取后再决定。"}},
	{BodyTooLarge, http.StatusRequestEntityTooLarge,
		Text{"Body too large", "请求体过大"},
		Text{"The body is larger than this service takes. Send fewer events at a time.",
			"请求体超过本服务的上限。请减少每次发送的事件数量。"}},
	{BatchTooLarge, http.StatusRequestEntityTooLarge,
		Text{"Too many events", "事件过多"},
		Text{"The batch holds more events than are taken at once; none was kept. Split it.",
			"该批次的事件数超过上限，未保存任何事件。请拆分后发送。"}},
	{UnsupportedMediaType, http.StatusUnsupportedMediaType,
		Text{"Unsupported media type", "不支持的媒体类型"},
		Text{"Send JSON, and say so in Content-Type: application/json.",
			"请发送 JSON，并设置 Content-Type: application/json。"}},
	{UnsupportedCharset, http.StatusUnsupportedMediaType,
		Text{"Unsupported charset", "不支持的字符集"},
		Text{"Encode the body as UTF-8, and leave charset out of Content-Type or set it to utf-8.",
			"请以 UTF-8 编码请求体，并去掉 Content-Type 中的 charset 或将其设为 utf-8。"}},
	{UnsupportedEncoding, http.StatusUnsupportedMediaType,
		Text{"Unsupported content encoding", "不支持的内容编码"},
		Text{"Send the body uncompressed, without the header Content-Encoding.",
			"请发送未压缩的请求体，不要设置 Content-Encoding。"}},
	{InvalidEvent, http.StatusUnprocessableEntity,
		Text{"Invalid event", "事件无效"},
		Text{"The event breaks a rule and was not kept. Correct the fields under errors and send it again.",
			"事件不符合规则，未保存。请修改 errors 中列出的字段后重新发送。"}},
	{RateLimited, http.StatusTooManyRequests,
		Text{"Too many requests", "请求过于频繁"},
		Text{"This source is over its rate; nothing was kept. Send it again after the seconds in Retry-After.",
			"该来源超过速率限制，未保存任何内容。请在 Retry-After 指定的秒数之后重新发送。"}},
	{Internal, http.StatusInternalServerError,
		Text{"Internal error", "内部错误"},
		Text{"Something went wrong here, not with the request. Send it again; if that does not help, the log of this service has the cause.",
			"服务内部出错，与请求无关。请重试；如仍失败，请查看本服务的日志。"}},
	{UpstreamFailed, http.StatusBadGateway,
		Text{"WeChat did not answer as expected", "微信接口返回异常"},
		Text{"WeChat refused the call or could not be reached. What it said is among the members; try again later if it was busy.",
			"微信拒绝了该调用或无法连接，返回内容见其他字段。如为系统繁忙，请稍后重试。"}},
	{StoreUnavailable, http.StatusServiceUnavailable,
		Text{"Store unavailable", "存储暂不可用"},
		Text{"Nothing was kept. Send it again, with the same id, after the seconds in Retry-After.",
			"未保存任何内容。请在 Retry-After 指定的秒数之后以相同的 id 重新发送。"}},
	{OutcomeUnknown, http.StatusServiceUnavailable,
		Text{"Outcome unknown", "结果未知"},
		Text{"It is not certain whether this was kept. Send it again with the same id: what was kept already is answered as duplicate.",
			"无法确定是否已保存。请以相同的 id 重新发送：已保存的事件会返回 duplicate。"}},
	{UpstreamTimeout, http.StatusGatewayTimeout,
		Text{"WeChat did not answer in time", "微信接口应答超时"},
		Text{"WeChat took too long to answer. Ask again; if that goes on, check base_url and the network.",
			"微信接口未及时应答。请重试；若反复出现，请检查 base_url 与网络。"}},
}

var byCode = func() map[Code]*Entry {
	m := make(map[Code]*Entry, len(catalogue))
	for i := range catalogue {
		m[catalogue[i].Code] = &catalogue[i]
	}
	return m
}()

// Codes lists all codes, by status, for documentation and tests.
func Codes() []Entry { return append([]Entry(nil), catalogue...) }

// Look finds what is fixed for a code.
func Look(c Code) (Entry, bool) {
	e, ok := byCode[c]
	if !ok {
		return Entry{}, false
	}
	return *e, true
}

// ForStatus is the code that says no more than an HTTP status does, for errors that are not problems yet (a router's
// 404). Statuses that stand for nothing of ours are Internal from 500 on, else InvalidRequest.
func ForStatus(status int) Code {
	switch status {
	case http.StatusUnauthorized:
		return Unauthorized
	case http.StatusForbidden:
		return Forbidden
	case http.StatusNotFound:
		return NotFound
	case http.StatusMethodNotAllowed:
		return MethodNotAllowed
	case http.StatusRequestTimeout:
		return BodyTimeout
	case http.StatusConflict:
		return ConflictState
	case http.StatusRequestEntityTooLarge:
		return BodyTooLarge
	case http.StatusUnsupportedMediaType:
		return UnsupportedMediaType
	case http.StatusTooManyRequests:
		return RateLimited
	case http.StatusBadGateway:
		return UpstreamFailed
	case http.StatusGatewayTimeout:
		return UpstreamTimeout
	}
	if status >= http.StatusInternalServerError {
		return Internal
	}
	return InvalidRequest
}
