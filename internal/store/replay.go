package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// ReplayStatus is where a replay stands.
type ReplayStatus uint8

const (
	_               ReplayStatus = iota
	ReplayRunning                // It makes pushes pending, or waits for them to end.
	ReplayPaused                 // An operator holds it. What it made pending already goes on.
	ReplayCancelled              // It makes no more pushes pending. Final.
	ReplayDone                   // All its pushes have ended. Final.

	numReplayStatuses
)

var replayStatusNames = [numReplayStatuses]string{"", "running", "paused", "cancelled", "done"}

// ReplayStatuses lists them.
func ReplayStatuses() []ReplayStatus {
	return []ReplayStatus{ReplayRunning, ReplayPaused, ReplayCancelled, ReplayDone}
}

// Ended tells whether the status is final.
func (s ReplayStatus) Ended() bool { return s == ReplayCancelled || s == ReplayDone }

// MayBecome tells whether a person may set it to another one.
func (s ReplayStatus) MayBecome(to ReplayStatus) bool {
	switch to {
	case ReplayPaused:
		return s == ReplayRunning
	case ReplayRunning:
		return s == ReplayPaused
	case ReplayCancelled:
		return s == ReplayRunning || s == ReplayPaused
	}
	return false
}

// String is the status as in answers.
func (s ReplayStatus) String() string {
	if s >= numReplayStatuses {
		return fmt.Sprintf("replay_status(%d)", uint8(s))
	}
	return replayStatusNames[s]
}

// MarshalText writes the status as in answers.
func (s ReplayStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a status; an unknown one is an error.
func (s *ReplayStatus) UnmarshalText(text []byte) error {
	for i, n := range replayStatusNames {
		if n == string(text) && i > 0 {
			*s = ReplayStatus(i)
			return nil
		}
	}
	return fmt.Errorf("unknown replay status %q", text)
}

// Replay is one act of sending again: of a single push, or of all that match a filter. Each attempt that comes of it
// bears its number.
//
// A replay concerns only pushes that ended before it was made: what fails again while it runs is left to the next one.
type Replay struct {
	ID             uint64 // From 1.
	By             string // Who asked for it.
	Reason         string // Why.
	CreatedAt      time.Time
	EndedAt        time.Time // Zero until Status is final.
	Status         ReplayStatus
	Single         uint64  // The push that it is of; 0: Filter says which.
	Filter         Query   // Only its conditions count.
	UpTo           uint64  // Only pushes with at most this number.
	Rate           float64 // Pushes a second at most; 0: the usual 500.
	SkipSuperseded bool    // Leave out pushes of waybills of which a later stage was delivered already.

	Matched   int64 // Pushes that the filter found when it was made.
	Requeued  int64 // Made pending so far.
	Skipped   int64 // Found and left as they were.
	Delivered int64 // Of Requeued.
	Failed    int64 // Of Requeued.
	Discarded int64 // Of Requeued.
	Legs      []Leg // One per account.
}

// Open is how many of the pushes that it made pending have not ended.
func (r *Replay) Open() int64 { return r.Requeued - r.Delivered - r.Failed - r.Discarded }

// Exhausted tells whether it has been through all that it is of.
func (r *Replay) Exhausted() bool {
	for i := range r.Legs {
		if !r.Legs[i].Done {
			return false
		}
	}
	return true
}

// Fit tells whether the replay can be kept: rates come from outside, and JSON can't hold all numbers.
func (r *Replay) Fit() error {
	if _, err := json.Marshal(r); err != nil {
		return fmt.Errorf("a replay that can't be kept: %w", err)
	}
	return nil
}

// Begin makes it a new one, with a number, by whoever asked for it.
func (r *Replay) Begin(id uint64, by string, at time.Time) {
	r.ID, r.By, r.CreatedAt, r.Status = id, by, at, ReplayRunning
	r.EndedAt, r.Requeued, r.Skipped, r.Delivered, r.Failed, r.Discarded = time.Time{}, 0, 0, 0, 0, 0
}

// Conclude sees whether it is through. It is to be called after each change.
func (r *Replay) Conclude(at time.Time) {
	if r.Status == ReplayRunning && r.Exhausted() && r.Open() == 0 && (r.Single == 0 || r.Requeued > 0) {
		r.Status = ReplayDone
	}
	if r.Status.Ended() && r.EndedAt.IsZero() {
		r.EndedAt = at
	}
}

// Set pauses it, lets it go on, or cancels it; ErrState if that can't be.
func (r *Replay) Set(to ReplayStatus) error {
	if !r.Status.MayBecome(to) {
		return r.refuse()
	}
	r.Status = to
	return nil
}

// Running is ErrState unless it is.
func (r *Replay) Running() error {
	if r.Status != ReplayRunning {
		return r.refuse()
	}
	return nil
}

func (r *Replay) refuse() error { return fmt.Errorf("it is %s: %w", r.Status, ErrState) }

// Concerns tells whether it may make a push pending that ended before it was made: nobody wanted it discarded, unless that
// is what the replay is of.
func (r *Replay) Concerns(seq uint64, status Status) bool {
	return seq <= r.UpTo && (status == Failed || status == Discarded && r.Filter.Status == Discarded)
}

// Advance notes how far a leg is.
func (r *Replay) Advance(leg Leg) {
	for i := range r.Legs {
		if r.Legs[i].DeliveryID == leg.DeliveryID {
			r.Legs[i] = leg
		}
	}
}

// CountEnd notes that one of its pushes ended; was is how it ended before, if it ends in another way after all.
func (r *Replay) CountEnd(was, to Status) {
	if n := r.ended(was); n != nil {
		*n--
	}
	if n := r.ended(to); n != nil {
		*n++
	}
}

// ended is the counter of pushes that ended so; nil if that is no end.
func (r *Replay) ended(s Status) *int64 {
	switch s {
	case Delivered:
		return &r.Delivered
	case Failed:
		return &r.Failed
	case Discarded:
		return &r.Discarded
	}
	return nil
}

// Clone makes a copy that shares nothing that changes.
func (r *Replay) Clone() Replay {
	c := *r
	c.Legs = append([]Leg(nil), r.Legs...)
	return c
}

// Leg is how far a replay is with one account: accounts don't wait for each other.
type Leg struct {
	DeliveryID string
	Cursor     uint64 // Pushes up to this number have been looked at.
	Done       bool
}

// Requeue is one step of a replay.
type Requeue struct {
	Replay uint64
	// Seqs are pushes to be made pending again. All that the replay concerns of one waybill are in one step, so that
	// they go out in order whatever came first. Those that changed since they were read are skipped.
	Seqs    []uint64
	Skipped int // Further pushes that were looked at and left as they were.
	Leg     Leg // Where its leg stands after this step.
}

// Replays keeps replays. A step and what is known of how far the replay is are one commit, so that a crash repeats none.
type Replays interface {
	// StartReplay keeps a new replay. It gives ID, CreatedAt, UpTo and Status; counters are zero but for Matched.
	// One without legs is done at once.
	StartReplay(ctx context.Context, r Replay, act Act) (Replay, error)
	// Requeue carries out a step; ErrState if the replay is not running.
	Requeue(ctx context.Context, step Requeue) (Replay, error)
	// SetReplay pauses a running replay, lets a paused one run, or cancels either; ErrState otherwise.
	SetReplay(ctx context.Context, id uint64, to ReplayStatus, act Act) (Replay, error)
	// ReadReplay reads one; ErrNotFound if there is none.
	ReadReplay(ctx context.Context, id uint64) (Replay, error)
	// ListReplays lists replays, newest first; before 0 begins with the newest.
	ListReplays(ctx context.Context, before uint64, limit int) (Page[Replay], error)
}
