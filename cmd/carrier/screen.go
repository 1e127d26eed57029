package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"carrier/internal/adminclient"
	"carrier/internal/problem"
)

// screen is where a command shows what it has to say to a person.
type screen struct {
	w     io.Writer
	width int  // Columns; 0: no terminal, lines may have any length.
	zh    bool // Chinese, else English.
	zone  *time.Location
}

// newScreen is standard output, in the language and the time zone of the environment.
func newScreen(w *world) *screen {
	s := &screen{w: w.stdout, zh: language(w) == "zh", zone: time.Local}
	if f, ok := w.stdout.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			s.width = width
		}
	}
	if zone, err := time.LoadLocation(w.getenv("TZ")); err == nil && w.getenv("TZ") != "" {
		s.zone = zone
	}
	return s
}

// say picks the language.
func (s *screen) say(en, zh string) string {
	if s.zh {
		return zh
	}
	return en
}

// sayf picks the language and fills in the same values.
func (s *screen) sayf(en, zh string, args ...any) string {
	return problem.Sprintf(s.say(en, zh), args...)
}

// in is a text of the service's in the user's language.
func (s *screen) in(t adminclient.Text) string { return t.In(s.zh) }

// line writes one line. Nothing in it can move the cursor.
func (s *screen) line(text string) error {
	_, err := fmt.Fprintln(s.w, visible(text))
	return err
}

// time is an instant in the local zone; empty for none.
func (s *screen) time(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.In(s.zone).Format(time.DateTime)
}

// unix is an event's action_time in the local zone.
func (s *screen) unix(seconds int64) string {
	t := time.Unix(seconds, 0)
	return s.time(&t)
}

// seconds is a length of time to the second, or finer below ten seconds.
func (s *screen) seconds(n float64) string {
	d := time.Duration(n * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// minutes is a length of time as people plan with it, from minutes.
func (s *screen) minutes(n float64) string {
	switch {
	case n < 1.0/60:
		return s.say("less than a second", "不到 1 秒")
	case n < 1:
		return s.sayf("%.0f s", "%.0f 秒", math.Ceil(n*60))
	case n < 120:
		return s.sayf("%.0f min", "%.0f 分钟", math.Ceil(n))
	}
	return s.sayf("%.1f h", "%.1f 小时", n/60)
}

// visible is text with everything escaped that could drive a terminal, or make a line read differently from what it
// says: control characters (ESC, CR, LF and the C1 ones), marks of writing direction, characters without width, and
// bytes that are no UTF-8. They are written as in a Go string: \x1b, \r, \u202e.
func visible(text string) string {
	if !strings.ContainsFunc(text, hidden) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case hidden(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// hidden tells whether r is not shown as a character of its own, or shows others elsewhere. What unicode counts as
// graphic is shown: letters, marks, numbers, punctuation, symbols and spaces, the wide one of Chinese too.
func hidden(r rune) bool {
	// The fillers are letters by category, but blank ones, which hide where a word ends.
	return !unicode.IsGraphic(r) || r == '\u115f' || r == '\u1160' || r == '\u3164' || r == '\uffa0'
}

// ellipsis stands for what was cut off. It is as wide as it is long everywhere, other than the character for it.
const ellipsis = ".."

// cut shortens text to a width in columns. It never divides what is seen as one character.
func cut(text string, width int) string {
	if uniseg.StringWidth(text) <= width {
		return text
	}
	var b strings.Builder
	room, state := width-len(ellipsis), -1
	for text != "" {
		var cluster string
		var w int
		cluster, text, w, state = uniseg.FirstGraphemeClusterInString(text, state)
		if room -= w; room < 0 {
			break
		}
		b.WriteString(cluster)
	}
	return b.String() + ellipsis[:min(width, len(ellipsis))]
}
