package pebble

import (
	"encoding/binary"
	"slices"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

const shownVersion = 1

// shownRecord is a row of s. A waybill that was expunged has one even if nothing was shown: what WeChat tells
// afterwards holds the old texts, too.
type shownRecord struct {
	store.Shown
	expungedAt int64 // Unix ms; 0: never.
}

// known tells whether anything was shown.
func (r *shownRecord) known() bool { return !r.ReceivedAt.IsZero() }

// at is when the row changed (Unix ms); 0 if there is none.
func (r *shownRecord) at() int64 { return max(codec.Millis(r.ReceivedAt), r.expungedAt) }

// forget empties the texts of actions up to a time (Unix seconds).
func (r *shownRecord) forget(until int64) (forgotten int) {
	r.Actions = slices.Clone(r.Actions) // They are somebody else's, too.
	for i := range r.Actions {
		if a := &r.Actions[i]; a.Msg != "" && a.Time <= until {
			a.Msg = ""
			forgotten++
		}
	}
	return forgotten
}

// encodeShown appends a row of s.
func encodeShown(b []byte, r *shownRecord) []byte {
	b = append(b, shownVersion)
	b = codec.AppendTime(b, r.ReceivedAt)
	b = binary.AppendVarint(b, r.expungedAt)
	b = binary.AppendVarint(b, r.Version)
	b = codec.AppendString(b, r.OrderID)
	b = binary.AppendUvarint(b, uint64(len(r.Actions)))
	for i := range r.Actions {
		a := &r.Actions[i]
		b = binary.AppendVarint(b, a.Time)
		b = binary.AppendVarint(b, a.Type)
		b = codec.AppendString(b, a.Msg)
	}
	return b
}

func decodeShown(value []byte) (rec shownRecord, err error) {
	r := codec.Open(value, shownVersion)
	rec.ReceivedAt, rec.expungedAt = r.Time(), r.Int()
	rec.Version, rec.OrderID = r.Int(), r.Text()
	if n := r.Count(store.MaxShownActions); n > 0 {
		rec.Actions = make([]store.ShownAction, n)
	}
	for i := range rec.Actions {
		rec.Actions[i] = store.ShownAction{Time: r.Int(), Type: r.Int(), Msg: r.Text()}
	}
	return rec, r.End()
}
