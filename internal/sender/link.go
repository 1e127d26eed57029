package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// link carries batches to the service, and its answers back. It may be used by several goroutines.
type link interface {
	// post makes one attempt to have a batch answered. The id is the same for every attempt. An error after which the
	// same batch may be sent again is a *temporaryError; one for its size is a *tooLargeError. Whatever else goes wrong
	// will not go better the next time.
	post(ctx context.Context, id string, body []byte) (answer []byte, err error)
	// limit is the largest body that it carries, in bytes, as far as that is known before one is refused.
	limit() int
	// String is where it leads, for errors. It holds no secret.
	String() string
}

// tooLargeError is a refusal of a batch for its size: a smaller one may be taken.
type tooLargeError struct{ err error }

func (t *tooLargeError) Error() string { return t.err.Error() }
func (t *tooLargeError) Unwrap() error { return t.err }

// temporaryError is a failure after which the same batch may be sent again: its events have the ids that they had
// before, so that what was kept already is answered as duplicate.
type temporaryError struct {
	err   error
	after time.Duration // What the service asked for; 0: nothing.
}

func (t *temporaryError) Error() string { return t.err.Error() }
func (t *temporaryError) Unwrap() error { return t.err }

// refused is the error for an answer to the batch as a whole, by its HTTP status. retry is the header Retry-After.
func refused(to link, status int, said, retry string) error {
	err := fmt.Errorf("%s: %d %s", to, status, said)
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &temporaryError{err, retryAfter(retry, time.Now())}
	case http.StatusRequestEntityTooLarge:
		return &tooLargeError{fmt.Errorf("the service takes no body of this size; raise its server.max_body (%w)", err)}
	}
	return err
}

// explained is what a problem document says (RFC 9457); empty if the body is none.
func explained(body []byte) string {
	var p struct{ Title, Detail string }
	if err := json.Unmarshal(body, &p); err != nil || p.Title == "" {
		return ""
	}
	return printable(strings.TrimSuffix(shortenedTo(p.Title+": "+p.Detail, 500), ": "))
}

// retryAfter reads the header: seconds, or a date (RFC 9110, section 10.2.3). 0: it says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
