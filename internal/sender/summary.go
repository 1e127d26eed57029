package sender

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"carrier/internal/state"
)

// Codes of what is refused here, before it is sent. They are the service's own for the same mistakes.
const (
	codeInvalidEvent = "invalid_event"
	codeTooLarge     = "body_too_large"
	codeMalformed    = "malformed_json"
	codeNotUTF8      = "not_utf8"
)

// Refused is an event that was not taken: rejected, invalid or in conflict.
type Refused struct {
	Line    int           `json:"line"`
	ID      string        `json:"id,omitempty"`
	Waybill string        `json:"waybill_id,omitempty"`
	Verdict state.Verdict `json:"verdict"`
	Code    string        `json:"code"`
	Message string        `json:"message"`
	// Errors are the fields that are wrong, as the service lists them; empty if it does not.
	Errors json.RawMessage `json:"errors,omitempty"`
}

// refuse says why an item can't be sent.
func (i *Item) refuse(code, message string) {
	i.Refused = &Refused{
		Line: i.Line, ID: i.ID, Waybill: i.Waybill, Verdict: state.Invalid, Code: code, Message: message,
	}
	i.Body = nil
}

// refuseLong refuses an item for its size, which is 0 if it is not known.
func (i *Item) refuseLong(size int) {
	what := "the line"
	if size > 0 {
		what = fmt.Sprintf("the event, with %d bytes as JSON,", size)
	}
	i.refuse(codeTooLarge, fmt.Sprintf("%s is longer than the %d bytes of a batch, which no event is; shorten it", what, maxLineBytes))
}

// String is one line for a person. What strangers wrote into it can't move the cursor.
func (r *Refused) String() string {
	kind := r.Verdict.String()
	if r.Code != "" && r.Code != kind {
		kind += " (" + r.Code + ")"
	}
	id := ""
	if r.ID != "" {
		id = " " + r.ID
	}
	return printable(fmt.Sprintf("line %d%s: %s: %s", r.Line, id, kind, r.Message))
}

// printable makes one line of text without any control characters.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// listed is how many refused events a Summary names.
const listed = 20

// Summary is what became of a file.
type Summary struct {
	File   string `json:"file,omitempty"`
	DryRun bool   `json:"dry_run,omitempty"`
	// Events counts those that were read, each of which has a verdict, or was found well formed by a dry run, or
	// is unanswered.
	Events     int                   `json:"events"`
	Counts     map[state.Verdict]int `json:"counts,omitempty"`
	WellFormed *int                  `json:"well_formed,omitempty"` // Of a dry run.
	Unanswered int                   `json:"unanswered"`
	// NextLine is the first line that is not settled; 0 if all are.
	NextLine int       `json:"next_line,omitempty"`
	Refusals int       `json:"refused"`
	Refused  []Refused `json:"refusals"` // The first ones.
	Seconds  float64   `json:"seconds"`
}

// WriteText writes the summary for people: a line a verdict with its count, and the refused events.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	what := "events"
	if s.Events == 1 {
		what = "event"
	}
	took := time.Duration(s.Seconds * float64(time.Second)).Round(time.Millisecond)
	fmt.Fprintf(&b, "%s: %d %s in %s\n", printable(s.File), s.Events, what, took)
	s.writeCounts(&b)
	if s.Refusals > 0 {
		fmt.Fprintf(&b, "\nrefused:\n")
	}
	for _, r := range s.Refused {
		b.WriteString("  " + r.String() + "\n")
	}
	if more := s.Refusals - len(s.Refused); more > 0 {
		fmt.Fprintf(&b, "  and %d more; --refused-to FILE keeps all of them\n", more)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Summary) writeCounts(b *strings.Builder) {
	if s.DryRun {
		fmt.Fprintf(b, "%-11s %d\n%-11s %d\n", "well formed", *s.WellFormed, "invalid", s.Counts[state.Invalid])
		return
	}
	for _, v := range state.Verdicts() {
		fmt.Fprintf(b, "%-10s %d\n", v, s.Counts[v])
	}
	if s.Unanswered > 0 {
		fmt.Fprintf(b, "%-10s %d\n", "unanswered", s.Unanswered)
	}
}
