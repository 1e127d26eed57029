package sender

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"carrier/internal/state"
)

// maxAnswerBytes bounds an answer: a thousand results, each with twenty field errors, stay far below.
const maxAnswerBytes = 64 << 20

// result is what the service says of one event.
type result struct {
	Index   int           `json:"index"`
	ID      string        `json:"id"`
	Verdict state.Verdict `json:"verdict"`
	Code    string        `json:"code"`
	Detail  string        `json:"detail"`
	// Errors is passed on as it is.
	Errors json.RawMessage `json:"errors"`
}

func (r *result) refused() bool {
	return r.Verdict == state.Rejected || r.Verdict == state.Invalid || r.Verdict == state.Conflict
}

// errTooLarge is wrapped by the error for a 413.
var errTooLarge = errors.New("the service takes no body of this size; raise its server.max_body")

// temporaryError is a failure after which the same batch may be sent again: its events have the ids that they had
// before, so that what was kept already is answered as duplicate.
type temporaryError struct {
	err   error
	after time.Duration // What the service asked for; 0: nothing.
}

func (t *temporaryError) Error() string { return t.err.Error() }
func (t *temporaryError) Unwrap() error { return t.err }

// exchange posts a batch until it is answered, there is no point in trying on, RetryFor is over, or ctx ends.
func (r *run) exchange(ctx context.Context, b *batch) ([]result, error) {
	id := "msg_" + rand.Text() // The same for every attempt, as Standard Webhooks wants it.
	deadline := time.Now().Add(r.o.RetryFor)
	for attempt := 0; ; attempt++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		results, err := r.post(id, b)
		again, ok := errors.AsType[*temporaryError](err)
		if !ok {
			return results, err
		}
		wait := cmp.Or(again.after, backoff(attempt))
		if time.Now().Add(wait).After(deadline) {
			return nil, fmt.Errorf("%w (given up: the next try would come more than %s after the first)", err, r.o.RetryFor)
		}
		if ctx.Err() == nil {
			r.tally.waiting(again, wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// backoff is how long to wait after a failed attempt, the first of which is 0: from half a second to 15 seconds, less
// up to a quarter, so that many lanes don't come back at once.
//
//	attempt  0     1    2    3    4    5 and later
//	at most  0.5s  1s   2s   4s   8s   15s
func backoff(attempt int) time.Duration {
	longest := 15 * time.Second
	if attempt < 5 {
		longest = 500 * time.Millisecond << attempt
	}
	return longest - mathrand.N(longest/4)
}

// post makes one attempt.
func (r *run) post(id string, b *batch) ([]result, error) {
	ctx, cancel := context.WithTimeoutCause(r.hard, r.o.Timeout, fmt.Errorf("no answer within %s", r.o.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.endpoint, bytes.NewReader(b.body))
	if err != nil {
		return nil, err
	}
	r.setHeader(req.Header, id, b.body)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, r.unreached(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, r.unreached(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, r.refusal(resp, body)
	}
	return r.results(body, len(b.entries))
}

func (r *run) setHeader(h http.Header, id string, body []byte) {
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Accept", "application/json")
	h.Set("User-Agent", r.o.UserAgent)
	if r.o.Language != "" {
		h.Set("Accept-Language", r.o.Language)
	}
	if len(r.o.SigningKey) > 0 {
		sign(h, r.o.SigningKey, id, time.Now(), body)
	} else {
		h.Set("Authorization", "Bearer "+r.o.Key)
	}
}

// unreached is the error for a request without an answer, or with half of one.
func (r *run) unreached(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &temporaryError{err: fmt.Errorf("%s: %w; is the service running there?", r.endpoint, err)}
}

// results reads the answer to a batch of n events.
func (r *run) results(body []byte, n int) ([]result, error) {
	var answer struct {
		Results []result `json:"results"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%s does not answer as the service does: %w; is that its address for events?", r.endpoint, err)
	}
	if len(answer.Results) != n {
		return nil, fmt.Errorf("%s gave %d results for %d events, so it is not known what became of them; is a proxy changing requests?",
			r.endpoint, len(answer.Results), n)
	}
	for i := range answer.Results {
		if got := &answer.Results[i]; got.Index != i || got.Verdict == 0 {
			return nil, fmt.Errorf("%s gave result %d without its verdict or out of its place; is a proxy changing answers?", r.endpoint, i)
		}
	}
	return answer.Results, nil
}

// refusal is the error for an answer to the batch as a whole.
func (r *run) refusal(resp *http.Response, body []byte) error {
	err := fmt.Errorf("%s: %d %s", r.endpoint, resp.StatusCode, explain(resp, body))
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &temporaryError{err, retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	case http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w (%w)", errTooLarge, err)
	}
	return err
}

// explain puts an answer to the batch as a whole into words: the problem's, if it is one (RFC 9457).
func explain(resp *http.Response, body []byte) string {
	var p struct{ Title, Detail string }
	if err := json.Unmarshal(body, &p); err == nil && p.Title != "" {
		return printable(strings.TrimSuffix(shortenedTo(p.Title+": "+p.Detail, 500), ": "))
	}
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		return "leads to " + printable(shortenedTo(to, 200)) + "; give the service's own address"
	}
	text := http.StatusText(resp.StatusCode)
	if resp.StatusCode < 500 {
		text += "; is that the service's address for events?"
	}
	return strings.TrimSpace(text)
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
