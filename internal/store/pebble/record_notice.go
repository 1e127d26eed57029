package pebble

import (
	"encoding/binary"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// Versions of rows of n.
const (
	noticeVersion           = 1 // Of an end.
	noticeDifferenceVersion = 2 // Of a waybill's difference.
)

// noticeRecord is a row of n: what an event's own rows may not say any more when it is told, or a waybill's difference.
type noticeRecord struct {
	at         int64  // Unix ms; never smaller than that of the row before.
	difference string // As JSON; "": it is an end. Otherwise nothing below is set.

	seq     uint64
	status  store.Status // NoPush: the event was rejected.
	nth     int
	tries   int
	errcode int
	replay  uint64
	reason  string
}

// isNothing tells whether a row only stands where a number was left out before the store was carried here from another
// engine: numbers have no gaps.
func (r *noticeRecord) isNothing() bool { return r.seq == 0 && r.difference == "" }

// encodeNotice appends a row of n.
func encodeNotice(b []byte, r *noticeRecord) []byte {
	if r.difference != "" {
		b = binary.AppendVarint(append(b, noticeDifferenceVersion), r.at)
		return codec.AppendString(b, r.difference)
	}
	b = append(b, noticeVersion, byte(r.status))
	b = binary.AppendVarint(b, r.at)
	b = binary.AppendUvarint(b, r.seq)
	b = binary.AppendUvarint(b, uint64(r.nth))
	b = binary.AppendUvarint(b, uint64(r.tries))
	b = binary.AppendVarint(b, int64(r.errcode))
	b = binary.AppendUvarint(b, r.replay)
	return codec.AppendString(b, r.reason)
}

// decodeNotice reads a row of n.
func decodeNotice(value []byte) (noticeRecord, error) {
	if len(value) > 0 && value[0] == noticeDifferenceVersion {
		return decodeNoticeOfDifference(value)
	}
	r := codec.Open(value, noticeVersion)
	rec := noticeRecord{status: store.Status(r.Byte()), at: r.Int(), seq: r.Uint(), nth: int(r.Uint()), tries: int(r.Uint())}
	rec.errcode, rec.replay, rec.reason = int(r.Int()), r.Uint(), r.Text()
	return rec, r.End()
}

func decodeNoticeOfDifference(value []byte) (noticeRecord, error) {
	r := codec.Open(value, noticeDifferenceVersion)
	rec := noticeRecord{at: r.Int(), difference: r.Text()}
	if rec.difference == "" {
		r.Fail()
	}
	return rec, r.End()
}
