package store

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"carrier/internal/state"
)

// Overview finds waybills among all that are kept. Both lists are answered from indexes: what a page costs does not
// depend on how much is kept.
type Overview interface {
	// Find lists the waybills of which an event or a Token is known and whose number ends in a text, in the order of
	// their numbers as Reversed gives them.
	Find(ctx context.Context, q FindQuery) (Summaries, error)
	// Silent lists waybills of which nothing was accepted for long, the one that fell silent first at the top.
	Silent(ctx context.Context, q SilentQuery) (Summaries, error)
	// StageAges tells of each account and stage that can be left how old the oldest waybill with a Token is; nothing of
	// those that have none. It is cheap enough for every look at the metrics.
	StageAges(ctx context.Context) ([]StageAge, error)
}

// FindQuery selects waybills by the end of their number.
type FindQuery struct {
	End   string // Not empty. A to Z and a to z are the same.
	After string // Summaries.Next of the page before; empty: the first one.
	Limit int    // Waybills a page; 1 to MaxLimit.
}

// SilentQuery selects waybills by when their newest accepted event came; all conditions given must hold.
type SilentQuery struct {
	// Before is, by stage, the moment before which that was. Waybills at another stage are not listed; nor are those at
	// state.Created, of which nothing was accepted, and those at a final one.
	Before     map[state.Stage]time.Time
	DeliveryID string // Empty: any.
	NoToken    bool   // Also those without a Token: no customer looks at their trace.
	After      string // Summaries.Next of the page before; empty: the first one.
	Limit      int    // Waybills a page; 1 to MaxLimit.
}

// Summaries is a page of waybills. Next is empty on the last one. A page may be shorter than the limit and still have a
// next.
type Summaries struct {
	Items []Summary
	Next  string // Opaque, and of this list of this engine.
	// Total is 0 unless the engine has just been opened and still reads what the list is made of: Read of about Total
	// rows so far. What is not read yet is missing from the page.
	Read, Total uint64
}

// Summary is a waybill without its timeline.
type Summary struct {
	Waybill  state.Waybill
	Stage    state.Stage
	TokenSet bool
	Parked   bool
	Frozen   bool
	Open     int       // Its pushes that are pending, and
	Failed   int       // those that failed.
	Newest   *Event    // Of its events that were accepted, the one that came last; nil: none was.
	HeardAt  time.Time // When its newest event came, accepted or not; zero: WeChat alone told of it.
}

// StageAge is how old the oldest waybill of an account at a stage is.
type StageAge struct {
	DeliveryID string
	Stage      state.Stage
	OldestAt   time.Time // When the newest accepted event came of the waybill that stood still for longest.
}

// Reversed is a waybill number as indexes have it to be found by its end: its characters from the last to the first, A to
// Z as a to z. What is not ASCII keeps its case, as databases differ about it.
func Reversed(number string) string {
	var b strings.Builder
	b.Grow(len(number))
	for number != "" {
		r, size := utf8.DecodeLastRuneInString(number)
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		b.WriteRune(r)
		number = number[:len(number)-size]
	}
	return b.String()
}

// NextNumber is a Summaries.Next that stands for a number.
func NextNumber(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// AfterNumber is the reverse of NextNumber, and 0 for the first page.
func AfterNumber(after string) (uint64, error) {
	switch len(after) {
	case 0:
		return 0, nil
	case 8:
		return binary.BigEndian.Uint64([]byte(after)), nil
	}
	return 0, errors.New("this is no place in the list")
}
