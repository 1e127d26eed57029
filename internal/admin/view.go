package admin

import (
	"carrier/internal/pathpush"
	"carrier/internal/store"
)

// view is how one answer shows things: to whom, and what is known of the accounts at the time.
type view struct {
	by        Actor
	snapshots func() []pathpush.Snapshot
	byAccount map[string]*pathpush.Snapshot
}

func (s *Service) view(by Actor) *view {
	return &view{by: by, snapshots: s.Pusher.Snapshots}
}

// account is how an account is; nil if it is not configured. The accounts are looked at once, when the first waiting
// push asks: a list of others costs nothing.
func (v *view) account(deliveryID string) *pathpush.Snapshot {
	if v.byAccount == nil {
		all := v.snapshots()
		v.byAccount = make(map[string]*pathpush.Snapshot, len(all))
		for i := range all {
			v.byAccount[all[i].DeliveryID] = &all[i]
		}
	}
	return v.byAccount[deliveryID]
}

// held says what all of an account's pushes wait for, or those of waybills of which only transit scans are open. Those of
// an account that is not configured wait for that.
func (s *Service) held(deliveryID string, transitOnly bool) store.WaitingFor {
	if !s.configured(deliveryID) {
		return store.WaitAccount
	}
	return s.Pusher.Held(deliveryID, transitOnly)
}

// overlay adds what the store does not know: what the whole account waits for.
func (s *Service) overlay(p *store.Push) {
	if p.Status != store.Pending || p.WaitingFor == store.WaitToken || p.WaitingFor == store.WaitWaybill {
		return
	}
	if held := s.held(p.Event.DeliveryID, p.TransitOnly); held != store.WaitNothing {
		p.WaitingFor = held
	}
}
