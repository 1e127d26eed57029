package sandbox

import (
	"errors"
	"fmt"
	"net/http"
)

// errNoOrder says that there is nothing to cancel.
var errNoOrder = errors.New("no merchant's order has this waybill")

// CancelSilently cancels the order of a waybill, and its carrier is not told: as where WeChat's own push got lost, or the
// order was cancelled by other means. Only order/get and order/batchget tell of it. An order that is cancelled already
// stays so.
func (s *Sandbox) CancelSilently(deliveryID, waybillID string) (MerchantOrder, error) {
	return s.orders.cancelSilently(deliveryID, waybillID)
}

func (os *placedOrders) cancelSilently(deliveryID, waybillID string) (MerchantOrder, error) {
	os.mu.Lock()
	defer os.mu.Unlock()
	o := os.numbers[[2]string{deliveryID, waybillID}]
	switch {
	case o == nil:
		return MerchantOrder{}, fmt.Errorf("%s/%s: %w", deliveryID, waybillID, errNoOrder)
	case o.busy:
		return MerchantOrder{}, fmt.Errorf("%s/%s: its carrier is being asked about it; try again", deliveryID, waybillID)
	}
	o.State, o.OrderStatus = stateCancelled, orderCancelled
	return o.MerchantOrder, nil
}

// silentCancel is the body of /_sandbox/cancel.
type silentCancel struct {
	DeliveryID string `json:"delivery_id"`
	WaybillID  string `json:"waybill_id"`
}

// serveCancel is POST /_sandbox/cancel: CancelSilently.
func (s *Sandbox) serveCancel(w http.ResponseWriter, r *http.Request) {
	methods{http.MethodPost: func(w http.ResponseWriter, r *http.Request) {
		var f silentCancel
		if err := decodeStrict(r, maxBody, &f); err != nil {
			writeProblem(w, http.StatusBadRequest, err)
			return
		}
		o, err := s.CancelSilently(f.DeliveryID, f.WaybillID)
		switch {
		case errors.Is(err, errNoOrder):
			writeProblem(w, http.StatusNotFound, err)
		case err != nil:
			writeProblem(w, http.StatusConflict, err)
		default:
			writeJSON(w, http.StatusOK, o)
		}
	}}.serve(w, r)
}
