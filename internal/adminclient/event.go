package adminclient

import (
	"context"
	"strconv"
	"time"
)

// Decision is what the state machine made of an event, and why.
type Decision struct {
	Verdict   string     `json:"verdict"` // As it stands now.
	Reason    string     `json:"reason"`
	Late      bool       `json:"late"`
	Gap       bool       `json:"gap"`
	HeldUntil *time.Time `json:"held_until"`
	Override  bool       `json:"override"` // An operator accepted it against the table.
	Expunged  bool       `json:"expunged"` // Its text was forgotten.
	From      string     `json:"from"`     // The stage before a rejected event; empty otherwise.
	Allowed   []int32    `json:"allowed"`  // The codes that would have been legal.
	Cause     uint64     `json:"cause"`    // The event that it contradicts or repeats; 0: none.
	// Explanation is empty for an event that was plainly accepted.
	Explanation Text `json:"explanation"`
}

// Event is an event of any verdict.
type Event struct {
	Scan
	Decision
	FirstVerdict string `json:"first_verdict"` // As it was answered.
	Status       string `json:"status"`        // Of its push; empty if it has none.
}

// Events lists events, newest first.
func (c *Client) Events(f Filter) List[Event] { return List[Event]{c, "/admin/v1/events", f} }

// AcceptEvent accepts a rejected event against the table.
func (c *Client) AcceptEvent(ctx context.Context, seq uint64, reason string) (Answer[Event], error) {
	return post[Event](ctx, c, "/admin/v1/events/"+strconv.FormatUint(seq, 10)+"/accept", why{reason})
}
