package state

import "strconv"

// ActionType is one of the nine codes of updatePath's action_type (WeChat 物流助手, updatePath, 请求参数).
type ActionType int32

const (
	PickupDone     ActionType = 100001 // 揽件成功: the courier has the parcel.
	PickupFailed   ActionType = 100002 // 揽件失败: the visit did not yield the parcel.
	PickupAssigned ActionType = 100003 // 分配业务员: a courier was given the order.
	Transit        ActionType = 200001 // 更新运输轨迹: arrived at or left a hub; may come many times.
	DeliveryBegun  ActionType = 300002 // 开始派送: on the round of the last mile.
	Signed         ActionType = 300003 // 签收成功: the receiver has it. Final.
	DeliveryFailed ActionType = 300004 // 签收失败: refused or nobody there. Not final.
	Cancelled      ActionType = 400001 // 订单取消: cancelled before pickup. Final.
	Detained       ActionType = 400002 // 订单滞留: stuck, before or after pickup.
)

// ActionTypes lists the nine codes in the order of the columns of the transition table.
var ActionTypes = [...]ActionType{
	PickupAssigned, PickupFailed, PickupDone, Transit, DeliveryBegun, Signed, DeliveryFailed, Cancelled, Detained,
}

// action is what is fixed for a code.
type action struct {
	column int // in the transition table
	// rank puts events of one second in order: along the parcel's way, what ends it last.
	rank   uint8
	en, zh string
}

var actions = map[ActionType]action{
	PickupAssigned: {0, 1, "courier assigned", "分配业务员"},
	PickupFailed:   {1, 2, "pickup failed", "揽件失败"},
	PickupDone:     {2, 3, "picked up", "揽件成功"},
	Transit:        {3, 4, "in transit", "更新运输轨迹"},
	DeliveryBegun:  {4, 5, "out for delivery", "开始派送"},
	Signed:         {5, 8, "signed for", "签收成功"},
	DeliveryFailed: {6, 6, "delivery failed", "签收失败"},
	Cancelled:      {7, 9, "order cancelled", "订单取消"},
	Detained:       {8, 7, "order held up", "订单滞留"},
}

// Valid tells whether a is one of the nine codes.
func (a ActionType) Valid() bool { _, ok := actions[a]; return ok }

// String is the code in digits.
func (a ActionType) String() string { return strconv.Itoa(int(a)) }

// Name is the code's meaning in words, Chinese when zh is set; empty for an unknown code.
func (a ActionType) Name(zh bool) string {
	if zh {
		return actions[a].zh
	}
	return actions[a].en
}

func (a ActionType) rank() uint8 { return actions[a].rank }
