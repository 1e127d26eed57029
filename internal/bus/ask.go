package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"carrier/internal/orders"
	"carrier/internal/spans"
)

// maxAnswer bounds what is read of a dispatch system's answer, in bytes, as it does for the HTTP hook.
const maxAnswer = 64 << 10

// errNotConnected says that there is no server to send anything to.
var errNotConnected = errors.New("NATS can't be reached at present; it is tried again and again: check nats.url and the server")

// ask puts a question to the dispatch system that listens on carrier.orders.DELIVERY_ID.EVENT, and waits for its answer
// until ctx ends. orders.ErrNobody says that nobody listens, orders.ErrNotAsked that the question has not left. No error repeats anything of the question or the answer:
// both hold personal data.
func ask(ctx context.Context, nc *nats.Conn, q orders.Question) (orders.Answer, error) {
	subject := ordersPrefix + q.DeliveryID + "." + q.Event
	msg, err := questionMsg(subject, &q)
	if err != nil {
		return orders.Answer{}, err
	}
	if parent := spans.Traceparent(ctx); parent != "" {
		msg.Header[spans.Header] = []string{parent}
	}
	if !nc.IsConnected() { // Otherwise the question might be sent much later, when its answer is of no use any more.
		return orders.Answer{}, notAsked(errNotConnected)
	}
	reply, err := nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return orders.Answer{}, noAnswer(ctx, subject, err)
	}
	answer, err := readAnswer(reply)
	if err != nil {
		return orders.Answer{}, fmt.Errorf("the dispatch system on %s: %w", subject, err)
	}
	return answer, nil
}

func questionMsg(subject string, q *orders.Question) (*nats.Msg, error) {
	if !isSubjectToken(q.DeliveryID) || !isSubjectToken(q.Event) {
		return nil, fmt.Errorf("there is no subject for the questions of account %q: its delivery_id must have no space, '.', '*' or '>'", q.DeliveryID)
	}
	body, err := encode(q.Body)
	if err != nil {
		return nil, fmt.Errorf("writing the question: %T: not JSON", q.Body)
	}
	return &nats.Msg{Subject: subject, Data: body, Header: nats.Header{
		headContentType: {jsonType}, headMsgID: {q.ID},
	}}, nil
}

// notAsked is an error after which another way to the dispatch system may be tried.
func notAsked(err error) error { return fmt.Errorf("%w: %w", orders.ErrNotAsked, err) }

// noAnswer tells why nothing came back. What nats.go refuses before it writes anything was not asked. A connection that
// broke is none of this: the question may be on its way.
func noAnswer(ctx context.Context, subject string, err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return orders.ErrNobody
	case ctx.Err() != nil:
		return fmt.Errorf("no answer on %s: %w", subject, context.Cause(ctx))
	case errors.Is(err, nats.ErrMaxPayload):
		return notAsked(fmt.Errorf("the question on %s is larger than the NATS server's max_payload; raise that", subject))
	case errors.Is(err, nats.ErrReconnectBufExceeded): // The connection broke since it was looked at.
		return notAsked(errNotConnected)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrDisconnected):
		return fmt.Errorf("the connection to NATS broke before there was an answer on %s", subject)
	}
	return fmt.Errorf("asking on %s: %w", subject, err)
}

func readAnswer(reply *nats.Msg) (orders.Answer, error) {
	if code := headerValue(reply.Header, micro.ErrorCodeHeader); code != "" || headerValue(reply.Header, micro.ErrorHeader) != "" {
		return orders.Answer{}, fmt.Errorf("it answers with the error %s; a yes and a no both are answers with a result_code", errorCode(code))
	}
	if len(reply.Data) > maxAnswer {
		return orders.Answer{}, fmt.Errorf("it answers with more than %d bytes", maxAnswer)
	}
	return orders.ReadAnswer(reply.Data)
}

// errorCode is a micro-service error's code, if it is a number as it should be: anything else might repeat the question.
func errorCode(code string) string {
	const longest = 5
	if code == "" || len(code) > longest {
		return "of no code"
	}
	for _, c := range code {
		if c < '0' || c > '9' {
			return "of no code"
		}
	}
	return code
}
