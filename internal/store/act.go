package store

import (
	"context"
	"time"

	"carrier/internal/state"
)

// Act is something that a person did, as the audit log keeps it. The zero value is no person's act and is not kept.
type Act struct {
	By     string // The name of the admin token.
	From   string // The address that it came from.
	Action string // One of the Act constants.
	Reason string // Why, in the operator's own words.
	Detail string // What more there is to tell, such as the filter of a bulk replay.
}

// What a person can do, as the audit log names it.
const (
	ActReplay       = "push.replay"
	ActDiscard      = "push.discard"
	ActAccept       = "event.accept"
	ActToken        = "waybill.token"
	ActRetry        = "waybill.retry"
	ActSkip         = "waybill.skip"
	ActFreeze       = "waybill.freeze"
	ActThaw         = "waybill.thaw"
	ActExpunge      = "waybill.expunge"
	ActHeal         = "waybill.heal"
	ActReplayStart  = "replay.start"
	ActReplayPause  = "replay.pause"
	ActReplayResume = "replay.resume"
	ActReplayCancel = "replay.cancel"
	ActPause        = "account.pause"
	ActResume       = "account.resume"
	ActProbe        = "account.probe"
	ActBackup       = "store.backup"
	ActReload       = "config.reload" // Other settings were taken over from the configuration's file.
	ActReadOrder    = "wechat.order"  // Orders were read upstream, with the names and addresses in them.
)

// Actions lists the actions that the audit log knows.
func Actions() []string {
	return []string{
		ActReplay, ActDiscard, ActAccept, ActToken, ActRetry, ActSkip, ActFreeze, ActThaw, ActExpunge, ActHeal,
		ActReplayStart, ActReplayPause, ActReplayResume, ActReplayCancel, ActPause, ActResume, ActProbe, ActBackup, ActReload, ActReadOrder,
	}
}

// AuditEntry is a row of the audit log. What does not concern the act is zero.
type AuditEntry struct {
	Number uint64 // From 1, in the order of the commits.
	At     time.Time
	Act
	DeliveryID string
	WaybillID  string
	Seq        uint64 // The event or push.
	Replay     uint64 // The replay that was started, or acted on.
}

// AuditQuery selects rows of the audit log; all conditions given must hold. The zero value selects all.
type AuditQuery struct {
	By         string
	Action     string
	DeliveryID string
	WaybillID  string
	Since      time.Time // At or after.
	Until      time.Time // Before.
	Limit      int       // Rows a page; 1 to MaxLimit.
	Before     uint64    // Only rows with a smaller number; 0: from the newest.
}

// DeadLetter is a message that can never be read, with its bytes.
type DeadLetter struct {
	Number     uint64 // From 1, in the order of arrival.
	ReceivedAt time.Time
	Source     string // Who sent it, as far as that is known.
	Subject    string // Where it came in.
	Code       string // Why it can't be read, in one word.
	Reason     string // The same in words.
	ReasonZh   string `json:",omitempty"` // And in Chinese; empty where that was not kept.
	Body       []byte
}

// ByHand are the operations that only people ask for. Each keeps its Act in the audit log, in the same commit.
type ByHand interface {
	// Discard ends a push that is pending or failed: it will not be sent. Of one that is in flight upstream may
	// still take the request; it is delivered then. Another status is ErrState.
	Discard(ctx context.Context, seq uint64, act Act) (Push, error)
	// Resend makes pushes of a waybill that are delivered pending again, whatever upstream answered: one replay, all of it
	// in one commit, so that they go out in order of acceptance. What is not delivered any more, is another waybill's, or
	// was expunged is skipped; ErrState if nothing is left, and then no replay is kept.
	Resend(ctx context.Context, w state.Waybill, seqs []uint64, act Act) (Replay, error)
	// RetryNow lets a push go at once that waits for its next attempt; ErrState if it waits for anything else.
	RetryNow(ctx context.Context, seq uint64, act Act) (Push, error)
	// Freeze holds a waybill's pushes, or releases them; scans are taken as ever. changed is false if it was so
	// already; then nothing is kept. ErrNotFound if neither an event nor a Token of the waybill is known.
	Freeze(ctx context.Context, w state.Waybill, frozen bool, act Act) (changed bool, err error)
	// Accept takes a rejected event into its waybill's timeline against the table, and queues it to be pushed.
	// ErrState if the event is not rejected.
	Accept(ctx context.Context, seq uint64, act Act) (Event, error)

	// Record keeps an act that changes nothing in the store.
	Record(ctx context.Context, e AuditEntry) error
	// Audit lists the audit log, newest first.
	Audit(ctx context.Context, q AuditQuery) (Page[AuditEntry], error)

	// PutDeadLetter keeps a message that can't be read; Number and ReceivedAt are given by the store. It goes once it is
	// older than the retention, if there is one. Strangers make them, so an engine bounds what they take together: the
	// oldest go first, and the log says how many did. No Number is given twice.
	PutDeadLetter(ctx context.Context, d DeadLetter) error
	// DeadLetters lists them, newest first.
	DeadLetters(ctx context.Context, before uint64, limit int) (Page[DeadLetter], error)
}
