package pebble

import (
	"bytes"
	"encoding/binary"

	"carrier/internal/state"
)

// The tables; the package comment says what they hold.
const (
	tableEvents   = 'l'
	tableIDs      = 'd'
	tableTimeline = 'w'
	tablePushes   = 'r'
	tableIndex    = 'i'
	tableBits     = 'b'
	tableHeld     = 'h'
	tableNoToken  = 't'
	tableQueued   = 'q'
	tableTokens   = 'k'
	tableFlags    = 'p'
	tableAccounts = 'x'
	tableCounters = 'c'
	tableMeta     = 'm'
	tableAudit    = 'a'
	tableReplays  = 'j'
	tableLetters  = 'g'
	tableOrders   = 'o'
	tableOrdered  = 'v'
	tableUses     = 'u'
	tableUnwashed = 'e'
	tableShown    = 's'
	tableNotices  = 'n'
	tableSecrets  = 'y'
	tableDiffers  = 'z'
	tableNames    = 'N'
)

// seqKey is the key of a row of a table that is ordered by number.
func seqKey(b []byte, table byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, table), seq)
}

// deadlineKey is the key of a row of a table that is ordered by time.
func deadlineKey(b []byte, table byte, ms int64, seq uint64) []byte {
	b = binary.BigEndian.AppendUint64(append(b, table), uint64(ms))
	return binary.BigEndian.AppendUint64(b, seq)
}

// idKey is the key of an event id; id is as eventID makes it.
func idKey(b []byte, id string) []byte { return append(append(b, tableIDs), id...) }

// eventID names an event as its sender does.
func eventID(e *state.Event) string { return e.Source + "\x00" + e.ID }

// waybillKey is the key of a row that a waybill has once.
func waybillKey(b []byte, table byte, w state.Waybill) []byte {
	return putWaybill(append(b, table), w)
}

// timelinePrefix is what all keys of a waybill's timeline begin with.
func timelinePrefix(b []byte, w state.Waybill) []byte {
	return append(waybillKey(b, tableTimeline, w), 0)
}

func timelineKey(b []byte, w state.Waybill, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(timelinePrefix(b, w), seq)
}

// putWaybill appends a waybill's name; it is also the value of rows that point to a waybill.
func putWaybill(b []byte, w state.Waybill) []byte {
	b = append(b, w.DeliveryID...)
	b = append(b, 0)
	return append(b, w.WaybillID...)
}

// parseWaybill is the reverse of putWaybill.
func parseWaybill(b []byte) (state.Waybill, bool) {
	delivery, waybill, ok := bytes.Cut(b, []byte{0})
	return state.Waybill{DeliveryID: string(delivery), WaybillID: string(waybill)}, ok
}

// keySeq is the number at the end of a key; 0 if the key is too short to have one.
func keySeq(key []byte) uint64 {
	if len(key) < 9 {
		return 0
	}
	return binary.BigEndian.Uint64(key[len(key)-8:])
}

// keyDeadline is the time of a key made by deadlineKey.
func keyDeadline(key []byte) int64 {
	if len(key) != 17 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(key[1:]))
}

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	end[len(end)-1]++ // Prefixes end in a table's letter, in a zero byte or in UTF-8: never 0xff.
	return end
}

func counterKey(b []byte, name string) []byte { return append(append(b, tableCounters), name...) }

func metaKey(name string) []byte { return append([]byte{tableMeta}, name...) }

// Rows of the table m.
var (
	metaFormat   = metaKey("format")
	metaInstance = metaKey("instance")
	metaNext     = metaKey("next")
	metaClock    = metaKey("clock") // The time of the latest end, start of a replay, or dead letter (Unix ms).
	metaLow      = metaKey("low")
	metaSpans    = metaKey("spans")   // The first span that b does not have.
	metaTold     = metaKey("told")    // The notice up to which all are told.
	metaLetters  = metaKey("letters") // The dead letter up to which all were dropped.
)
