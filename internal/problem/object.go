package problem

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf8"
)

// CheckObject says what is wrong with a text that should be a JSON object in UTF-8, without white space around it; nil if
// nothing is. It repeats nothing of the text.
func CheckObject(text []byte) *Problem {
	switch {
	case !utf8.Valid(text):
		return New(NotUTF8)
	case !json.Valid(text):
		return New(MalformedJSON)
	case text[0] != '{':
		return New(InvalidRequest).Say("The body must be a JSON object.", "请求体必须是 JSON 对象。")
	}
	return nil
}

// Members gives the members of an object that CheckObject finds nothing wrong with, in their order, also those that come
// more than once.
func Members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		dec := json.NewDecoder(bytes.NewReader(object))
		_, _ = dec.Token() // The brace; the object is valid, so nothing below fails.
		for dec.More() {
			key, _ := dec.Token()
			name, _ := key.(string)
			var raw json.RawMessage
			_ = dec.Decode(&raw)
			if !yield(name, raw) {
				return
			}
		}
	}
}
