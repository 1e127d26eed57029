package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Verify does what the console does when the settings of 消息推送 are saved: it calls the callback with a signature and
// an echostr, which is to come back as it is. The error says what came instead.
func (s *Sandbox) Verify(ctx context.Context, deliveryID string) error {
	c, ok := s.carriers[deliveryID]
	if !ok {
		return fmt.Errorf("%w %q", errNoCarrier, deliveryID)
	}
	at, nonce, echo := strconv.FormatInt(time.Now().Unix(), 10), s.chance.digits(9), s.chance.digits(19)
	query := url.Values{"signature": {signature(c.Token, at, nonce)}, "timestamp": {at}, "nonce": {nonce}, "echostr": {echo}}
	begun := time.Now()
	status, answer, err := s.exchange(ctx, c, http.MethodGet, query, nil)
	m := maskOf(c.Token, "")
	switch {
	case err != nil:
	case status != http.StatusOK:
		err = fmt.Errorf("status %d, 200 is wanted", status)
	case string(answer) != echo:
		err = errors.New("the answer is not the echostr and nothing else")
	}
	s.note(m, Callback{
		At: begun.UTC(), DeliveryID: c.DeliveryID, Kind: kindVerify, Attempt: 1, Status: status,
		Took: Duration(time.Since(begun)), Sent: "echostr=" + echo, Answer: m.show(answer),
	}, err)
	return err
}

var errNoCarrier = errors.New("the sandbox has no carrier")

// serveVerify is POST /_sandbox/verify?carrier=SF.
func (s *Sandbox) serveVerify(w http.ResponseWriter, r *http.Request) {
	methods{http.MethodPost: func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("carrier")
		err := s.Verify(r.Context(), id)
		switch {
		case errors.Is(err, errNoCarrier):
			writeProblem(w, http.StatusNotFound, err)
		case err != nil:
			writeProblem(w, http.StatusBadGateway, fmt.Errorf("carrier %s is not verified: %w", id, err))
		default:
			writeJSON(w, http.StatusOK, map[string]any{"carrier": id, "verified": true})
		}
	}}.serve(w, r)
}
