package ingest

import (
	"errors"
	"strconv"
	"strings"

	"carrier/internal/problem"
)

// field is one of an event's fields, as a bit.
type field uint8

const (
	fieldID field = 1 << iota
	fieldDeliveryID
	fieldWaybillID
	fieldActionType
	fieldActionTime
	fieldActionMsg
	fieldToken
)

// wire is an event as it was sent, read but not yet checked. Its texts are parts of the body wherever they can be.
type wire struct {
	id, deliveryID, waybillID, actionMsg, token []byte
	actionType, actionTime                      int64

	has field // Which of them were there and had the right type.
}

// text is where the field's text goes; nil for the two integers.
func (w *wire) text(f field) *[]byte {
	switch f {
	case fieldID:
		return &w.id
	case fieldDeliveryID:
		return &w.deliveryID
	case fieldWaybillID:
		return &w.waybillID
	case fieldActionMsg:
		return &w.actionMsg
	case fieldToken:
		return &w.token
	}
	return nil
}

// fieldOf finds the field with exactly this name; 0 if there is none.
func fieldOf(name []byte) field {
	switch string(name) {
	case "id":
		return fieldID
	case "delivery_id":
		return fieldDeliveryID
	case "waybill_id":
		return fieldWaybillID
	case "action_type":
		return fieldActionType
	case "action_time":
		return fieldActionTime
	case "action_msg":
		return fieldActionMsg
	case "token":
		return fieldToken
	}
	return 0
}

// decode reads an event from value, which must be valid JSON in valid UTF-8. It tells of everything that is wrong
// with its shape, up to maxFieldErrors.
func decode(value []byte, w *wire) (errs fieldErrors) {
	if kindOf(value) != kindObject {
		errs.add("", ruleType, kindWords[kindObject], kindWords[kindOf(value)])
		return errs
	}
	var seen field
	for m := walk(value); ; {
		key, value, ok := m.member()
		if !ok {
			return errs
		}
		name, ok := unquote(key)
		if !ok {
			errs.add(printableName(key), ruleUnknownField)
			continue
		}
		f := fieldOf(name)
		switch {
		case f == 0:
			errs.add(printableName(name), ruleUnknownField)
		case seen&f != 0:
			errs.add(string(name), ruleRepeatedField)
		default:
			seen |= f
			if broken := w.set(f, value); broken != ruleNone {
				errs.addShape(string(name), broken, value)
			}
		}
	}
}

// set reads a field's value; the rule that it breaks, or none.
func (w *wire) set(f field, value []byte) rule {
	broken := ruleNone
	if t := w.text(f); t != nil {
		*t, broken = textValue(value)
	} else if f == fieldActionType {
		w.actionType, broken = integerValue(value)
	} else {
		w.actionTime, broken = integerValue(value)
	}
	if broken == ruleNone {
		w.has |= f
	}
	return broken
}

func textValue(value []byte) ([]byte, rule) {
	if kindOf(value) != kindString {
		return nil, ruleString
	}
	text, ok := unquote(value)
	if !ok {
		return nil, ruleLoneSurrogate
	}
	return text, ruleNone
}

func integerValue(value []byte) (int64, rule) {
	if kindOf(value) != kindNumber {
		return 0, ruleNumber
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, ruleRange
	case err != nil: // 1.0 and 1e3 are numbers in JSON.
		return 0, ruleInteger
	}
	return n, ruleNone
}

// maxFieldErrors bounds how much an answer says about one event: a body of a megabyte may hold 100,000 unknown fields.
const maxFieldErrors = 20

type fieldErrors []problem.FieldError

func (errs *fieldErrors) add(field string, r rule, args ...any) {
	if len(*errs) < maxFieldErrors {
		*errs = append(*errs, r.on(field, args...))
	}
}

// addShape adds what is wrong with the form of a value.
func (errs *fieldErrors) addShape(field string, r rule, value []byte) {
	if r == ruleString || r == ruleNumber {
		errs.add(field, r, kindWords[kindOf(value)])
		return
	}
	errs.add(field, r)
}

// about tells whether something is said about the field already.
func (errs fieldErrors) about(field string) bool {
	for i := range errs {
		if errs[i].Field == field {
			return true
		}
	}
	return false
}

// maxName bounds what is repeated of a sender's own field name, in bytes.
const maxName = 64

// printableName is a name that a stranger chose, fit for an answer.
func printableName(name []byte) string {
	if len(name) > maxName {
		return strings.ToValidUTF8(string(name[:maxName]), "") + "…"
	}
	return string(name)
}
