package sandbox

import (
	"net/http"
	"slices"
	"sync"
)

// MerchantOrder is an order that a merchant placed with order/add.
type MerchantOrder struct {
	OrderID    string `json:"order_id"`
	DeliveryID string `json:"delivery_id"`
	BizID      string `json:"biz_id"`
	ShopAppID  string `json:"shop_appid"`
	WaybillID  string `json:"waybill_id"` // "0" until the carrier has made one.
	// State is asked (the carrier's answer is not known), taken or cancelled.
	State       string      `json:"state"`
	OrderStatus int         `json:"order_status"` // 0 normal, 1 cancelled
	WaybillData []labelPart `json:"waybill_data"`
}

// labelPart is a line of what the carrier prints on the label.
type labelPart struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

const (
	stateAsked     = "asked"
	stateTaken     = "taken"
	stateCancelled = "cancelled"

	orderCancelled = 1 // An order_status; 0 is normal.
)

// placed is an order in memory. Of what the merchant wrote it keeps only the names.
type placed struct {
	MerchantOrder
	openID string
	token  string // The waybill's, the same each time the carrier is asked.
	busy   bool   // The carrier is being asked.
}

// orderKey is an order of one merchant.
type orderKey struct{ appID, orderID string }

func (o *placed) key() orderKey { return orderKey{o.ShopAppID, o.OrderID} }

func (o *placed) number() [2]string { return [2]string{o.DeliveryID, o.WaybillID} }

// placedOrders are the orders of all merchants, the oldest forgotten. Safe for concurrent use.
type placedOrders struct {
	max int

	mu      sync.Mutex // Owns what follows, also what the pointers lead to.
	byKey   map[orderKey]*placed
	numbers map[[2]string]*placed // By delivery_id and waybill_id; those that are taken, also if cancelled since.
	queue   []orderKey
}

func newPlacedOrders(limit int) *placedOrders {
	return &placedOrders{max: limit, byKey: map[orderKey]*placed{}, numbers: map[[2]string]*placed{}}
}

// begin makes an order one that its carrier is being asked about. An order whose outcome is not known is asked about
// again with the same number and Token; any other is refused, as merchants have seen it: the orderid is repeated.
func (os *placedOrders) begin(fresh placed) (*placed, placed, *refusal) {
	os.mu.Lock()
	defer os.mu.Unlock()
	key := fresh.key()
	o := os.byKey[key]
	switch {
	case o == nil:
		o = &fresh
		os.byKey[key] = o
		if os.queue = append(os.queue, key); len(os.queue) > os.max {
			os.dropOldest()
		}
	case o.busy || o.State != stateAsked:
		return nil, placed{}, refuse(codeOrderRepeated, "")
	case o.DeliveryID != fresh.DeliveryID || o.BizID != fresh.BizID:
		return nil, placed{}, refuse(codeOrderArgs, "the order was placed with another delivery_id or biz_id")
	}
	o.State, o.busy = stateAsked, true
	return o, *o, nil
}

func (os *placedOrders) dropOldest() {
	o := os.byKey[os.queue[0]]
	delete(os.byKey, os.queue[0])
	if os.numbers[o.number()] == o {
		delete(os.numbers, o.number())
	}
	os.queue = os.queue[1:]
}

// beginCancel finds an order whose carrier is to be asked.
func (os *placedOrders) beginCancel(appID string, f cancelForm) (*placed, placed, *refusal) {
	os.mu.Lock()
	defer os.mu.Unlock()
	o := os.byKey[orderKey{appID, f.orderID}]
	switch {
	case o == nil || o.DeliveryID != f.deliveryID || o.State == stateAsked:
		return nil, placed{}, refuse(codeNoOrder, "")
	case o.WaybillID != f.waybillID:
		return nil, placed{}, refuse(codeWrongWaybill, "")
	case o.busy:
		return nil, placed{}, refuse(codeBusy, "another order/cancel of it is under way")
	}
	o.busy = true
	return o, *o, nil
}

// end lets go of an order about whose carrier's answer nothing is known.
func (os *placedOrders) end(o *placed) {
	os.mu.Lock()
	defer os.mu.Unlock()
	o.busy = false
}

// take notes that a carrier took an order.
func (os *placedOrders) take(o *placed, got result) {
	os.mu.Lock()
	defer os.mu.Unlock()
	o.State, o.WaybillID, o.WaybillData, o.busy = stateTaken, got.waybillID, parts(got.data), false
	if os.byKey[o.key()] == o {
		os.numbers[o.number()] = o
	}
}

// cancel notes that a carrier cancelled an order.
func (os *placedOrders) cancel(o *placed) {
	os.mu.Lock()
	defer os.mu.Unlock()
	o.State, o.OrderStatus, o.busy = stateCancelled, orderCancelled, false
}

// numberTaken tells whether a company has given a number to an order other than o.
func (os *placedOrders) numberTaken(o placed, waybillID string) bool {
	os.mu.Lock()
	defer os.mu.Unlock()
	holder := os.numbers[[2]string{o.DeliveryID, waybillID}]
	return holder != nil && holder.key() != (&o).key()
}

// of is the order of a company's waybill, as it is now, if one was taken.
func (os *placedOrders) of(deliveryID, waybillID string) (placed, bool) {
	os.mu.Lock()
	defer os.mu.Unlock()
	o := os.numbers[[2]string{deliveryID, waybillID}]
	if o == nil {
		return placed{}, false
	}
	return *o, true
}

// forget lets an order_id be used again. The caller holds it busy.
func (os *placedOrders) forget(o *placed) {
	os.mu.Lock()
	defer os.mu.Unlock()
	if key := o.key(); os.byKey[key] == o {
		delete(os.byKey, key)
		os.queue = slices.DeleteFunc(os.queue, func(k orderKey) bool { return k == key })
	}
}

// list is every order with this order_id, or all.
func (os *placedOrders) list(orderID string) []MerchantOrder {
	os.mu.Lock()
	defer os.mu.Unlock()
	out := []MerchantOrder{}
	for _, key := range os.queue {
		if o := os.byKey[key]; orderID == "" || orderID == key.orderID {
			out = append(out, o.MerchantOrder)
		}
	}
	return out
}

// MerchantOrders are the orders placed with order/add, oldest first.
func (s *Sandbox) MerchantOrders() []MerchantOrder { return s.orders.list("") }

// showOrders is GET /_sandbox/orders: the newest orders of merchants, or those with one order_id.
func (s *Sandbox) showOrders(w http.ResponseWriter, r *http.Request) {
	list := s.orders.list(r.URL.Query().Get("order_id"))
	writeJSON(w, http.StatusOK, map[string]any{"orders": list[max(0, len(list)-maxPage):]})
}
