package sender

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"carrier/internal/state"
)

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

// exchange posts a batch until it is answered, there is no point in trying on, RetryFor is over, or ctx ends.
func (r *run) exchange(ctx context.Context, b *batch) ([]result, error) {
	id := "msg_" + rand.Text() // The same for every attempt, as Standard Webhooks wants it.
	deadline := time.Now().Add(r.o.RetryFor)
	for attempt := 0; ; attempt++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		results, err := r.attempt(id, b)
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

// attempt sends a batch once.
func (r *run) attempt(id string, b *batch) ([]result, error) {
	ctx, cancel := context.WithTimeoutCause(r.hard, r.o.Timeout, fmt.Errorf("no answer within %s", r.o.Timeout))
	defer cancel()
	answer, err := r.link.post(ctx, id, b.body)
	if err != nil {
		return nil, err
	}
	return r.results(answer, len(b.entries))
}

// results reads the answer to a batch of n events.
func (r *run) results(body []byte, n int) ([]result, error) {
	var answer struct {
		Results []result `json:"results"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%s does not answer as the service does: %w; is that its address for events?", r.link, err)
	}
	if len(answer.Results) != n {
		return nil, fmt.Errorf("%s gave %d results for %d events, so it is not known what became of them; is a proxy changing requests?",
			r.link, len(answer.Results), n)
	}
	for i := range answer.Results {
		if got := &answer.Results[i]; got.Index != i || got.Verdict == 0 {
			return nil, fmt.Errorf("%s gave result %d without its verdict or out of its place; is a proxy changing answers?", r.link, i)
		}
	}
	return answer.Results, nil
}
