package sandbox

// getPath is POST /cgi-bin/express/business/path/get (WeChat 物流助手, getPath). The older document requires order_id,
// the newer does not know it any more: it may be left out, but not be wrong.
func (s *Sandbox) getPath(app App, p part) (any, *refusal) {
	f := readOrderRef(p, optional, required)
	if p.no != nil {
		return nil, p.no
	}
	o, no := s.orders.ofWaybill(app.AppID, f)
	if no != nil {
		return nil, no
	}
	nodes, known := s.ledger.traceOf(f.deliveryID, f.waybillID)
	if !known {
		return nil, refuse(codeNoWaybill, "")
	}
	openID := f.openID
	if openID == "" {
		openID = o.openID
	}
	return pathAnswer{openID, f.deliveryID, f.waybillID, len(nodes), nodes}, nil
}

// pathAnswer is as in the document's example, without errcode.
type pathAnswer struct {
	OpenID       string `json:"openid"`
	DeliveryID   string `json:"delivery_id"`
	WaybillID    string `json:"waybill_id"`
	PathItemNum  int    `json:"path_item_num"`
	PathItemList []Node `json:"path_item_list"`
}

// orderRef is how the calls that read name an order.
type orderRef struct{ orderID, openID, deliveryID, waybillID string }

func readOrderRef(p part, orderID, waybillID need) orderRef {
	return orderRef{
		orderID: p.text("order_id", 512, orderID), openID: p.text("openid", 128, optional),
		deliveryID: p.text("delivery_id", 64, required), waybillID: p.text("waybill_id", 64, waybillID),
	}
}

// ofWaybill is the order that a waybill's trace is asked for by. Waybills that no merchant ordered, because the
// sandbox was told of them, are anybody's: then it is the zero order.
func (os *placedOrders) ofWaybill(appID string, f orderRef) (placed, *refusal) {
	if f.orderID != "" {
		return os.find(appID, f)
	}
	o, ok := os.of(f.deliveryID, f.waybillID)
	switch {
	case !ok:
		return placed{}, nil
	case o.ShopAppID != appID:
		return placed{}, refuse(codeNoWaybill, "it is another merchant's")
	}
	return o, o.isOf(f.openID)
}

// find is an order of a merchant whose names are all right.
func (os *placedOrders) find(appID string, f orderRef) (placed, *refusal) {
	os.mu.Lock()
	defer os.mu.Unlock()
	o := os.byKey[orderKey{appID, f.orderID}]
	switch {
	case o == nil || o.DeliveryID != f.deliveryID:
		return placed{}, refuse(codeNoOrder, "")
	case o.State == stateAsked || f.waybillID != "" && o.WaybillID != f.waybillID:
		return placed{}, refuse(codeWrongWaybill, "")
	}
	return *o, o.isOf(f.openID)
}

// isOf objects to another customer's openid. The document calls it optional, so none is right.
func (o *placed) isOf(openID string) *refusal {
	if openID != "" && openID != o.openID {
		return refuse(codeOpenID, "the order is another customer's")
	}
	return nil
}
