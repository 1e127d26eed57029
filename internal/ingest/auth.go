package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"

	"carrier/internal/problem"
)

// maxKey bounds an API key, in bytes, so that hashing a wrong one costs next to nothing.
const maxKey = 512

// keyring knows all sources by their credentials. It is not changed once made.
type keyring struct {
	byKey   map[[sha256.Size]byte]*source // By the hash of the API key.
	signing []*source
}

func (k *keyring) addSigning(s *source, keys [][]byte) error {
	for _, key := range keys {
		if err := checkSigningKey(key); err != nil {
			return err
		}
		for _, other := range k.signing {
			for _, theirs := range other.keys {
				if hmac.Equal(key, theirs) {
					return fmt.Errorf("has the same signing_secret as source %q: each needs its own", other.name)
				}
			}
		}
	}
	s.keys = keys
	k.signing = append(k.signing, s)
	return nil
}

// bearer finds the source whose API key the request carries; nil if it carries none, or a wrong one.
// The look-up goes by the key's SHA-256: how long it takes tells nothing of use about the key.
func (k *keyring) bearer(h http.Header) *source {
	value, ok := single(h, "Authorization")
	if !ok {
		return nil
	}
	scheme, key, _ := strings.Cut(value, " ")
	if key = strings.TrimLeft(key, " "); !strings.EqualFold(scheme, "Bearer") || key == "" || len(key) > maxKey {
		return nil
	}
	digest := sha256.Sum256([]byte(key))
	s := k.byKey[digest]
	if s == nil || subtle.ConstantTimeCompare(s.keyHash[:], digest[:]) != 1 {
		return nil
	}
	return s
}

// isBearerKey tells whether a key can be sent in a header and found again; an empty one can.
func isBearerKey(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return len(key) <= maxKey
}

// single is the value of a header that is there exactly once. Two of them may be read differently by a proxy before us.
func single(h http.Header, name string) (string, bool) {
	values := h[http.CanonicalHeaderKey(name)]
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

func unauthorized(en, zh string) *problem.Problem {
	return problem.New(problem.Unauthorized).Say(en, zh)
}

// noCredentials answers everything that carries no API key that is known and no signature. It does not tell whether
// the key was wrong or the source must sign: that would say that a key is a source's.
func (k *keyring) noCredentials() *problem.Problem {
	if len(k.signing) == 0 {
		return unauthorized(
			"Send the source's API key in the header \"Authorization: Bearer KEY\". This request has none, or one that is not known here.",
			"请在请求头中携带该来源的 API 密钥：\"Authorization: Bearer KEY\"。当前请求没有携带，或密钥未登记。")
	}
	return unauthorized(
		"Send the source's API key in the header \"Authorization: Bearer KEY\", or sign the request (webhook-id, webhook-timestamp, webhook-signature) if the source has a signing secret. This request has neither, or a key that is not known here.",
		"请在请求头中携带该来源的 API 密钥：\"Authorization: Bearer KEY\"；若该来源配置了签名密钥，请对请求签名（webhook-id、webhook-timestamp、webhook-signature）。当前请求两者皆无，或密钥未登记。")
}

// admit asks the rate for one event. A batch asks for one as well and is charged for the others when they are counted
// (charge): so a batch of any size gets through, and pays for it by the time until the next request.
func (s *source) admit(now time.Time) *problem.Problem {
	if s.limit == nil {
		return nil
	}
	reserved := s.limit.ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	reserved.CancelAt(now)
	return problem.New(problem.RateLimited).After(wait)
}

// charge takes n more events off the rate, into debt if need be.
func (s *source) charge(now time.Time, n int) {
	if s.limit == nil {
		return
	}
	for n > 0 {
		part := min(n, s.limit.Burst())
		s.limit.ReserveN(now, part)
		n -= part
	}
}
