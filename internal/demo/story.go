package demo

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"carrier/internal/state"
)

// scan is one step of a waybill's way.
type scan struct {
	action state.ActionType
	msg    string
}

// stories are ways that a parcel goes. %s is replaced by a courier's name.
var stories = [][]scan{
	{
		{state.PickupAssigned, "已分配业务员%s,正在赶来"},
		{state.PickupDone, "快递员%s已成功取件"},
		{state.Transit, "快件已到达深圳集散中心"},
		{state.Transit, "快件离开深圳集散中心,发往上海"},
		{state.Transit, "快件已到达上海集散中心"},
		{state.DeliveryBegun, "%s【13800138000】正在派件"},
		{state.Signed, "快件已签收,签收人:本人"},
	},
	{
		{state.PickupDone, "快递员%s已成功取件"},
		{state.Transit, "快件已到达北京转运中心"},
		{state.DeliveryBegun, "%s【13900139000】正在派件"},
		{state.DeliveryFailed, "收件人不在,明日再次派送"},
		{state.Detained, "快件暂存网点"},
		{state.DeliveryBegun, "%s【13900139000】再次派件"},
		{state.Signed, "快件已签收,由门卫代收"},
	},
	{
		{state.PickupAssigned, "已分配业务员%s"},
		{state.PickupFailed, "上门时客户不在,改约明日"},
		{state.PickupAssigned, "已重新分配业务员%s"},
		{state.PickupDone, "快递员%s已成功取件"},
		{state.Transit, "快件已到达成都集散中心"},
		{state.DeliveryBegun, "%s正在派件"},
		{state.Signed, "快件已签收"},
	},
	{
		{state.PickupAssigned, "已分配业务员%s"},
		{state.Cancelled, "客户取消寄件"},
	},
}

var couriers = []string{"王强", "李娜", "张伟", "刘洋", "陈静"}

// tell writes down the scans of a new waybill that goes any way.
func tell(waybill string) []event { return tellOf(waybill, stories[rand.IntN(len(stories))]) }

// tellOf writes down the scans of a new waybill, an hour or so apart, the last one now.
func tellOf(waybill string, story []scan) []event {
	courier := couriers[rand.IntN(len(couriers))]
	at := time.Now().Add(-time.Duration(len(story)) * time.Hour)
	events := make([]event, len(story))
	for i, s := range story {
		at = at.Add(time.Duration(30+rand.IntN(30)) * time.Minute)
		events[i] = event{
			ID: fmt.Sprintf("%s-%d", waybill, i+1), DeliveryID: DeliveryID, WaybillID: waybill,
			ActionType: int(s.action), ActionTime: at.Unix(), ActionMsg: strings.ReplaceAll(s.msg, "%s", courier),
		}
	}
	return events
}
