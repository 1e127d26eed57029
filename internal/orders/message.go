package orders

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"carrier/internal/callback"
)

const (
	maxResultMsg = 256 // Bytes. The documents name no limit.
	// minSecret is how long a password must be to be looked for in a text: a shorter one is part of everything.
	minSecret = 4
)

// message is what the merchant is told. Of a yes nothing that the dispatch system says is repeated: that is kept.
func message(a Answer, secret string) string {
	if callback.ResultCode(a.Code) == callback.OK {
		return textDone
	}
	msg := strings.TrimSpace(strings.Map(visible, withhold(a.Msg, secret)))
	if msg == "" {
		return textRefused
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

// hidden tells what neither XML nor a merchant's screen can show.
func hidden(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) && r != ' ' }

func visible(r rune) rune {
	if hidden(r) {
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
