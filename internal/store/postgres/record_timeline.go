package postgres

import (
	"encoding/binary"

	"carrier/internal/state"
)

// A timeline in a waybill's row: the version, how many entries, and each of them.
const timelineVersion = 1

// What an entry is beside its verdict, in one byte.
const (
	entryLate byte = 1 << iota
	entryGap
	entryOverride
)

func encodeTimeline(t state.Timeline) []byte {
	b := append(make([]byte, 0, 4+36*len(t)), timelineVersion)
	b = binary.AppendUvarint(b, uint64(len(t)))
	for i := range t {
		b = encodeEntry(b, &t[i])
	}
	return b
}

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
	b = append(b, byte(e.Verdict), byte(e.Reason), flags)
	b = binary.AppendUvarint(b, e.Seq)
	b = binary.AppendUvarint(b, e.Ord)
	b = binary.AppendUvarint(b, uint64(e.Type))
	b = binary.AppendVarint(b, e.Time)
	b = binary.AppendVarint(b, e.Until)
	return binary.BigEndian.AppendUint64(b, e.MsgHash)
}

func decodeTimeline(value []byte) (state.Timeline, error) {
	r := open(value, timelineVersion)
	n := r.uint()
	if n > uint64(len(r.b)) { // Each takes several bytes.
		return nil, errRecord
	}
	t := make(state.Timeline, n, n+1) // Most often one more is added.
	for i := range t {
		decodeEntry(&r, &t[i])
	}
	return t, r.end()
}

func decodeEntry(r *reader, e *state.Entry) {
	e.Verdict, e.Reason = state.Verdict(r.byte()), state.Reason(r.byte())
	flags := r.byte()
	e.Late, e.Gap, e.Override = flags&entryLate != 0, flags&entryGap != 0, flags&entryOverride != 0
	e.Seq, e.Ord = r.uint(), r.uint()
	e.Type = state.ActionType(r.uint())
	e.Time, e.Until = r.int(), r.int()
	if hash := r.fixed(8); hash != nil {
		e.MsgHash = binary.BigEndian.Uint64(hash)
	}
}
