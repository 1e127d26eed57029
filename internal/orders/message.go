package orders

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// minSecret is how long a password must be to be looked for in a text: a shorter one is part of everything.
const minSecret = 4

// message is what the merchant is told. Of a yes nothing the dispatch system says is repeated, because that is kept.
func message(a Answer, secret string) string {
	if a.Code == codeOK {
		return successText
	}
	msg := strings.TrimSpace(strings.Map(visible, withhold(a.Msg, secret)))
	if msg == "" {
		return textUnexplained
	}
	return shortened(msg, maxResultMsg)
}

// withhold takes a password out of a text that repeats it.
func withhold(text, secret string) string {
	if len(secret) < minSecret {
		return text
	}
	return strings.ReplaceAll(text, secret, "***")
}

// visible drops what neither XML nor a merchant's screen can show.
func visible(r rune) rune {
	if unicode.IsControl(r) || r == utf8.RuneError {
		return ' '
	}
	return r
}

// shortened cuts a text after whole characters.
func shortened(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("…")], "") + "…"
}
