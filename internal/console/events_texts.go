package console

var eventTexts = texts{
	"events.lead.rejected":  {En: "Scans for which there is no legal step in their waybill's timeline. They are kept, and not pushed.", Zh: "在运单时间线中没有合法流转的扫描。已记录，不推送。"},
	"events.empty.rejected": {En: "No rejected event matches. That is how it should be.", Zh: "没有符合条件的被拒绝事件，一切正常。"},
	"events.lead.held":      {En: "Scans that imply one not seen yet. Each waits for it, and is taken as it is when its time is up.", Zh: "之前缺少扫描的事件。等待缺失的扫描，到期后按现状接受。"},
	"events.empty.held":     {En: "No held event matches: nothing waits for a missing scan.", Zh: "没有符合条件的暂存事件：无需等待缺失的扫描。"},

	"events.seq":       {En: "Event", Zh: "事件"},
	"events.why":       {En: "Why", Zh: "原因"},
	"events.until":     {En: "Held until", Zh: "暂存至"},
	"events.accept":    {En: "Accept", Zh: "放行"},
	"events.accept_it": {En: "Accept it all the same…", Zh: "人工放行…"},
	"events.accepted":  {En: "Event %d is accepted, and will be pushed. The audit log says that it was you.", Zh: "事件 %d 已人工放行，将会推送；操作已记入审计记录。"},
}
