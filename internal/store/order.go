package store

import (
	"context"
	"time"

	"carrier/internal/state"
)

// OrderKey names an order as WeChat does: it is unique within its account (WeChat 物流助手, add_waybill).
type OrderKey struct {
	DeliveryID string
	BizID      string // The merchant's account with the delivery company.
	OrderID    string
}

// Order is an order that was taken, and what WeChat was answered: a repeat gets the same.
type Order struct {
	OrderKey
	WaybillID   string
	ShopAppID   string // The merchant's mini program.
	ResultCode  int
	ResultMsg   string
	WaybillData string // As answered: ##key##value##...
	ReceivedAt  time.Time
	CancelledAt time.Time // Zero: it stands.
}

// Waybill is the order's.
func (o *Order) Waybill() state.Waybill {
	return state.Waybill{DeliveryID: o.DeliveryID, WaybillID: o.WaybillID}
}

// Orders keeps what WeChat orders.
type Orders interface {
	// PutOrder keeps an order and its waybill's Token in one commit; ReceivedAt and CancelledAt are given by the store.
	// If there is one with the same key already, that one is returned with fresh false, and only the Token is kept, as
	// the newest of that order's waybill. One that was cancelled stays cancelled. An empty token keeps none.
	PutOrder(ctx context.Context, o Order, token string) (kept Order, fresh bool, err error)
	// ReadOrder finds an order. ErrNotFound if there is none.
	ReadOrder(ctx context.Context, key OrderKey) (Order, error)
	// OrderOf finds a waybill's newest order. ErrNotFound if it has none.
	OrderOf(ctx context.Context, w state.Waybill) (Order, error)
	// CancelOrder cancels an order if its waybill's scans allow it (see state.Cancelled): in the same commit, before or
	// after any scan, so that a waybill is never both picked up and cancelled. What of the waybill is open is discarded
	// with ReasonCancelled. event becomes part of the timeline, and is not pushed: WeChat knows. It is always of the
	// order's waybill, of type state.Cancelled and without a Token. A cancellation is of now: an event that is not newer
	// than the newest scan gets a time 1 s behind that, and waits for no missing scan. One whose source and id came
	// before changes nothing, whatever else is in it. ErrNotFound if there is no such order.
	CancelOrder(ctx context.Context, key OrderKey, event state.Event) (Cancellation, error)

	// FirstUse notes that a signed request was used, and tells whether it may be: not if the same signature came
	// with another content before. digest is of the content. until is when this use may be forgotten: the end of the
	// time within which a request with this signature is fresh.
	FirstUse(ctx context.Context, signature string, digest [32]byte, until time.Time) (allowed bool, err error)

	// PutShown keeps what WeChat says that the customer sees of a waybill, in place of what it said before; ReceivedAt is
	// given by the store. kept is false if what is known has the same Version, which makes it a repeat, or a newer one:
	// then nothing changes. The waybill need not be known otherwise, and does not become known to pushing. ErrUnfit, and
	// nothing is kept, of what Shown.Fit refuses.
	PutShown(ctx context.Context, w state.Waybill, shown Shown) (kept bool, err error)
	// Shown finds what was kept of a waybill by PutShown. ErrNotFound if nothing was.
	Shown(ctx context.Context, w state.Waybill) (Shown, error)

	// Expunge forgets the personal data of a waybill: the texts of its events and of their attempts, its Tokens, what
	// was ordered, and the texts of what the customer was shown. Numbers, times, verdicts and hashes of the texts stay:
	// duplicates are still known. What is open or failed is discarded with ReasonExpunged, as is what becomes accepted
	// later, and none of it can be replayed (ErrState): there is nothing left to send. Scans that come afterwards are
	// new, and wait for a new Token. WeChat tells all of a waybill each time, so of what it tells afterwards the texts
	// of actions that are not newer than this are not kept. ErrNotFound if no event, Token or order of the waybill is
	// known, and nothing that the customer was shown.
	Expunge(ctx context.Context, w state.Waybill, act Act) (Expunged, error)
}

// Reasons of discarded pushes that orders give.
const (
	ReasonCancelled = "cancelled" // The order was cancelled before the parcel was picked up.
	ReasonExpunged  = "expunged"  // The waybill's personal data were forgotten.
)

// Cancellation is what became of CancelOrder.
type Cancellation struct {
	// Verdict is Accepted if the waybill is cancelled now, Ignored if it was already (a repeat of an accepted
	// cancellation is, too), Rejected if it has gone too far.
	Verdict state.Verdict
	Stage   state.Stage // The waybill's, afterwards.
	Order   Order
}

// Expunged counts what Expunge forgot.
type Expunged struct {
	Events    int // Whose text was forgotten now.
	Discarded int // Pushes that were open or failed.
	Tokens    int
	Orders    int
	Shown     int // Texts of what the customer was shown.
}

// CancelTime is the action_time of a cancellation that says at (Unix seconds): a cancellation is of now, so one that is
// not newer than the newest scan of its waybill's story comes 1 s behind that.
func CancelTime(t state.Timeline, at int64) int64 {
	for i := range t {
		if t[i].Verdict == state.Accepted || t[i].Verdict == state.Held {
			at = max(at, t[i].Time+1)
		}
	}
	return at
}

// RepeatedCancel is the verdict of a cancellation that came before, with that verdict.
func RepeatedCancel(first state.Verdict) state.Verdict {
	if first == state.Rejected {
		return state.Rejected
	}
	return state.Ignored
}
