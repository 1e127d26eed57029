package ingest

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"unicode/utf8"

	"carrier/internal/problem"
)

// CloudEvents 1.0.2: https://github.com/cloudevents/spec, cloudevents/spec.md, formats/json-format.md and
// bindings/http-protocol-binding.md. The event is the data; of the envelope only the id is used. Two producers that
// send with one source's credentials must not use the same ids: the attribute source does not tell them apart.

const specVersion = "1.0"

// envelope is a CloudEvent without its data.
type envelope struct {
	specVersion, id, source, typ, contentType []byte

	trace []byte // The extension traceparent, if it is a string; not checked.

	data   []byte // The event, as valid JSON; nil if it is missing or unreadable.
	base64 bool   // It came as data_base64.
}

// required lists the attributes that every CloudEvent must have.
func (e *envelope) required() []attribute {
	return []attribute{{"specversion", &e.specVersion}, {"id", &e.id}, {"source", &e.source}, {"type", &e.typ}}
}

type attribute struct {
	name  string
	value *[]byte
}

// attribute is where an attribute's value goes; nil for those that are not used.
func (e *envelope) attribute(name string) *[]byte {
	for _, a := range append(e.required(), attribute{"datacontenttype", &e.contentType}) {
		if a.name == name {
			return a.value
		}
	}
	return nil
}

// check adds what is wrong with the attributes. prefix is what stands before their names where the sender wrote them.
func (e *envelope) check(errs *fieldErrors, prefix string) {
	for _, a := range e.required() {
		if len(*a.value) == 0 && !errs.about(prefix+a.name) {
			errs.add(prefix+a.name, ruleRequired)
		}
	}
	if len(e.specVersion) > 0 && string(e.specVersion) != specVersion {
		errs.add(prefix+"specversion", ruleSpecVersion)
	}
	if len(e.contentType) > 0 && !isJSONMedia(string(e.contentType)) {
		errs.add(prefix+"datacontenttype", ruleDataContentType)
	}
}

// openEnvelope reads a CloudEvent in structured mode from value, which must be valid JSON in valid UTF-8.
func openEnvelope(value []byte) (e envelope, errs fieldErrors) {
	if kindOf(value) != kindObject {
		errs.add("", ruleType, kindWords[kindObject], kindWords[kindOf(value)])
		return e, errs
	}
	seen := make(map[string]bool)
	for m := walk(value); ; {
		key, value, ok := m.member()
		if !ok {
			break
		}
		name, ok := unquote(key)
		switch {
		case !ok:
			errs.add(printableName(key), ruleAttributeName)
		case seen[string(name)]:
			errs.add(printableName(name), ruleRepeatedField)
		default:
			seen[string(name)] = true
			e.set(&errs, name, value)
		}
	}
	e.check(&errs, "")
	if !seen["data"] && !seen["data_base64"] {
		errs.add("data", ruleRequired)
	}
	return e, errs
}

// set takes in one member of the envelope.
func (e *envelope) set(errs *fieldErrors, name, value []byte) {
	switch string(name) {
	case "data", "data_base64":
		e.setData(errs, string(name), value)
		return
	}
	switch target := e.attribute(string(name)); {
	case !isAttributeName(name):
		errs.add(printableName(name), ruleAttributeName)
	case target != nil:
		if kindOf(value) == kindNull {
			return // JSON format, section 2.3: null stands for a missing attribute.
		}
		text, broken := textValue(value)
		if broken != ruleNone {
			errs.addShape(string(name), broken, value)
		}
		*target = text
	case kindOf(value) == kindObject || kindOf(value) == kindArray:
		errs.add(printableName(name), ruleAttributeType, kindWords[kindOf(value)])
	case string(name) == traceAttribute:
		e.trace, _ = textValue(value)
	}
}

// isAttributeName tells whether a name is one that the spec allows (section 3.1): so "Data" and "dataBase64" are told
// from extensions.
func isAttributeName(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(name) > 0
}

func (e *envelope) setData(errs *fieldErrors, name string, value []byte) {
	if e.data != nil || e.base64 {
		errs.add("data_base64", ruleDataTwice)
		return
	}
	if name == "data" {
		e.data = value
		return
	}
	e.base64 = true
	text, broken := textValue(value)
	if broken != ruleNone {
		errs.addShape(name, broken, value)
		return
	}
	if e.data, broken = decodeData(text); broken != ruleNone {
		errs.add(name, broken)
	}
}

// decodeData reads what data_base64 holds.
func decodeData(text []byte) ([]byte, rule) {
	data, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return nil, ruleBase64
	}
	switch p := readable(data); {
	case p == nil:
		return bytes.TrimSpace(data), ruleNone
	case p.Code == problem.NotUTF8:
		return nil, ruleDataNotUTF8
	}
	return nil, ruleDataNotJSON
}

// headerPrefix begins the headers that hold attributes in binary mode.
const headerPrefix = "ce-"

// hasAttributes tells whether a request is a CloudEvent in binary mode.
func hasAttributes(h http.Header) bool {
	return h["Ce-Specversion"] != nil || h["Ce-Id"] != nil || h["Ce-Source"] != nil || h["Ce-Type"] != nil
}

// openHeaders reads the attributes of a CloudEvent in binary mode. Extensions are not looked at, but for the trace.
func openHeaders(h http.Header) (e envelope, errs fieldErrors) {
	for _, a := range e.required() {
		values := h[http.CanonicalHeaderKey(headerPrefix+a.name)]
		switch len(values) {
		case 0: // check tells.
			continue
		case 1:
			value, ok := decodeHeader(values[0])
			if !ok {
				errs.add(headerPrefix+a.name, ruleHeaderValue)
			}
			*a.value = value
		default:
			errs.add(headerPrefix+a.name, ruleRepeatedField)
		}
	}
	if value, ok := single(h, headerPrefix+traceAttribute); ok {
		e.trace, _ = decodeHeader(value)
	}
	e.check(&errs, headerPrefix)
	return e, errs
}

// decodeHeader undoes what the HTTP binding does to a value (section 3.1.3.2): quoted strings, as old senders have
// them, and one round of percent-encoding. What comes out must be UTF-8.
func decodeHeader(value string) ([]byte, bool) {
	text, ok := unpercent(unquoteHeader(value))
	if !ok || !utf8.Valid(text) {
		return nil, false
	}
	return text, true
}

// unquoteHeader takes off the quotes and backslashes of RFC 7230, section 3.2.6.
func unquoteHeader(value string) string {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return value
	}
	inner := value[1 : len(value)-1]
	out := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		out = append(out, inner[i])
	}
	return string(out)
}

func unpercent(value string) ([]byte, bool) {
	out := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] != '%' {
			out = append(out, value[i])
			continue
		}
		if i+2 >= len(value) || !isHex(value[i+1]) || !isHex(value[i+2]) {
			return nil, false
		}
		out = append(out, byte(hexDigit(value[i+1])<<4|hexDigit(value[i+2])))
		i += 2
	}
	return out, true
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}
