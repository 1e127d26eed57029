package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrier/internal/state"
)

// Errors of every engine.
var (
	// ErrUnavailable: the store can't take writes now (closing, disk low, connection lost). Nothing was kept;
	// the sender should try again. Wrapped with the cause.
	ErrUnavailable = errors.New("the store cannot take it now")
	// ErrClosing and ErrDiskLow are kinds of ErrUnavailable that senders are told of.
	ErrClosing = fmt.Errorf("%w: it is closing", ErrUnavailable)
	ErrDiskLow = fmt.Errorf("%w: the disk is nearly full", ErrUnavailable)
	// ErrDamaged: a row can't be read, or not for now; others can. Wrapped with which, and what helps.
	ErrDamaged = errors.New("the store is damaged")
	// ErrNotFound: there is no such event, push or waybill.
	ErrNotFound = errors.New("not found")
	// ErrInUse: a service uses the store, or another migration does. Nothing was done.
	ErrInUse = errors.New("it is in use")
	// ErrChanged: another node changed it since it was read.
	ErrChanged = errors.New("another node changed it meanwhile")
	// ErrState: the push is not in a state that allows it (e.g. a replay of one that is pending).
	ErrState = errors.New("its status does not allow that")
	// ErrExpunged is an ErrState: the event's text is gone.
	ErrExpunged = fmt.Errorf("it was expunged, so there is nothing left to send: %w", ErrState)
)

// Result is what became of a submitted event.
type Result struct {
	Seq      uint64 // The event's number; of a Duplicate or Conflict, the first one's.
	Verdict  state.Verdict
	Original state.Verdict // Of a Duplicate: the first verdict.
	Stage    state.Stage   // The waybill's, afterwards.
	Reason   state.Reason
	Late     bool
	Gap      bool
	From     state.Stage        // Rejected: the stage at the event's time.
	Allowed  []state.ActionType // Rejected: what would have been legal; never nil then.
	Cause    uint64             // The event that it repeats or contradicts; 0 if none.
}

// ResultOf is what a decision means for the event that it is of.
func ResultOf(d state.Decision) Result {
	e := d.Entry
	return Result{
		Seq: e.Seq, Verdict: e.Verdict, Stage: d.Stage, Reason: e.Reason, Late: e.Late, Gap: e.Gap,
		From: d.From, Allowed: d.Allowed, Cause: d.Cause,
	}
}

// Store is what an engine does. All methods are safe for concurrent use. A method that writes returns only when what
// it wrote survives a crash and a power loss; with an error that wraps ErrUnavailable it is certain that nothing was
// kept, with any other error the outcome is unknown and the same call may be made again.
type Store interface {
	// Apply decides events and keeps them with all their effects, in the order given. One event has one Result.
	// Events must be valid (package ingest sees to that). An event with a Token registers it first. A Trace that is no
	// W3C traceparent of version 00 is not kept; it is no part of the content that tells a duplicate from a conflict.
	Apply(ctx context.Context, events []state.Event) ([]Result, error)

	// PutToken keeps the newest Token of a waybill. A Token that is new lets pushes go that wait for one, unparks
	// the waybill, and makes pushes pending again that failed for ReasonToken. changed is false if it was the
	// newest already; then act is not kept.
	PutToken(ctx context.Context, w state.Waybill, token string, act Act) (changed bool, err error)

	// Settle records what became of a push and then calls done, once, when that is durable. done must not block or
	// call the store. It does not wait for the commit itself, so that a worker can go on.
	Settle(o Outcome, done func(error))

	// Replay makes a push pending again, in its old place among the waybill's open pushes, with fresh retries, and
	// unparks its waybill. A delivered one needs force; a pending one is ErrState; an event without a push is
	// ErrState too. It is kept as a replay of one push (Push.Replay is its number).
	Replay(ctx context.Context, seq uint64, force bool, act Act) (Push, error)

	ByHand
	Replays
	Orders
	Notices
	Secrets
	Verified
	Overview
	Ownership

	// Lane reads a waybill's open pushes. A waybill without any is an empty Lane.
	Lane(ctx context.Context, w state.Waybill) (Lane, error)

	// Sweep lists waybills of an account that have open pushes, roughly oldest first and perhaps repeatedly: every
	// waybill that had one when the sweep began is listed by its end. It starts at the zero Place and continues at
	// the Place returned; done says that the end is reached. It reads a bounded number of rows a call, so a page
	// may be empty. Waybills that can't be sent (no Token, parked, frozen) may be left out.
	Sweep(ctx context.Context, deliveryID string, from Place) (waybills []state.Waybill, next Place, done bool, err error)

	// Account reads what must outlive a restart of an account; the zero value if nothing was kept.
	Account(ctx context.Context, deliveryID string) (Account, error)
	// PutAccount keeps it, if Version is still that of what is kept; ErrChanged if not. The next Version is one higher.
	PutAccount(ctx context.Context, deliveryID string, a Account) error

	// Push reads one push with its attempts. ErrNotFound if there is no such event; an event without a push has
	// Status NoPush.
	Push(ctx context.Context, seq uint64) (Push, error)
	// Pushes lists pushes, newest first.
	Pushes(ctx context.Context, q Query) (Page[Push], error)
	// Events lists events of every verdict, newest first.
	Events(ctx context.Context, q Query) (Page[Event], error)
	// Waybill reads a waybill's whole timeline. ErrNotFound if neither an event nor a Token of it is known.
	Waybill(ctx context.Context, w state.Waybill) (Waybill, error)

	// Stats reads counters that are kept as rows change; it never scans.
	Stats() Stats
	// Ready says why writes are refused at present; nil if they are not.
	Ready() error
	// Backup writes a consistent copy into dir, which must not exist, while the store goes on.
	Backup(ctx context.Context, dir string) error
	// Check compares everything that is kept twice.
	Check(ctx context.Context) (Report, error)

	// Close stops taking writes, finishes those under way and closes.
	Close() error
}

// Place is where a Sweep stands. Its meaning is the engine's.
type Place struct {
	Phase uint8
	Seq   uint64
}

// Account is what is kept of an account.
type Account struct {
	Paused   bool
	ByHand   bool        // Paused by an operator: no probes, no end by itself.
	Guarded  bool        // Paused by the guard against mass failing: likewise.
	Reason   string      // Why, in words that an operator can act on.
	ReasonZh string      // The same in Chinese; empty for an operator's own words, and where it was not kept.
	Since    time.Time   //
	Until    time.Time   // When it ends by itself; zero: not.
	Errcode  int         // What upstream answered; 0 if ByHand or Guarded.
	ForcedAt []time.Time // When access_tokens were forced within the last day (20 a day are allowed).
	Quota    Quota
	// Version counts the changes where several nodes may make some. An engine for one node keeps none, and does not
	// look at it.
	Version uint64
}

// Quota is what an account has used of updatePath's quota on one day in Beijing.
type Quota struct {
	Day     time.Time // When that day began; zero: nothing was counted yet.
	Used    int64     // Calls on that day, rather too many than too few.
	Limit   int64     // Calls that upstream takes a day, as it said last; 0: it never did.
	AskedAt time.Time // When it did.
	Waived  bool      // An operator let transit scans go on, although what remains is short.
}

// Event is an event with its verdict as it stands now.
type Event struct {
	Seq        uint64
	Event      state.Event // Without its Token.
	ReceivedAt time.Time
	First      state.Verdict // As answered.
	Verdict    state.Verdict // As it is: a held event becomes accepted.
	Reason     state.Reason
	Late, Gap  bool
	HeldUntil  time.Time
	Override   bool   // An operator accepted it against the table.
	Expunged   bool   // Its text was forgotten: it can't be sent any more.
	Status     Status // Of its push.

	// Why it was rejected, as it was answered.
	From    state.Stage        // The stage at the event's time.
	Allowed []state.ActionType // What would have been legal; nil if it was not rejected when it came.
	Cause   uint64             // The event that it repeats or contradicts, or that put the waybill there; 0: none.
}

// Waybill is a waybill's whole story.
type Waybill struct {
	Waybill  state.Waybill
	Stage    state.Stage
	TokenSet bool
	TokenAt  time.Time // When the newest came.
	Parked   bool
	Frozen   bool
	Held     Hold   // Of Frozen.
	Timeline []Step // In order of action_time, stage rank and arrival.
}

// Hold is a freeze of a waybill.
type Hold struct {
	Since  time.Time
	By     string
	Reason string
}

// Step is an event of a waybill and its push.
type Step struct {
	Event Event
	Push  Push // Status NoPush if it has none.
}

// Query selects rows; all conditions given must hold. The zero value selects all. As JSON it is its conditions, under
// the names of the admin API's filters.
type Query struct {
	Status     Status           `json:"status,omitzero"`
	WaitingFor WaitingFor       `json:"waiting_for,omitzero"` // WaitNothing: any.
	Verdict    state.Verdict    `json:"verdict,omitzero"`
	Errcode    *int             `json:"errcode,omitempty"` // Of the last attempt.
	Reason     string           `json:"reason,omitzero"`
	DeliveryID string           `json:"delivery_id,omitzero"`
	WaybillID  string           `json:"waybill_id,omitzero"`
	Type       state.ActionType `json:"action_type,omitzero"`
	Source     string           `json:"source,omitzero"`
	Since      time.Time        `json:"since,omitzero"` // Received at or after.
	Until      time.Time        `json:"until,omitzero"` // Received before.

	Limit     int    `json:"-"` // Rows a page; 1 to MaxLimit.
	Before    uint64 `json:"-"` // Only rows with a smaller seq; 0: from the newest.
	After     uint64 `json:"-"` // Only rows with a larger seq.
	Ascending bool   `json:"-"` // Oldest first. The next page's After is Page.Next then; else the next page's Before is.

	// Held says what all of an account's pushes wait for at the moment (WaitBreaker, WaitAccount or nothing), or, with
	// transitOnly, those of a waybill whose open pushes all are transit scans; these wait for whatever keeps all. The
	// engine doesn't know that. nil: nothing.
	Held func(deliveryID string, transitOnly bool) WaitingFor `json:"-"`
}

// MaxLimit bounds Query.Limit.
const MaxLimit = 1000

// Page is one page of a list. Next is 0 on the last one. A page may be shorter than the limit and still have a next.
type Page[T any] struct {
	Items []T
	Next  uint64
}

// Stats are figures kept in memory.
type Stats struct {
	// Pushes counts pushes by account and status.
	Pushes map[string]map[Status]int64
	// Events counts events by their first verdict since the store was made.
	Events map[state.Verdict]int64
	Held   int64 // Events held now.
	// Oldest is when the oldest open push of an account was received; absent if none is open. It may lag by a
	// few seconds.
	Oldest map[string]time.Time

	// Notices is how many wait to be told, and OldestNotice when the end was that waits longest; zero: none waits.
	Notices      int64
	OldestNotice time.Time

	Commits    uint64        // Since the start.
	CommitTime time.Duration // Total from batch to durable.
	Rows       uint64        // Events and outcomes committed.
	FreeBytes  uint64        // Of the disk; 0 if not known.

	Nodes *NodeStats // nil: the engine is for one node.
}

// Report is what Check found.
type Report struct {
	Events   uint64
	Pushes   map[Status]uint64
	Problems []string // What does not fit together; empty is well. At most 100.
}
