package store

import (
	"fmt"
	"time"

	"carrier/internal/state"
)

// Status is where a push stands. The zero value means that the event has no push.
type Status uint8

const (
	NoPush    Status = iota // The event has none.
	Pending                 // Will be sent. Moved on by an answer from upstream, or a deadline.
	Delivered               // Upstream answered errcode 0. Final, unless an operator forces a replay.
	Failed                  // Given up; a replay, or a new Token, makes it Pending again.
	Discarded               // Decided, by an operator or a rule, not to be sent.

	NumStatuses // How many there are, NoPush among them: the size of a table by status.
)

var statusNames = [NumStatuses]string{"", "pending", "delivered", "failed", "discarded"}

// Statuses lists the four statuses of a push.
func Statuses() []Status { return []Status{Pending, Delivered, Failed, Discarded} }

// String is the status as in answers; empty for NoPush.
func (s Status) String() string {
	if s >= NumStatuses {
		return fmt.Sprintf("status(%d)", uint8(s))
	}
	return statusNames[s]
}

// MarshalText writes the status as in answers.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a status; an unknown one is an error.
func (s *Status) UnmarshalText(text []byte) error {
	for i, n := range statusNames {
		if n == string(text) {
			*s = Status(i)
			return nil
		}
	}
	return fmt.Errorf("unknown status %q", text)
}

// WaitingFor says why a pending push is not on its way yet.
type WaitingFor string

const (
	WaitNothing WaitingFor = ""        // It is in flight, or next.
	WaitRetry   WaitingFor = "retry"   // Its last attempt failed; NextAt says when it is tried again.
	WaitBreaker WaitingFor = "breaker" // The account's breaker is open.
	WaitAccount WaitingFor = "account" // The account is paused, over its rate, or keeps what remains of its quota.
	WaitToken   WaitingFor = "token"   // The waybill has no Token yet.
	WaitWaybill WaitingFor = "waybill" // An earlier push of the waybill is not through, or the waybill is parked.
)

// Waiting says since when a push waits, and what exactly keeps it.
type Waiting struct {
	Since  time.Time // Zero if it does not wait, or if the account knows (WaitBreaker, WaitAccount).
	Until  time.Time // WaitRetry: when it is tried again. WaitToken: when it fails for want of one.
	Behind uint64    // WaitWaybill: the push before it; 0 if the waybill is parked or frozen.
	Parked bool      // WaitWaybill: upstream refuses the waybill's Token.
	Frozen bool      // WaitWaybill: an operator holds the waybill.
	Reason string    // Frozen: why, in the operator's words.
}

// Reasons why a push failed or was discarded, beside "errcode": in one word, for filters.
const (
	ReasonNoToken   = "no_token"        // No Token came within push.no_token_wait.
	ReasonToken     = "token_refused"   // Upstream went on refusing the Token or the waybill; the waybill is parked.
	ReasonRefused   = "refused"         // Upstream refused this event for good.
	ReasonExhausted = "retries_ended"   // Upstream stayed unavailable for push.retry.max_age.
	ReasonOperator  = "operator"        // Discarded by hand.
	ReasonUnknown   = "unknown_waybill" // Discarded by push.unknown_waybills; a Token makes it pending again.
)

// Push is an event and where its push stands.
type Push struct {
	Seq        uint64
	Ord        uint64      // 0 while the event has no push.
	Event      state.Event // Without its Token.
	ReceivedAt time.Time

	Status     Status
	WaitingFor WaitingFor // Only while Pending, and only in answers of queries.
	Waiting    Waiting    // More of the same.
	// TransitOnly says that all that is open of the waybill are transit scans (200001). Only while Pending, and only in
	// answers of queries.
	TransitOnly bool
	Reason      string        // Of Failed and Discarded: one of the Reason constants, or an operator's words.
	Tries       int           // Attempts that counted; what access_tokens and accounts cost is not among them.
	Refusals    int           // Answers of the waybill scope since the Token last changed.
	Used        time.Duration // How much of push.retry.max_age is used up.
	NextAt      time.Time     // Not before; zero means at once.
	DoneAt      time.Time     // When Status became final.
	VerifiedAt  time.Time     // When upstream was last seen to show it, since it was delivered; zero: not yet.
	OpenedAt    time.Time     // When it became pending, the last time.
	Replay      uint64        // The replay that made it pending the last time; 0: none did.
	Bulk        bool          // That was one of many pushes: it goes behind live traffic.
	Attempts    []Attempt     // The latest MaxAttempts, oldest first.
}

// MaxAttempts is how many attempts a push remembers.
const MaxAttempts = 50

// Last is the latest attempt, and the zero Attempt if there was none.
func (p *Push) Last() Attempt {
	if len(p.Attempts) == 0 {
		return Attempt{}
	}
	return p.Attempts[len(p.Attempts)-1]
}

// Attempt is one request to upstream and its answer.
type Attempt struct {
	At       time.Time
	Duration time.Duration
	Errcode  *int   // nil if there was no readable answer.
	Errmsg   string // Upstream's words, or what went wrong; never holds a secret.
	RID      string // Upstream's request id, for its support.
	Scope    string // What the answer speaks of: "upstream", "credential", ...; "ok" on success.
	Replay   uint64 // The replay that it comes of; 0: none.
	// Unknown says that the request was sent and no answer came: upstream may have applied it.
	Unknown bool

	// How it was sent. None of this is known of attempts from before it was kept.
	Breaker  Breaker // Of the host that it went to, then.
	Fallback string  // That host, if it is not the account's main one.
	// AccessTokenAt and TokenAt tell which access_token and which of the waybill's Tokens it used, by when they came;
	// zero if it used none. They are kept to the millisecond, and say nothing of the secrets.
	AccessTokenAt, TokenAt time.Time
}

// Outcome is what an attempt, or a decision, makes of a push.
type Outcome struct {
	Seq     uint64
	Waybill state.Waybill
	Attempt *Attempt // nil for a decision without a request.

	Status   Status // Pending: to be tried again.
	Reason   string
	Tries    int
	Refusals int
	Used     time.Duration
	NextAt   time.Time
	// Park stops the waybill: its later pushes stay pending until a new Token or a replay comes.
	Park bool
	// Token is the one that was sent. If it is not the newest by now, an outcome with Park is not taken: the push
	// stays Pending, with fresh refusals, and is sent again with the new one.
	Token string
	// Again says that it was tried before to record this very outcome, and that it is not known whether that was kept:
	// the connection to the database broke. If it was, nothing more is done. Only engines that nodes share have this.
	Again bool
}

// Fit refuses an outcome that does not say where the push stands.
func (o *Outcome) Fit() error {
	if o.Status == NoPush || o.Status >= NumStatuses {
		return fmt.Errorf("push %d: an outcome without a status", o.Seq)
	}
	return nil
}

// Spare is the outcome if it was not the newest Token that was refused: the waybill has not failed yet.
func (o Outcome) Spare() Outcome {
	o.Status, o.Reason, o.Refusals, o.NextAt, o.Park = Pending, "", 0, time.Time{}, false
	return o
}

// Lane is a waybill's open pushes in the order in which they are to be sent.
type Lane struct {
	Waybill state.Waybill
	Token   string // The newest one; empty if none is known. A secret.
	TokenAt time.Time
	Parked  bool // Upstream refuses the waybill's Token; nothing is sent until a new one or a replay comes.
	Frozen  bool // An operator holds it.
	Pushes  []Push
}

// Blocked tells whether nothing of the lane can be sent for now, whatever the account does.
func (l *Lane) Blocked() bool { return l.Token == "" || l.Parked || l.Frozen }

// Change tells of pushes that became open with a commit that is durable now.
type Change struct {
	Waybill state.Waybill
	// Added are the pushes that became open, in order of acceptance.
	Added []Push
	// Whole says that Added are all the waybill's open pushes and that Token holds, which came at TokenAt: the lane needs
	// no reading.
	Whole   bool
	Token   string
	TokenAt time.Time
	// Blocked says that the lane can't be sent for now; a later Change with Reload tells when it can.
	Blocked bool
	// Reload says that more than the end of the lane changed (a Token came, a replay, a thaw): read the lane again.
	Reload bool
	// Shared, if not nil, is all that the change says; it speaks of no waybill or of many.
	Shared *Shared
}

// Feed hears of changes, in the order of their commits. It is called by the engine's own goroutine, one call at a
// time, and must not block or call the store.
type Feed func([]Change)
