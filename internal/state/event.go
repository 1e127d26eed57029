package state

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Limits of an event's fields that more than one way in has to hold (README, The event).
const (
	MaxWaybillChars = 64  // Of a waybill_id, in characters.
	MaxTokenBytes   = 256 // Of a waybill's Token (WeChat 物流助手, 运力使用, 散单: 请预留 256 字节).
)

// Event is one scan of one waybill, in the one form that all ways in lead to.
type Event struct {
	ID         string     // The sender's; unique within Source: the idempotency key.
	Source     string     // Who sent it: the name of a configured source.
	DeliveryID string     // The delivery company's account.
	WaybillID  string     //
	Type       ActionType //
	Time       int64      // action_time: Unix seconds of the scan itself, not of its arrival.
	Msg        string     // action_msg: shown to the customer, sent upstream byte for byte.
	Token      string     // The waybill's order Token, if the sender has it. A secret.
	Trace      string     // W3C traceparent of the request that brought it; empty: none
}

// Waybill names the waybill that e belongs to.
func (e *Event) Waybill() Waybill { return Waybill{e.DeliveryID, e.WaybillID} }

// Waybill names one waybill: its number is unique only within its delivery company.
type Waybill struct {
	DeliveryID string
	WaybillID  string
}

// String is the waybill as logs and errors name it: DELIVERY/NUMBER.
func (w Waybill) String() string { return w.DeliveryID + "/" + w.WaybillID }

// IsWaybillID tells whether id can be a waybill_id, wherever it comes from.
func IsWaybillID(id string) bool {
	return id != "" && utf8.ValidString(id) && utf8.RuneCountInString(id) <= MaxWaybillChars && OneWord([]byte(id))
}

// OneWord tells whether text has no space of any width, no control and no invisible format character: those come
// from copying a number out of a page, and would make two waybills of one.
func OneWord(text []byte) bool {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c <= ' ' || c > '~' {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return false
		}
		i += n
	}
	return true
}

// Verdict is what became of an event when it came in. The zero value is no verdict.
type Verdict uint8

const (
	_         Verdict = iota
	Accepted          // In the timeline, and queued to be pushed.
	Held              // Waits for a missing scan; later Accepted or Ignored (or Rejected, by an override).
	Ignored           // Repeats what is known; not pushed.
	Duplicate         // The same id with the same content; nothing changes.
	Rejected          // No legal transition; recorded, not pushed.
	Invalid           // Malformed; not recorded.
	Conflict          // The same id with other content; not recorded.

	NumVerdicts // How many there are, no verdict among them: the size of a table by verdict.
)

var verdictNames = [NumVerdicts]string{
	"", "accepted", "held", "ignored", "duplicate", "rejected", "invalid", "conflict",
}

// Verdicts lists all verdicts.
func Verdicts() []Verdict {
	return []Verdict{Accepted, Held, Ignored, Duplicate, Rejected, Invalid, Conflict}
}

// String is the verdict as in answers: "accepted".
func (v Verdict) String() string {
	if v >= NumVerdicts {
		return fmt.Sprintf("verdict(%d)", uint8(v))
	}
	return verdictNames[v]
}

// MarshalText writes the verdict as in answers.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a verdict; an unknown one is an error.
func (v *Verdict) UnmarshalText(text []byte) error {
	for i, n := range verdictNames {
		if n == string(text) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("unknown verdict %q", text)
}

// Reason says in one word why a verdict is not a plain Accepted. The zero value is no reason.
type Reason uint8

const (
	_               Reason = iota
	MissingScan            // Held: a scan that must have come before it was not seen.
	BehindHeld             // Held: an earlier event of the waybill is held.
	RepeatsStage           // Ignored: the waybill is in that stage already and a repeat means nothing.
	RepeatsEvent           // Ignored: same waybill, type, time and text came under another id.
	IllegalStep            // Rejected: the table has no such step from the stage at its time.
	ContradictsNext        // Rejected: legal at its time, but a known later event would become illegal.

	numReasons
)

var reasonNames = [numReasons]string{
	"", "missing_scan", "behind_held", "repeats_stage", "repeats_event", "illegal_transition", "contradicts_later_event",
}

// String is the reason as in answers; empty for no reason.
func (r Reason) String() string {
	if r >= numReasons {
		return fmt.Sprintf("reason(%d)", uint8(r))
	}
	return reasonNames[r]
}

// MarshalText writes the reason as in answers.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
