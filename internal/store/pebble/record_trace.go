package pebble

import (
	"encoding/hex"

	"carrier/internal/store/codec"
)

// traceBytes is what is kept of a traceparent of version 00 (W3C Trace Context): 00-TRACE-PARENT-FLAGS, without the
// version.
const traceBytes = 16 + 8 + 1

// putTrace appends a traceparent (content.IsTrace).
func putTrace(b []byte, text string) []byte {
	b, _ = hex.AppendDecode(b, []byte(text[3:35]+text[36:52]+text[53:])) // It is hexadecimal.
	return b
}

// readTrace takes a traceparent.
func readTrace(r *codec.Reader) string {
	packed := r.Fixed(traceBytes)
	if packed == nil {
		return ""
	}
	text := hex.EncodeToString(packed)
	return "00-" + text[:32] + "-" + text[32:48] + "-" + text[48:]
}
