package orders

import (
	"slices"

	"carrier/internal/callback"
)

// What merchants read (ResultMsg; WeChat passes it on as delivery_resultmsg).
const (
	textDone      = "success"
	textDispatch  = "快递公司系统未能处理，请稍后重试"
	textNobody    = "快递公司暂不支持该操作"
	textNoNumber  = "快递公司未能生成运单号"
	textUnfit     = "请求数据有误"
	textUnknown   = "订单不存在"
	textPickedUp  = "快件已揽收，无法取消"
	textCancelled = "订单已取消"
	textSigned    = "快件已签收"
	textRefused   = "快递公司拒绝了该请求"
)

// reply is what WeChat is told of an event.
type reply struct {
	code      callback.ResultCode
	msg       string
	waybillID string // add_waybill only.
	data      string // add_waybill only: ##key##value##...
	quota     int64  // check_biz and get_quota only.
	repeated  bool   // It was answered before.
}

func refuse(code callback.ResultCode, msg string) reply { return reply{code: code, msg: msg} }

// result is the word for metrics and logs.
func (r *reply) result() string {
	switch {
	case r.code != callback.OK:
		return Refused
	case r.repeated:
		return Repeated
	}
	return Accepted
}

// documented are the result codes that a dispatch system may give, by event (WeChat 物流助手, the events' pages).
var documented = map[string][]callback.ResultCode{
	AddWaybill: {
		callback.OK, callback.Failed, callback.UnknownBiz, callback.WrongPassword, callback.BadWaybillID, callback.SenderIncomplete,
		callback.SenderOutOfArea, callback.ReceiverIncomplete, callback.ReceiverOutOfArea, callback.BadCargo, callback.BalanceTooLow,
		callback.BadInsurance, callback.BadService,
	},
	CancelWaybill: {callback.OK, callback.Failed, callback.UnknownOrder, callback.AlreadyPickedUp, callback.InvalidOrder, callback.CancelUnsupported},
	CheckBiz:      {callback.OK, callback.Failed, callback.UnknownBiz, callback.WrongPassword},
	GetQuota:      {callback.OK, callback.Failed, callback.UnknownBiz, callback.WrongPassword},
}

// tellable is the code as WeChat may be told it of an event: what the documents don't have becomes Failed.
func tellable(event string, code callback.ResultCode) callback.ResultCode {
	if slices.Contains(documented[event], code) {
		return code
	}
	return callback.Failed
}
