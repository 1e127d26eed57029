package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"carrier/internal/problem"
)

// maxAdminBody bounds the bodies of admin requests, which are small.
const maxAdminBody = 64 << 10

// member is one member that a body may have, and where its value goes.
type member struct {
	name string
	read func(raw json.RawMessage) (want string) // "" if the value is right, else what kind is wanted
}

func text(name string, into *string) member    { return typed(name, into, "string", '"') }
func truth(name string, into *bool) member     { return typed(name, into, "boolean", 't', 'f') }
func number(name string, into *float64) member { return typed(name, into, "number", numberStart...) }
func reasonText(into *string) member           { return text("reason", into) }
func duration(name string, into *time.Duration) member {
	return member{name, func(raw json.RawMessage) string {
		var s string
		err := json.Unmarshal(raw, &s)
		if err == nil {
			*into, err = time.ParseDuration(s)
		}
		if err != nil {
			return `duration such as "10m"`
		}
		return ""
	}}
}

var numberStart = []byte("-0123456789")

// typed reads a value that begins with one of these bytes: null is no value of any type here.
func typed[T any](name string, into *T, kind string, starts ...byte) member {
	return member{name, func(raw json.RawMessage) string {
		if len(raw) == 0 || !slices.Contains(starts, raw[0]) || json.Unmarshal(raw, into) != nil {
			return kind
		}
		return ""
	}}
}

// conditions reads a nested object of filters, each a string, or a number where it is one by nature; into
// stays nil if there is none. What is wrong inside is added to errs, under its path.
func conditions(name string, into *url.Values, errs *[]problem.FieldError) member {
	return member{name, func(raw json.RawMessage) string {
		if len(raw) == 0 || raw[0] != '{' {
			return "JSON object"
		}
		*into = url.Values{}
		walk(raw, name+".", errs, func(key string, value json.RawMessage) bool {
			var s string
			switch {
			case json.Unmarshal(value, &s) == nil && value[0] == '"':
				into.Set(key, s)
			case numeric(key) && slices.Contains(numberStart, value[0]):
				into.Set(key, string(value))
			default:
				*errs = append(*errs, wrongType(name+"."+key, filterKind(key)))
			}
			return true
		})
		return ""
	}}
}

// numeric tells whether a filter is a number by nature.
func numeric(filter string) bool { return filter == "errcode" || filter == "action_type" }

func filterKind(filter string) string {
	if numeric(filter) {
		return "number or string"
	}
	return "string"
}

// readBody reads an optional JSON object. It has no members but these, under exactly these names, each at most once and
// of its type; encoding/json alone would take any letter case, and the last of several. Every error is named by field.
func readBody(c echo.Context, members ...member) error {
	body, err := wholeBody(c)
	if err != nil || body == nil {
		return err
	}
	var errs []problem.FieldError
	takeMembers(body, "", &errs, members)
	return refused(errs)
}

// takeMembers reads the members of a valid JSON object, of which there are no others. prefix stands before their names in
// errors.
func takeMembers(object []byte, prefix string, errs *[]problem.FieldError, members []member) {
	walk(object, prefix, errs, func(name string, raw json.RawMessage) bool {
		i := slices.IndexFunc(members, func(m member) bool { return m.name == name })
		if i < 0 {
			return false
		}
		if want := members[i].read(raw); want != "" {
			*errs = append(*errs, wrongType(prefix+name, want))
		}
		return true
	})
}

// wholeBody is the body, which must be a JSON object in UTF-8; nil if there is none.
func wholeBody(c echo.Context) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxAdminBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, problem.New(problem.BodyTooLarge).Sayf("The body of this call may have at most %d bytes.", "该接口的请求体最多 %d 字节。", maxAdminBody)
	}
	if err != nil {
		return nil, problem.New(problem.UnreadableBody).Because(err)
	}
	if body = bytes.TrimSpace(body); len(body) == 0 {
		return nil, nil
	}
	if p := problem.CheckObject(body); p != nil {
		return nil, p
	}
	return body, nil
}

// maxFieldErrors bounds how much one answer says.
const maxFieldErrors = 20

// walk calls take for each member of a valid JSON object; false says that there is no such member. prefix stands before
// the names in errors.
func walk(object []byte, prefix string, errs *[]problem.FieldError, take func(name string, raw json.RawMessage) bool) {
	seen := map[string]bool{}
	for name, raw := range problem.Members(object) {
		switch {
		case len(*errs) >= maxFieldErrors:
			return
		case seen[name]:
			*errs = append(*errs, problem.FieldError{Field: prefix + printable(name), Code: "repeated_field",
				Message: problem.Textf("%s is there more than once.", "%s 重复出现。", prefix+printable(name))})
		case !take(name, raw):
			*errs = append(*errs, problem.FieldError{Field: prefix + printable(name), Code: "unknown_field",
				Message: problem.Textf("There is no member %s here.", "没有名为 %s 的字段。", prefix+printable(name))})
		}
		seen[name] = true
	}
}

// maxName bounds what is repeated of a caller's own member name, in bytes.
const maxName = 64

func printable(name string) string {
	if len(name) > maxName {
		return strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	return name
}

func wrongType(field, want string) problem.FieldError {
	return problem.FieldError{Field: field, Code: "type", Message: problem.Textf("%s must be a %s.", "%s 的类型应为 %s。", field, want)}
}

// refused makes a problem of what is wrong; nil if nothing is.
func refused(errs []problem.FieldError) error {
	if len(errs) == 0 {
		return nil
	}
	p := problem.New(problem.InvalidRequest)
	p.Errors = errs
	return p
}
