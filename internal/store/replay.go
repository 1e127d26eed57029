package store

import (
	"context"
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
