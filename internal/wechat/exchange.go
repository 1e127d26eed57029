package wechat

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// maxAnswerBytes bounds what is read of an answer of errcode and errmsg, which takes less than 1 KiB. Calls that read
// data have bounds of their own.
const maxAnswerBytes = 64 << 10

// Kinds of a [CallError].
const (
	KindCanceled   = "canceled"    // The caller's context ended, not the client's own time-out.
	KindTimeout    = "timeout"     // No (whole) answer in time; wraps ErrTimeout.
	KindNetwork    = "network"     // Not connected, refused, reset, or no HTTP.
	KindHTTPStatus = "http_status" // 5xx, or 4xx without a readable errcode that says what is wrong.
	KindRedirect   = "redirect"    // 3xx. It is not followed: it would carry the body and the query elsewhere.
	KindNotJSON    = "not_json"    // The answer is no JSON object: an error page, half an answer, nothing.
	KindNoErrcode  = "no_errcode"  // A JSON object that doesn't say whether it is a success: errcode missing or null.
	KindBadErrcode = "bad_errcode" // errcode is there and no integer, or there twice.
	KindNoToken    = "no_token"    // A success that was to bring an access_token brought none that can be used.
	KindTooLarge   = "too_large"   // More than the call's bound. The connection is given up.
	KindBadAnswer  = "bad_answer"  // A success with a field of another type, or about something that was not asked.
	KindCloudToken = "cloud_token" // The container's cloudbase_access_token could not be read; nothing was sent.
)

// kindZh are the kinds in Chinese.
var kindZh = map[string]string{
	KindCanceled: "已取消", KindTimeout: "超时", KindNetwork: "网络错误", KindHTTPStatus: "HTTP 状态异常", KindRedirect: "重定向",
	KindNotJSON: "应答不是 JSON", KindNoErrcode: "应答没有 errcode", KindBadErrcode: "应答的 errcode 无效",
	KindNoToken: "应答没有可用的 access_token", KindTooLarge: "应答过大", KindBadAnswer: "应答内容异常", KindCloudToken: "读不到云托管令牌",
}

// KindChinese is a kind in Chinese; anything else is given back as it is.
func KindChinese(kind string) string { return cmp.Or(kindZh[kind], kind) }

// ErrTimeout is the cause when a call took longer than the client allows (and not: than its caller allows).
var ErrTimeout = errors.New("no answer in time")

// CallError says that a call brought no answer that means anything. All but KindCanceled speak of upstream's health
// ([ScopeUpstream]), or, KindCloudToken, of the cloud container's, which passes likewise.
//
// Neither its text nor what it wraps holds the query of a URL, an access_token, a secret or a Token.
type CallError struct {
	Op string // The call, by its name in the documents: "updatePath".
	// Sent: the request was written, so the outcome is unknown: upstream may have applied it. It is never false
	// when upstream can have the whole request.
	Sent       bool
	Kind       string // One of the Kind constants.
	HTTPStatus int    // 0 if no header of an answer came.
	Err        error  // For KindCanceled the cause of the context's end.
}

// Error names the call, the kind, what happened, and what follows from it.
func (e *CallError) Error() string {
	sent := "the request was not sent"
	if e.Sent {
		sent = "the request was sent and may have been applied"
	}
	return e.What() + "; " + sent
}

// What is Error without what follows: of a call that only reads, nothing does.
func (e *CallError) What() string { return fmt.Sprintf("%s: %s: %v", e.Op, e.Kind, e.Err) }

// Unwrap is the cause.
func (e *CallError) Unwrap() error { return e.Err }

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// kindError is what is wrong with an answer, before it is known which call it answers.
type kindError struct {
	kind string
	err  error
}

// exchange is one request on its way. The transport may go on reading the body and calling the trace after
// RoundTrip has returned, so an exchange is never used twice.
type exchange struct {
	trace   httptrace.ClientTrace
	payload []byte
	state   atomic.Int32
}

// States of an exchange, in their usual order.
const (
	unsent  int32 = iota
	begun         // Headers are written, the rest may be: until the trace says more, upstream may have all of it.
	written       // The system has the whole request.
	broken        // Writing failed before the end of the request: upstream can't have it.
)

// sent tells whether upstream may have the whole request.
func (x *exchange) sent() bool { s := x.state.Load(); return s == begun || s == written }

func (x *exchange) wroteHeaders() { x.state.Store(begun) }

func (x *exchange) wroteRequest(info httptrace.WroteRequestInfo) {
	if info.Err != nil {
		x.state.Store(broken)
		return
	}
	x.state.Store(written)
}

// body starts the body anew. The transport asks for it again (Request.GetBody) only where it is certain that nothing
// was written: a kept connection had been closed meanwhile.
//
// It must be one of the readers that net/http knows to be in memory. With any other the headers are flushed on their
// own: two writes and two packets a push instead of one (measured).
func (x *exchange) body() (io.ReadCloser, error) {
	x.state.Store(unsent)
	return io.NopCloser(bytes.NewReader(x.payload)), nil
}

// bounds of one exchange.
type bounds struct {
	timeout     time.Duration
	answerBytes int
}

// do sends a request made from template and reads its answer to the end, within bounds. Whatever status the answer
// has is returned; redirects are not followed, since a bare RoundTripper does not. (It also wraps no error into one
// that shows the URL, as http.Client does.) The error is a *CallError without Op, its text not yet redacted.
func do(ctx context.Context, rt http.RoundTripper, b bounds, template *http.Request, payload []byte) (reply, *CallError) {
	attempt, cancel := context.WithTimeoutCause(ctx, b.timeout, ErrTimeout)
	defer cancel()

	x := &exchange{payload: payload}
	x.trace.WroteHeaders, x.trace.WroteRequest = x.wroteHeaders, x.wroteRequest
	req := template.WithContext(httptrace.WithClientTrace(attempt, &x.trace))
	if len(payload) > 0 {
		req.Body, _ = x.body()
		req.GetBody = x.body
		req.ContentLength = int64(len(payload))
	}

	resp, err := rt.RoundTrip(req)
	if err != nil {
		return reply{}, failed(ctx, attempt, x, 0, err)
	}
	defer resp.Body.Close()
	// Read to the end, or the connection can't be kept: measured, a connection a request.
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(b.answerBytes)+1))
	if err != nil {
		return reply{}, failed(ctx, attempt, x, resp.StatusCode, err)
	}
	if len(body) > b.answerBytes {
		// Closing before the end drops the connection, which is cheaper than reading on without a bound.
		return reply{}, &CallError{Sent: true, Kind: KindTooLarge, HTTPStatus: resp.StatusCode,
			Err: fmt.Errorf("the answer is longer than %d KiB: check that base_url leads to WeChat's API", b.answerBytes>>10)}
	}
	return reply{resp.StatusCode, resp.Header, body}, nil
}

// failed says what an error of the transport means. Whose time ran out is told by the contexts, not by the error:
// the caller's end comes first, for a push cut off by our own shutdown is not upstream's failure.
func failed(ctx, attempt context.Context, x *exchange, status int, err error) *CallError {
	e := &CallError{Sent: status != 0 || x.sent(), Kind: KindNetwork, HTTPStatus: status, Err: err}
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case ctx.Err() != nil:
		e.Kind, e.Err = KindCanceled, ctx.Err()
		if cause := context.Cause(ctx); cause != ctx.Err() {
			e.Err = fmt.Errorf("%w: %w", ctx.Err(), cause)
		}
	case attempt.Err() != nil:
		e.Kind, e.Err = KindTimeout, ErrTimeout
	case isNet && netErr.Timeout():
		e.Kind, e.Err = KindTimeout, fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return e
}
