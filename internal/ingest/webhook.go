package ingest

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Webhook takes events over HTTP. Its two handlers return every refusal as a *problem.Problem, for Echo's
// HTTPErrorHandler to write. It is safe for concurrent use and keeps nothing between requests but the sources' rates.
type Webhook struct {
	store   Store
	ring    *keyring
	rules   *rules
	maxBody int64
	log     *slog.Logger
	trouble trouble
	observe func(source, verdict string, n int)
	buffers sync.Pool // Of *[]byte: bodies, and then answers.
}

// request is a request that was let in, or that is on its way in.
type request struct {
	source *source
	format format
	buf    *[]byte // The body while it is read, and then the answer.
	body   []byte
	now    time.Time
}

// Event takes one event: POST /v1/events.
func (w *Webhook) Event(c echo.Context) error {
	q := w.newRequest()
	defer w.release(&q)
	if p := w.admit(&q, c, &singleMedia); p != nil {
		return p
	}
	got := w.rules.read(q.body, q.format, c.Request().Header, q.source, q.now)
	if got.problem != nil {
		if got.id != "" {
			got.problem.With("id", got.id)
		}
		w.observe(q.source.name, state.Invalid.String(), 1)
		w.logInvalid(&q, &got)
		return got.problem
	}
	results, p := w.apply(c.Request().Context(), &q, []state.Event{got.event})
	if p != nil {
		return p
	}
	w.observe(q.source.name, results[0].Verdict.String(), 1)
	if p := refusal(&got.event, &results[0]); p != nil {
		w.logRefused(&q, &got.event, &results[0])
		return p
	}
	*q.buf = append(appendAnswer(append((*q.buf)[:0], '{'), &got.event, &results[0]), '}')
	return c.Blob(statusOf(results[0].Verdict), contentType, *q.buf)
}

// admit lets a request in: who it is from, whether there is room for it, its body in a known format. See the table in
// the package's documentation for the order.
func (w *Webhook) admit(q *request, c echo.Context, m *media) *problem.Problem {
	r := c.Request()
	if p := w.authenticate(q, c); p != nil {
		return p
	}
	if p := q.source.admit(q.now); p != nil {
		w.observe(q.source.name, Limited, 1)
		return p
	}
	var p *problem.Problem
	if q.format, p = m.of(r.Header); p != nil {
		w.observe(q.source.name, state.Invalid.String(), 1)
		return p
	}
	if err := w.store.Ready(); err != nil {
		w.observe(q.source.name, Unavailable, 1)
		return w.trouble.problem(err)
	}
	if q.body == nil {
		p = w.readBody(q, c)
	}
	return p
}

// authenticate finds out who sends. The body of a request is read for that only if it is signed.
func (w *Webhook) authenticate(q *request, c echo.Context) *problem.Problem {
	h := c.Request().Header
	if q.source = w.ring.bearer(h); q.source != nil {
		return nil
	}
	p := w.ring.noCredentials()
	sig, signed, bad := readSignature(h, q.now)
	switch {
	case !signed || len(w.ring.signing) == 0:
	case bad != nil:
		p = bad
	default:
		if p := w.readBody(q, c); p != nil {
			return p
		}
		if q.source = w.ring.signer(&sig, q.body); q.source != nil {
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
		w.observe(q.name(), state.Invalid.String(), 1)
		return p
	}
	q.body = *q.buf
	return nil
}

// name is the source's, empty while it is not known.
func (q *request) name() string {
	if q.source == nil {
		return ""
	}
	return q.source.name
}

// apply hands events to the store.
func (w *Webhook) apply(ctx context.Context, q *request, events []state.Event) ([]store.Result, *problem.Problem) {
	results, err := w.store.Apply(ctx, events)
	if err == nil && len(results) != len(events) {
		err = miscounted(len(events), len(results))
	}
	if err != nil {
		w.observe(q.source.name, Unavailable, len(events))
		return nil, w.trouble.problem(err)
	}
	w.trouble.over()
	return results, nil
}

func (w *Webhook) newRequest() request {
	return request{buf: w.buffers.Get().(*[]byte), now: time.Now()}
}

// release gives the buffer back. Nothing that outlives the request may be part of it; see rules.event.
func (w *Webhook) release(q *request) { w.buffers.Put(q.buf) }

// logInvalid names an event that was not kept: the log is the only place where it leaves a trace.
func (w *Webhook) logInvalid(q *request, got *reading) {
	if !w.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	w.log.Info("event refused", "source", q.source.name, "verdict", state.Invalid.String(), "event_id", got.id,
		"code", string(got.problem.Code), "fields", fieldCodes(got.problem.Errors))
}

func (w *Webhook) logRefused(q *request, e *state.Event, r *store.Result) {
	w.log.Info("event refused", "source", q.source.name, "verdict", r.Verdict.String(), "event_id", e.ID,
		"delivery_id", e.DeliveryID, "waybill_id", e.WaybillID, "action_type", int(e.Type),
		"reason", r.Reason.String(), "seq", r.Seq)
}

// fieldCodes is field errors in a few words.
func fieldCodes(errs []problem.FieldError) string {
	words := make([]string, len(errs))
	for i, e := range errs {
		words[i] = e.Field + ":" + e.Code
	}
	return strings.Join(words, " ")
}
