package store

import (
	"errors"
	"fmt"
	"time"

	"carrier/internal/state"
)

// Shown is what the customer sees of a waybill, as WeChat tells merchants' own mini programs (WeChat 物流助手,
// add_express_path): all of it, each time.
type Shown struct {
	Version    int64 // The higher, the newer.
	ReceivedAt time.Time
	OrderID    string // The merchant's; older messages have none.
	Actions    []ShownAction
}

// ShownAction is one node of the trace, in WeChat's order. Its type may be none of state.ActionType: WeChat adds nodes
// of its own.
type ShownAction struct {
	Time int64 // Unix seconds.
	Type int64
	Msg  string // Empty once it was expunged.
}

// What a Shown may hold at most. Real ones have tens of actions, each with the text of an updatePath.
const (
	MaxShownActions = 256
	MaxShownBytes   = 256 << 10 // Of all its texts together, with the order's id.
)

// ErrUnfit: it can't be kept, now or ever; the error says what of it. Nothing was kept.
var ErrUnfit = errors.New("it can't be kept")

// Fit refuses what is too much to be kept of a waybill, and names that can't be one's. Errors wrap ErrUnfit, and hold no
// text of it.
func (s *Shown) Fit(w state.Waybill) error {
	bytes := len(s.OrderID)
	for i := range s.Actions {
		bytes += len(s.Actions[i].Msg)
	}
	switch {
	case !state.IsWaybillID(w.WaybillID):
		return fmt.Errorf("%w: that is no waybill's number", ErrUnfit)
	case !state.IsWaybillID(w.DeliveryID): // No company's id is longer, or has what a number must not have.
		return fmt.Errorf("%w: that is no delivery company's id", ErrUnfit)
	case len(s.Actions) > MaxShownActions:
		return fmt.Errorf("%w: it has %d actions, more than %d", ErrUnfit, len(s.Actions), MaxShownActions)
	case bytes > MaxShownBytes:
		return fmt.Errorf("%w: its texts have %d bytes, more than %d", ErrUnfit, bytes, MaxShownBytes)
	}
	return nil
}
