package bus

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// link is the service's own connection, with what is known of how it stands.
type link struct {
	nc      *nats.Conn
	name    string // The servers, fit to be shown.
	secrets secrets
	log     *slog.Logger
	calm    *calm
	observe *Observer
	closed  chan struct{} // Closed when nc is.

	mu      sync.Mutex
	up      chan struct{} // Closed while there is a connection.
	since   time.Time     // Of the present state.
	err     error         // Why the latest try failed, or the connection broke.
	refused error         // The latest permission that the intake lacked, of this connection.
}

// dial begins to connect. It fails only for what no retry can cure; a server that can't be reached is tried for ever.
func dial(o *Options, extra ...nats.Option) (*link, error) {
	options, err := o.connectOptions()
	if err != nil {
		return nil, err
	}
	log := o.Logger.With("part", "nats")
	l := &link{
		name: o.String(), secrets: o.secrets(), log: log, calm: newCalm(log), observe: &o.Observe,
		closed: make(chan struct{}), up: make(chan struct{}), since: time.Now(),
	}
	options = append(options, nats.RetryOnFailedConnect(true),
		nats.ConnectHandler(func(nc *nats.Conn) { l.connected(nc, false) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { l.connected(nc, true) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.disconnected(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.failed(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) { l.asyncError(s, err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(l.closed) }))
	l.observe.Connected(false)
	nc, err := nats.Connect(o.serverList(), append(options, extra...)...)
	if err != nil {
		return nil, l.secrets.clean(err)
	}
	l.nc = nc
	return l, nil
}

func (l *link) connected(nc *nats.Conn, again bool) {
	l.mu.Lock()
	away := time.Since(l.since)
	if !isClosed(l.up) {
		close(l.up)
	}
	l.since, l.err, l.refused = time.Now(), nil, nil
	l.mu.Unlock()
	l.observe.Connected(true)
	if again {
		l.observe.Reconnected()
	}
	l.calm.info("connected to NATS", "server", l.server(nc), "server_version", nc.ConnectedServerVersion(),
		"again", again, "after", away.Round(time.Millisecond))
}

// server is the address of the server that nc is connected to. What nats.go calls redacted shows a token.
func (l *link) server(nc *nats.Conn) string {
	return strings.Join(shownAddresses(nc.ConnectedUrl()), ",")
}

func (l *link) disconnected(err error) {
	l.mu.Lock()
	if isClosed(l.up) {
		l.up, l.since = make(chan struct{}), time.Now()
	}
	l.err = err
	l.mu.Unlock()
	l.observe.Connected(false)
	if err != nil { // Otherwise it was we who closed it.
		l.calm.warn("the connection to NATS is lost; it is tried again and again", "err", l.secrets.text(err))
	}
}

func (l *link) failed(err error) {
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	l.calm.warn("NATS can't be reached; it is tried again and again", "servers", l.name, "err", l.secrets.text(err))
}

// asyncError hears what the server says unasked, and of messages that were dropped.
func (l *link) asyncError(s *nats.Subscription, err error) {
	attrs := []any{"err", l.secrets.text(err)}
	if errors.Is(err, nats.ErrPermissionViolation) && isOfIntake(err.Error()) {
		l.mu.Lock()
		l.refused = err
		l.mu.Unlock()
	}
	if s != nil {
		dropped, _ := s.Dropped()
		attrs = append(attrs, "subject", s.Subject, "dropped", dropped)
	}
	l.calm.warn("NATS reports an error", attrs...)
}

// wait returns when there is a connection, or with ctx's error.
func (l *link) wait(ctx context.Context) error {
	l.mu.Lock()
	up := l.up
	l.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// trouble says why there is no connection, empty if there is one.
func (l *link) trouble() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if isClosed(l.up) {
		return ""
	}
	text := "no connection to " + l.name + " since " + l.since.UTC().Format(time.RFC3339)
	err := l.err
	if err == nil {
		err = l.nc.LastError() // Of a login that was refused the handlers are not told.
	}
	if err != nil {
		text += ": " + l.secrets.text(explain(err))
	}
	return text
}

// missingPermission is the latest refusal of what the intake needs, if any.
func (l *link) missingPermission() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// sendWithin is how long close waits for what was published to be on its way.
const sendWithin = 2 * time.Second

// close ends the connection, once what was published is sent.
func (l *link) close() {
	if l.nc.IsConnected() {
		_ = l.nc.FlushTimeout(sendWithin) // What is not acknowledged comes again.
	}
	l.nc.Close()
	<-l.closed
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
