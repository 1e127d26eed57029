package callback

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Why a request isn't taken. Towards the sender they are all the same: answer 401 with one text for all, so that
// nothing can be learned by trying. The texts are for the operator's log; they tell what to change, and hold nothing
// secret.
var (
	// ErrForged: the signature is wrong, or what it signs can't be decrypted. One value without details for all of it.
	ErrForged = errors.New("callback: not signed or not encrypted with this account's Token, EncodingAESKey and AppID: " +
		"if it came from WeChat, compare them with its message push settings")
	// ErrStale: the signature is right, but the timestamp is too far from now.
	ErrStale = errors.New("callback: rightly signed, but not fresh")
	// ErrPlain: the signature is right, but the body isn't encrypted though an AES key is set.
	ErrPlain = errors.New("callback: rightly signed but not encrypted, and an AES key is set: choose 安全模式 in WeChat's message push settings")
	// ErrNoKey: the signature is right and the body is encrypted, but no AES key is set.
	ErrNoKey = errors.New("callback: rightly signed and encrypted, and no AES key is set: configure the EncodingAESKey of WeChat's message push settings")
	// ErrMalformed: it can't be read; the error says what is wrong with it.
	ErrMalformed = errors.New("callback: unreadable")
)

// Format is how a message is written; its reply is written the same way.
type Format uint8

// The formats of 消息推送配置, 数据格式.
const (
	XML Format = iota
	JSON
)

// String is "xml" or "json".
func (f Format) String() string { return [...]string{"xml", "json"}[f] }

// Mode is how a message is protected.
type Mode uint8

// The modes of 消息推送配置, 消息加密方式.
const (
	Plain Mode = iota
	Compatible
	Safe
)

// String is "plain", "compatible" or "safe".
func (m Mode) String() string { return [...]string{"plain", "compatible", "safe"}[m] }

// Message is a push that was found to be WeChat's. It prints without its content, which holds names, addresses and
// passwords.
type Message struct {
	Format     Format
	Mode       Mode
	To         string // ToUserName: the carrier's mini program.
	From       string // FromUserName: who did it; for orders a fixed id of WeChat's.
	CreateTime int64  // Unix seconds.
	MsgType    string // Lower case; "event" for all that concerns orders.
	Event      string // Lower case; empty if MsgType isn't "event".

	// ReplayKey is for the memory of pushes already seen, which needs to reach back twice as far as the window: it is
	// the signature that was checked. Not timestamp and nonce, because WeChat joins these without anything between, so
	// that they can be swapped or cut elsewhere under the same signature.
	//
	// A key seen before is no attack by itself, since WeChat repeats what wasn't answered in time, and doesn't say that
	// it signs anew. A repeat with the same Digest gets the answer of the first one; with another Digest, which only a
	// body that isn't encrypted can have, it is a forgery.
	ReplayKey string
	Digest    [sha256.Size]byte // Of the message, decrypted.

	// PreviousKey: it was encrypted with the previous EncodingAESKey, so that one is still needed.
	PreviousKey bool

	inner *inner
}

// inner is behind a pointer so that no verb of fmt prints it.
type inner struct {
	body  *node
	nonce string  // Of the query; an encrypted reply has the same.
	key   *aesKey // That the reply is encrypted with; nil if it goes plain.
	s     *secrets
}

// Verify answers the GET with which WeChat checks an address when it is set (消息推送, 验证消息的确来自微信服务器): the
// echostr to send back as it is, as text/plain. rawQuery is the request's. The errors are ErrForged, ErrStale and
// ErrMalformed.
func (k Keys) Verify(rawQuery string, now time.Time) (echostr string, err error) {
	q, err := readQuery(rawQuery)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if k.secrets == nil {
		return "", ErrForged
	}
	if err := k.secrets().checkSigned(q, now); err != nil {
		return "", err
	}
	// The signature doesn't cover it, and it is sent back: nothing that a browser would take for a page.
	if q.echostr == "" || len(q.echostr) > maxEchostrChars || !isAlphanumeric(q.echostr, "-_+/=") {
		return "", fmt.Errorf("%w: the query's echostr must be 1 to %d letters and digits", ErrMalformed, maxEchostrChars)
	}
	return q.echostr, nil
}

// Open reads a POST: rawQuery and the body, of which the caller reads [MaxBodyBytes] at most. The signature is checked
// before anything is decrypted, and before anything but Encrypt is looked at. The errors are those above, to be told
// apart with errors.Is.
func (k Keys) Open(rawQuery string, body []byte, now time.Time) (*Message, error) {
	q, err := readQuery(rawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case k.secrets == nil:
		return nil, ErrForged
	case k.Encrypted():
		return k.secrets().openEncrypted(q, body, now)
	}
	return k.secrets().openPlain(q, body, now)
}

// openPlain takes a message as it came. The signature covers nothing of the body.
func (s *secrets) openPlain(q query, body []byte, now time.Time) (*Message, error) {
	if err := s.checkSigned(q, now); err != nil {
		return nil, err
	}
	root, format, err := readTree(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	m := &Message{Format: format, Mode: Plain, ReplayKey: q.signature, Digest: sha256.Sum256(body),
		inner: &inner{body: root, nonce: q.nonce, s: s}}
	if len(root.named("Encrypt")) > 0 {
		m.Mode = Compatible
		if len(root.named("MsgType")) == 0 {
			return nil, ErrNoKey
		}
	}
	return m.readHead()
}

// openEncrypted takes what Encrypt holds and nothing beside it.
func (s *secrets) openEncrypted(q query, body []byte, now time.Time) (*Message, error) {
	if q.encryptType == "" {
		return nil, cmp.Or(s.checkSigned(q, now), ErrPlain)
	}
	outer, format, err := readTree(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	encrypt, mode, err := readEncrypt(outer)
	if err != nil {
		return nil, err
	}
	if !s.signed(q.msgSignature, q.timestamp, q.nonce, encrypt) {
		return nil, ErrForged
	}
	if err := q.fresh(now, s.window); err != nil {
		return nil, err
	}
	o, err := s.open(encrypt)
	if err != nil {
		return nil, err
	}
	root, within, err := readTree(o.message)
	if err == nil && within != format {
		err = fmt.Errorf("it is %v within %v", within, format)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	m := &Message{Format: format, Mode: mode, ReplayKey: q.msgSignature, Digest: sha256.Sum256(o.message), PreviousKey: o.previous,
		inner: &inner{body: root, nonce: q.nonce, key: o.key, s: s}}
	return m.readHead()
}

// checkSigned is the check of what isn't encrypted.
func (s *secrets) checkSigned(q query, now time.Time) error {
	if !s.signed(q.signature, q.timestamp, q.nonce) {
		return ErrForged
	}
	return q.fresh(now, s.window)
}

// readEncrypt finds the one Encrypt of an envelope, and tells the mode by what is beside it.
func readEncrypt(outer *node) (encrypt string, mode Mode, err error) {
	mode = Safe
	for _, kid := range outer.kids {
		switch kid.name {
		case "Encrypt", "ToUserName", "AppId": // AppId: of a third-party platform's pushes.
		default:
			mode = Compatible
		}
	}
	f := newFields(outer)
	encrypt = f.text("Encrypt")
	if f.first() != nil || encrypt == "" {
		return "", 0, fmt.Errorf("%w: it says encrypt_type=aes, and must have one Encrypt that is a text", ErrMalformed)
	}
	return encrypt, mode, nil
}

// readHead reads what all messages have.
func (m *Message) readHead() (*Message, error) {
	f := newFields(m.inner.body)
	m.To, m.From = f.text("ToUserName"), f.text("FromUserName")
	m.CreateTime = f.integer("CreateTime")
	m.MsgType = strings.ToLower(f.text("MsgType"))
	if m.MsgType == "event" {
		m.Event = strings.ToLower(f.text("Event")) // 不区分大小写, the pages of the events say.
	}
	if fault := f.first(); fault != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, fault)
	}
	return m, nil
}

// String tells what kind of message it is, without its content.
func (m *Message) String() string {
	return fmt.Sprintf("%.64q (%v, %v)", m.Event, m.Mode, m.Format)
}

// GoString is String, for %#v.
func (m *Message) GoString() string { return m.String() }

// LogValue is what logs may hold of it.
func (m *Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", fmt.Sprintf("%.64s", m.Event)), slog.String("mode", m.Mode.String()),
		slog.String("format", m.Format.String()), slog.Bool("previous_key", m.PreviousKey))
}
