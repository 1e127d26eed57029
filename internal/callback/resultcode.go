package callback

import "strconv"

// ResultCode is what a reply to WeChat says. Other codes than these mean nothing to it.
type ResultCode int

// The codes of the events' pages: add_waybill has those up to 20009, check_biz and get_quota those up to WrongPassword,
// cancel_waybill OK, Failed and those from 30001.
const (
	OK     ResultCode = 0
	Failed ResultCode = -1 // Anything else; ResultMsg says what.

	UnknownBiz    ResultCode = 10001 // The merchant, or its monthly account, isn't known.
	WrongPassword ResultCode = 10002

	BadWaybillID       ResultCode = 20001 // Only where WeChat chose it.
	SenderIncomplete   ResultCode = 20002
	SenderOutOfArea    ResultCode = 20003
	ReceiverIncomplete ResultCode = 20004
	ReceiverOutOfArea  ResultCode = 20005
	BadCargo           ResultCode = 20006
	BalanceTooLow      ResultCode = 20007
	BadInsurance       ResultCode = 20008
	BadService         ResultCode = 20009

	UnknownOrder      ResultCode = 30001 // The ids are of no order.
	AlreadyPickedUp   ResultCode = 30002 // Too late to cancel.
	InvalidOrder      ResultCode = 30003 // Cancelled before, or signed long ago.
	CancelUnsupported ResultCode = 30004
)

var resultWords = map[ResultCode]string{
	OK: "success", Failed: "system error",
	UnknownBiz: "biz_id unknown", WrongPassword: "wrong password",
	BadWaybillID: "waybill id not valid", SenderIncomplete: "sender incomplete", SenderOutOfArea: "sender out of service area",
	ReceiverIncomplete: "receiver incomplete", ReceiverOutOfArea: "receiver out of service area", BadCargo: "cargo not valid",
	BalanceTooLow: "balance too low", BadInsurance: "insurance not valid", BadService: "service not valid",
	UnknownOrder: "order unknown", AlreadyPickedUp: "already picked up", InvalidOrder: "order cancelled or ended before",
	CancelUnsupported: "cancelling is not supported",
}

// String is a short text that fits a ResultMsg; an unknown code shows as its number.
func (c ResultCode) String() string {
	if words, ok := resultWords[c]; ok {
		return words
	}
	return strconv.Itoa(int(c))
}
