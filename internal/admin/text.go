package admin

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/telemetry"
)

// Text is one thing said in both languages, as answers show it. Both are empty when there is nothing to say.
type Text struct {
	En string `json:"en"`
	Zh string `json:"zh"`
}

// textf fills the same values into both languages. Where their order differs, use explicit indexes (%[2]s).
func textf(en, zh string, args ...any) Text {
	return Text(problem.Textf(en, zh, args...))
}

// and appends a sentence.
func (t Text) and(next Text) Text {
	switch {
	case next == Text{}:
		return t
	case t == Text{}:
		return next
	}
	return Text{t.En + " " + next.En, t.Zh + next.Zh}
}

// shown is the text as by may see it.
func (t Text) shown(by Actor) Text { return Text{shown(t.En, by), shown(t.Zh, by)} }

// shown is a text as by may see it: viewers see no phone numbers.
func shown(text string, by Actor) string {
	if by.Operator {
		return text
	}
	return telemetry.MaskPhones(text)
}

// shownJSON is shown for what is JSON, or was to be. Many programs write 【18666666666】 as \u301018666666666\u3011,
// where no number can be told from the escape before it; so viewers see what the escapes stand for.
func shownJSON(text string, by Actor) string {
	if by.Operator {
		return text
	}
	return shown(escapes.ReplaceAllStringFunc(text, unescape), by)
}

// escapes are one or more in a row: characters beyond the basic plane take two.
var escapes = regexp.MustCompile(`(?:\\u[0-9A-Fa-f]{4})+`)

// unescape is what a row of \u escapes stands for. What JSON strings don't hold as it is becomes U+FFFD.
func unescape(row string) string {
	var units []uint16
	for unit := range strings.SplitSeq(row[len(`\u`):], `\u`) {
		n, _ := strconv.ParseUint(unit, 16, 16) // The pattern takes nothing else.
		units = append(units, uint16(n))
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '"' || r == '\\' {
			return utf8.RuneError
		}
		return r
	}, string(utf16.Decode(units)))
}

// instant is t for an answer: null if it is zero.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// moment is t within a sentence, to the second.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// stageText is a stage in words.
func stageText(s state.Stage) Text { return Text{s.Name(false), s.Name(true)} }

// ActionText is an action type: its code and what it means.
func ActionText(a state.ActionType) Text {
	return textf("%[1]s %[2]s", "%[1]s %[3]s", a, a.Name(false), a.Name(true))
}

// listText joins texts with commas.
func listText[T any](items []T, text func(T) Text) Text {
	var en, zh []string
	for _, item := range items {
		t := text(item)
		en, zh = append(en, t.En), append(zh, t.Zh)
	}
	return Text{strings.Join(en, ", "), strings.Join(zh, "、")}
}
