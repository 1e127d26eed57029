package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"carrier/internal/problem"
)

// Signatures as Standard Webhooks 1.0 defines them: HMAC-SHA256 over "ID.TIMESTAMP.BODY" with the secret's bytes,
// sent as "v1,BASE64", several of them with spaces between.
// Source: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.

const (
	secretPrefix = "whsec_"
	// The spec wants keys of 24 to 64 bytes. An unset variable must never become an empty key, with which
	// everybody can sign.
	minSigningKey, maxSigningKey = 24, 64

	signatureVersion = "v1,"
	// maxSignatures bounds how many signatures of a request are looked at; a rotation needs two.
	maxSignatures = 8
	// clockTolerance is how far webhook-timestamp may be off, either way.
	clockTolerance = 5 * time.Minute
)

// ParseSigningSecret reads "whsec_BASE64", of which the prefix may be missing, into the key that it stands for.
// Its errors don't repeat the secret.
func ParseSigningSecret(secret string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil {
		return nil, errors.New("a signing secret is whsec_ and then base64; this one is not base64")
	}
	return key, checkSigningKey(key)
}

func checkSigningKey(key []byte) error {
	if len(key) < minSigningKey || len(key) > maxSigningKey {
		return fmt.Errorf("a signing secret has %d to %d bytes before base64; this one has %d: make one with "+
			"printf 'whsec_%%s\\n' \"$(openssl rand -base64 32)\"", minSigningKey, maxSigningKey, len(key))
	}
	return nil
}

// signature is what a request's headers say about who signed it.
type signature struct {
	id, timestamp string
	macs          [][]byte
}

// readSignature reads the headers. ok is false if there are none; a problem tells that they can't be right whatever
// the body is, so that nobody reads it for nothing.
func readSignature(h http.Header, now time.Time) (sig signature, ok bool, p *problem.Problem) {
	if len(h.Values("Webhook-Signature")) == 0 {
		return sig, false, nil
	}
	id, okID := single(h, "Webhook-Id")
	timestamp, okTime := single(h, "Webhook-Timestamp")
	all, okSignature := single(h, "Webhook-Signature")
	if !okID || !okTime || !okSignature || id == "" {
		return sig, true, unauthorized(
			"A signed request has the headers webhook-id, webhook-timestamp and webhook-signature, each exactly once.",
			"签名请求必须包含 webhook-id、webhook-timestamp 和 webhook-signature，且各出现一次。")
	}
	if p := checkTimestamp(timestamp, now); p != nil {
		return sig, true, p
	}
	sig = signature{id: id, timestamp: timestamp, macs: readMACs(all)}
	if len(sig.macs) == 0 {
		return sig, true, unauthorized(
			"webhook-signature holds no signature of the form v1,BASE64 with 32 bytes (HMAC-SHA256).",
			"webhook-signature 中没有形如 v1,BASE64 的 32 字节签名（HMAC-SHA256）。")
	}
	return sig, true, nil
}

func checkTimestamp(timestamp string, now time.Time) *problem.Problem {
	at, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return unauthorized("webhook-timestamp must be in Unix seconds.", "webhook-timestamp 必须是 Unix 秒数。")
	}
	// Compared without subtraction, which overflows for what a stranger may send.
	if at < now.Add(-clockTolerance).Unix() || at > now.Add(clockTolerance).Unix() {
		return problem.New(problem.Unauthorized).Sayf(
			"webhook-timestamp is more than 5 minutes off; here it is %d. Check the sender's clock, and sign every sending anew.",
			"webhook-timestamp 与本服务时间相差超过 5 分钟；当前时间为 %d。请检查发送方时钟，并在每次发送时重新签名。",
			now.Unix())
	}
	return nil
}

// readMACs takes the signatures of our version out of the header. Base64 is read strictly, so that there is one way
// to write a signature.
func readMACs(header string) [][]byte {
	var macs [][]byte
	for one := range strings.SplitSeq(header, " ") {
		text, ok := strings.CutPrefix(one, signatureVersion)
		if !ok || len(text) != base64.StdEncoding.EncodedLen(sha256.Size) {
			continue // Another version, such as v1a (Ed25519).
		}
		mac, err := base64.StdEncoding.Strict().DecodeString(text)
		if err == nil && len(mac) == sha256.Size && len(macs) < maxSignatures {
			macs = append(macs, mac)
		}
	}
	return macs
}

// signer finds the source that signed the request; nil if none did.
func (k *keyring) signer(sig *signature, body []byte) *source {
	for _, s := range k.signing {
		for _, key := range s.keys {
			if sig.by(key, body) {
				return s
			}
		}
	}
	return nil
}

// by tells whether one of the signatures is that of key.
func (sig *signature) by(key, body []byte) bool {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(sig.id + "." + sig.timestamp + "."))
	h.Write(body)
	var sum [sha256.Size]byte
	want := h.Sum(sum[:0])
	for _, mac := range sig.macs {
		if hmac.Equal(mac, want) { // In constant time.
			return true
		}
	}
	return false
}
