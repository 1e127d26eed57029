package orders

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"carrier/internal/spans"
)

// maxHookAnswer bounds what is read of an answer, in bytes.
const maxHookAnswer = 64 << 10

// HookOptions set up a Hook.
type HookOptions struct {
	URL       string
	Key       []byte // The bytes of the whsec_ secret that both sides know.
	UserAgent string
}

// Hook is a dispatch system behind an HTTP address. Each question is a POST of JSON, signed as Standard Webhooks 1.0
// defines it (webhook-id, webhook-timestamp, webhook-signature: v1 and the HMAC-SHA256 of "ID.TIMESTAMP.BODY"), and
// answered with 200 and what ReadAnswer reads. The webhook-id is Question.ID. It is safe for concurrent use.
type Hook struct {
	o      HookOptions
	client *http.Client
}

// NewHook makes a Hook. Close it after use.
func NewHook(o HookOptions) *Hook {
	return &Hook{o: o, client: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 32, MaxConnsPerHost: 256, IdleConnTimeout: 90 * time.Second,
			ForceAttemptHTTP2: true, TLSHandshakeTimeout: askWithin,
		},
		// A redirect would take addresses and a password to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the connections that are not in use.
func (h *Hook) Close() { h.client.CloseIdleConnections() }

// Ask posts the question.
func (h *Hook) Ask(ctx context.Context, q Question) (Answer, error) {
	body, err := encode(q.Body)
	if err != nil {
		return Answer{}, err
	}
	req, err := h.request(ctx, q.ID, body)
	if err != nil {
		return Answer{}, err
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("asking the hook orders.url: %w", plain(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxHookAnswer+1))
	switch {
	case err != nil:
		return Answer{}, fmt.Errorf("reading what the hook orders.url answers: %w", plain(ctx, err))
	case resp.StatusCode != http.StatusOK:
		return Answer{}, fmt.Errorf("the hook orders.url answers with status %d; a yes and a no both are 200, with a result_code", resp.StatusCode)
	case len(text) > maxHookAnswer:
		return Answer{}, fmt.Errorf("the hook orders.url answers with more than %d bytes", maxHookAnswer)
	}
	answer, err := ReadAnswer(text)
	if err != nil {
		return Answer{}, fmt.Errorf("the hook orders.url: %w", err)
	}
	return answer, nil
}

func (h *Hook) request(ctx context.Context, id string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.o.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("orders.url is no address that can be asked")
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", h.o.UserAgent)
	if parent := spans.Traceparent(ctx); parent != "" {
		req.Header.Set(spans.Header, parent)
	}
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", sign(h.o.Key, id, at, body))
	// The other side may close an idle connection just as it is used again. net/http then sends the request once more,
	// if it is told that this is safe: webhook-id makes it so. Present without a value, the header isn't sent.
	req.Header["Idempotency-Key"] = nil
	return req, nil
}

// sign signs as Standard Webhooks 1.0 defines it.
func sign(key []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// encode writes JSON with < > & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("writing the question: %T: not JSON", v)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// plain tells why there was no answer, without the address and without anything that came back: net/http's errors
// repeat the first, and parts of what is no HTTP.
func plain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the connection ended before the answer did")
	}
	return errors.New("what came back is no HTTP answer")
}
