package callback

import (
	"fmt"
	"io"
	"log/slog"
)

// masked is printed in place of a secret.
const masked = "***"

// Secret is a text that can't be printed, logged or encoded by accident: it shows as ***, or as nothing if empty. Only
// [Secret.Reveal] gives the text. The zero value is empty.
//
// It holds a pointer because fmt prints the fields of a private struct without asking them: a pointer shows as an
// address there, a string would show as itself.
type Secret struct{ text *string }

// NewSecret makes one.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal is the text. Never put it into a log, an error or an address.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String is the mask.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return masked
}

// Format masks the text for every verb.
func (s Secret) Format(f fmt.State, verb rune) { printText(f, verb, s.String()) }

// LogValue masks the text in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText masks the text in whatever is encoded, JSON and XML among it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// printText writes text for any verb, quoted where the verb asks for it.
func printText(f fmt.State, verb rune, text string) {
	if verb == 'q' {
		text = fmt.Sprintf("%q", text)
	}
	_, _ = io.WriteString(f, text)
}
