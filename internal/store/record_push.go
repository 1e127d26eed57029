package store

import (
	"fmt"
	"time"
)

// PushRecord is a push without its event; see Push.
type PushRecord struct {
	Status     Status        `json:"status"`
	Ord        uint64        `json:"ord"`
	OpenedAt   int64         `json:"opened_at"`   // 0: when its event came.
	TokenUntil int64         `json:"token_until"` // Until when it waits for a Token; 0: it does not.
	NextAt     int64         `json:"next_at"`
	DoneAt     int64         `json:"done_at"`
	VerifiedAt int64         `json:"verified_at"`
	Tries      int           `json:"tries"`
	Refusals   int           `json:"refusals"`
	Used       time.Duration `json:"used"`
	Ends       int           `json:"ends"` // How often the event ended; see Notices.
	Replay     uint64        `json:"replay"`
	Bulk       bool          `json:"bulk"`
	Reason     string        `json:"reason"`
	Attempts   []Attempt     `json:"attempts,omitempty"`
}

// Note adds an attempt, as one of the replay that made the push pending, and forgets the oldest beyond MaxAttempts.
func (p *PushRecord) Note(a Attempt) {
	a.Replay = p.Replay
	if over := len(p.Attempts) + 1 - MaxAttempts; over > 0 {
		p.Attempts = p.Attempts[over:]
	}
	p.Attempts = append(p.Attempts[:len(p.Attempts):len(p.Attempts)], a)
}

// Errcode is that of the last attempt; nil if there was none, or no answer.
func (p *PushRecord) Errcode() *int {
	if len(p.Attempts) == 0 {
		return nil
	}
	return p.Attempts[len(p.Attempts)-1].Errcode
}

// LastErrcode is Errcode, and 0 for none.
func (p *PushRecord) LastErrcode() int {
	if code := p.Errcode(); code != nil {
		return *code
	}
	return 0
}

// EndedForToken tells whether a better Token, or any, is all that a push lacked that has ended.
func (p *PushRecord) EndedForToken() bool {
	switch p.Status {
	case Failed:
		return p.Reason == ReasonToken || p.Reason == ReasonNoToken
	case Discarded:
		return p.Reason == ReasonUnknown
	}
	return false
}

// Unsent tells whether the push is pending, or would be made so by a Token.
func (p *PushRecord) Unsent() bool { return p.Status == Pending || p.EndedForToken() }

// LacksToken tells whether a new Token changes anything for the push: it waits for one, it ended for want of a good one, or
// the one before was refused.
func (p *PushRecord) LacksToken() bool {
	return p.EndedForToken() || p.Status == Pending && (p.TokenUntil != 0 || p.Refusals > 0)
}

// MayReplay tells whether a person may have the push sent again: ErrState if it has not ended, and, unless that is forced,
// if it is delivered.
func (p *PushRecord) MayReplay(force bool) error {
	switch {
	case p.Status == Pending:
		return fmt.Errorf("it is pending: %w", ErrState)
	case p.Status == Delivered && !force:
		return fmt.Errorf("it is delivered, and only a forced replay sends it again: %w", ErrState)
	}
	return nil
}
