package ingest

import (
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"carrier/internal/problem"
	"carrier/internal/state"
)

// Webhook is a Desk's HTTP side; what comes by other ways the Desk takes directly. Its two handlers return every
// refusal as a *problem.Problem, for Echo's HTTPErrorHandler to write. It is safe for concurrent use and keeps nothing
// between requests but the sources' rates.
type Webhook struct {
	*Desk
	buffers sync.Pool // Of *[]byte: bodies, and then answers.
}

// Event takes one event: POST /v1/events.
func (w *Webhook) Event(c echo.Context) error {
	q := w.newRequest(c, "POST /v1/events")
	defer w.release(&q)
	if p := w.letIn(&q, c, &singleMedia); p != nil {
		return q.failed(p)
	}
	got := w.readEvent(&q)
	if got.problem != nil {
		return q.failed(got.problem)
	}
	results, p := w.apply(q.span.In(c.Request().Context()), []state.Event{got.event})
	if p != nil {
		w.observe(q.source.label, Unavailable, 1)
		return q.failed(p)
	}
	q.tellSpan(&got.event, &results[0])
	if p := w.decided(q.source, &got.event, &results[0]); p != nil {
		return q.failed(p)
	}
	*q.buf = appendAnswer((*q.buf)[:0], &got.event, &results[0])
	return c.Blob(statusOf(results[0].Verdict), contentType, *q.buf)
}

// Batch takes up to MaxBatch events: POST /v1/events/batch. The answer has one result an event, in the order sent;
// what is wrong with one is told there and does not touch the others. All that are well go to the store at once.
func (w *Webhook) Batch(c echo.Context) error {
	q := w.newRequest(c, "POST /v1/events/batch")
	defer w.release(&q)
	if p := w.letIn(&q, c, &batchMedia); p != nil {
		return q.failed(p)
	}
	b, p := w.takeBatch(q.span.In(c.Request().Context()), &q)
	if p != nil {
		return q.failed(p)
	}
	*q.buf = w.answerBatch((*q.buf)[:0], &q, b)
	return c.Blob(http.StatusOK, contentType, *q.buf)
}

// letIn lets a request in: who it is from, whether there is room for it, its body in a known format. See the table in
// the package's documentation for the order.
func (w *Webhook) letIn(q *request, c echo.Context, m *media) *problem.Problem {
	if p := w.authenticate(q, c); p != nil {
		return p
	}
	if p := q.source.admit(q.now); p != nil {
		w.observe(q.source.label, Limited, 1)
		return p
	}
	if p := w.admit(q, m, w.store.Ready()); p != nil {
		return p
	}
	if q.body == nil {
		return w.readBody(q, c)
	}
	return nil
}

// authenticate finds out who sends. The body of a request is read for that only if it is signed.
func (w *Webhook) authenticate(q *request, c echo.Context) *problem.Problem {
	if q.source = q.terms.ring.bearer(q.header); q.source != nil {
		return nil
	}
	p := q.terms.ring.noCredentials()
	sig, signed, bad := readSignature(q.header, q.now)
	switch {
	case !signed || len(q.terms.ring.signing) == 0:
	case bad != nil:
		p = bad
	default:
		if p := w.readBody(q, c); p != nil {
			return p
		}
		if q.source = q.terms.ring.signer(&sig, q.body); q.source != nil {
			return nil
		}
		p = wrongSignature()
	}
	w.observe("", Unauthorized, 1)
	return p
}

func wrongSignature() *problem.Problem {
	return unauthorized(
		"No signature fits a source that is known here. Sign \"ID.TIMESTAMP.BODY\" with HMAC-SHA256, the bytes of the body exactly as sent, and the key that follows whsec_ decoded from base64.",
		"签名与任何已登记的来源都不匹配。请用 HMAC-SHA256 对 \"ID.TIMESTAMP.BODY\" 签名：BODY 须与发送的字节完全一致，密钥为 whsec_ 之后部分的 base64 解码。")
}

func (w *Webhook) readBody(q *request, c echo.Context) (p *problem.Problem) {
	*q.buf, p = readBody(*q.buf, c.Response().Writer, c.Request(), w.maxBody)
	if p != nil {
		w.observe(q.label(), state.Invalid.String(), 1)
		return p
	}
	q.body = *q.buf
	return nil
}

// label is the source's, empty while it is not known.
func (q *request) label() string {
	if q.source == nil {
		return ""
	}
	return q.source.label
}

func (w *Webhook) newRequest(c echo.Context, via string) request {
	return request{terms: w.terms.Load(), header: c.Request().Header, via: via, buf: w.buffers.Get().(*[]byte), now: time.Now()}
}

// release ends the request's span, and gives the buffer back: nothing that outlives the request may be part of it; see
// rules.event.
func (w *Webhook) release(q *request) {
	q.span.End()
	w.buffers.Put(q.buf)
}
