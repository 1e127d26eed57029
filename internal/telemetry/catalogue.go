package telemetry

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// kind is a metric's type, as /metrics names it.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// metric describes one metric. Registering and documenting it both read this.
type metric struct {
	name    string
	kind    kind
	labels  []string
	buckets []float64 // Of a histogram.
	en, zh  string
}

// The metrics. Names end in their unit; times are seconds, sizes bytes. No label is free text: see known.
var (
	eventsTotal = metric{
		name: "carrier_events_total", kind: counter, labels: []string{"source", "verdict"},
		en: "Events that came in, by verdict; also those refused before one: unauthorized, limited, unavailable.",
		zh: "收到的事件数，按结论统计；也包括在得出结论前被拒绝的：unauthorized（未授权）、limited（超限）、unavailable（暂不可用）。",
	}
	callbacksTotal = metric{
		name: "carrier_callbacks_total", kind: counter, labels: []string{"delivery_id", "event", "result"},
		en: "WeChat's own pushes, by event (other: any that isn't handled here; empty: it could not be told) and what they were answered: accepted, repeated (the same answer again), refused (a result code that isn't 0), verified (the console's check), forged, stale, replayed (the same signature with another body), unreadable, unknown (no such account), failed (WeChat sends it again).",
		zh: "微信主动推送的次数，按事件（other 为此处不处理的事件；空表示无法得知）和应答结果统计：accepted（接受）、repeated（重复推送，应答相同）、refused（结果码非 0）、verified（URL 校验）、forged（签名错误）、stale（时间戳超出范围）、replayed（同一签名、不同内容）、unreadable（无法解析）、unknown（无此账号）、failed（未处理成功，微信会重推）。",
	}
	attemptsTotal = metric{
		name: "carrier_push_attempts_total", kind: counter, labels: []string{"delivery_id", "scope"},
		en: "Requests to updatePath, by what the answer speaks of; ok is success.",
		zh: "调用 updatePath 的次数，按应答所属范围统计；ok 表示成功。",
	}
	answersTotal = metric{
		name: "carrier_push_answers_total", kind: counter, labels: []string{"delivery_id", "errcode"},
		en: "Requests to updatePath, by the errcode of the answer: those of the table of errcodes, other for any that is not in it, none where no readable answer came.",
		zh: "调用 updatePath 的次数，按返回的 errcode 统计：错误码表中的错误码，other 为表外的错误码，none 为没有可读的应答。",
	}
	endedTotal = metric{
		name: "carrier_pushes_total", kind: counter, labels: []string{"delivery_id", "status"},
		en: "Pushes that ended: delivered, failed or discarded.",
		zh: "已结束的推送数：delivered（已送达）、failed（失败）、discarded（已作废）。",
	}
	attemptSeconds = metric{
		name: "carrier_push_attempt_duration_seconds", kind: histogram, labels: []string{"delivery_id"},
		buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25},
		en:      "How long one request to updatePath took.",
		zh:      "单次 updatePath 请求的耗时。",
	}
	delaySeconds = metric{
		name: "carrier_delivery_delay_seconds", kind: histogram, labels: []string{"delivery_id"},
		buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86400, 2 * 86400,
			3 * 86400, 7 * 86400},
		en: "From an event's arrival to its delivery upstream.",
		zh: "从收到事件到成功推送至微信的时间。",
	}
	requestsTotal = metric{
		name: "carrier_http_requests_total", kind: counter, labels: []string{"route", "code"},
		en: "HTTP requests answered, by the route's pattern and the status code.",
		zh: "已应答的 HTTP 请求数，按路由模式和状态码统计。",
	}
	requestSeconds = metric{
		name: "carrier_http_request_duration_seconds", kind: histogram, labels: []string{"route"},
		buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		en:      "How long an HTTP request took to answer.",
		zh:      "应答 HTTP 请求的耗时。",
	}
	natsConnected = metric{
		name: "carrier_nats_connected", kind: gauge,
		en: "1 while there is a connection to NATS, else 0; absent while NATS is off.",
		zh: "与 NATS 连接正常时为 1，否则为 0；未启用 NATS 时不输出。",
	}
	natsReconnects = metric{
		name: "carrier_nats_reconnects_total", kind: counter,
		en: "How often a connection to NATS that was lost was made again; absent while NATS is off.",
		zh: "与 NATS 断线后重新连接成功的次数；未启用 NATS 时不输出。",
	}
	natsMessages = metric{
		name: "carrier_nats_messages_total", kind: counter, labels: []string{"outcome"},
		en: "Messages taken from the stream CARRIER_EVENTS, by what became of them: acked (durable here), returned (given back, to come again), dead (can never be taken; kept as a dead letter).",
		zh: "从 CARRIER_EVENTS 流取出的消息数，按处理结果统计：acked（已落盘）、returned（退回，稍后重投）、dead（永远无法处理，存为死信）。",
	}
	natsRedelivered = metric{
		name: "carrier_nats_redelivered_total", kind: counter,
		en: "Messages of the stream CARRIER_EVENTS that had been delivered before; absent while NATS is off.",
		zh: "CARRIER_EVENTS 流中重复投递的消息数；未启用 NATS 时不输出。",
	}
	natsTakenAt = metric{
		name: "carrier_nats_last_taken_timestamp_seconds", kind: gauge,
		en: "When a message of the stream CARRIER_EVENTS last became durable here, Unix time; absent before the first.",
		zh: "最近一次将 CARRIER_EVENTS 流的消息落盘的时间（Unix 时间）；尚无时不输出。",
	}
	natsWaiting = metric{
		name: "carrier_nats_waiting_messages", kind: gauge,
		en: "Messages in the stream CARRIER_EVENTS that no node has fetched yet, as of the latest look (every 15 s); absent before the first.",
		zh: "CARRIER_EVENTS 流中尚未被任何节点取走的消息数，每 15 秒更新；首次更新前不输出。",
	}
	natsUnacked = metric{
		name: "carrier_nats_unacked_messages", kind: gauge,
		en: "Messages of the stream CARRIER_EVENTS that nodes have fetched and not answered yet, as of the latest look (every 15 s); absent before the first.",
		zh: "CARRIER_EVENTS 流中已被取走但尚未应答的消息数，每 15 秒更新；首次更新前不输出。",
	}

	verifyTotal = metric{
		name: "carrier_verify_total", kind: counter, labels: []string{"result"},
		en: "Waybills that were checked at WeChat: same (it shows what was delivered), different, no_merchant (nobody may ask), refused, failed (no answer), limited (the day's calls are used up); cancelled counts orders that WeChat says were cancelled.",
		zh: "在微信侧核对的运单数：same（与送达一致）、different（有差异）、no_merchant（没有可查询的商家）、refused（被拒绝）、failed（无应答）、limited（当日调用已用完）；cancelled 为微信侧已取消的订单数。",
	}

	reloadSuccess = metric{
		name: "carrier_config_reload_success", kind: gauge,
		en: "1 if the configuration was taken over when it was last loaded (at the start, or by SIGHUP), 0 if a reload was refused and the one before is still in force.",
		zh: "最近一次加载配置（启动或 SIGHUP）成功为 1；重新加载被拒绝、仍沿用旧配置为 0。",
	}
	reloadedAt = metric{
		name: "carrier_config_reload_timestamp_seconds", kind: gauge,
		en: "When a configuration was last taken over (at the start, or by SIGHUP), Unix time.",
		zh: "最近一次成功加载配置（启动或 SIGHUP）的时间（Unix 时间）。",
	}

	pushes = metric{
		name: "carrier_pushes", kind: gauge, labels: []string{"delivery_id", "status"},
		en: "Pushes that the store holds, by status; pending is the backlog.",
		zh: "存储中的推送数，按状态统计；pending 即积压量。",
	}
	oldestPending = metric{
		name: "carrier_oldest_pending_seconds", kind: gauge, labels: []string{"delivery_id"},
		en: "Age of the oldest pending push; 0 if none is pending.",
		zh: "最早一条待推送记录的等待时间；没有则为 0。",
	}
	oldestAtStage = metric{
		name: "carrier_waybill_stage_oldest_seconds", kind: gauge, labels: []string{"delivery_id", "stage"},
		en: "Of the waybills at a stage that is not the last and that WeChat's customers look at (they have a Token): how long ago the newest event came of the one that stands still longest. It is read every 15 s; absent where no waybill is at the stage.",
		zh: "处于某阶段（非终态）且微信用户可见（已有 Token）的运单中，停滞最久者距其最近一次事件的时间；每 15 秒读取一次，该阶段没有运单时不输出。",
	}
	heldEvents = metric{
		name: "carrier_held_events", kind: gauge,
		en: "Events held for a scan that is missing before them.",
		zh: "因缺少前序扫描而暂存的事件数。",
	}
	untoldOutcomes = metric{
		name: "carrier_nats_untold_outcomes", kind: gauge,
		en: "Outcomes that wait in the store to be told over NATS; 0 while NATS is off.",
		zh: "存储中等待经 NATS 通知的结果数；未启用 NATS 时为 0。",
	}
	oldestUntold = metric{
		name: "carrier_nats_oldest_untold_outcome_seconds", kind: gauge,
		en: "Age of the oldest outcome that waits to be told over NATS; 0 if none does. Events stay in the store until it is told, whatever their age.",
		zh: "最早一条等待经 NATS 通知的结果的等待时间；没有则为 0。通知之前，其事件无论多旧都留在存储中。",
	}
	breakerState = metric{
		name: "carrier_breaker_state", kind: gauge, labels: []string{"delivery_id", "host", "state"},
		en: "1 for the state that the breaker of an upstream host is in (closed, open, half_open), else 0.",
		zh: "上游主机的熔断器所处状态为 1（closed 关闭、open 打开、half_open 半开），其余为 0。",
	}
	tokenExpires = metric{
		name: "carrier_access_token_expires_timestamp_seconds", kind: gauge, labels: []string{"delivery_id"},
		en: "When the account's access_token expires, Unix time; absent while there is none.",
		zh: "账户 access_token 的过期时间（Unix 时间）；没有时不输出。",
	}
	tokenValid = metric{
		name: "carrier_access_token_valid", kind: gauge, labels: []string{"delivery_id"},
		en: "1 while the account has an access_token that has not expired, else 0; absent with token_mode none. An account without anything to push may have none.",
		zh: "账户持有未过期的 access_token 时为 1，否则为 0；token_mode 为 none 时不输出。没有待推送内容的账户可能没有 access_token。",
	}
	accountPaused = metric{
		name: "carrier_account_paused", kind: gauge, labels: []string{"delivery_id"},
		en: "1 while the account is paused, by an operator, by upstream's refusal or by the guard, else 0.",
		zh: "账户已暂停（人工、被上游拒绝或保护机制触发）为 1，否则为 0。",
	}
	guardTripped = metric{
		name: "carrier_account_guard_tripped", kind: gauge, labels: []string{"delivery_id"},
		en: "1 while the account is paused because too many of its pushes would fail for good (push.guard), else 0: worth an alarm.",
		zh: "因过多推送将永久失败（push.guard）而暂停账户时为 1，否则为 0；宜设告警。",
	}
	quotaUsed = metric{
		name: "carrier_quota_used", kind: gauge, labels: []string{"delivery_id"},
		en: "Calls of updatePath today in Beijing: WeChat's own count when it was last asked, and what was sent since.",
		zh: "北京时间当日 updatePath 的调用数：最近一次查询微信所得的用量，加上此后发送的次数。",
	}
	quotaLimit = metric{
		name: "carrier_quota_limit", kind: gauge, labels: []string{"delivery_id"},
		en: "Calls of updatePath that WeChat takes a day; absent while it has not said so.",
		zh: "微信允许的 updatePath 每日调用数；尚未查到时不输出。",
	}
	quotaEnds = metric{
		name: "carrier_quota_ends_timestamp_seconds", kind: gauge, labels: []string{"delivery_id"},
		en: "When the day's quota ends at the rate of the last 15 minutes, Unix time, and now if it is used up; absent while it lasts the day. Worth an alarm.",
		zh: "按最近 15 分钟的速率，当日配额用尽的时间（Unix 时间）；已用尽则为当前时间；足够当日使用时不输出。宜设告警。",
	}
	inFlight = metric{
		name: "carrier_pushes_in_flight", kind: gauge, labels: []string{"delivery_id"},
		en: "Requests to upstream under way.",
		zh: "正在进行的上游请求数。",
	}
	storeCommits = metric{
		name: "carrier_store_commits_total", kind: counter,
		en: "Commits of the store since the start.",
		zh: "启动以来存储的提交次数。",
	}
	storeCommitSeconds = metric{
		name: "carrier_store_commit_seconds_total", kind: counter,
		en: "Time spent in commits, from batch to durable; divided by the commits it is the mean.",
		zh: "提交所花的总时间（从成批到落盘）；除以提交次数即平均值。",
	}
	storeRows = metric{
		name: "carrier_store_rows_total", kind: counter,
		en: "Events and outcomes committed since the start.",
		zh: "启动以来提交的事件和推送结果数。",
	}
	storeFree = metric{
		name: "carrier_store_free_bytes", kind: gauge,
		en: "Free space on the store's disk; absent where it is not known.",
		zh: "存储所在磁盘的剩余空间；无法得知时不输出。",
	}
	storeTrips = metric{
		name: "carrier_store_round_trips_total", kind: counter,
		en: "Round trips of this node's commits to PostgreSQL since the start; absent with the embedded store.",
		zh: "启动以来本节点提交时与 PostgreSQL 的往返次数；使用内置存储时不输出。",
	}
	nodesAlive = metric{
		name: "carrier_nodes", kind: gauge,
		en: "Nodes that share the PostgreSQL store and are alive, as this one sees it; absent with the embedded store.",
		zh: "共享 PostgreSQL 存储且存活的节点数（本节点所见）；使用内置存储时不输出。",
	}
	nodeSlots = metric{
		name: "carrier_node_slots", kind: gauge,
		en: "Of the 256 groups that waybills are divided into, those that this node pushes for; 0 if its lease has ended. Absent with the embedded store.",
		zh: "运单划分的 256 个分组中由本节点负责推送的数量；租约失效时为 0。使用内置存储时不输出。",
	}
	nodeTakeovers = metric{
		name: "carrier_node_takeovers_total", kind: counter,
		en: "Nodes that gave no sign of life and whose waybills this one set free for others, since the start; a node that stops in order is none. Absent with the embedded store.",
		zh: "启动以来被本节点判定失联并释放其运单的节点数；正常停止的节点不计入。使用内置存储时不输出。",
	}
	leaseAge = metric{
		name: "carrier_node_lease_age_seconds", kind: gauge,
		en: "How long ago this node's lease was renewed, which is done every fifth of store.lease; absent while none holds, and with the embedded store.",
		zh: "距本节点上次续租的时间，续租间隔为 store.lease 的五分之一；租约失效时以及使用内置存储时不输出。",
	}
	traceSpans = metric{
		name: "carrier_trace_spans_total", kind: counter, labels: []string{"outcome"},
		en: "Spans sent to the OpenTelemetry collector: exported, or lost because it did not take them; absent while traces are off.",
		zh: "发往 OpenTelemetry 采集器的 span 数：exported（已送出）、lost（采集器未接收而丢弃）；未启用链路追踪时不输出。",
	}
	buildInfo = metric{
		name: "carrier_build_info", kind: gauge, labels: []string{"version", "revision", "goversion"},
		en: "Always 1; the labels say what is running.",
		zh: "恒为 1；标签说明正在运行的版本。",
	}
)

// counted are kept by Metrics as things happen, sampled are read at the scrape.
var (
	counted = []*metric{
		&eventsTotal, &callbacksTotal, &attemptsTotal, &answersTotal, &endedTotal, &attemptSeconds, &delaySeconds, &requestsTotal, &requestSeconds, &verifyTotal,
		&natsConnected, &natsReconnects, &natsMessages, &natsRedelivered, &natsTakenAt, &natsWaiting, &natsUnacked, &reloadSuccess, &reloadedAt,
	}
	sampled = []*metric{
		&pushes, &oldestPending, &oldestAtStage, &heldEvents, &untoldOutcomes, &oldestUntold, &breakerState, &tokenExpires, &tokenValid, &accountPaused, &guardTripped,
		&quotaUsed, &quotaLimit, &quotaEnds, &inFlight, &storeCommits, &storeCommitSeconds, &storeRows, &storeFree, &storeTrips, &nodesAlive, &nodeSlots,
		&nodeTakeovers, &leaseAge, &traceSpans, &buildInfo,
	}
)

func (m *metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.name, m.en, m.labels, nil) }

func (m *metric) counterVec(r prometheus.Registerer) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.name, Help: m.en}, m.labels)
	r.MustRegister(v)
	return v
}

func (m *metric) gaugeVec(r prometheus.Registerer) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.name, Help: m.en}, m.labels)
	r.MustRegister(v)
	return v
}

func (m *metric) histogramVec(r prometheus.Registerer) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.name, Help: m.en, Buckets: m.buckets}, m.labels)
	r.MustRegister(v)
	return v
}

// Reference is a table of all metrics of the service in Markdown, meanings in Chinese when zh is set. The Go runtime's
// and the process's own metrics (go_*, process_*), which /metrics shows as well, are not in it.
func Reference(zh bool) string {
	var b strings.Builder
	head := "| name | type | labels | meaning |\n"
	if zh {
		head = "| 名称 | 类型 | 标签 | 含义 |\n"
	}
	b.WriteString(head + "|---|---|---|---|\n")
	for _, list := range [][]*metric{counted, sampled} {
		for _, m := range list {
			meaning := m.en
			if zh {
				meaning = m.zh
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, quoted(m.labels), meaning)
		}
	}
	return b.String()
}

func quoted(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	return "`" + strings.Join(labels, "`, `") + "`"
}
