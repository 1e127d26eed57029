package pebble

import (
	"encoding/binary"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/content"
)

const eventVersion = 1

// What an event's first decision was, in one byte.
const (
	flagLate byte = 1 << iota
	flagGap
	flagNatural  // Accepted as it came, with the waybill's Token known: a natural push.
	flagWhy      // The record says why the event was rejected or ignored.
	flagExpunged // Its text was forgotten.
	flagTraced   // Its body ends in a trace.
)

// eventRecord is a row of l.
type eventRecord struct {
	event      state.Event // Without its Token.
	receivedAt int64       // Unix milliseconds; never smaller than that of the row before.
	first      state.Verdict
	reason     state.Reason
	flags      byte

	// Only with flagWhy; see store.Event.
	from    state.Stage
	cause   uint64
	allowed []state.ActionType
}

// encodeBody appends what the sender gave: the part of the record that needs no decision. The Trace of an event must be
// a traceparent, or empty.
func encodeBody(b []byte, e *state.Event) []byte {
	b = binary.AppendUvarint(b, uint64(e.Type))
	b = binary.AppendVarint(b, e.Time)
	b = codec.AppendString(b, e.DeliveryID)
	b = codec.AppendString(b, e.WaybillID)
	b = codec.AppendString(b, e.Source)
	b = codec.AppendString(b, e.ID)
	b = codec.AppendString(b, e.Msg)
	if e.Trace != "" {
		b = putTrace(b, e.Trace)
	}
	return b
}

// encodeEvent appends the row of an event whose body is encoded already.
func encodeEvent(b []byte, r *eventRecord, body []byte) []byte {
	from := len(b)
	b = append(b, eventVersion, byte(r.first), byte(r.reason), r.flags)
	b = binary.AppendVarint(b, r.receivedAt)
	b = append(b, body...)
	if r.flags&flagWhy != 0 {
		b = encodeWhy(b, r)
	}
	return addSum(b, from)
}

func encodeWhy(b []byte, r *eventRecord) []byte {
	b = append(b, byte(r.from))
	b = binary.AppendUvarint(b, r.cause)
	b = binary.AppendUvarint(b, uint64(len(r.allowed)))
	for _, a := range r.allowed {
		b = binary.AppendUvarint(b, uint64(a))
	}
	return b
}

func (r *eventRecord) decodeWhy(in *codec.Reader) {
	r.from, r.cause = state.Stage(in.Byte()), in.Uint()
	r.allowed = make([]state.ActionType, in.Count(len(state.ActionTypes)))
	for i := range r.allowed {
		r.allowed[i] = state.ActionType(in.Uint())
	}
}

// decodeEvent reads a row of l. It fails unless every byte is as it was written.
func decodeEvent(value []byte) (eventRecord, error) {
	payload, ok := checkSum(value)
	if !ok {
		return eventRecord{}, codec.ErrRecord
	}
	r := codec.Open(payload, eventVersion)
	rec := eventRecord{first: state.Verdict(r.Byte()), reason: state.Reason(r.Byte()), flags: r.Byte()}
	rec.receivedAt = r.Int()
	e := &rec.event
	e.Type = state.ActionType(r.Uint())
	e.Time = r.Int()
	e.DeliveryID, e.WaybillID = r.Text(), r.Text()
	e.Source, e.ID, e.Msg = r.Text(), r.Text(), r.Text()
	if rec.flags&flagTraced != 0 {
		e.Trace = readTrace(&r)
	}
	if rec.flags&flagWhy != 0 {
		rec.decodeWhy(&r)
	}
	return rec, r.End()
}

// expunged tells whether the event's text was forgotten.
func (r *eventRecord) expunged() bool { return r.flags&flagExpunged != 0 }

// push is the event's push before anything became of it.
func (r *eventRecord) push(seq, ord uint64) store.Push {
	return store.Push{
		Seq: seq, Ord: ord, Event: r.event, ReceivedAt: codec.FromMillis(r.receivedAt), Status: store.Pending,
		OpenedAt: codec.FromMillis(r.receivedAt),
	}
}

// encodeID is a row of d.
func encodeID(b []byte, seq uint64, hash content.Hash) []byte {
	return append(binary.BigEndian.AppendUint64(b, seq), hash[:]...)
}

func decodeID(value []byte) (seq uint64, hash content.Hash, err error) {
	if len(value) != 8+len(hash) {
		return 0, hash, codec.ErrRecord
	}
	return binary.BigEndian.Uint64(value), content.Hash(value[8:]), nil
}
