package store

import (
	"context"
	"time"

	"carrier/internal/state"
)

// Notice is what dispatch systems are told of: an end (a push that was delivered, failed or discarded, or an event that
// was rejected), or what was found about a waybill's difference. It holds nothing that Expunge forgets, so it is told of
// what was expunged too.
type Notice struct {
	Number     uint64             // From 1, in the order of the commits.
	Seq        uint64             // The event's.
	Nth        int                // 1 for the event's first end, 2 for its second (it was replayed, or accepted by hand, ...).
	At         time.Time          // When it ended.
	Status     Status             // Delivered, Failed or Discarded; NoPush: the event was rejected.
	Event      state.Event        // Without its Token and without its text (Msg is empty).
	ReceivedAt time.Time          //
	Tries      int                // Of the push, as Push.Tries.
	Errcode    int                // Upstream's last answer, of Failed and Discarded; 0: there was none.
	Errmsg     string             // Likewise, as far as it is still known: nothing once the push went on.
	Reason     string             // Of Failed and Discarded, as Push.Reason; of a rejected event its state.Reason.
	Replay     uint64             // As Push.Replay.
	From       state.Stage        // Of a rejected event, as Event.From; the next two likewise.
	Allowed    []state.ActionType // nil if the event was held before it was rejected: then From says nothing.
	Cause      uint64             //

	// Difference is nil for an end. Otherwise it is the waybill's, as it was found first or has become since, or one that
	// says that upstream shows the waybill as it was delivered again (Difference.Agrees). Beside it only Number, At,
	// Status (NoPush) and the account and waybill of Event are set.
	Difference *Difference
}

// Notices is the queue of what is to be told: whoever tells it reads the oldest, tells them, and then forgets them.
//
// A push ends when its status becomes Delivered, Failed or Discarded, whoever or whatever makes it so, and again when it
// is replayed and ends, or when a failed one is discarded, or a discarded one turns out to be delivered. An event ends,
// too, when it becomes rejected. A duplicate ends nothing, and a new Reason of a discarded push is no new end.
//
// An engine that keeps notices keeps exactly one for each end, in the commit of the end: after a crash there is neither
// an end without its notice nor a notice without its end. One that keeps none counts the ends all the same, so that Nth
// is right once it does. Retention leaves what a notice that waits is of. What Verified says is to be told is kept in the
// same way, in the commit of what it is of.
type Notices interface {
	// Notices reads the oldest limit ones (at most MaxLimit) with a Number above after, which may be 0, in the order of
	// their numbers. Those of an event are in the order of its ends. It shows only what a crash can't undo. Numbers may
	// have gaps, but what is shown once has none that is filled later. A notice that can't be read, as it or its event
	// is damaged, is logged and passed over.
	Notices(ctx context.Context, after uint64, limit int) ([]Notice, error)
	// Told forgets all up to and including number, durably; numbers that were not shown yet stay. What was told already
	// may come again after a crash, with the same Number, if Told had not returned. Numbers are never used again.
	Told(ctx context.Context, number uint64) error
}
