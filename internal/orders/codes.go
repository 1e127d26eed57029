package orders

import "slices"

// Result codes of WeChat 物流助手 (add_waybill, cancel_waybill, check_biz, get_quota).
const (
	codeOK          = 0
	codeOther       = -1    // No, for a reason that has no code.
	codeBadWaybill  = 20001 // WayBillID can't be used.
	codeUnknown     = 30001 // cancel_waybill: no such order.
	codePickedUp    = 30002 // cancel_waybill: too late.
	codeNotOpen     = 30003 // cancel_waybill: cancelled before, or signed for.
	maxResultMsg    = 256   // Bytes. The document names no limit.
	maxWaybillData  = 4096  // Bytes, as sent.
	successText     = "success"
	textDispatch    = "快递公司系统未能处理，请稍后重试"
	textNobody      = "快递公司暂不支持该操作"
	textNoNumber    = "快递公司未能生成运单号"
	textUnfit       = "订单数据不完整"
	textBadWaybill  = "运单号无效"
	textUnknown     = "订单不存在"
	textPickedUp    = "快件已揽收，无法取消"
	textCancelled   = "订单已取消"
	textSigned      = "快件已签收"
	textUnexplained = "快递公司拒绝了该请求"
)

// documented are the result codes that a dispatch system may give, by event.
var documented = map[string][]int{
	AddWaybill:    {0, -1, 10001, 10002, 20001, 20002, 20003, 20004, 20005, 20006, 20007, 20008, 20009},
	CancelWaybill: {0, -1, 30001, 30002, 30003, 30004},
	CheckBiz:      {0, -1, 10001, 10002},
	GetQuota:      {0, -1, 10001, 10002},
}

// known is the code as WeChat may be told it: what the document doesn't name becomes codeOther.
func known(event string, code int) int {
	if slices.Contains(documented[event], code) {
		return code
	}
	return codeOther
}
