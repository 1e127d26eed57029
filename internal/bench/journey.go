package bench

import (
	"strconv"
	"sync/atomic"
	"time"

	"carrier/internal/state"
)

// deliveryID is the one account of a benchmark.
const deliveryID = "BENCH"

// journey is a waybill's way, step by step; all of it is legal.
var journey = [...]struct {
	action state.ActionType
	msg    string
}{
	{state.PickupAssigned, "已分配业务员王芳【18600000000】上门取件"},
	{state.PickupDone, "【深圳南山营业点】王芳【18600000000】已揽收快件"},
	{state.Transit, "快件已到达【广州转运中心】，正发往【北京转运中心】"},
	{state.DeliveryBegun, "【北京海淀营业点】李强【18600000001】正在派件，请保持电话畅通"},
	{state.Signed, "快件已由本人签收，感谢使用，期待再次为您服务"},
}

// steps is how many events a waybill has.
const steps = len(journey)

// roll gives out waybill numbers, so that no two connections share a waybill.
type roll struct {
	begin int64 // action_time of every waybill's first event, Unix seconds.
	limit uint64
	taken atomic.Uint64
}

// newRoll has limit waybills; 0: any number.
func newRoll(limit uint64) *roll {
	return &roll{begin: time.Now().Add(-time.Hour).Unix(), limit: limit}
}

// take gives n numbers from first on; fewer at the end, and 0 after it.
func (r *roll) take(n uint64) (first, got uint64) {
	first = r.taken.Add(n) - n
	if r.limit == 0 {
		return first, n
	}
	return first, min(n, r.limit-min(first, r.limit))
}

const waybillDigits = 12

// appendEvent appends an event as JSON. The step is told by action_time, a second a step.
func (r *roll) appendEvent(dst []byte, waybill uint64, step int) []byte {
	dst = append(dst, `{"id":"`...)
	dst = appendDigits(dst, waybill)
	dst = append(dst, '-', '0'+byte(step))
	dst = append(dst, `","delivery_id":"`+deliveryID+`","waybill_id":"`...)
	dst = appendDigits(dst, waybill)
	dst = append(dst, `","action_type":`...)
	dst = strconv.AppendInt(dst, int64(journey[step].action), 10)
	dst = append(dst, `,"action_time":`...)
	dst = strconv.AppendInt(dst, r.begin+int64(step), 10)
	dst = append(dst, `,"action_msg":"`...)
	dst = append(dst, journey[step].msg...)
	if step == 0 {
		dst = append(dst, `","token":"T`...)
		dst = appendDigits(dst, waybill)
	}
	return append(dst, `"}`...)
}

// appendDigits appends n with leading zeros.
func appendDigits(dst []byte, n uint64) []byte {
	var digits [waybillDigits]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = '0' + byte(n%10)
		n /= 10
	}
	return append(dst, digits[:]...)
}
