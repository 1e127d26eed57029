package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What upstream says of its pushes (WeChat 消息推送): an answer within 5 s, or the push comes again, three times in all.
const (
	answerWithin   = 5 * time.Second
	pushAttempts   = 3
	maxReply       = 1 << 20
	replyClockSkew = 5 * time.Minute // Not documented; it finds milliseconds and zones.
)

var (
	errTooLate = fmt.Errorf("no answer within %v", answerWithin)
	errDropped = errors.New("the answer got lost, by the fault drop_answer")
)

// eventPush is an event on its way to a carrier: the same content however often it is sent.
type eventPush struct {
	to                 *carrier
	event              string
	orderID, waybillID string
	token              string // The waybill's; empty if the event has none.
	content            fields
	mask               masker
	// accept checks what an answer says beyond its envelope. nil: the event asks nothing, and the answer is success.
	accept func(replyText) (result, error)
	// mayFollow tells whether the answer to a repeat agrees with the answer before it.
	mayFollow func(first, second result) bool
}

// result is what a carrier answered, once it is found to be usable.
type result struct {
	code      int64
	message   string
	waybillID string
	data      []labelPart
}

// String tells apart what copies of a push were answered.
func (r result) String() string {
	return fmt.Sprintf("ResultCode %d, waybill %.64q, %d label parts", r.code, r.waybillID, len(r.data))
}

// wire is a push as it is sent: signed, and encrypted in the modes that do so.
type wire struct {
	query url.Values
	body  []byte
	nonce string
	key   []byte // What the answer is to be encrypted with; nil if the push is not encrypted.
	plain bool   // The answer may be plain.
}

// wireOf signs a content, and encrypts it with key where the carrier's mode says so.
func (s *Sandbox) wireOf(c *carrier, content fields, key []byte, now time.Time) *wire {
	at, nonce := strconv.FormatInt(now.Unix(), 10), strconv.FormatInt(s.chance.below(2_000_000_000), 10)
	from, _ := content.text("FromUserName")
	w := &wire{nonce: nonce, plain: c.Mode != modeSafe, query: url.Values{
		"signature": {signature(c.Token, at, nonce)}, "timestamp": {at}, "nonce": {nonce}, "openid": {from},
	}}
	w.body = content.render(c.Format)
	if !c.encrypts() || key == nil {
		return w
	}
	sealed := seal(key, s.chance.block(), w.body, c.AppID)
	w.key = key
	w.query.Set("encrypt_type", "aes")
	w.query.Set("msg_signature", signature(c.Token, at, nonce, sealed))
	outer := fields{{"ToUserName", c.UserName}}
	if c.Mode == modeCompat {
		outer = slices.Clone(content)
	}
	w.body = append(outer, field{"Encrypt", sealed}).render(c.Format)
	return w
}

// callbackClient follows no redirects: WeChat asks at the address that was saved. Without connections that are kept
// it has nothing to be closed.
func callbackClient(t http.RoundTripper) *http.Client {
	if t == nil {
		t = &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// exchange sends a push once and waits for what comes back, as long as upstream does.
func (s *Sandbox) exchange(ctx context.Context, c *carrier, method string, query url.Values, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, errTooLate)
	defer cancel()
	status, answer, err := s.roundTrip(ctx, c, method, query, body)
	if err != nil && ctx.Err() != nil {
		return 0, nil, context.Cause(ctx)
	}
	return status, answer, err
}

func (s *Sandbox) roundTrip(ctx context.Context, c *carrier, method string, query url.Values, body []byte) (int, []byte, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return 0, nil, err
	}
	all := u.Query()
	maps.Copy(all, query)
	u.RawQuery = all.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", map[string]string{formatXML: "text/xml", formatJSON: "application/json"}[c.Format])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // Without the address, whose query is signed.
		}
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	return resp.StatusCode, answer, err
}

// open is the plain text of an answer to w.
func (c *carrier) open(w *wire, answer []byte, now time.Time) ([]byte, error) {
	if w.key == nil {
		return answer, nil
	}
	outer, err := readReply(c.Format, answer)
	if err != nil {
		return nil, err
	}
	sealed, there := outer["Encrypt"]
	if !there {
		if w.plain {
			return answer, nil
		}
		return nil, errors.New("the answer is not encrypted: in safe mode it is Encrypt, MsgSignature, TimeStamp and Nonce")
	}
	signed, err := outer.str("MsgSignature")
	if err != nil {
		return nil, err
	}
	at, err := outer.integer(c.Format, "TimeStamp")
	if err != nil {
		return nil, err
	}
	if off := now.Sub(time.Unix(at, 0)).Abs(); off > replyClockSkew {
		return nil, fmt.Errorf("TimeStamp %d is not now, in Unix seconds", at)
	}
	nonce, known := outer["Nonce"]
	if !known || nonce.text != w.nonce {
		return nil, errors.New("the answer's Nonce is not the request's")
	}
	stamp := strings.TrimSpace(outer["TimeStamp"].text)
	if !same(signature(c.Token, stamp, nonce.text, sealed.text), signed) {
		return nil, errors.New("MsgSignature is not the one of Token, TimeStamp, Nonce and Encrypt")
	}
	return unseal(w.key, sealed.text, c.AppID)
}

// attempt sends a push once and reads the answer. It notes what happened in rec.
func (s *Sandbox) attempt(ctx context.Context, p *eventPush, w *wire, rec *Callback) (result, error) {
	begun := time.Now()
	status, answer, err := s.exchange(ctx, p.to, http.MethodPost, w.query, w.body)
	rec.At, rec.Took, rec.Status = begun.UTC(), Duration(time.Since(begun)), status
	rec.Answer = p.mask.show(answer)
	if err != nil {
		return result{}, err
	}
	if status != http.StatusOK {
		return result{}, fmt.Errorf("status %d, 200 is wanted", status)
	}
	if len(answer) > maxReply {
		return result{}, errors.New("the answer is over 1 MiB")
	}
	if p.accept == nil {
		return result{}, mustBeSuccess(answer)
	}
	if err := p.mustBeFull(answer); err != nil {
		return result{}, err
	}
	plain, err := p.to.open(w, answer, time.Now())
	if err != nil {
		return result{}, err
	}
	rec.Answer = p.mask.show(plain)
	got, err := p.read(plain)
	if err == nil {
		rec.ResultCode = new(got.code)
	}
	return got, err
}

// read checks the plain text of an answer.
func (p *eventPush) read(plain []byte) (result, error) {
	if err := p.mustBeFull(plain); err != nil {
		return result{}, err
	}
	t, err := readReply(p.to.Format, plain)
	if err != nil {
		return result{}, err
	}
	if err := p.checkEnvelope(t); err != nil {
		return result{}, err
	}
	return p.accept(t)
}

// mustBeFull refuses what is an answer to other events.
func (p *eventPush) mustBeFull(answer []byte) error {
	if text := strings.TrimSpace(string(answer)); text == "" || text == "success" {
		return fmt.Errorf("%s wants a full answer, not %q", p.event, text)
	}
	return nil
}

// checkEnvelope is what every answer has: the request's names swapped, and the event.
func (p *eventPush) checkEnvelope(t replyText) error {
	from, _ := p.content.text("FromUserName")
	err := cmp.Or(
		t.equal("ToUserName", from, "the request's FromUserName"),
		t.equal("FromUserName", p.to.UserName, "the request's ToUserName"),
		t.equal("MsgType", "event", `"event"`))
	if err != nil {
		return err
	}
	event, err := t.str("Event")
	if err != nil {
		return err
	}
	if !strings.EqualFold(event, p.event) {
		return fmt.Errorf("the answer's Event is not %s", p.event)
	}
	at, err := t.integer(p.to.Format, "CreateTime")
	if err == nil && (at <= 0 || at >= milliseconds) {
		err = errors.New("CreateTime is in Unix seconds")
	}
	return err
}

// equal says what a text is to be, without showing either: it may be a Token.
func (t replyText) equal(name, want, what string) error {
	got, err := t.str(name)
	if err == nil && got != want {
		err = fmt.Errorf("%s is not %s", name, what)
	}
	return err
}

// text is the value of a field that is a text.
func (fs fields) text(name string) (string, bool) {
	for _, f := range fs {
		if f.name == name {
			v, ok := f.value.(string)
			return v, ok
		}
	}
	return "", false
}
