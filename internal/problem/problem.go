package problem

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// ContentType is the media type of a problem document.
const ContentType = "application/problem+json"

// typePrefix begins every problem's type; its code follows.
const typePrefix = "urn:carrier:problem:"

// Problem says what went wrong and what to do next. It is made with [New], filled in by its methods before it is
// handed on, and not changed after that.
type Problem struct {
	Code   Code
	Detail Text
	Errors []FieldError
	// Members are added to the document after the standard ones, in this order. A Value that is a Text is
	// written in the language of the document.
	Members []Member
	// RetryAfter is when to try again; it is rounded up to whole seconds. 0 says nothing.
	RetryAfter time.Duration
	// Cause is for logs; callers never see it.
	Cause error
}

// FieldError says what is wrong with one field.
type FieldError struct {
	Field   string // As the caller wrote it; empty for the whole.
	Code    string
	Message Text // What is wrong with it, and what would be right.
}

// Member is one more member of the document.
type Member struct {
	Name  string
	Value any // What encoding/json can write.
}

// New is the problem that c names, with the catalogue's detail. An unknown code is a programmer's mistake: it panics.
func New(c Code) *Problem {
	e, ok := byCode[c]
	if !ok {
		panic(fmt.Sprintf("problem: no such code %q", c))
	}
	return &Problem{Code: c, Detail: e.Detail}
}

// Say replaces the detail.
func (p *Problem) Say(en, zh string) *Problem {
	p.Detail = Text{En: en, Zh: zh}
	return p
}

// Sayf replaces the detail with the same values filled into both languages.
func (p *Problem) Sayf(en, zh string, args ...any) *Problem {
	p.Detail = Textf(en, zh, args...)
	return p
}

// With adds a member.
func (p *Problem) With(name string, value any) *Problem {
	p.Members = append(p.Members, Member{name, value})
	return p
}

// After sets RetryAfter.
func (p *Problem) After(d time.Duration) *Problem {
	p.RetryAfter = d
	return p
}

// Because sets Cause.
func (p *Problem) Because(err error) *Problem {
	p.Cause = err
	return p
}

// Status is the HTTP status.
func (p *Problem) Status() int { return p.entry().Status }

func (p *Problem) entry() *Entry {
	if e, ok := byCode[p.Code]; ok {
		return e
	}
	return byCode[Internal]
}

// Error is the problem in one English line, without its cause.
func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail.En }

// Unwrap is the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// JSON is the document in l.
func (p *Problem) JSON(l Language) []byte {
	return append(p.AppendMembers([]byte{'{'}, l), '}')
}

// AppendMembers appends the document's members without the braces, for documents that hold a problem among others.
func (p *Problem) AppendMembers(dst []byte, l Language) []byte {
	e := p.entry()
	dst = append(dst, `"type":"`+typePrefix...)
	dst = append(dst, e.Code...)
	dst = append(dst, `","title":`...)
	dst = appendValue(dst, e.Title.In(l))
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(e.Status), 10)
	dst = append(dst, `,"detail":`...)
	dst = appendValue(dst, p.Detail.In(l))
	dst = append(dst, `,"code":"`...)
	dst = append(dst, e.Code...)
	dst = append(dst, '"')
	if len(p.Errors) > 0 {
		dst = append(dst, `,"errors":`...)
		dst = appendErrors(dst, p.Errors, l)
	}
	for _, m := range p.Members {
		dst = append(dst, ',')
		dst = appendValue(dst, m.Name)
		dst = append(dst, ':')
		if t, ok := m.Value.(Text); ok {
			m.Value = t.In(l)
		}
		dst = appendValue(dst, m.Value)
	}
	return dst
}

func appendErrors(dst []byte, errs []FieldError, l Language) []byte {
	dst = append(dst, '[')
	for i, e := range errs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"field":`...)
		dst = appendValue(dst, e.Field)
		dst = append(dst, `,"code":`...)
		dst = appendValue(dst, e.Code)
		dst = append(dst, `,"message":`...)
		dst = appendValue(dst, e.Message.In(l))
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendValue appends v as JSON, < > & as they are: people read these documents in terminals. A value that can't be
// written becomes null, so that a slip in a member never spoils the answer; a test of the member shows it.
func appendValue(dst []byte, v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return append(dst, "null"...)
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// Write answers r with the problem, in the language that r asks for.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) error {
	l := Negotiate(r.Header.Get("Accept-Language"))
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Content-Language", l.Tag())
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Language")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetrySeconds()))
	}
	if p.Status() == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", `Bearer realm="carrier"`) // RFC 9110, section 11.6.1: a 401 must have it.
	}
	w.WriteHeader(p.Status())
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(p.JSON(l))
	return err
}

// RetrySeconds is RetryAfter in whole seconds, rounded up; 0 if it says nothing.
func (p *Problem) RetrySeconds() int { return int(math.Ceil(p.RetryAfter.Seconds())) }
