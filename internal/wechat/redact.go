package wechat

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	// hidden stands where a secret was.
	hidden = "***"
	// shortestSecret, in bytes: what is shorter keeps no secret, and hiding it would only make words unreadable.
	shortestSecret = 4
)

var (
	// urlTail is what follows the path of a URL in running text: its query and fragment.
	urlTail = regexp.MustCompile(`(?i)(https?://[^\s"'<>?#]*)[?#][^\s"'<>]*`)
	// urlUser is a user and password before the host.
	urlUser = regexp.MustCompile(`(?i)(https?://)[^\s"'<>/@?#]+@`)
	// secretParam is a parameter that holds a secret where no URL is around it: name=value, or "name":"value".
	secretParam = regexp.MustCompile(`(?i)((?:access_?token|app_?secret|secret|token)(?:=|\\?"\s*:\s*\\?"))[^\s"&\\]+`)
)

// RedactURL removes user, query and fragment of a URL: the access_token stands in the query, and of the call
// getAccessToken the AppSecret too. What is no URL is redacted as text is.
func RedactURL(u string) string {
	parsed, err := url.Parse(u)
	if err != nil || parsed.Host == "" {
		return redactText(u)
	}
	parsed.User, parsed.RawQuery, parsed.ForceQuery = nil, "", false
	parsed.Fragment, parsed.RawFragment = "", ""
	return parsed.String()
}

// redact returns err with the query of every URL removed: from the URL of a [url.Error], and from the text. An error
// with nothing to hide is returned as it is. For one that had, errors.Is works on the result as before, and nothing
// that could be printed can be unwrapped. It hides the secrets given as well, wherever they stand.
func redact(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	// net/http's clients return it outermost; its type is kept, since callers ask for its Op and Timeout.
	if ue, ok := err.(*url.Error); ok {
		return &url.Error{Op: ue.Op, URL: redactText(RedactURL(ue.URL), secrets...), Err: redact(ue.Err, secrets...)}
	}
	text := err.Error()
	if safe := redactText(text, secrets...); safe != text || holdsURL(err) {
		return &redactedError{text: safe, err: err}
	}
	return err
}

// holdsURL tells whether a URL with more than a path can be unwrapped from err, although its text may not show it.
func holdsURL(err error) bool {
	ue, ok := errors.AsType[*url.Error](err)
	return ok && RedactURL(ue.URL) != ue.URL
}

// redactText removes secrets from text: those given, in any of the ways in which a URL may spell them, and whatever
// looks like one.
func redactText(text string, secrets ...string) string {
	text = hide(text, secrets...)
	text = urlTail.ReplaceAllString(text, "$1")
	text = urlUser.ReplaceAllString(text, "$1")
	return secretParam.ReplaceAllString(text, "${1}"+hidden)
}

// hide replaces the secrets in text, as they are and as URLs and JSON spell them. The longest goes first, so that none that contains another is left in part.
func hide(text string, secrets ...string) string {
	var spellings []string
	for _, s := range secrets {
		if len(s) >= shortestSecret && len(s) <= len(text) { // No spelling is shorter than the secret.
			spellings = append(spellings, s, url.QueryEscape(s), url.PathEscape(s), inJSON(s, true), inJSON(s, false))
		}
	}
	slices.SortFunc(spellings, func(a, b string) int { return len(b) - len(a) })
	for _, s := range spellings {
		text = strings.ReplaceAll(text, s, hidden)
	}
	return text
}

// inJSON is a text within a JSON string; escapeHTML has < > & written as \u003c and so on.
func inJSON(s string, escapeHTML bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(escapeHTML)
	_ = enc.Encode(s) // Writing a string into memory never fails.
	return b.String()[1 : b.Len()-len("\"\n")]
}

// hideBytes is hide of a whole answer and one secret.
func hideBytes(body []byte, secret string) []byte {
	if len(secret) < shortestSecret || !bytes.Contains(body, []byte(secret)) {
		return body
	}
	return []byte(hide(string(body), secret))
}

// redactedError has the place of an error in a chain of errors, but not its text. It has no Unwrap: what it hides
// would come out.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string        { return e.text }
func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }
