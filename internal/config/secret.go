package config

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

// masked is printed in place of a secret.
const masked = "***"

// Secret is a string that can't be printed, logged or encoded by accident; it shows as ***, or as nothing if empty.
// Only [Secret.Reveal] gives the value.
type Secret string

// Reveal is the value. Never put it into a log, an error or an answer.
func (s Secret) Reveal() string { return string(s) }

// String is the mask.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString is the mask, for %#v.
func (s Secret) GoString() string { return fmt.Sprintf("config.Secret(%q)", s.String()) }

// Format masks the value for every verb: without it, a verb that doesn't suit a string would print it.
func (s Secret) Format(f fmt.State, verb rune) { printMasked(f, verb, s) }

// LogValue masks the value in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText masks the value in whatever is encoded as text, JSON among it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON masks the value.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// MarshalYAML masks the value.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// DSN is an address that may hold a password. It prints without its user information and parameters.
type DSN string

// Reveal is the whole address. Never put it into a log, an error or an answer.
func (d DSN) Reveal() string { return string(d) }

// String is the address without what may be secret in it.
func (d DSN) String() string {
	parts := strings.Split(string(d), ",")
	for i, p := range parts {
		if !strings.Contains(p, "://") {
			return maskURL(string(d)) // No list of URLs: the comma may be part of a password.
		}
		parts[i] = maskURL(p)
	}
	return strings.Join(parts, ",")
}

// GoString is String, for %#v.
func (d DSN) GoString() string { return fmt.Sprintf("config.DSN(%q)", d.String()) }

// Format prints String for every verb.
func (d DSN) Format(f fmt.State, verb rune) { printMasked(f, verb, d) }

// LogValue is String.
func (d DSN) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText is String; JSON uses it too.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// MarshalYAML is String.
func (d DSN) MarshalYAML() (any, error) { return d.String(), nil }

// maskURL hides the user information and the parameters of a URL, and everything of what is none but may hold some.
func maskURL(raw string) string {
	if !strings.ContainsAny(raw, "@?#=") {
		return raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return masked
	}
	user, query := "", ""
	if u.User != nil {
		user = masked + "@"
	}
	if u.RawQuery != "" || u.Fragment != "" {
		query = "?" + masked
	}
	return u.Scheme + "://" + user + u.Host + u.EscapedPath() + query
}

// printMasked writes the masked form, for any verb.
func printMasked(f fmt.State, verb rune, v interface {
	fmt.Stringer
	fmt.GoStringer
}) {
	text := v.String()
	switch {
	case verb == 'q':
		text = fmt.Sprintf("%q", text)
	case verb == 'v' && f.Flag('#'):
		text = v.GoString()
	}
	_, _ = io.WriteString(f, text)
}
