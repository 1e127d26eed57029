package callback

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// query holds the parameters of a push that mean something here. The openid that comes beside them is signed by
// nobody; the message's FromUserName says the same.
type query struct {
	signature    string // Over Token, timestamp and nonce.
	msgSignature string // Over Token, timestamp, nonce and Encrypt.
	timestamp    string // As it was signed; at is what it says.
	nonce        string
	echostr      string
	encryptType  string // "aes", or empty for plain; "raw" is read as empty.
	at           time.Time
}

const (
	maxQueryBytes = 4096
	// timestampDigits lasts from 2001 to 2286.
	timestampDigits = 10
	// maxNonceChars bounds what the joined text of a signature can be cut into otherwise. Base64 of AES blocks of 32
	// bytes repeats every 128 characters; a nonce that short can't be part of another Encrypt.
	maxNonceChars   = 32
	maxEchostrChars = 512
)

// readQuery reads the raw query of a request. Every parameter may come once: of two, one reader would take the first
// and another the last.
func readQuery(raw string) (query, error) {
	if len(raw) > maxQueryBytes {
		return query{}, fmt.Errorf("the query has more than %d bytes", maxQueryBytes)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, errors.New("the query can't be read")
	}
	for _, name := range []string{"signature", "msg_signature", "timestamp", "nonce", "echostr", "encrypt_type", "openid"} {
		if len(values[name]) > 1 {
			return query{}, fmt.Errorf("the query has %s twice", name)
		}
	}
	q := query{
		signature: values.Get("signature"), msgSignature: values.Get("msg_signature"), timestamp: values.Get("timestamp"),
		nonce: values.Get("nonce"), echostr: values.Get("echostr"), encryptType: values.Get("encrypt_type"),
	}
	return q, q.check()
}

func (q *query) check() error {
	switch {
	case len(q.timestamp) != timestampDigits:
		return fmt.Errorf("the query's timestamp must be Unix seconds of %d digits", timestampDigits)
	case q.nonce == "" || len(q.nonce) > maxNonceChars || !isAlphanumeric(q.nonce, "-_"):
		return fmt.Errorf("the query's nonce must be 1 to %d letters and digits", maxNonceChars)
	case q.encryptType == "raw":
		q.encryptType = ""
	case q.encryptType != "" && q.encryptType != "aes":
		return errors.New("the query's encrypt_type is not known: it must be aes")
	}
	seconds, err := strconv.ParseUint(q.timestamp, 10, 63)
	if err != nil {
		return errors.New("the query's timestamp must be digits")
	}
	q.at = time.Unix(int64(seconds), 0)
	return nil
}

// fresh refuses what is too old, or too far ahead. The signature was found right before: what it refuses is WeChat's
// own, and either sent again by somebody, or this machine's clock is wrong.
func (q *query) fresh(now time.Time, window time.Duration) error {
	if off := now.Sub(q.at); off > window || off < -window {
		return fmt.Errorf("%w: its timestamp is %v from this machine's clock, and %v is allowed; if that is every push, set the clock (NTP)",
			ErrStale, off.Abs().Round(time.Second), window)
	}
	return nil
}
