package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
)

const (
	eventsSubject = "carrier.events." + sourceName
	submitSubject = "carrier.submit." + sourceName

	// unacked is how many events of a streamLine the server may have without an acknowledgement. All lines together
	// must stay below the 10,000 that a stream lets wait.
	unacked = 1000
)

// submitLine sends single events as requests, one at a time. All lines share a connection.
type submitLine struct{ nc *nats.Conn }

// overSubmit makes lines to the service's endpoint.
func overSubmit(nc *nats.Conn) dialer {
	return func(context.Context) (line, error) { return submitLine{nc}, nil }
}

func (l submitLine) send(body []byte, _ int) error {
	answer, err := l.nc.Request(submitSubject, body, requestTimeout)
	if err != nil {
		return fmt.Errorf("asking %s: %w", submitSubject, err)
	}
	if code := answer.Header.Get(micro.ErrorCodeHeader); code != "" || !bytes.Contains(answer.Data, acceptedVerdict) {
		return fmt.Errorf("the service did not accept an event: error %q, %.400s", code, answer.Data)
	}
	return nil
}

func (submitLine) close() error { return nil }

// streamLine publishes single events to JetStream without waiting for each acknowledgement.
type streamLine struct {
	js     jetstream.JetStream
	failed chan error // The first event that the server did not take.
}

// overStream makes lines to the stream. All share a connection.
func overStream(nc *nats.Conn) dialer {
	return func(context.Context) (line, error) {
		l := &streamLine{failed: make(chan error, 1)}
		var err error
		l.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(unacked),
			jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) {
				select {
				case l.failed <- err:
				default:
				}
			}))
		return l, err
	}
}

func (l *streamLine) send(body []byte, _ int) error {
	if err := l.failure(); err != nil {
		return err
	}
	// The client keeps the body until it is acknowledged.
	if _, err := l.js.PublishAsync(eventsSubject, bytes.Clone(body), jetstream.WithStallWait(requestTimeout)); err != nil {
		return fmt.Errorf("publishing to %s: %w", eventsSubject, err)
	}
	return nil
}

func (l *streamLine) close() error {
	defer l.js.CleanupPublisher()
	select {
	case <-l.js.PublishAsyncComplete():
		return l.failure()
	case <-time.After(requestTimeout):
		return errors.Join(l.failure(), fmt.Errorf("%d events on %s were not acknowledged within %v", l.js.PublishAsyncPending(), eventsSubject, requestTimeout))
	}
}

func (l *streamLine) failure() error {
	select {
	case err := <-l.failed:
		return fmt.Errorf("publishing to %s: %w", eventsSubject, err)
	default:
		return nil
	}
}
