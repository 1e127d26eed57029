package ingest

import (
	"net/http"
	"strconv"

	"carrier/internal/state"
	"carrier/internal/store"
)

// contentType is the media type of answers that are no problem.
const contentType = "application/json"

// usualAnswer is the size that the answer to one event seldom exceeds, in bytes.
const usualAnswer = 192

// statusOf is the HTTP status of an answer that is no problem.
func statusOf(v state.Verdict) int {
	if v == state.Accepted || v == state.Held {
		return http.StatusAccepted
	}
	return http.StatusOK
}

// appendAnswer appends the answer to an event. It is written by hand: this is what nearly every request gets.
func appendAnswer(dst []byte, e *state.Event, r *store.Result) []byte {
	return append(appendMembers(append(dst, '{'), e, r), '}')
}

// appendMembers is appendAnswer without the braces.
func appendMembers(dst []byte, e *state.Event, r *store.Result) []byte {
	dst = appendText(append(dst, `"id":`...), e.ID)
	dst = appendText(append(dst, `,"waybill_id":`...), e.WaybillID)
	dst = appendWord(append(dst, `,"verdict":`...), r.Verdict.String())
	dst = appendWord(append(dst, `,"stage":`...), r.Stage.String())
	if r.Reason != 0 {
		dst = appendWord(append(dst, `,"reason":`...), r.Reason.String())
	}
	if r.Late {
		dst = append(dst, `,"late":true`...)
	}
	if r.Gap {
		dst = append(dst, `,"gap":true`...)
	}
	dst = strconv.AppendUint(append(dst, `,"seq":`...), r.Seq, 10)
	if r.Verdict == state.Duplicate {
		dst = appendWord(append(dst, `,"original":`...), r.Original.String())
	}
	return dst
}

// appendWord appends a string that needs no escapes.
func appendWord(dst []byte, s string) []byte {
	return append(append(append(dst, '"'), s...), '"')
}

// appendText appends a string of valid UTF-8 as JSON.
func appendText(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		if from = i + 1; c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	return append(append(dst, s[from:]...), '"')
}
