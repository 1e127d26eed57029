package store

import (
	"context"
	"slices"
	"time"

	"carrier/internal/state"
)

// Difference says that upstream did not show of a waybill what was delivered, when that was looked at. It holds no texts.
type Difference struct {
	Waybill   state.Waybill
	Merchant  string    // With whose credentials it was looked at.
	FoundAt   time.Time // When it was found first. Given by the store, as is the next.
	CheckedAt time.Time // When it was found last.

	Missing []uint64 // Pushes that upstream does not show.
	Changed []uint64 // Pushes that it shows with another text.
	Moved   []uint64 // Pushes that it shows at another place.
	Extra   int      // Nodes that it shows and that were not delivered.
}

// Agrees tells whether it names nothing: upstream shows all as it was delivered.
func (d *Difference) Agrees() bool {
	return len(d.Missing) == 0 && len(d.Changed) == 0 && len(d.Moved) == 0 && d.Extra == 0
}

// SameAs tells whether it names the same as another one.
func (d *Difference) SameAs(o *Difference) bool {
	return slices.Equal(d.Missing, o.Missing) && slices.Equal(d.Changed, o.Changed) && slices.Equal(d.Moved, o.Moved) && d.Extra == o.Extra
}

// MaxDifferences is how many waybills' differences are kept: the ones found last.
const MaxDifferences = 500

// ReasonCancelledUpstream is why a push is discarded whose order upstream says was cancelled.
const ReasonCancelledUpstream = "cancelled_upstream"

// Verified keeps what came of looking at what upstream shows.
type Verified interface {
	// MarkVerified notes that upstream shows pushes of a waybill. Those that are not delivered any more are passed over.
	MarkVerified(ctx context.Context, w state.Waybill, seqs []uint64, at time.Time) error
	// PutDifference keeps a waybill's difference in place of the one before. If there are too many, the one is forgotten
	// that was found last the longest ago. It leaves a Notice if there was none, or one that names something else.
	PutDifference(ctx context.Context, d Difference) error
	// CloseDifference forgets a waybill's difference; closed is false if there was none. If there was one, and it is
	// closed because upstream agrees again, it leaves a Notice that says so, with what the Difference had of Merchant and
	// FoundAt.
	CloseDifference(ctx context.Context, w state.Waybill, agrees bool) (closed bool, err error)
	// Differences lists all, those found last first.
	Differences(ctx context.Context) ([]Difference, error)
}
