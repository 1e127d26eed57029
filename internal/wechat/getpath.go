package wechat

import "context"

// getPath reads a waybill's trace. Source: WeChat 物流助手, 商户使用, getPath.
var getPath = question{
	op: "getPath", path: "/cgi-bin/express/business/path/get", marks: []string{"path_item_list", "path_item_num"},
	answerBytes: 1 << 20, // A trace of a thousand nodes with the longest texts.
}

// PathQuery is getPath's request.
type PathQuery struct {
	OrderID    string `json:"order_id,omitzero"` // Required by the older document, gone from the newer: give it where it is known.
	OpenID     string `json:"openid,omitzero"`   // The customer's; not with add_source 2.
	DeliveryID string `json:"delivery_id"`
	WaybillID  string `json:"waybill_id"`
}

// Path is getPath's answer: the trace that the customer sees.
type Path struct {
	OpenID       string     `json:"openid"`
	DeliveryID   string     `json:"delivery_id"`
	WaybillID    string     `json:"waybill_id"`
	PathItemNum  int64      `json:"path_item_num"` // As upstream counts; PathItemList is what there is.
	PathItemList []PathItem `json:"path_item_list"`
}

// PathItem is one node of a trace.
type PathItem struct {
	ActionTime int64 `json:"action_time"` // Unix seconds.
	// ActionType is one of the nine codes, or one that no document lists: 300001 stands in the document's own example.
	ActionType int64  `json:"action_type"`
	ActionMsg  string `json:"action_msg"`
}

// GetPath reads a waybill's trace.
func (c *Caller) GetPath(ctx context.Context, q PathQuery) (Path, error) {
	return ask(ctx, c, &getPath, q.appendJSON(nil), readPath)
}

func (q *PathQuery) appendJSON(b []byte) []byte {
	b = append(b, '{')
	b = appendMember(b, "order_id", q.OrderID)
	b = appendMember(b, "openid", q.OpenID)
	b = appendMember(b, "delivery_id", q.DeliveryID)
	b = appendMember(b, "waybill_id", q.WaybillID)
	return append(b, '}')
}

// appendMember appends a string member that is not empty to an object that has been begun.
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(appendName(b, name), value)
}

func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(appendString(b, name), ':')
}

// UnmarshalJSON reads a trace as tolerantly as an answer of upstream.
func (p *Path) UnmarshalJSON(body []byte) error {
	return readJSON(body, func(o object) { *p = readPath(o) })
}

func readPath(o object) Path {
	return Path{
		OpenID: o.text("openid"), DeliveryID: o.text("delivery_id"), WaybillID: o.text("waybill_id"),
		PathItemNum: o.integer("path_item_num"), PathItemList: list(o, "path_item_list", readPathItem),
	}
}

func readPathItem(o object) PathItem {
	return PathItem{o.integer("action_time"), o.integer("action_type"), o.text("action_msg")}
}
