package adminclient

import (
	"cmp"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Unreachable says that no answer came, or not the whole of it.
type Unreachable struct {
	URL    string // The admin API's address.
	Err    error
	Unsure bool // It was to change something, and may have done so all the same.
}

// Error names the address and why.
func (u *Unreachable) Error() string { return fmt.Sprintf("%s does not answer: %v", u.URL, u.Err) }

// Unwrap is what the network said.
func (u *Unreachable) Unwrap() error { return u.Err }

// Unreadable says that the answer is none of the admin API's: something else listens there, or a much newer service.
type Unreadable struct {
	URL string
	Err error
}

// Error names the address and why.
func (u *Unreadable) Error() string {
	return fmt.Sprintf("what %s answers is not the admin API's: %v", u.URL, u.Err)
}

// Unwrap is what is wrong with the answer.
func (u *Unreadable) Unwrap() error { return u.Err }

// FieldError says what is wrong with one field of a request.
type FieldError struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Refusal is an answer that refuses: a problem document (RFC 9457), as far as the service gave one.
type Refusal struct {
	URL        string // The admin API's address.
	Path       string // What was asked for there.
	Status     int    // The HTTP status.
	Location   string // Where a redirect points; it is not followed.
	Title      string
	Detail     string
	Code       string // What programs go by; empty if the answer is no problem document.
	Errors     []FieldError
	RetryAfter time.Duration // 0 if the answer does not say.

	// The present state, of a conflict: what the operation was about is in it. Others are empty.
	PushStatus   string
	Verdict      string
	ReplayStatus string
}

// Error is one line: each field with what is wrong with it; where no field is named, the detail.
func (r *Refusal) Error() string {
	if r.Detail == "" && r.Title == "" {
		return fmt.Sprintf("%s answers %d %s", r.URL, r.Status, http.StatusText(r.Status))
	}
	if len(r.Errors) == 0 {
		return cmp.Or(r.Detail, r.Title)
	}
	var parts []string // The detail only says that there are fields to correct.
	for _, f := range r.Errors {
		switch {
		case f.Field == "" || strings.HasPrefix(f.Message, f.Field):
			parts = append(parts, f.Message)
		default:
			parts = append(parts, f.Field+": "+f.Message)
		}
	}
	return strings.Join(parts, " ")
}

// Temporary tells whether the same request may succeed a little later.
func (r *Refusal) Temporary() bool {
	return r.Status == http.StatusTooManyRequests || r.Status >= http.StatusInternalServerError
}

// refusal reads an answer that refuses. One that is no problem document has only its status to tell.
func refusal(base, path string, resp *http.Response, body []byte) *Refusal {
	r := &Refusal{URL: base, Path: path, Status: resp.StatusCode, Location: resp.Header.Get("Location")}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		r.RetryAfter = time.Duration(seconds) * time.Second
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/problem+json" {
		return r
	}
	var doc struct {
		Title, Detail, Code string
		Errors              []FieldError
		PushStatus          string `json:"push_status"`
		Verdict             string
		ReplayStatus        string `json:"replay_status"`
	}
	if json.Unmarshal(body, &doc) == nil {
		r.Title, r.Detail, r.Code, r.Errors = doc.Title, doc.Detail, doc.Code, doc.Errors
		r.PushStatus, r.Verdict, r.ReplayStatus = doc.PushStatus, doc.Verdict, doc.ReplayStatus
	}
	return r
}
