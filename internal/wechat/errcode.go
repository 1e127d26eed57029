package wechat

import "slices"

// Scope says what an answer speaks of, and so who has to wait or give up.
type Scope string

const (
	ScopeOK         Scope = "ok"         // Done.
	ScopeUpstream   Scope = "upstream"   // Upstream itself is in trouble: try again later; counts for the breaker.
	ScopeCredential Scope = "credential" // The access_token: fetch another one.
	ScopeAccount    Scope = "account"    // Nothing of this account goes until somebody changes something.
	ScopeRate       Scope = "rate"       // Too much: the account waits for the next minute or day.
	ScopeWaybill    Scope = "waybill"    // The waybill or its Token: the same bytes will be refused again.
	ScopeEvent      Scope = "event"      // This one event: it will never be taken.
)

// errcodeInfo is what is fixed for a code.
type errcodeInfo struct {
	code   int
	scope  Scope
	en, zh string
}

// errcodes is the table of answers to a push, by code. Sources: WeChat 物流助手, updatePath, 返回码; WeChat 全局返回码; of
// 9300507 the words of previewTemplate's page.
var errcodes = []errcodeInfo{
	{-1, ScopeUpstream,
		"WeChat is busy or has an internal failure. It is tried again by itself; nothing to do.",
		"微信系统繁忙或内部故障。系统会自动重试，无需处理。"},
	{0, ScopeOK,
		"Done.",
		"成功。"},
	{40001, ScopeCredential,
		"The access_token is invalid or no longer the newest, or the AppSecret is wrong. A new one is fetched by " +
			"itself; if this repeats, another program fetches access_tokens of the same appid: use token_mode stable in all of them.",
		"access_token 无效或已不是最新，或 AppSecret 错误。系统会自动重新获取；若反复出现，说明有其他程序在获取同一 appid 的 " +
			"access_token，请全部改用 token_mode: stable。"},
	{40013, ScopeAccount,
		"The appid is invalid. Correct it in the configuration, in accounts[].appid or merchants[].appid.",
		"appid 无效。请更正配置中的 accounts[].appid 或 merchants[].appid。"},
	{40014, ScopeCredential,
		"The access_token is not valid. A new one is fetched by itself; if this repeats, check appid and secret.",
		"不合法的 access_token。系统会自动重新获取；若反复出现，请检查 appid 与 secret。"},
	{40097, ScopeEvent,
		"An argument is invalid (action_time in seconds? one of the nine action_type codes?). Correct it at the sender " +
			"and send it as a new event.",
		"参数错误（action_time 是否为秒？action_type 是否为九个代码之一？）。请在发送方更正后作为新事件重新发送。"},
	{40125, ScopeAccount,
		"The AppSecret is wrong. Copy it again from the Mini Program console into accounts[].secret or merchants[].secret.",
		"AppSecret 错误。请从小程序后台重新复制到 accounts[].secret 或 merchants[].secret。"},
	{40164, ScopeAccount,
		"This machine's IP address is not in the IP whitelist. Add the address that errmsg names to the whitelist in " +
			"the Mini Program console, then resume the account.",
		"本机出口 IP 不在 IP 白名单中。请在小程序后台的 IP 白名单加入 errmsg 中给出的地址，然后恢复该账户。"},
	{40199, ScopeWaybill,
		"WeChat does not know the waybill: a wrong number, not ordered through 物流助手, or ordered a moment ago. " +
			"Check the waybill number, then replay.",
		"运单不存在：单号错误、不是通过物流助手下单，或刚刚下单。请核对运单号后重放。"},
	{40243, ScopeAccount,
		"The AppSecret is frozen. Unfreeze it in the Mini Program console, then resume the account.",
		"AppSecret 已被冻结。请在小程序后台解冻，然后恢复该账户。"},
	{41001, ScopeCredential,
		"The access_token is missing in the call. One is fetched by itself; if this repeats, token_mode is none where " +
			"it must not be, or a proxy strips the query.",
		"调用缺少 access_token。系统会自动获取；若反复出现，请检查 token_mode 是否误设为 none，或代理是否去掉了查询参数。"},
	{42001, ScopeCredential,
		"The access_token has expired. A new one is fetched by itself; if this repeats, check this machine's clock.",
		"access_token 已过期。系统会自动重新获取；若反复出现，请检查本机时钟。"},
	{44002, ScopeEvent,
		"The body was empty. A proxy may strip it; correct that and replay the event.",
		"请求体为空。可能被代理去掉，请修正后重放该事件。"},
	{45009, ScopeRate,
		"The day's quota of this call is used up. Pushing goes on after midnight in Beijing; ask WeChat for a higher " +
			"quota, or clear it (10 times a month) and resume the account.",
		"该接口当日调用额度已用完。北京时间零点后自动继续；可向微信申请提高额度，或清零额度（每月 10 次）后恢复该账户。"},
	{45011, ScopeRate,
		"Too many calls this minute. Pushing goes on in the next minute; set accounts[].rate lower if this repeats.",
		"本分钟调用过于频繁。下一分钟自动继续；若反复出现，请调低 accounts[].rate。"},
	{47001, ScopeEvent,
		"WeChat could not read the body as JSON. Check action_msg for unusual characters and send it as a new event.",
		"微信无法解析请求体的 JSON。请检查 action_msg 是否含特殊字符，并作为新事件重新发送。"},
	{48001, ScopeAccount,
		"The Mini Program may not use this call. Apply for 物流助手 as a delivery company, then resume the account.",
		"该小程序没有此接口权限。请以运力方身份开通物流助手，然后恢复该账户。"},
	{48004, ScopeAccount,
		"The call is banned for this Mini Program. See the notice in the Mini Program console; resume the account " +
			"once the ban is lifted.",
		"该小程序的此接口已被封禁。请查看小程序后台的站内信，解封后恢复该账户。"},
	{50002, ScopeAccount,
		"The Mini Program is restricted. See the notice in the Mini Program console; resume the account once it is lifted.",
		"该小程序被限制使用。请查看小程序后台的通知，解除后恢复该账户。"},
	{61024, ScopeAccount,
		"The appid belongs to a third-party platform, for which updatePath does not exist. Use the delivery company's own " +
			"Mini Program in accounts[].appid.",
		"该 appid 属于第三方平台，而 updatePath 不支持第三方平台调用。请在 accounts[].appid 使用运力公司自己的小程序。"},
	{89503, ScopeAccount,
		"The call from this IP address must be confirmed by the Mini Program's administrator (a message waits in WeChat). " +
			"Confirm it, then resume the account.",
		"此 IP 的调用需要小程序管理员确认（微信中有待确认消息）。确认后恢复该账户。"},
	{89506, ScopeAccount,
		"The administrator refused this IP address twice: it is barred for 24 hours. Confirm the next request, or use " +
			"another address, then resume the account.",
		"此 IP 被管理员拒绝两次，24 小时内不能再申请。请到时确认或更换出口 IP，然后恢复该账户。"},
	{89507, ScopeAccount,
		"The administrator refused this IP address: it is barred for one hour. Confirm the next request, then resume " +
			"the account.",
		"此 IP 被管理员拒绝一次，1 小时内不能再申请。请到时确认，然后恢复该账户。"},
	{9300507, ScopeWaybill,
		"The waybill's Token is wrong: it can't be decrypted or belongs to another waybill. Register the Token of this " +
			"waybill's newest add_waybill; its pushes then go on by themselves.",
		"运单 Token 错误：无法解密或与运单不符。请登记该运单最近一次 add_waybill 事件中的 Token，之后会自动继续推送。"},
	{9300526, ScopeEvent,
		"An argument is too long. Shorten action_msg at the sender and send it as a new event.",
		"参数长度超限。请在发送方缩短 action_msg 后作为新事件重新发送。"},
}

// fetchErrcodes are what only the calls that give access_tokens answer, or mean otherwise. All speak of the account.
// Source: WeChat getAccessToken and getStableAccessToken, 错误码.
var fetchErrcodes = []errcodeInfo{
	{40001, ScopeAccount,
		"The AppSecret is wrong. Copy it again from the Mini Program console into accounts[].secret or merchants[].secret.",
		"AppSecret 错误。请从小程序后台重新复制到 accounts[].secret 或 merchants[].secret。"},
	{40002, ScopeAccount,
		"The grant_type is wrong. base_url does not lead to WeChat's own API; correct it.",
		"grant_type 错误。base_url 未指向微信接口，请更正。"},
	{41002, ScopeAccount,
		"The appid is missing. Set accounts[].appid or merchants[].appid; a proxy may also strip the body.",
		"缺少 appid。请设置 accounts[].appid 或 merchants[].appid；也可能是代理去掉了请求体。"},
	{41004, ScopeAccount,
		"The AppSecret is missing. Set accounts[].secret or merchants[].secret.",
		"缺少 AppSecret。请设置 accounts[].secret 或 merchants[].secret。"},
	{43002, ScopeAccount,
		"The call must be a POST. A proxy or gateway in between changes the method; correct base_url.",
		"必须使用 POST。中间的代理或网关改变了请求方法，请更正 base_url。"},
	{50004, ScopeAccount,
		"The Mini Program may not fetch access_tokens. See the notice in the Mini Program console, then resume the account.",
		"该小程序禁止获取 access_token。请查看小程序后台的通知，处理后恢复该账户。"},
	{50007, ScopeAccount,
		"The Mini Program is frozen. Have it unfrozen in the Mini Program console, then resume the account.",
		"该小程序账户已被冻结。请在小程序后台解冻，然后恢复该账户。"},

	// Of a third-party platform.
	{61003, ScopeAccount,
		"The merchant has not authorised the third-party platform. Let the merchant's administrator do so.",
		"商户未授权该第三方平台。请由商户管理员授权。"},
	{61004, ScopeAccount,
		"This machine's IP address is not in the third-party platform's whitelist. Add it in the Open Platform's console.",
		"本机出口 IP 不在第三方平台的白名单中。请在开放平台后台添加。"},
	{61005, ScopeAccount,
		"The component_verify_ticket has expired. WeChat pushes a new one every 10 minutes: check that its pushes arrive.",
		"component_verify_ticket 已过期。微信每 10 分钟推送一次，请检查推送是否到达。"},
	{61006, ScopeAccount,
		"The component_verify_ticket is not valid. WeChat pushes a new one every 10 minutes: check that the newest is kept, of this platform.",
		"component_verify_ticket 无效。微信每 10 分钟推送一次，请检查保存的是否为本平台最新的一个。"},
	{61007, ScopeAccount,
		"The merchant's authorisation does not cover this call. It needs permission set 45 or 71.",
		"商户的授权不包含此接口。需要权限集 45 或 71。"},
	{61023, ScopeAccount,
		"The authorizer_refresh_token is not valid: it was lost or the authorisation withdrawn. Let the merchant authorise the platform again.",
		"authorizer_refresh_token 无效：可能已丢失或授权已取消。请让商户重新授权。"},
}

// readErrcodes are what only calls by hand answer, or mean otherwise. Sources: WeChat 物流助手, addOrder and
// cancelOrder, 返回码, and what merchants met; WeChat openapi/quota/get, openapi/rid/get and clear_quota, 错误码.
var readErrcodes = []errcodeInfo{
	{40003, ScopeEvent,
		"The openid is not the order's customer's, or another Mini Program's. Give the one that the order was placed with, or none.",
		"openid 不属于该订单的用户，或属于其他小程序。请填写下单时的 openid，或不填。"},
	{48006, ScopeEvent,
		"The quota was cleared 10 times this month, which is all that WeChat allows. Ask WeChat for a higher quota.",
		"本月清零次数（10 次）已用完。请向微信申请提高额度。"},
	{76001, ScopeEvent,
		"WeChat knows no such rid. Copy it again from errmsg.",
		"rid 不存在。请从 errmsg 重新复制。"},
	{76002, ScopeEvent,
		"This is no rid. It stands at the end of errmsg, like 5f1e2a3b-0c1d2e3f-4a5b6c7d.",
		"rid 格式错误。它在 errmsg 末尾，形如 5f1e2a3b-0c1d2e3f-4a5b6c7d。"},
	{76003, ScopeEvent,
		"The rid is of another Mini Program's call. Ask with the account or merchant that made the call.",
		"该 rid 属于其他小程序的调用。请用发起该调用的账户或商户查询。"},
	{76004, ScopeEvent,
		"The rid is older than 7 days: WeChat has forgotten the call.",
		"该 rid 已超过 7 天，微信不再保留。"},
	{76021, ScopeEvent,
		"WeChat has no call with this path. Give it from /cgi-bin/ on, without host and query.",
		"接口路径不存在。请填写从 /cgi-bin/ 开始的路径，不含域名与参数。"},
	{76022, ScopeEvent,
		"The Mini Program may not use this call, so it has no quota of it.",
		"该小程序没有此接口权限，因此没有额度。"},
	{930561, ScopeEvent,
		"An argument is missing or wrong. Give order_id, delivery_id and waybill_id as in the order.",
		"参数缺失或错误。请按订单填写 order_id、delivery_id、waybill_id。"},
	{930563, ScopeEvent,
		"The order does not exist for this merchant. Check order_id, and that the credentials are of the merchant that placed it.",
		"该商户没有此订单。请核对 order_id，并确认使用下单商户的凭据。"},
	{9300503, ScopeEvent,
		"WeChat knows no such delivery company. Check delivery_id.",
		"快递公司不存在。请核对 delivery_id。"},
	{9300528, ScopeEvent,
		"The waybill is not the order's. Check waybill_id.",
		"运单号与订单不符。请核对 waybill_id。"},
}

var errcodeByCode, fetchErrcodeByCode, readErrcodeByCode = index(errcodes), index(fetchErrcodes), index(readErrcodes)

func index(infos []errcodeInfo) map[int]*errcodeInfo {
	m := make(map[int]*errcodeInfo, len(infos))
	for i := range infos {
		m[infos[i].code] = &infos[i]
	}
	return m
}

// ScopeOf says what an errcode that answers a push speaks of.
//
// A positive code that is not in the table is of the event's scope: upstream read the push and said no, and to send
// the same bytes again would hold up the waybill for an answer that won't change. A negative code other than -1 is
// upstream's: such codes are no part of any documented table; they come, like -1, from inside upstream and carry no
// more than a hint (-2 was seen in its sandbox), so the push is tried again for as long as the retries allow.
func ScopeOf(errcode int) Scope {
	if info, ok := errcodeByCode[errcode]; ok {
		return info.scope
	}
	if errcode < 0 {
		return ScopeUpstream
	}
	return ScopeEvent
}

// fetchScopeOf says what an errcode speaks of that came instead of an access_token. There is no waybill and no event
// in such a call, and 40001 means the AppSecret there: what is neither upstream's trouble nor a rate is the account's.
func fetchScopeOf(errcode int) Scope {
	switch s := ScopeOf(errcode); s {
	case ScopeUpstream, ScopeRate:
		return s
	default:
		return ScopeAccount
	}
}

// Meaning says in a sentence or two what an errcode means and what to do about it, in Chinese when zh is set.
// It is empty for a code that is not known. Beside [Errcodes] it knows the codes that only a fetch of an
// access_token, or a call that reads, answers.
func Meaning(errcode int, zh bool) string {
	info, ok := errcodeByCode[errcode]
	for _, more := range []map[int]*errcodeInfo{fetchErrcodeByCode, readErrcodeByCode} {
		if !ok {
			info, ok = more[errcode]
		}
	}
	switch {
	case !ok:
		return ""
	case zh:
		return info.zh
	default:
		return info.en
	}
}

// Errcodes lists the codes of the table of pushes, in rising order.
func Errcodes() []int {
	codes := make([]int, len(errcodes))
	for i, info := range errcodes {
		codes[i] = info.code
	}
	slices.Sort(codes)
	return codes
}
