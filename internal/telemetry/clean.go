package telemetry

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean takes out of s what could drive a terminal or make a line read differently from what it says: ANSI escape
// sequences, control characters, marks of writing direction and characters without width. Line feeds and tabs stay,
// as both log formats write them as \n and \t. What is no UTF-8 becomes U+FFFD. It returns s itself where there is nothing to take out.
func clean(s string) string {
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	for i = 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case startsSequence(r):
			i += size + sequence(r, s[i+size:])
			continue
		case r == utf8.RuneError && size == 1:
			b.WriteRune(r) // Else what is taken out between two halves of a character would join them.
		case !harmful(r):
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

func plain(c byte) bool { return ' ' <= c && c < 0x7f || c == '\n' || c == '\t' }

// harmful tells whether r is not to be shown as it is.
func harmful(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
		return true
	case '\u200b' <= r && r <= '\u200d', r == '\u2060', r == '\ufeff': // No width: they would hide a number from MaskPhones.
		return true
	}
	return r == '\u2028' || r == '\u2029'
}

// The ways in which an escape sequence begins (ECMA-48, 5.3 to 5.6): ESC, or one of its C1 forms.
const (
	esc = '\x1b'
	dcs = '\u0090'
	sos = '\u0098'
	csi = '\u009b'
	osc = '\u009d'
	pm  = '\u009e'
	apc = '\u009f'
)

func startsSequence(r rune) bool {
	switch r {
	case esc, dcs, sos, csi, osc, pm, apc:
		return true
	}
	return false
}

// sequence is how many bytes of rest belong to the sequence that intro began.
func sequence(intro rune, rest string) int {
	switch intro {
	case csi:
		return parameters(rest)
	case esc:
		if rest == "" {
			return 0
		}
		switch rest[0] {
		case '[':
			return 1 + parameters(rest[1:])
		case ']', 'P', 'X', '^', '_':
			return 1 + controlString(rest[1:])
		}
		n := span(rest, ' ', '/')
		return n + span(rest[n:min(len(rest), n+1)], '0', '~')
	}
	return controlString(rest)
}

// parameters is the length of a control sequence's parameters, intermediates and final character.
func parameters(s string) int {
	n := span(s, '0', '?')
	n += span(s[n:], ' ', '/')
	return n + span(s[n:min(len(s), n+1)], '@', '~')
}

// controlString is the length of a string such as a window title, with its terminator. One that never ends has
// none: only what begins it is taken out, so that it can't hide the rest.
func controlString(s string) int {
	for i, r := range s {
		switch {
		case r == '\a':
			return i + 1
		case r == '\u009c':
			return i + len("\u009c")
		case r == esc && strings.HasPrefix(s[i+1:], `\`):
			return i + 2
		}
	}
	return 0
}

// span counts the bytes from lo to hi that s begins with.
func span(s string, lo, hi byte) int {
	n := 0
	for n < len(s) && lo <= s[n] && s[n] <= hi {
		n++
	}
	return n
}
