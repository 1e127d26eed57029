package sender

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// headerRoom is what is left of the server's max_payload for a request's headers, which count towards it.
const headerRoom = 1 << 10

// natsLink sends batches as requests to the service's submit endpoint.
type natsLink struct {
	o       *Options
	conn    *nats.Conn
	subject string
}

func newNATSLink(o *Options) (*natsLink, error) {
	switch {
	case o.Source == "":
		return nil, errors.New("the source's name is missing: over NATS it is part of the subject")
	case strings.ContainsFunc(o.Source, func(r rune) bool { return r <= ' ' || strings.ContainsRune(".*>", r) }):
		return nil, errors.New("the source's name must hold no space and none of . * >, which mean something in NATS subjects")
	case o.URL != "" || o.Key != "" || len(o.SigningKey) > 0:
		return nil, errors.New("a URL, an API key and a signing secret are for HTTP; over NATS leave them out")
	}
	return &natsLink{o: o, conn: o.NATS, subject: "carrier.submit." + o.Source}, nil
}

// String names the server, if there is one at present, without user and password.
func (n *natsLink) String() string {
	if at := n.conn.ConnectedUrlRedacted(); at != "" {
		return n.subject + " on " + at
	}
	return n.subject
}

func (n *natsLink) limit() int {
	if most := n.conn.MaxPayload(); most > 0 {
		return max(1, min(maxBodyBytes, int(most)-headerRoom))
	}
	return maxBodyBytes // The server has not said yet.
}

func (n *natsLink) post(ctx context.Context, _ string, body []byte) ([]byte, error) {
	msg := &nats.Msg{Subject: n.subject, Data: body, Header: nats.Header{"content-type": {contentType}}}
	if n.o.Language != "" {
		msg.Header.Set("accept-language", n.o.Language)
	}
	reply, err := n.request(ctx, msg)
	if err != nil {
		return nil, n.unanswered(ctx, err)
	}
	code := header(reply, micro.ErrorCodeHeader)
	if code == "" {
		return reply.Data, nil
	}
	status, err := strconv.Atoi(code)
	if err != nil {
		return nil, fmt.Errorf("%s: the answer is an error with the code %s, which is none of the service's; does something else answer there?", n, printable(shortenedTo(code, 50)))
	}
	said := explained(reply.Data)
	if said == "" {
		said = printable(shortenedTo(http.StatusText(status)+": "+header(reply, micro.ErrorHeader), 500))
	}
	return nil, refused(n, status, said, header(reply, "Retry-After"))
}

var (
	errNotConnected = errors.New("the connection to NATS is down")
	errLost         = errors.New("the connection to NATS was lost before the answer came")
)

// request asks and waits for the answer. Other than nats.Conn's own, it ends when the connection breaks, since an answer
// sent meanwhile is gone, and when the server does not let us publish, which it says of no single request.
func (n *natsLink) request(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	broken := n.conn.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer n.conn.RemoveStatusListener(broken) // Which ends the goroutine.
	go func() {
		for range broken {
			cancel(errLost)
		}
	}()
	if !n.conn.IsConnected() {
		return nil, errNotConnected
	}
	msg.Reply = n.conn.NewInbox()
	answers, err := n.conn.SubscribeSync(msg.Reply)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }() // It fails only on a connection that is gone, and the subscription with it.
	if err := n.conn.PublishMsg(msg); err != nil {
		return nil, err
	}
	// The server answers in order: once the ping is answered, a refusal to publish has come, too.
	if err := n.conn.FlushWithContext(ctx); err != nil {
		return nil, causeOf(ctx, err)
	}
	if err := n.conn.LastError(); errors.Is(err, nats.ErrPermissionViolation) {
		return nil, err
	}
	reply, err := answers.NextMsgWithContext(ctx)
	return reply, causeOf(ctx, err)
}

// causeOf is why ctx ended, if it did and err is because of that.
func causeOf(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// unanswered is the error for a request without an answer.
func (n *natsLink) unanswered(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return &tooLargeError{fmt.Errorf("%s: the NATS server takes no message of this size; raise its max_payload", n)}
	case errors.Is(err, nats.ErrPermissionViolation):
		return fmt.Errorf("%s: the NATS server does not let this user publish there and be answered; allow publishing on it, and subscribing to _INBOX.>", n)
	case n.conn.IsClosed():
		return fmt.Errorf("%s: %w", n, closedFor(n.conn))
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrReconnectBufExceeded):
		err = errLost // Noticed before the connection's status said so.
	case errors.Is(err, nats.ErrNoResponders):
		err = errors.New("nobody answers there; does the service run, and with the same NATS (nats.url)?")
	}
	return &temporaryError{err: fmt.Errorf("%s: %w", n, causeOf(ctx, err))}
}

// closedFor is why a connection was closed for good.
func closedFor(conn *nats.Conn) error {
	if err := conn.LastError(); err != nil {
		return fmt.Errorf("the connection to NATS was closed: %w", err)
	}
	return nats.ErrConnectionClosed
}

// header finds a header in any letter case, since NATS keeps the sender's.
func header(msg *nats.Msg, name string) string {
	for key, values := range msg.Header {
		if strings.EqualFold(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}
