package orders

import (
	"context"
	"errors"

	"carrier/internal/callback"
	"carrier/internal/state"
	"carrier/internal/store"
)

// show keeps what the customer sees of a waybill, as WeChat tells merchants' own mini programs. Whichever account's
// address it came to, it is kept of the delivery company that it names: a merchant's program hears of all companies.
// Nothing depends on it but what people read, so it need not be of a waybill that is known here.
//
// What can't be kept is refused, and answered all the same: it would be as bad the next time. An error means that
// WeChat is to send it again.
func (s *Service) show(ctx context.Context, a *account, e *callback.AddExpressPath, fault *callback.Fault) (result string, err error) {
	if fault != nil {
		return s.showNothing(a, e, fault), nil
	}
	w := state.Waybill{DeliveryID: e.DeliveryID, WaybillID: e.WayBillID}
	kept, err := s.desk.store.PutShown(ctx, w, shownOf(e))
	switch {
	case errors.Is(err, store.ErrUnfit):
		return s.showNothing(a, e, err), nil
	case err != nil:
		return "", err
	case !kept:
		return Repeated, nil
	}
	s.log.Debug("WeChat tells what the customer sees", "delivery_id", a.id, "push", e)
	return Accepted, nil
}

func (s *Service) showNothing(a *account, e *callback.AddExpressPath, why error) (result string) {
	s.log.Warn("what WeChat says that a customer sees can't be kept", "delivery_id", a.id, "push", e, "err", why)
	return Refused
}

func shownOf(e *callback.AddExpressPath) store.Shown {
	shown := store.Shown{Version: e.Version, OrderID: e.OrderID}
	for _, a := range e.Actions {
		shown.Actions = append(shown.Actions, store.ShownAction{Time: a.ActionTime, Type: a.ActionType, Msg: a.ActionMsg})
	}
	return shown
}
