package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

const maxOrdersBody = 64 << 20

// serveOrders is /_sandbox/orders. POST: one waybill, or an array of them, is made known without asking a carrier; all
// or none. GET: what merchants ordered.
func (s *Sandbox) serveOrders(w http.ResponseWriter, r *http.Request) {
	methods{http.MethodPost: s.addOrders, http.MethodGet: s.showOrders}.serve(w, r)
}

// orders is one order or several, as they came.
type orders struct {
	list  []Order
	array bool
}

// MarshalJSON writes them in the form in which they came.
func (o orders) MarshalJSON() ([]byte, error) {
	if o.array {
		return json.Marshal(o.list)
	}
	if len(o.list) == 0 {
		return json.Marshal(Order{DeliveryID: "?"}) // Only asked for the names of the fields.
	}
	return json.Marshal(o.list[0])
}

// UnmarshalJSON reads either form, strictly.
func (o *orders) UnmarshalJSON(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		o.array, o.list = true, []Order{}
		return d.Decode(&o.list)
	}
	o.list = make([]Order, 1)
	return d.Decode(&o.list[0])
}

func (s *Sandbox) addOrders(w http.ResponseWriter, r *http.Request) {
	var got orders
	err := decodeStrict(r, maxOrdersBody, &got)
	for i := range got.list {
		if err == nil {
			if err = got.list[i].validate(); err != nil && got.array {
				err = fmt.Errorf("order %d: %w", i, err)
			}
		}
	}
	if err != nil {
		writeProblem(w, http.StatusBadRequest, err)
		return
	}
	for i, o := range got.list {
		got.list[i] = s.ledger.addOrder(o)
	}
	writeJSON(w, http.StatusOK, got)
}
