package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
)

// tellPath pushes add_express_path (WeChat 物流助手, 运单轨迹更新事件) to the carrier of a waybill that a merchant ordered,
// if the carrier wants that: all of the trace, after each node that was applied. It comes before the node's push is
// answered, which upstream does not promise: so who has the answer finds it told. What goes wrong is noted, and changes
// nothing.
func (s *Sandbox) tellPath(ctx context.Context, v *verdict) {
	if !v.applied || v.n == 0 || len(s.carriers) == 0 {
		return
	}
	page := s.Arrivals(v.n-1, 1)
	if len(page.Arrivals) == 0 {
		return // It is forgotten already.
	}
	a := page.Arrivals[0]
	c := s.carriers[a.DeliveryID]
	if c == nil || !c.ExpressPath {
		return
	}
	if o, ok := s.orders.of(a.DeliveryID, a.WaybillID); ok {
		nodes := s.ledger.view(a.WaybillID, a.DeliveryID).Nodes
		_, _ = s.ask(ctx, pathPush(c, o, int64(v.n), nodes)) // It is noted.
	}
}

// pathPush is the event add_express_path. Versions only grow.
func pathPush(c *carrier, o placed, version int64, nodes []Node) *eventPush {
	var actions list
	for _, n := range nodes {
		actions = append(actions, fields{
			{"ActionTime", integer(n.ActionTime)}, {"ActionType", integer(n.ActionType)}, {"ActionMsg", n.ActionMsg},
			{"Lat", integer(0)}, {"Lng", integer(0)},
		})
	}
	return &eventPush{
		to: c, event: "add_express_path", orderID: o.OrderID, waybillID: o.WaybillID, mask: maskOf(o.token, ""),
		content: fields{
			{"ToUserName", c.UserName}, {"FromUserName", cmp.Or(o.openID, teamOpenID)}, {"CreateTime", integer(time.Now().Unix())},
			{"MsgType", "event"}, {"Event", "add_express_path"}, {"DeliveryID", o.DeliveryID}, {"WayBillId", o.WaybillID},
			{"Version", integer(version)}, {"Count", integer(int64(len(nodes)))}, {"Actions", actions}, {"OrderId", o.OrderID},
		},
		mayFollow: func(_, _ result) bool { return true },
	}
}

// mustBeSuccess is what is wanted of an answer to an event that asks nothing.
func mustBeSuccess(answer []byte) error {
	if text := strings.TrimSpace(string(answer)); text != "" && text != "success" {
		return fmt.Errorf("the answer is %.64q: success, or nothing, is wanted", text)
	}
	return nil
}
