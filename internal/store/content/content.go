// Package content says what engines keep of what is in an event, to know it again. All of them keep the same, so that a
// store can be moved from one to another.
package content

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"carrier/internal/state"
	"carrier/internal/store/codec"
)

// Hash tells one content from another that comes under the same id.
type Hash [16]byte

// Of is the first half of the SHA-256 of all that makes up an event but its id and its Trace, each text with its length
// before it. scratch is room to work in.
func Of(scratch []byte, e *state.Event) Hash {
	b := codec.AppendString(scratch[:0], e.DeliveryID)
	b = codec.AppendString(b, e.WaybillID)
	b = binary.AppendUvarint(b, uint64(e.Type))
	b = binary.AppendVarint(b, e.Time)
	b = codec.AppendString(b, e.Msg)
	b = codec.AppendString(b, e.Token)
	sum := sha256.Sum256(b)
	return Hash(sum[:16])
}

// Text tells texts apart in a timeline (state.Entry, MsgHash). scratch is room to work in.
func Text(scratch []byte, msg string) uint64 {
	sum := sha256.Sum256(append(scratch[:0], msg...))
	return binary.BigEndian.Uint64(sum[:])
}

// IsTrace tells whether text is a traceparent of version 00 (W3C Trace Context): 00-TRACE-PARENT-FLAGS in lower-case
// hexadecimal digits. Nothing else is kept of an event's Trace.
func IsTrace(text string) bool {
	if len(text) != 55 || text[:3] != "00-" || text[35] != '-' || text[52] != '-' {
		return false
	}
	for _, part := range []string{text[3:35], text[36:52], text[53:]} {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return false
		}
	}
	return true
}
