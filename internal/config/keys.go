package config

import (
	"strings"
	"time"
)

// about says what a key means, in the two languages of the users, and what its value may be.
type about struct {
	en, zh   string
	choices  []string // The only values, if not nil.
	limit    limit    // Of numbers, sizes (bytes) and durations (nanoseconds).
	required bool     // An element of the list is nothing without it.
}

// errcodeScopes are the scopes of upstream's answers that an errcode can be given.
var errcodeScopes = []string{"upstream", "credential", "account", "rate", "waybill", "event"}

// sections describes the mappings, for editors.
var sections = map[string]about{
	"server":              {en: "The two listeners.", zh: "两个监听端口。"},
	"store":               {en: "Where events are kept.", zh: "事件存储。"},
	"nats":                {en: "NATS, as a second way in for events and a way out for outcomes.", zh: "NATS：事件的另一入口，也发布推送结果。"},
	"nats.tls":            {en: "TLS to the NATS server. Any of these keys asks for it, whatever the URL says.", zh: "与 NATS 服务器的 TLS 连接。设置其中任一项即启用，不论 URL 如何。"},
	"nats.embedded":       {en: "The NATS server inside this process, if url is embedded.", zh: "进程内置的 NATS 服务器（url 为 embedded 时）。"},
	"sources[]":           {en: "A sender of events.", zh: "一个事件来源。"},
	"accounts[]":          {en: "A delivery company and its mini program.", zh: "一家快递公司及其小程序。"},
	"accounts[].callback": {en: "WeChat's own pushes to the service.", zh: "微信消息推送（回调）。"},
	"accounts[].orders":   {en: "HTTP hook that is asked about WeChat's order events when NATS is off, or when nobody answers on carrier.orders.", zh: "NATS 关闭，或 carrier.orders 主题无人应答时，用于询问微信订单事件的 HTTP 钩子。"},
	"merchants[]":         {en: "A mini program of the business side.", zh: "一个商家侧小程序。"},
	"platform":            {en: "A third-party platform that merchants have authorised.", zh: "商家所授权的第三方平台。"},
	"platform.callback":   {en: "WeChat's pushes to the platform.", zh: "微信向第三方平台的推送。"},
	"state":               {en: "How events are judged.", zh: "事件判定规则。"},
	"push":                {en: "How events are sent to WeChat.", zh: "向微信推送的规则。"},
	"push.retry":          {en: "Backoff, with full jitter, while WeChat is unavailable.", zh: "微信不可用时的退避重试（全抖动）。"},
	"push.breaker":        {en: "Circuit breaker; each account has one.", zh: "熔断器，每个账户一个。"},
	"push.guard":          {en: "Stops an account before masses of its pushes fail for good; an operator resumes it.", zh: "防止大量推送永久失败：触发后账户暂停，由运维恢复。"},
	"verify":              {en: "Checks with the merchants' credentials that WeChat shows what was delivered; without merchants nothing is checked.", zh: "以商家凭据核对微信是否显示了已送达的轨迹；没有商家时不核对。"},
	"admin":               {en: "Who may use the admin API and the console.", zh: "管理 API 与控制台的使用者。"},
	"admin.tokens[]":      {en: "A user of the admin API.", zh: "一个管理 API 用户。"},
	"log":                 {en: "The service's log, on standard error.", zh: "服务日志，输出到标准错误。"},
}

// keys describes every key that holds a value. A test holds it equal to the structs.
var keys = map[string]about{
	"server.listen": {
		en: "Address for events and WeChat callbacks: the side that may face the network. Anything but loopback needs at least one source, or NATS.",
		zh: "事件与微信回调的监听地址，可面向网络。非本机回环地址时至少要有一个来源（sources），或启用 NATS。",
	},
	"server.admin_listen": {
		en: "Address for the admin API, console, metrics and health. Keep it private; anything but loopback needs admin tokens.",
		zh: "管理 API、控制台、指标与健康检查的监听地址，应保持内网可见。非回环地址时必须配置管理令牌。",
	},
	"server.max_body": {
		en:    "Largest request body.",
		zh:    "请求体大小上限。",
		limit: between(float64(KiB), float64(64*MiB)),
	},
	"server.trusted_proxies": {
		en: "Networks (CIDR) of reverse proxies whose X-Forwarded-For is believed. Empty: the peer's own address counts.",
		zh: "可信反向代理网段（CIDR），只信任它们给出的 X-Forwarded-For。留空则以对端地址为准。",
	},
	"store.url": {
		en: "file:FOLDER for the embedded engine, relative to the working directory; or postgres://user:password@host:5432/carrier, which any number of nodes may share.",
		zh: "file:目录 表示内置引擎（相对于工作目录）；或 postgres://user:password@host:5432/carrier，可由任意多个节点共用。",
	},
	"store.retention": {
		en:    "Delivered events and dead letters older than this are pruned; failed events stay, and with NATS those whose outcome was not told yet. 0 keeps all.",
		zh:    "早于此时长的已送达事件与死信会被清理；失败事件，以及启用 NATS 时尚未通知结果的事件会保留。0 表示全部保留。",
		limit: atLeast(0),
	},
	"store.min_free": {
		en:    "Free disk space below which new events are answered with 503. 0: no limit.",
		zh:    "磁盘剩余空间低于此值时，新事件返回 503。0 表示不限制。",
		limit: atLeast(0),
	},
	"store.key_file": {
		en: "File with the AES key(s) that encrypt waybill Tokens at rest: 32 bytes in base64 or hex a line, newest first, older ones only to read. Relative to this file. Empty: not encrypted.",
		zh: "运单 Token 落盘加密用的 AES 密钥文件：每行一个 32 字节密钥（base64 或十六进制），新密钥在前，旧密钥只用于读取；相对于本配置文件。留空则不加密。",
	},
	"store.node": {
		en: "With postgres://: this node's name among those that share the database, for logs. Empty: the host's name with random letters.",
		zh: "使用 postgres:// 时：本节点在共享该数据库的各节点中的名称，用于日志。留空则为主机名加随机字母。",
	},
	"store.lease": {
		en:    "With postgres://: how long waybills stay with a node that gives no sign of life before the others push for them. Shorter takes over sooner after a crash, and cuts pushes off sooner when PostgreSQL does not answer.",
		zh:    "使用 postgres:// 时：节点失联多久之后，其运单由其他节点接手推送。越短则故障接管越快，但 PostgreSQL 无响应时推送也越早被中断。",
		limit: between(float64(2*time.Second), float64(5*time.Minute)),
	},
	"nats.url": {
		en: "Empty: off. embedded: a server inside this process. Or nats://host:4222 (tls:// for TLS), several of one cluster separated by commas.",
		zh: "留空为关闭；embedded 为进程内置服务器；或 nats://host:4222（TLS 用 tls://），同一集群的多个地址以逗号分隔。",
	},
	"nats.creds_file": {
		en: "NATS credentials file. Relative to this file. Only one of creds_file, nkey_file and user.",
		zh: "NATS 凭据文件，相对于本配置文件。creds_file、nkey_file、user 只能选一。",
	},
	"nats.nkey_file": {
		en: "File with a user's NKey seed (SU...). Relative to this file.",
		zh: "NKey 用户种子文件（SU...），相对于本配置文件。",
	},
	"nats.user": {
		en: "User name.",
		zh: "用户名。",
	},
	"nats.password": {
		en: "The user's password.",
		zh: "该用户的密码。",
	},
	"nats.tls.ca_file": {
		en: "Certificates (PEM) of the authorities that sign the server's. Relative to this file. Empty: the system's.",
		zh: "签发服务器证书的 CA 证书（PEM），相对于本配置文件。留空则使用系统自带的。",
	},
	"nats.tls.cert_file": {
		en: "Certificate (PEM) that the service shows. Relative to this file. Empty: none.",
		zh: "本服务出示的客户端证书（PEM），相对于本配置文件。留空为不出示。",
	},
	"nats.tls.key_file": {
		en: "Private key (PEM) of cert_file. Relative to this file.",
		zh: "cert_file 的私钥（PEM），相对于本配置文件。",
	},
	"nats.replicas": {
		en:    "Copies of the streams that the service makes: 1, or 3 or 5 in a cluster of at least as many servers.",
		zh:    "服务所建流的副本数：1；集群中可为 3 或 5，不超过服务器数量。",
		limit: between(1, maxReplicas),
	},
	"nats.embedded.listen": {
		en: "Address of the embedded server, loopback only, since it asks for no credentials.",
		zh: "内置 NATS 服务器的监听地址。它不做身份验证，只能监听本机回环地址。",
	},
	"nats.embedded.store_dir": {
		en: "Folder of the embedded server's streams, relative to the working directory.",
		zh: "内置 NATS 服务器的数据目录（相对于工作目录）。",
	},
	"sources": {
		en: "Who may send events over HTTP. Over NATS, its own permissions decide who may publish; a name that is listed here is held to its delivery_ids there too.",
		zh: "允许通过 HTTP 发送事件的来源。经 NATS 发送由 NATS 自身的权限控制；若名称在此列出，其 delivery_ids 限制同样有效。",
	},
	"sources[].name": {
		required: true,
		en:       "Unique name: letters, digits, - and _. Event ids are unique within it, and it is part of NATS subjects.",
		zh:       "唯一名称（字母、数字、-、_）。事件 id 在其内唯一，也用于 NATS 主题。",
	},
	"sources[].api_key": {
		en: "Sent as \"Authorization: Bearer KEY\". At least 16 characters.",
		zh: "以 Authorization: Bearer KEY 发送，至少 16 个字符。",
	},
	"sources[].signing_secret": {
		en: "whsec_ and base64 of at least 24 bytes. When set, a Standard Webhooks signature is required instead of the key.",
		zh: "whsec_ 加上至少 24 字节的 base64。设置后要求 Standard Webhooks 签名，不再接受 api_key。",
	},
	"sources[].delivery_ids": {
		en: "Accounts that it may send events for. Empty: all.",
		zh: "允许发送的账户（delivery_id）。留空为全部。",
	},
	"sources[].rate": {
		en:    "Events per second over HTTP. 0: no limit.",
		zh:    "HTTP 每秒事件数上限。0 表示不限制。",
		limit: atLeast(0),
	},
	"accounts": {
		en: "One entry for each delivery company, with its own mini program.",
		zh: "每家快递公司一项，各有自己的小程序。",
	},
	"accounts[].delivery_id": {
		required: true,
		en:       "WeChat's id of the delivery company, such as SF. Unique.",
		zh:       "微信的快递公司 ID，如 SF。不可重复。",
	},
	"accounts[].appid": {
		en: "AppID of its mini program. May be left out if token_mode is none.",
		zh: "小程序 AppID。token_mode 为 none 时可不填。",
	},
	"accounts[].secret": {
		en: "AppSecret of its mini program. May be left out if token_mode is none.",
		zh: "小程序 AppSecret。token_mode 为 none 时可不填。",
	},
	"accounts[].base_url": {
		en: "WeChat's API, a proxy in front of it, or a sandbox. https, unless the host is private or token_mode is none.",
		zh: "微信 API、其代理或沙箱的地址。除内网主机或 token_mode 为 none 外必须为 https。",
	},
	"accounts[].fallback_base_url": {
		en: "Tried while base_url's breaker is open. The default holds only if base_url is left at its own; otherwise there is none. Empty: none.",
		zh: "base_url 熔断期间使用的备用地址。仅当 base_url 为默认值时才有此默认值，否则没有备用地址。留空为不使用。",
	},
	"accounts[].token_mode": {
		en:      "stable: stable_token. basic: token. none: cloud container, no access_token is sent (plain http).",
		zh:      "stable：稳定版接口调用凭据；basic：普通 access_token；none：云托管，不带 access_token（http）。",
		choices: []string{TokenStable, TokenBasic, TokenNone},
	},
	"accounts[].cloud_token_file": {
		en: "With token_mode none in a cloud container (云托管): the file of its cloudbase_access_token, read anew for each call. Relative to this file. Empty: calls carry none, for a side-car of 开放接口服务.",
		zh: "token_mode 为 none 且在云托管容器中：cloudbase_access_token 所在文件，每次调用时重新读取；相对于本配置文件。留空则不携带，由开放接口服务的边车处理。",
	},
	"accounts[].callback.token": {
		en: "Token of the message push settings (消息推送配置): 3 to 32 letters and digits. Their URL is https://HOST/wechat/DELIVERY_ID/callback. Empty: WeChat's pushes are not taken.",
		zh: "消息推送配置中的 Token，3 至 32 位字母或数字。其 URL 填 https://主机/wechat/DELIVERY_ID/callback。留空则不接收微信推送。",
	},
	"accounts[].callback.encoding_aes_key": {
		en: "EncodingAESKey of the same settings, 43 characters. When set, only encrypted bodies are taken.",
		zh: "消息推送配置中的 EncodingAESKey，43 个字符。设置后只接受加密消息。",
	},
	"accounts[].callback.previous_encoding_aes_key": {
		en: "The key before, still taken while WeChat changes over to a new one.",
		zh: "更换密钥期间的旧 EncodingAESKey。",
	},
	"accounts[].orders.url": {
		en: "Where order events are sent, to be answered within 3.5 s. Empty: a waybill number that WeChat gives is accepted, and an order that wants one from the company is refused.",
		zh: "订单事件的发送地址，须在 3.5 秒内应答。留空：接受微信给出的运单号；需由快递公司生成单号的订单将被拒绝。",
	},
	"accounts[].orders.secret": {
		en: "whsec_ secret that these requests are signed with (Standard Webhooks).",
		zh: "请求签名密钥 whsec_...（Standard Webhooks）。",
	},
	"accounts[].concurrency": {
		en:    "Pushes in flight at a time, on all nodes together.",
		zh:    "所有节点合计同时进行的推送数。",
		limit: between(1, maxConcurrency),
	},
	"accounts[].rate": {
		en:    "Pushes per second, of all nodes together. 0: no limit.",
		zh:    "所有节点合计的每秒推送数上限。0 表示不限制。",
		limit: atLeast(0),
	},
	"accounts[].timeout": {
		en:    "Of one request to WeChat; at most 25s.",
		zh:    "单次请求微信的超时时间，最长 25s。",
		limit: above(0),
	},
	"merchants": {
		en: "Credentials of the business side, for getPath, getOrder and batchGetOrder.",
		zh: "商家侧凭据，用于 getPath、getOrder、batchGetOrder。",
	},
	"merchants[].name": {
		required: true,
		en:       "Unique name: letters, digits, - and _.",
		zh:       "唯一名称（字母、数字、-、_）。",
	},
	"merchants[].appid": {
		en: "AppID of the merchant's mini program. May be left out if token_mode is none.",
		zh: "商家小程序 AppID。token_mode 为 none 时可不填。",
	},
	"merchants[].secret": {
		en: "AppSecret of the merchant's mini program. Left out if authorizer is true or token_mode is none.",
		zh: "商家小程序 AppSecret。authorizer 为 true 或 token_mode 为 none 时不填。",
	},
	"merchants[].base_url": {
		en: "As of accounts.",
		zh: "同 accounts。",
	},
	"merchants[].token_mode": {
		en:      "As of accounts.",
		zh:      "同 accounts。",
		choices: []string{TokenStable, TokenBasic, TokenNone},
	},
	"merchants[].shop_appids": {
		en: "Further AppIDs whose orders these credentials can read: what WeChat names as ShopAppID in add_waybill. The merchant's own is one by itself.",
		zh: "此凭据还可查询哪些 AppID 的订单，即 add_waybill 中的 ShopAppID。商家自己的 AppID 无需填写。",
	},
	"merchants[].cloud_token_file": {
		en: "As of accounts.",
		zh: "同 accounts。",
	},
	"merchants[].authorizer": {
		en: "true: the merchant has authorised the third-party platform of platform, with permission set 45 or 71, and has no secret here.",
		zh: "true 表示商家已授权 platform 所配置的第三方平台（权限集 45 或 71），此处不填 secret。",
	},
	"merchants[].refresh_token": {
		en: "The authorizer_refresh_token of a merchant that authorised the platform before this service heard of it; leave it here. Empty: it comes when the merchant authorises. Newer ones are kept in the store, until another one stands here.",
		zh: "商家在本服务接入之前已完成授权时，其 authorizer_refresh_token，请保留在此；留空则在商家授权时自动获得。之后更新的值保存在存储中；在此填入新值即可替换。",
	},
	"platform.appid": {
		en: "The platform's AppID (component_appid). Empty: there is none.",
		zh: "第三方平台 AppID（component_appid）。留空表示没有。",
	},
	"platform.secret": {
		en: "The platform's AppSecret (component_appsecret).",
		zh: "第三方平台 AppSecret（component_appsecret）。",
	},
	"platform.base_url": {
		en: "As of accounts.",
		zh: "同 accounts。",
	},
	"platform.callback.token": {
		en: "消息校验Token of the platform. Its 授权事件接收URL is https://HOST/wechat/component/callback; WeChat pushes the component_verify_ticket there every 10 minutes.",
		zh: "第三方平台的消息校验Token。其授权事件接收URL 填 https://主机/wechat/component/callback，微信每 10 分钟向其推送 component_verify_ticket。",
	},
	"platform.callback.encoding_aes_key": {
		en: "消息加解密Key of the platform, 43 characters. Its pushes are always encrypted.",
		zh: "第三方平台的消息加解密Key，43 个字符。其推送始终加密。",
	},
	"platform.callback.previous_encoding_aes_key": {
		en: "The key before, still taken while WeChat changes over to a new one.",
		zh: "更换密钥期间的旧消息加解密Key。",
	},
	"state.reorder_window": {
		en:    "How long an event that implies a missing scan waits for that scan. 0: not at all.",
		zh:    "事件表明缺少前序扫描时，等待补扫的时长。0 表示不等待。",
		limit: atLeast(0),
	},
	"state.max_future": {
		en:    "An action_time further ahead than this is refused.",
		zh:    "action_time 超前于此时长则拒绝。",
		limit: atLeast(0),
	},
	"state.max_age": {
		en:    "An action_time older than this is refused. 0: no limit.",
		zh:    "action_time 早于此时长则拒绝。0 表示不限制。",
		limit: atLeast(0),
	},
	"state.max_action_msg": {
		en:    "Longest action_msg, in bytes of UTF-8.",
		zh:    "action_msg 的最大长度（UTF-8 字节数）。",
		limit: between(1, float64(64*KiB)),
	},
	"push.retry.initial": {
		en:    "Longest wait before the second attempt.",
		zh:    "第二次尝试前的最长等待。",
		limit: above(0),
	},
	"push.retry.max": {
		en:    "Longest wait between two attempts.",
		zh:    "两次尝试之间的最长等待。",
		limit: above(0),
	},
	"push.retry.multiplier": {
		en:    "By how much the wait grows with each attempt.",
		zh:    "每次尝试后等待时间的倍数。",
		limit: between(1, 100),
	},
	"push.retry.max_age": {
		en:    "A push that WeChat could not take for this long fails; an operator can replay it.",
		zh:    "持续推送不成功超过此时长即失败，可由运维重放。",
		limit: above(0),
	},
	"push.token_retries": {
		en:    "Attempts on 9300507 and 40199 before the waybill is parked.",
		zh:    "遇到 9300507、40199 时的尝试次数，之后该运单暂停推送。",
		limit: between(0, 100),
	},
	"push.no_token_wait": {
		en:    "How long a push waits for its waybill's Token before it fails.",
		zh:    "推送等待运单 Token 的最长时间，超过即失败。",
		limit: above(0),
	},
	"push.unknown_waybills": {
		en:      "Scans of waybills that WeChat never ordered: wait for a Token, or discard at once. A Token that comes later brings discarded ones back.",
		zh:      "非微信下单的运单扫描：wait 等待 Token，discard 立即作废；之后收到 Token 时，已作废的会恢复推送。",
		choices: []string{UnknownWait, UnknownDiscard},
	},
	"push.quota_reserve": {
		en:    "Share (0 to 1) of the day's quota of updatePath kept for pickup, delivery, signature and exception: when no more than that remains, transit scans (200001) wait. 0: none is kept.",
		zh:    "为揽收、派送、签收、异常保留的 updatePath 当日配额比例（0 至 1）：剩余不超过该比例时，运输轨迹（200001）等待。0 表示不保留。",
		limit: between(0, 1),
	},
	"push.errcodes": {
		en: "Gives single errcodes of WeChat another scope, {40199: event}: " + strings.Join(errcodeScopes, ", ") + ".",
		zh: "改变个别微信错误码的作用范围，如 {40199: event}。可选：" + strings.Join(errcodeScopes, "、") + "。",
	},
	"push.breaker.min_requests": {
		en:    "Requests within interval before the breaker judges.",
		zh:    "interval 内达到此请求数后熔断器才做判断。",
		limit: atLeast(1),
	},
	"push.breaker.failure_ratio": {
		en:    "Share of failures (above 0, up to 1) that opens it.",
		zh:    "触发熔断的失败比例（大于 0，至多 1）。",
		limit: aboveUpTo(0, 1),
	},
	"push.breaker.interval": {
		en:    "Window in which requests are counted.",
		zh:    "请求统计窗口。",
		limit: above(0),
	},
	"push.breaker.open_for": {
		en:    "How long nothing is sent before probes begin.",
		zh:    "熔断后停止发送的时长，之后开始探测。",
		limit: above(0),
	},
	"push.breaker.half_open": {
		en:    "Probes that must succeed before it closes.",
		zh:    "半开状态下需成功的探测数。",
		limit: atLeast(1),
	},
	"push.guard.share": {
		en:    "Share of the ended pushes that WeChat refused for good, above which no more may fail: they stay pending and the account is paused. 0: no guard.",
		zh:    "已结束推送中被微信永久拒绝的比例上限；超过后不再判为失败：推送保持待发，账户暂停。0 表示不启用。",
		limit: between(0, 1),
	},
	"push.guard.min": {
		en:    "Refusals within window before it can stop the account.",
		zh:    "window 内达到此拒绝数后才可能暂停账户。",
		limit: atLeast(1),
	},
	"push.guard.window": {
		en:    "Window in which ended pushes are counted.",
		zh:    "已结束推送的统计窗口。",
		limit: above(0),
	},
	"verify.share": {
		en:    "Share of the waybills that are checked some time after their last delivery. 0: only those whose Token or number WeChat refuses, and those that were found to differ.",
		zh:    "在最后一次送达后被核对的运单比例。0 表示只核对被微信拒绝 Token 或运单号的运单，以及已发现差异的运单。",
		limit: between(0, 1),
	},
	"verify.rate": {
		en:    "Waybills checked per second at most, on all nodes together.",
		zh:    "所有节点合计每秒最多核对的运单数。",
		limit: aboveUpTo(0, 1000),
	},
	"verify.per_day": {
		en:    "Calls that checking may make of one merchant's quota in a day in Beijing, on all nodes together; counted anew after a restart.",
		zh:    "所有节点合计，核对每天（北京时间）最多占用单个商家的调用次数；重启后重新计数。",
		limit: atLeast(1),
	},
	"verify.after": {
		en:    "How long after a waybill's last delivery it is checked; not below verify.delay.",
		zh:    "运单最后一次送达后多久核对；不得小于 verify.delay。",
		limit: above(0),
	},
	"verify.delay": {
		en:    "How long WeChat has to show a delivery before it counts as missing.",
		zh:    "送达后多久仍未显示才算缺失。",
		limit: above(0),
	},
	"admin.tokens": {
		en: "Tokens of the admin API and the console.",
		zh: "管理 API 与控制台的令牌。",
	},
	"admin.tokens[].name": {
		required: true,
		en:       "Unique name, as the audit log says it.",
		zh:       "唯一名称，记入审计记录。",
	},
	"admin.tokens[].token": {
		en: "Sent as \"Authorization: Bearer TOKEN\". At least 32 characters.",
		zh: "以 Authorization: Bearer TOKEN 发送，至少 32 个字符。",
	},
	"admin.tokens[].role": {
		required: true,
		en:       "operator reads and acts; viewer only reads.",
		zh:       "operator 可查看与操作；viewer 仅查看。",
		choices:  []string{RoleOperator, RoleViewer},
	},
	"log.level": {
		en:      "The least important lines that are written.",
		zh:      "日志级别。",
		choices: []string{"debug", "info", "warn", "error"},
	},
	"log.format": {
		en:      "text for people, json for machines; auto is text on a terminal and else json.",
		zh:      "text 便于阅读，json 便于采集；auto 在终端为 text，否则为 json。",
		choices: []string{"auto", "text", "json"},
	},
}
