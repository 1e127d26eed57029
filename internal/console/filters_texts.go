package console

var filterTexts = texts{
	"filter.any":         {En: "any", Zh: "全部"},
	"filter.apply":       {En: "Filter", Zh: "筛选"},
	"filter.clear":       {En: "Clear", Zh: "清除"},
	"filter.waybill_id":  {En: "Waybill", Zh: "运单号"},
	"filter.delivery_id": {En: "Account", Zh: "账户"},
	"filter.waiting_for": {En: "Waits for", Zh: "等待"},
	"filter.errcode":     {En: "errcode", Zh: "errcode"},
	"filter.reason":      {En: "Reason", Zh: "原因"},
	"filter.action_type": {En: "Scan", Zh: "扫描类型"},
	"filter.source":      {En: "Source", Zh: "来源"},
	"filter.since":       {En: "Received since", Zh: "接收时间起"},
	"filter.until":       {En: "Received until", Zh: "接收时间止"},
	"filter.time_hint":   {En: "24h or 2026-01-02T15:04:05+08:00", Zh: "24h 或 2026-01-02T15:04:05+08:00"},
	"filter.status":      {En: "Status", Zh: "状态"},

	"mark.colon": {En: ": ", Zh: "："},
	"mark.stop":  {En: ".", Zh: "。"},
	"mark.comma": {En: ", ", Zh: "、"},

	"waiting.retry":   {En: "next attempt", Zh: "下次尝试"},
	"waiting.breaker": {En: "breaker", Zh: "熔断器"},
	"waiting.account": {En: "account", Zh: "账户"},
	"waiting.token":   {En: "Token", Zh: "Token"},
	"waiting.waybill": {En: "waybill", Zh: "运单"},

	"verdict.accepted": {En: "accepted", Zh: "已接受"},
	"verdict.held":     {En: "held", Zh: "暂存"},
	"verdict.ignored":  {En: "ignored", Zh: "已忽略"},
	"verdict.rejected": {En: "rejected", Zh: "已拒绝"},
}
