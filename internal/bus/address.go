package bus

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// masked stands where a secret was.
const masked = "***"

// addresses takes a list of server addresses apart. An error repeats nothing of them: they may hold a password.
func addresses(list string) ([]*url.URL, error) {
	var found []*url.URL
	var errs []error
	for i, text := range strings.Split(list, ",") {
		u, ok := parseAddress(text)
		if !ok {
			errs = append(errs, fmt.Errorf("nats.url: address %d is none: write nats://HOST:4222 or tls://HOST:4222; "+
				"in a user or password write special characters as %%XX, or use nats.user and nats.password", i+1))
			continue
		}
		found = append(found, u)
	}
	return found, errors.Join(errs...)
}

// parseAddress reads one address as nats.go does: without a scheme it is nats://.
func parseAddress(text string) (*url.URL, bool) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return nil, false
	}
	return u, slices.Contains([]string{"nats", "tls"}, u.Scheme)
}

// shownAddresses are a list's addresses without users, passwords and parameters.
func shownAddresses(list string) []string {
	if list == EmbeddedURL {
		return []string{EmbeddedURL}
	}
	var shown []string
	for text := range strings.SplitSeq(list, ",") {
		u, ok := parseAddress(text)
		if !ok {
			shown = append(shown, masked)
			continue
		}
		shown = append(shown, u.Scheme+"://"+u.Host)
	}
	return shown
}

// secrets are what must not be seen of the options.
type secrets []string

func (o *Options) secrets() secrets {
	all := secrets{o.Password}
	if o.URL != EmbeddedURL {
		for text := range strings.SplitSeq(o.URL, ",") {
			if u, ok := parseAddress(text); ok && u.User != nil {
				password, _ := u.User.Password()
				all = append(all, password, u.User.String()) // A user without a password is a token.
				if password == "" {
					all = append(all, u.User.Username())
				}
			}
		}
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
	// The longest goes first, so that none that contains another is left in part.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// text is an error's text without them.
func (s secrets) text(err error) string {
	text := err.Error()
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, masked)
	}
	return text
}

// clean is err; if its text holds a secret, an error with the text that is left.
func (s secrets) clean(err error) error {
	if err == nil {
		return nil
	}
	if text := s.text(err); text != err.Error() {
		return errors.New(text)
	}
	return err
}
