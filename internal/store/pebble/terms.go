package pebble

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"carrier/internal/state"
	"carrier/internal/store"
)

// term is one thing that a list can ask rows for, such as errcode 40199. The zero term is none.
type term struct {
	kind  byte
	value string
}

// The kinds of terms. What an event is born with never changes and has bits in b; the rest has rows in i.
const (
	termAll     = '*' // Every event; without a value.
	termAccount = 'd'
	termSource  = 's'
	termType    = 'a' // The action type, as a number in decimals.

	termStatus     = 'p' // Of a push that failed or was discarded.
	termPushReason = 'r' // Why it failed or was discarded; at most maxReason bytes.
	termErrcode    = 'e' // Of the last attempt, in decimals; of a delivered push only if it is not 0.
	termVerdict    = 'v' // As it stands now: held, ignored or rejected.
	termReason     = 'w' // Why the event is held, ignored or rejected.
)

// maxReason cuts the reasons of pushes, as they can be an operator's words.
const maxReason = 64

// inBits tells whether the term's rows are found in b, and not in i.
func (t term) inBits() bool {
	switch t.kind {
	case termAll, termAccount, termSource, termType:
		return true
	}
	return false
}

// String is for people.
func (t term) String() string { return string(t.kind) + " " + strconv.Quote(t.value) }

func statusTerm(s store.Status) term        { return term{termStatus, s.String()} }
func errcodeTerm(code int) term             { return term{termErrcode, strconv.Itoa(code)} }
func verdictTerm(v state.Verdict) term      { return term{termVerdict, v.String()} }
func reasonTerm(reason string) term         { return term{termReason, noZero(reason)} }
func typeTerm(action state.ActionType) term { return term{termType, strconv.Itoa(int(action))} }

func pushReasonTerm(reason string) term {
	return term{termPushReason, noZero(reason[:min(len(reason), maxReason)])}
}

// noZero keeps a value from ending early in a key. Rows are checked in full, so a value may stand for several.
func noZero(value string) string { return strings.ReplaceAll(value, "\x00", " ") }

// pushTerms are what a push is listed under; the zero term where it is not.
type pushTerms [3]term

func (r *pushRecord) terms() (t pushTerms) {
	if r.Status == store.Failed || r.Status == store.Discarded {
		t[0] = statusTerm(r.Status)
	}
	if r.Reason != "" {
		t[1] = pushReasonTerm(r.Reason)
	}
	if code := r.Errcode(); code != nil && (*code != 0 || r.Status != store.Delivered) {
		t[2] = errcodeTerm(*code)
	}
	return t
}

// entryTerms are what an event is listed under for its place in the timeline.
type entryTerms [2]term

// termsOfEntry is zero for nil.
func termsOfEntry(e *state.Entry) (t entryTerms) {
	if e == nil {
		return t
	}
	switch e.Verdict {
	case state.Held, state.Ignored, state.Rejected:
		t[0] = verdictTerm(e.Verdict)
	}
	if e.Reason != 0 {
		t[1] = reasonTerm(e.Reason.String())
	}
	return t
}

// termPrefix is what the keys of a term's rows begin with.
func termPrefix(b []byte, t term) []byte {
	table := byte(tableIndex)
	if t.inBits() {
		table = tableBits
	}
	b = append(b, table, t.kind)
	b = append(b, t.value...)
	return append(b, 0)
}

// termKey is the key of a row of i, with the event's number, or of b, with the span's.
func termKey(b []byte, t term, number uint64) []byte {
	return binary.BigEndian.AppendUint64(termPrefix(b, t), number)
}

// parseTerm is the reverse of termKey, without the number.
func parseTerm(key []byte) (term, bool) {
	if len(key) < 11 || key[len(key)-9] != 0 {
		return term{}, false
	}
	value := key[2 : len(key)-9]
	return term{key[1], string(value)}, !bytes.Contains(value, []byte{0})
}
