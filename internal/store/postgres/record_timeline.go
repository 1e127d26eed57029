package postgres

import (
	"encoding/binary"

	"carrier/internal/state"
	"carrier/internal/store/codec"
)

// A timeline in a waybill's row: the version, how many entries, and each of them.
const timelineVersion = 1

func encodeTimeline(t state.Timeline) []byte {
	b := append(make([]byte, 0, 4+36*len(t)), timelineVersion)
	b = binary.AppendUvarint(b, uint64(len(t)))
	for i := range t {
		e := &t[i]
		b = codec.AppendVerdict(b, e)
		b = binary.AppendUvarint(b, e.Seq)
		b = codec.AppendPlace(b, e)
	}
	return b
}

func decodeTimeline(value []byte) (state.Timeline, error) {
	r := codec.Open(value, timelineVersion)
	n := r.Count(len(r.Rest))         // Each takes several bytes.
	t := make(state.Timeline, n, n+1) // Most often one more is added.
	for i := range t {
		e := &t[i]
		r.Verdict(e)
		e.Seq = r.Uint()
		r.Place(e)
	}
	return t, r.End()
}
