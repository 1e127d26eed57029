package pebble

import (
	"encoding/binary"

	"carrier/internal/state"
)

const entryVersion = 1

// What an entry of a timeline is beside its verdict, in one byte.
const (
	entryLate byte = 1 << iota
	entryGap
	entryOverride
)

// encodeEntry appends a row of w; the number is in the key.
func encodeEntry(b []byte, e *state.Entry) []byte {
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
	b = append(b, entryVersion, byte(e.Verdict), byte(e.Reason), flags)
	b = binary.AppendUvarint(b, e.Ord)
	b = binary.AppendUvarint(b, uint64(e.Type))
	b = binary.AppendVarint(b, e.Time)
	b = binary.AppendVarint(b, e.Until)
	return binary.BigEndian.AppendUint64(b, e.MsgHash)
}

// decodeEntry reads a row of w.
func decodeEntry(seq uint64, value []byte) (state.Entry, error) {
	r := open(value, entryVersion)
	e := state.Entry{Seq: seq, Verdict: state.Verdict(r.byte()), Reason: state.Reason(r.byte())}
	flags := r.byte()
	e.Late, e.Gap, e.Override = flags&entryLate != 0, flags&entryGap != 0, flags&entryOverride != 0
	e.Ord = r.uint()
	e.Type = state.ActionType(r.uint())
	e.Time, e.Until = r.int(), r.int()
	e.MsgHash = r.fixed64()
	return e, r.end()
}
