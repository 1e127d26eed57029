package bus

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Subjects, up to the tokens that name a source, an account, an event or a status.
const (
	submitPrefix  = "carrier.submit."
	tokenPrefix   = "carrier.token."
	ordersPrefix  = "carrier.orders."
	outcomePrefix = "carrier.outcomes."
)

// Headers of our own messages. NATS keeps the letter case of a header, so these are exactly as api/asyncapi.yaml has them.
const (
	headContentType    = "content-type"
	headAcceptLanguage = "accept-language"
	headLanguage       = "content-language"
	headRetryAfter     = "retry-after"
	headMsgID          = "Nats-Msg-Id"
	headSource         = "ce-source"
	headTime           = "ce-time"
)

const (
	jsonType   = "application/json"
	ndjsonType = "application/x-ndjson"
	batchType  = "application/cloudevents-batch+json"
)

// isSubjectToken tells whether s can stand for one token of a subject.
func isSubjectToken(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsAny(s, ".*>") &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// headerValue is the first value of a header in any letter case: senders in other languages write them as they like.
// Where several spellings are there, the one that sorts first counts.
func headerValue(h map[string][]string, name string) string {
	var found string
	var value []string
	for key, values := range h {
		if strings.EqualFold(key, name) && (found == "" || key < found) {
			found, value = key, values
		}
	}
	if len(value) == 0 {
		return ""
	}
	return value[0]
}

// headerLine is about what a header's line takes in memory beside its text, in bytes.
const headerLine = 128

// sizeOf is about what a message takes in memory, in bytes. Its sender decides how much of it is header.
func sizeOf(h map[string][]string, body []byte) (size int) {
	for name, values := range h {
		size += len(name)
		for _, value := range values {
			size += headerLine + len(value)
		}
	}
	return size + len(body)
}

// mediaType is a content-type without its parameters, in lower case; application/json if there is none.
func mediaType(contentType string) string {
	name, _, _ := strings.Cut(contentType, ";")
	if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
		return jsonType
	}
	return name
}

// isBatch tells whether a message holds many events.
func isBatch(h map[string][]string, body []byte) bool {
	switch mediaType(headerValue(h, headContentType)) {
	case ndjsonType, batchType:
		return true
	case jsonType:
		body = bytes.TrimLeft(body, " \t\r\n")
		return len(body) > 0 && body[0] == '['
	}
	return false
}

// encode writes JSON with < > & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return slices.Clip(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}
