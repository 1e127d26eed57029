package wechat

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// object reads the fields of an answer by their exact names. What is not documented is passed over, what is missing or
// null is the zero value, and a number may come as a string or a string as a number: other clients met both. What
// can't be read at all is an error, lest nonsense shows as a trace; the first one is kept in bad.
type object struct {
	fields map[string]json.RawMessage
	path   string // Before the names in errors: "" or "path_item_list[2].".
	bad    *error
}

// readJSON has read take the fields of a JSON object.
func readJSON(body []byte, read func(object)) error {
	fields, bad := readObject(body)
	if bad != nil {
		return bad.err
	}
	return readFields(fields, read)
}

func readFields(fields map[string]json.RawMessage, read func(object)) error {
	var err error
	read(object{fields: fields, bad: &err})
	return err
}

func (o object) fail(name, want string) {
	if *o.bad == nil {
		*o.bad = fmt.Errorf("the answer's %s%s is no %s", o.path, name, want)
	}
}

// raw is a field's value; false if there is none.
func (o object) raw(name string) (json.RawMessage, bool) {
	raw, ok := o.fields[name]
	return raw, ok && string(raw) != "null"
}

func (o object) text(name string) string {
	raw, ok := o.raw(name)
	if !ok {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) != nil {
		o.fail(name, "string")
	}
	return n.String()
}

func (o object) integer(name string) int64 {
	raw, ok := o.raw(name)
	if !ok {
		return 0
	}
	digits := string(raw)
	if raw[0] == '"' {
		digits = readString(raw)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		o.fail(name, "whole number")
		return 0
	}
	return n
}

// errcode is an integer that fits where errcodes are kept.
func (o object) errcode(name string) int {
	n := o.integer(name)
	if int64(int(n)) != n {
		o.fail(name, "errcode")
	}
	return int(n)
}

// object is a field that holds an object; one without fields if there is none.
func (o object) object(name string) object {
	in := object{path: o.path + name + ".", bad: o.bad}
	raw, ok := o.raw(name)
	if !ok {
		return in
	}
	fields, bad := readObject(raw)
	if bad != nil {
		o.fail(name, "object")
	}
	in.fields = fields
	return in
}

// list is a field that holds an array of objects, read one by one; empty if there is none.
func list[T any](o object, name string, read func(object) T) []T {
	raw, ok := o.raw(name)
	if !ok {
		return []T{}
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		o.fail(name, "array")
		return nil
	}
	out := make([]T, 0, len(items))
	for i, item := range items {
		place := fmt.Sprintf("%s[%d]", name, i)
		fields, bad := readObject(item)
		if bad != nil {
			o.fail(place, "object")
			return nil
		}
		out = append(out, read(object{fields, o.path + place + ".", o.bad}))
	}
	return out
}

// errNoData: an answer without errcode is a success only if it brings what was asked for.
var errNoData = errors.New("the answer has neither an errcode nor what was asked for")

// readSuccess splits an answer into its fields. Some calls leave the errcode out where all is well: then one of marks,
// which only a success has, must be there.
func readSuccess(r reply, marks ...string) (Answer, map[string]json.RawMessage, *kindError) {
	answer, fields, bad := interpret(r)
	if bad == nil || bad.kind != KindNoErrcode {
		return answer, fields, bad
	}
	if _, isNull := fields["errcode"]; isNull {
		return answer, fields, bad
	}
	for _, mark := range marks {
		if _, ok := fields[mark]; ok {
			return Answer{HTTPStatus: r.status}, fields, nil
		}
	}
	return answer, fields, &kindError{KindNoErrcode, errNoData}
}
