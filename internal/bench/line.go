package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
)

// line is one sender's way to the service.
type line interface {
	// send brings n events. It fails unless all of them are accepted, as far as that is known by then.
	send(body []byte, n int) error
	// close ends it, when all that was sent is answered.
	close() error
}

// dialer makes a line.
type dialer func(ctx context.Context) (line, error)

// overHTTP makes lines to the webhook, for single events or batches.
func overHTTP(addr, key string, batch int) dialer {
	path, contentType := "/v1/events", "application/json"
	if batch > 1 {
		path, contentType = "/v1/events/batch", "application/x-ndjson"
	}
	return func(ctx context.Context) (line, error) {
		w, err := dial(ctx, addr, path, contentType, key)
		if err != nil {
			return nil, err
		}
		return &httpLine{w, batch > 1}, nil
	}
}

// inTurn makes one line after the other by another of several dialers.
func inTurn(dialers []dialer) dialer {
	var turn atomic.Uint64
	return func(ctx context.Context) (line, error) {
		return dialers[turn.Add(1)%uint64(len(dialers))](ctx)
	}
}

// httpLine is a keep-alive connection to the webhook.
type httpLine struct {
	wire  *wire
	batch bool
}

var acceptedVerdict = []byte(`"verdict":"accepted"`)

func (l *httpLine) send(body []byte, n int) error {
	status, answer, err := l.wire.post(body)
	if err != nil {
		return fmt.Errorf("sending events: %w", err)
	}
	if !l.batch && status == http.StatusAccepted && bytes.Contains(answer, acceptedVerdict) {
		return nil
	}
	if l.batch && status == http.StatusOK && bytes.Contains(answer, fmt.Appendf(nil, `"accepted":%d,`, n)) {
		return nil
	}
	return fmt.Errorf("the service did not accept all of %d events: HTTP %d, %.400s", n, status, answer)
}

func (l *httpLine) close() error {
	l.wire.close()
	return nil
}
