package store

import (
	"context"
	"errors"
	"time"

	"carrier/internal/state"
)

// NodeStats is how a node stands among those that share a store.
type NodeStats struct {
	Alive     int       // Nodes, with this one.
	Slots     int       // Groups of waybills that are this node's to push for.
	RenewedAt time.Time // When its lease was renewed last; zero: none holds, and it pushes nothing.
	Takeovers uint64    // Nodes that gave no sign of life, and whose waybills this one set free, since the start.
	// RoundTrips is how often its commits went to the database and back, since the start.
	RoundTrips uint64
}

// ErrNotOwner: another node pushes for the waybill by now. Nothing was recorded; the push is for that node to send.
var ErrNotOwner = errors.New("another node pushes for this waybill")

// Ownership says what is this node's to do where several share a store. Each waybill belongs to at most one node at a
// time, which alone pushes for it; and each duty is one node's. An engine for one node is Alone.
type Ownership interface {
	// Begin asks leave to send a push of a waybill. If ok, the request must be cut off when lease ends, which is before
	// another node may send; end must be called, once, when the outcome is durable or refused, or nothing was sent: as
	// long as the lease lasts, the waybill is handed to no other node before that. It never blocks.
	//
	// If not ok, the waybill's lane is of no use: a Change tells when it may be this node's again (Shared.Sweep).
	Begin(w state.Waybill) (lease context.Context, end func(), ok bool)
	// Nodes is how many nodes are alive, at least 1; rates are divided by it.
	Nodes() int
	// While runs f whenever a duty is this node's, until ctx ends, and then waits for f. The ctx of f ends with the
	// duty. An error of f while it has the duty ends it, and is returned.
	While(ctx context.Context, duty Duty, f func(context.Context) error) error
	// HandOver gives all that this node owns to the others, each waybill as soon as no push of it is under way, and takes
	// nothing more: for a node that is about to stop. It does not wait.
	HandOver()
	// Tell lets the other nodes know how a breaker changed here. It does not wait, and may be lost.
	Tell(b BreakerNews)
}

// Duty is something that one node at a time does for all.
type Duty string

// The duties.
const (
	DutyReplays  Duty = "replays"  // Carrying out bulk replays.
	DutyOutcomes Duty = "outcomes" // Telling of ends.
)

// BreakerNews is how a breaker changed on a node.
type BreakerNews struct {
	DeliveryID string `json:"delivery_id"`
	Host       string `json:"host"`
	Open       bool   `json:"open"` // Or else closed.
	OpenedBy   string `json:"opened_by,omitempty"`
}

// Shared is what a Change tells that comes of sharing the store with other nodes.
type Shared struct {
	// Lost tells of a waybill whether it is another node's from now on: what is loaded of it is of no use.
	Lost func(state.Waybill) bool
	// Sweep says that open pushes may be in the store that no Change told of: waybills became this node's, or, if Missed,
	// news of other nodes did not come through, of waybills that are loaded too.
	Sweep, Missed bool
	// Account is the delivery_id of an account of which another node changed what is kept.
	Account string
	// Breaker is news of another node's.
	Breaker *BreakerNews
}

// Alone is the Ownership of an engine for one node: all is its own.
type Alone struct{}

// Begin gives leave.
func (Alone) Begin(state.Waybill) (context.Context, func(), bool) {
	return context.Background(), nothing, true
}

func nothing() {}

// Nodes is 1.
func (Alone) Nodes() int { return 1 }

// While runs f.
func (Alone) While(ctx context.Context, _ Duty, f func(context.Context) error) error { return f(ctx) }

// HandOver does nothing: nobody is there to take over.
func (Alone) HandOver() {}

// Tell does nothing.
func (Alone) Tell(BreakerNews) {}
