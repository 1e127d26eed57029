package ingest

import (
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"

	"carrier/internal/state"
)

// Limits of an event's fields. The tags of tagged repeat them; a test compares.
const (
	maxIDChars = 128
	// firstMilliseconds is the first action_time taken for milliseconds: as seconds it lies in the year 5138, as
	// milliseconds in 1973.
	firstMilliseconds = 100_000_000_000
)

// rules are what an event must keep, with the settings filled in. They are not changed once made.
type rules struct {
	maxMsg    int           // Bytes of action_msg.
	maxFuture time.Duration // How far ahead action_time may lie.
	maxAge    time.Duration // How far back; 0: no limit.

	deliveryIDs map[string]string // The configured accounts, each by itself: events share the text of their id.
	only        string            // The account, if exactly one is configured.

	validate *validator.Validate
}

// kept tells whether w keeps every rule. It says the same as the tags of tagged, without words and fast.
func (r *rules) kept(w *wire, now time.Time) bool {
	const must = fieldID | fieldWaybillID | fieldActionType | fieldActionTime | fieldActionMsg
	return w.has&must == must &&
		len(w.id) > 0 && withinChars(w.id, maxIDChars) && isPrintable(w.id) &&
		len(w.waybillID) > 0 && withinChars(w.waybillID, state.MaxWaybillChars) && state.OneWord(w.waybillID) &&
		r.account(w) != "" &&
		isActionType(w.actionType) &&
		w.actionTime > 0 && w.actionTime < firstMilliseconds &&
		!r.tooFarAhead(w.actionTime, now) && !r.tooOld(w.actionTime, now) &&
		len(w.actionMsg) > 0 && len(w.actionMsg) <= r.maxMsg &&
		len(w.token) <= state.MaxTokenBytes
}

// account is the configured account that the event names, or that stands for none named; empty if there is none.
func (r *rules) account(w *wire) string {
	if w.has&fieldDeliveryID == 0 {
		return r.only
	}
	return r.deliveryIDs[string(w.deliveryID)]
}

func (r *rules) tooFarAhead(at int64, now time.Time) bool {
	return at > now.Add(r.maxFuture).Unix()
}

func (r *rules) tooOld(at int64, now time.Time) bool {
	return r.maxAge > 0 && at < now.Add(-r.maxAge).Unix()
}

func isActionType(code int64) bool {
	return code > 0 && code <= math.MaxInt32 && state.ActionType(code).Valid()
}

// withinChars tells whether text has at most limit characters.
func withinChars(text []byte, limit int) bool {
	return len(text) <= limit || utf8.RuneCount(text) <= limit
}

// isPrintable tells whether text has nothing but letters, marks, digits, punctuation, symbols and plain spaces.
func isPrintable(text []byte) bool {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c < ' ' || c > '~' {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if !unicode.IsPrint(r) {
			return false
		}
		i += n
	}
	return true
}

// event is what w says, without a trace, as far as it has passed kept. The texts are copied: w's are part of a buffer that is reused.
func (r *rules) event(w *wire, source string) state.Event {
	return state.Event{
		ID:         string(w.id),
		Source:     source,
		DeliveryID: r.account(w),
		WaybillID:  string(w.waybillID),
		Type:       state.ActionType(w.actionType),
		Time:       w.actionTime,
		Msg:        string(w.actionMsg),
		Token:      string(w.token),
	}
}

// listed joins names for a message; a long list is cut.
func listed(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
