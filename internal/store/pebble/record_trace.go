package pebble

import (
	"encoding/hex"
	"strings"
)

// A traceparent of version 00 (W3C Trace Context) is 00-TRACE-PARENT-FLAGS, in lower-case hexadecimal digits: 55
// characters, of which the 25 bytes behind the version are kept.
const (
	traceText  = 55
	traceBytes = 16 + 8 + 1
)

// packTrace gives the bytes of a traceparent; ok is false if text is none.
func packTrace(text string) (b [traceBytes]byte, ok bool) {
	if len(text) != traceText || text[:3] != "00-" || text[35] != '-' || text[52] != '-' || strings.ContainsAny(text, "ABCDEF") {
		return b, false
	}
	_, err := hex.Decode(b[:], []byte(text[3:35]+text[36:52]+text[53:]))
	return b, err == nil
}

// putTrace appends a traceparent.
func putTrace(b []byte, text string) []byte {
	packed, _ := packTrace(text)
	return append(b, packed[:]...)
}

// trace takes a traceparent.
func (r *reader) trace() string {
	packed := r.fixed(traceBytes)
	if packed == nil {
		return ""
	}
	text := hex.EncodeToString(packed)
	return "00-" + text[:32] + "-" + text[32:48] + "-" + text[48:]
}
