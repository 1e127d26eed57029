package sandbox

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Order makes a waybill known, as an order that was placed through WeChat does.
type Order struct {
	// DeliveryID is the delivery company. Empty: any app may push for it.
	DeliveryID string `json:"delivery_id,omitempty"`
	WaybillID  string `json:"waybill_id"`
	// Token is what pushes of the waybill must bring. Empty: the known one, or a new one is made.
	Token string `json:"token"`
}

func (o *Order) validate() error {
	bad := func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }
	switch n := utf8.RuneCountInString(o.WaybillID); {
	case n == 0:
		return errors.New("waybill_id is missing")
	case n > 64 || strings.ContainsFunc(o.WaybillID, bad):
		return fmt.Errorf("waybill_id %q: 1 to 64 characters without spaces", o.WaybillID)
	case len(o.Token) > 256:
		return fmt.Errorf("token of waybill %s has %d bytes, at most 256", o.WaybillID, len(o.Token))
	}
	return nil
}

// waybill is one that upstream knows.
type waybill struct {
	Order
	id    uint64   // Its number among the waybills of this run.
	appID string   // Of the app whose push registered it; empty if an order did.
	next  *waybill // Of another company, with the same waybill_id.
	// nodes are the numbers of its nodes that are kept, in order of arrival.
	nodes []uint64
}

// serves tells whether app may push for w.
func (w *waybill) serves(app App) bool {
	if w.appID != "" && w.appID != app.AppID {
		return false
	}
	return w.DeliveryID == "" || app.DeliveryID == "" || w.DeliveryID == app.DeliveryID
}

// waybills are those that upstream knows, and the order in which they became known. Owned by the ledger's mutex.
type waybills struct {
	max   int
	made  uint64
	byID  map[string]*waybill
	queue []*waybill
}

func newWaybills(limit int) waybills { return waybills{max: limit, byID: map[string]*waybill{}} }

// find is the waybill that app's push with this Token is of; nil if there is none that app may push for.
// Where only the Token tells two companies' waybills apart, it does.
func (ws *waybills) find(app App, id, token string) *waybill {
	var first *waybill
	for w := ws.byID[id]; w != nil; w = w.next {
		if !w.serves(app) {
			continue
		}
		if w.Token == token {
			return w
		}
		if first == nil {
			first = w
		}
	}
	return first
}

// ordered is the waybill that an order of this company made known; nil if there is none.
func (ws *waybills) ordered(deliveryID, id string) *waybill {
	for w := ws.byID[id]; w != nil; w = w.next {
		if w.DeliveryID == deliveryID {
			return w
		}
	}
	return nil
}

// add makes a waybill known, and forgets the oldest if there are too many.
func (ws *waybills) add(o Order, appID string) *waybill {
	ws.made++
	w := &waybill{Order: o, id: ws.made, appID: appID, next: ws.byID[o.WaybillID]}
	ws.byID[o.WaybillID] = w
	ws.queue = append(ws.queue, w)
	if len(ws.queue) > ws.max {
		ws.forget(ws.queue[0])
		ws.queue = ws.queue[1:]
	}
	return w
}

// forget takes w out of the chain of its waybill_id.
func (ws *waybills) forget(w *waybill) {
	head := ws.byID[w.WaybillID]
	if head == w {
		head = w.next
	}
	for p := head; p != nil; p = p.next {
		if p.next == w {
			p.next = w.next
		}
	}
	if head == nil {
		delete(ws.byID, w.WaybillID)
		return
	}
	ws.byID[w.WaybillID] = head
}

// keepOrdered forgets the waybills that only a push made known, and all nodes.
func (ws *waybills) keepOrdered() {
	queue := ws.queue
	ws.queue = nil
	for _, w := range queue {
		w.nodes = nil
		if w.appID != "" {
			ws.forget(w)
			continue
		}
		ws.queue = append(ws.queue, w)
	}
}

// AddOrder makes a waybill known and answers it with its Token. A repeat answers the same; a repeat with another
// Token replaces the one known, which is refused (9300507) from then on.
func (s *Sandbox) AddOrder(o Order) (Order, error) {
	if err := o.validate(); err != nil {
		return Order{}, err
	}
	return s.ledger.addOrder(o), nil
}
