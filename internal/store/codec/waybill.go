package codec

import (
	"encoding/binary"

	"carrier/internal/state"
	"carrier/internal/store"
)

// What an entry of a timeline is beside its verdict, in one byte.
const (
	entryLate byte = 1 << iota
	entryGap
	entryOverride
)

// AppendVerdict appends the first half of an entry of a timeline: how it was judged. Between the halves, and before them,
// an engine puts what it keeps no other way, such as the number.
func AppendVerdict(b []byte, e *state.Entry) []byte {
	var flags byte
	if e.Late {
		flags |= entryLate
	}
	if e.Gap {
		flags |= entryGap
	}
	if e.Override {
		flags |= entryOverride
	}
	return append(b, byte(e.Verdict), byte(e.Reason), flags)
}

// AppendPlace appends the second half of an entry: what it says, and where that stands.
func AppendPlace(b []byte, e *state.Entry) []byte {
	b = binary.AppendUvarint(b, e.Ord)
	b = binary.AppendUvarint(b, uint64(e.Type))
	b = binary.AppendVarint(b, e.Time)
	b = binary.AppendVarint(b, e.Until)
	return binary.BigEndian.AppendUint64(b, e.MsgHash)
}

// Verdict takes what AppendVerdict appended.
func (r *Reader) Verdict(e *state.Entry) {
	e.Verdict, e.Reason = state.Verdict(r.Byte()), state.Reason(r.Byte())
	flags := r.Byte()
	e.Late, e.Gap, e.Override = flags&entryLate != 0, flags&entryGap != 0, flags&entryOverride != 0
}

// Place takes what AppendPlace appended.
func (r *Reader) Place(e *state.Entry) {
	e.Ord = r.Uint()
	e.Type = state.ActionType(r.Uint())
	e.Time, e.Until = r.Int(), r.Int()
	e.MsgHash = r.Fixed64()
}

const tokensVersion = 1

// MaxTokens is how many Tokens of a waybill are remembered: beyond the newest they only serve to explain.
const MaxTokens = 8

// AppendTokens appends the record of a waybill's Tokens, newest first, unsealed.
func AppendTokens(b []byte, tokens []store.TokenRecord) []byte {
	b = append(b, tokensVersion)
	b = binary.AppendUvarint(b, uint64(len(tokens)))
	for _, t := range tokens {
		b = binary.AppendVarint(b, t.At)
		b = AppendString(b, t.Value)
	}
	return b
}

// Tokens reads what AppendTokens appended.
func Tokens(record []byte) ([]store.TokenRecord, error) {
	r := Open(record, tokensVersion)
	tokens := make([]store.TokenRecord, r.Count(MaxTokens))
	for i := range tokens {
		tokens[i] = store.TokenRecord{At: r.Int(), Value: r.Text()}
	}
	return tokens, r.End()
}

// RememberToken puts the newest Token before those that came earlier, of which the oldest may go.
func RememberToken(newest store.TokenRecord, earlier []store.TokenRecord) []store.TokenRecord {
	all := append([]store.TokenRecord{newest}, earlier...)
	return all[:min(len(all), MaxTokens)]
}
