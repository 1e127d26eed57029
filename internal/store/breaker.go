package store

import "fmt"

// Breaker is how the breaker of an upstream host stands.
type Breaker uint8

const (
	BreakerUnknown  Breaker = iota // Nothing is said of it.
	BreakerClosed                  // All goes through.
	BreakerHalfOpen                // A few requests go through, to find out whether it may close.
	BreakerOpen                    // Nothing goes through, but for what an operator asks for.
)

var breakerNames = [...]string{"", "closed", "half_open", "open"}

// String is the state as in answers; empty for BreakerUnknown.
func (b Breaker) String() string {
	if int(b) >= len(breakerNames) {
		return fmt.Sprintf("breaker(%d)", uint8(b))
	}
	return breakerNames[b]
}

// MarshalText writes the state as in answers.
func (b Breaker) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a state; one that is not known is an error.
func (b *Breaker) UnmarshalText(text []byte) error {
	for i, n := range breakerNames {
		if n == string(text) {
			*b = Breaker(i)
			return nil
		}
	}
	return fmt.Errorf("unknown state of a breaker %q", text)
}
