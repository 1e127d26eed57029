package pebble

import (
	"carrier/internal/state"
	"carrier/internal/store/codec"
)

const entryVersion = 1

// encodeEntry appends a row of w; the number is in the key.
func encodeEntry(b []byte, e *state.Entry) []byte {
	return codec.AppendPlace(codec.AppendVerdict(append(b, entryVersion), e), e)
}

// decodeEntry reads a row of w.
func decodeEntry(seq uint64, value []byte) (e state.Entry, err error) {
	r := codec.Open(value, entryVersion)
	e.Seq = seq
	r.Verdict(&e)
	r.Place(&e)
	return e, r.End()
}
