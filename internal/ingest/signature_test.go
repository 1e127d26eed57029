package ingest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/problem"
)

// The example of the Standard Webhooks libraries.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func mustKey(t testing.TB, secret string) []byte {
	t.Helper()
	key, err := ParseSigningSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signed are the three headers.
func signed(id, timestamp, signature string) http.Header {
	return http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature}}
}

// sign makes a signature, by other means than the package.
func sign(key []byte, id, timestamp, body string) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%s.%s", id, timestamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func verify(k *keyring, h http.Header, body string, now time.Time) *source {
	sig, ok, p := readSignature(h, now)
	if !ok || p != nil {
		return nil
	}
	return k.signer(&sig, []byte(body))
}

func TestKnownSignature(t *testing.T) {
	k := &keyring{signing: []*source{{name: "s", keys: [][]byte{mustKey(t, vectorSecret)}}}}
	now := time.Unix(vectorTime, 0)
	other := strings.Replace(vectorSignature, "g0h", "g0H", 1)
	for _, tt := range []struct {
		name, id, timestamp, signature, body string
		now                                  time.Time
		want                                 bool
	}{
		{"as published", vectorID, "1614265330", vectorSignature, vectorBody, now, true},
		{"5 minutes old", vectorID, "1614265330", vectorSignature, vectorBody, now.Add(5 * time.Minute), true},
		{"5 minutes ahead", vectorID, "1614265330", vectorSignature, vectorBody, now.Add(-5 * time.Minute), true},
		{"too old", vectorID, "1614265330", vectorSignature, vectorBody, now.Add(5*time.Minute + time.Second), false},
		{"too far ahead", vectorID, "1614265330", vectorSignature, vectorBody, now.Add(-5*time.Minute - time.Second), false},
		{"second of two", vectorID, "1614265330", other + " " + vectorSignature, vectorBody, now, true},
		{"first of two", vectorID, "1614265330", vectorSignature + " " + other, vectorBody, now, true},
		{"behind another version", vectorID, "1614265330", "v1a,AAAA v2,x " + vectorSignature, vectorBody, now, true},
		{"behind seven", vectorID, "1614265330", strings.Repeat(other+" ", 7) + vectorSignature, vectorBody, now, true},
		{"behind too many", vectorID, "1614265330", strings.Repeat(other+" ", 8) + vectorSignature, vectorBody, now, false},
		{"other body", vectorID, "1614265330", vectorSignature, vectorBody + " ", now, false},
		{"other id", "msg_", "1614265330", vectorSignature, vectorBody, now, false},
		{"other time", vectorID, "1614265331", vectorSignature, vectorBody, now, false},
		{"time with a sign", vectorID, "+1614265330", vectorSignature, vectorBody, now, false},
		{"time with a zero", vectorID, "01614265330", vectorSignature, vectorBody, now, false},
		{"id and time swapped", "1614265330", vectorID, vectorSignature, vectorBody, now, false},
		{"other signature", vectorID, "1614265330", other, vectorBody, now, false},
		{"version missing", vectorID, "1614265330", vectorSignature[3:], vectorBody, now, false},
		{"other version", vectorID, "1614265330", "v2" + vectorSignature[2:], vectorBody, now, false},
		{"cut", vectorID, "1614265330", vectorSignature[:30], vectorBody, now, false},
		{"extended", vectorID, "1614265330", vectorSignature + "A", vectorBody, now, false},
		{"without padding", vectorID, "1614265330", strings.TrimSuffix(vectorSignature, "="), vectorBody, now, false},
		{"spare bits set", vectorID, "1614265330", strings.Replace(vectorSignature, "OE=", "OF=", 1), vectorBody, now, false},
		{"empty", vectorID, "1614265330", "", vectorBody, now, false},
		{"empty signature", vectorID, "1614265330", "v1,", vectorBody, now, false},
		{"empty id", "", "1614265330", sign(mustKey(t, vectorSecret), "", "1614265330", vectorBody), vectorBody, now, false},
		{"of an empty key", vectorID, "1614265330", sign(nil, vectorID, "1614265330", vectorBody), vectorBody, now, false},
		{"time overflows", vectorID, "9223372036854775807", vectorSignature, vectorBody, now, false},
		{"time underflows", vectorID, "-9223372036854775808", vectorSignature, vectorBody, now, false},
		{"time in milliseconds", vectorID, "1614265330000", vectorSignature, vectorBody, now, false},
		{"time with a fraction", vectorID, "1614265330.0", vectorSignature, vectorBody, now, false},
		{"no time", vectorID, "", vectorSignature, vectorBody, now, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := verify(k, signed(tt.id, tt.timestamp, tt.signature), tt.body, tt.now) != nil; got != tt.want {
				t.Errorf("verified: %v, want %v", got, tt.want)
			}
		})
	}
}

// TestEveryFlippedBitIsFound flips each bit of all that is signed, and of the signature, in 20 messages.
func TestEveryFlippedBitIsFound(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(vectorTime, 0)
	flips := 0
	for range 20 {
		key := make([]byte, 32)
		for i := range key {
			key[i] = byte(random.Uint32())
		}
		k := &keyring{signing: []*source{{name: "s", keys: [][]byte{key}}}}
		id, timestamp := fmt.Sprintf("msg_%x", random.Uint64()), strconv.FormatInt(now.Unix()+int64(random.IntN(500)-250), 10)
		body := with("id", fmt.Sprintf(`"e%d"`, random.Uint32()))
		parts := [][]byte{[]byte(id), []byte(timestamp), []byte(sign(key, id, timestamp, body)), []byte(body)}
		try := func() *source {
			return verify(k, signed(string(parts[0]), string(parts[1]), string(parts[2])), string(parts[3]), now)
		}
		if try() == nil {
			t.Fatal("the message itself is refused")
		}
		for p, part := range parts {
			for bit := range len(part) * 8 {
				part[bit/8] ^= 1 << (bit % 8)
				if try() != nil {
					t.Errorf("accepted with bit %d of part %d flipped: %q", bit, p, parts)
				}
				part[bit/8] ^= 1 << (bit % 8)
				flips++
			}
		}
	}
	if flips < 30_000 {
		t.Errorf("only %d flips", flips)
	}
}

func TestSignedRequests(t *testing.T) {
	newKey, oldKey, otherKey := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 24)
	setup := func(o *Options) {
		o.Sources = append(o.Sources,
			Source{Name: "signer", APIKey: "unused-key", SigningKeys: [][]byte{newKey, oldKey}},
			Source{Name: "other", SigningKeys: [][]byte{otherKey}})
	}
	body := good()
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	full := func(signature string) []header {
		return []header{{"Authorization", "-"}, {"Webhook-Id", "msg_1"}, {"Webhook-Timestamp", stamp}, {"Webhook-Signature", signature}}
	}
	for _, tt := range []struct {
		name    string
		headers []header
		source  string // Empty: 401.
		detail  string
	}{
		{"new key", full(sign(newKey, "msg_1", stamp, body)), "signer", ""},
		{"old key", full(sign(oldKey, "msg_1", stamp, body)), "signer", ""},
		{"second source", full(sign(otherKey, "msg_1", stamp, body)), "other", ""},
		{"both of a rotation", full(sign([]byte("gone"), "msg_1", stamp, body) + " " + sign(newKey, "msg_1", stamp, body)), "signer", ""},
		{"also with an unknown key", append(full(sign(newKey, "msg_1", stamp, body)), header{"Authorization", "Bearer nope"}), "signer", ""},
		{"key of a source that needs none", append(full("v1,x"), header{"Authorization", "Bearer " + testKey}), "courier-app", ""},
		{"unsigned, with the key of a source that must sign", []header{{"Authorization", "Bearer unused-key"}}, "", "or sign the request"},
		{"wrong key", full(sign([]byte("wrong"), "msg_1", stamp, body)), "", "No signature fits"},
		{"other body", full(sign(newKey, "msg_1", stamp, body+" ")), "", "No signature fits"},
		{"id missing", []header{{"Authorization", "-"}, {"Webhook-Timestamp", stamp}, {"Webhook-Signature", "v1,x"}}, "", "exactly once"},
		{"time missing", []header{{"Authorization", "-"}, {"Webhook-Id", "m"}, {"Webhook-Signature", "v1,x"}}, "", "exactly once"},
		{"two times", append(full(sign(newKey, "msg_1", stamp, body)), header{"Webhook-Timestamp", stamp}), "", "exactly once"},
		{"two ids", append(full(sign(newKey, "msg_1", stamp, body)), header{"Webhook-Id", "msg_1"}), "", "exactly once"},
		{"two signature headers", append(full(sign(newKey, "msg_1", stamp, body)), header{"Webhook-Signature", "v1,x"}), "", "exactly once"},
		{"no signature of a known form", full("v1a,AAAA"), "", "v1,BASE64"},
		{"old", []header{{"Authorization", "-"}, {"Webhook-Id", "m"}, {"Webhook-Timestamp", "1600000000"}, {"Webhook-Signature", "v1,x"}}, "", "5 minutes off"},
		{"time is no number", []header{{"Authorization", "-"}, {"Webhook-Id", "m"}, {"Webhook-Timestamp", "yesterday"}, {"Webhook-Signature", "v1,x"}}, "", "Unix seconds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, setup)
			a := b.post("/v1/events", body, tt.headers...)
			if tt.source != "" {
				if events := b.store.all(); a.Code != 202 || len(events) != 1 || events[0].Source != tt.source {
					t.Errorf("got %d, stored %v; want it from %s\n%s", a.Code, events, tt.source, a.text)
				}
				return
			}
			a.is(401, problem.Unauthorized)
			if !strings.Contains(a.str("detail"), tt.detail) {
				t.Errorf("detail %q lacks %q", a.str("detail"), tt.detail)
			}
			if b.observed[" unauthorized"] != 1 || len(b.store.applied) != 0 {
				t.Errorf("observed %v, %d calls of Apply", b.observed, len(b.store.applied))
			}
		})
	}
}

func TestSignedBodyIsBounded(t *testing.T) {
	setup := func(o *Options) {
		o.MaxBody = 1000
		o.Sources = []Source{{Name: "s", SigningKeys: [][]byte{mustKey(t, vectorSecret)}}}
	}
	r := newPost("/v1/events", strings.Repeat(" ", 1001), header{"Authorization", "-"}, header{"Webhook-Id", "m"},
		header{"Webhook-Timestamp", strconv.FormatInt(time.Now().Unix(), 10)}, header{"Webhook-Signature", vectorSignature})
	newBench(t, setup).do(r).is(413, problem.BodyTooLarge)
}

// TestHopelessSignaturesAreCheap sends headers that can't be right: the body must not be read for them.
func TestHopelessSignaturesAreCheap(t *testing.T) {
	signing := func(o *Options) {
		o.Sources = append(o.Sources, Source{Name: "s", SigningKeys: [][]byte{mustKey(t, vectorSecret)}})
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	for _, tt := range []struct {
		name    string
		setup   func(*Options)
		headers http.Header
	}{
		{"nothing", signing, http.Header{}},
		{"wrong key", signing, http.Header{"Authorization": {"Bearer wrong"}}},
		{"old", signing, signed("m", "1", vectorSignature)},
		{"no id", signing, signed("", now, vectorSignature)},
		{"no signature", signing, signed("m", now, "v1,x")},
		{"nobody signs", func(*Options) {}, signed("m", now, vectorSignature)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newPost("/v1/events", "")
			r.Header, r.Body, r.ContentLength = tt.headers, unreadableBody{t}, -1
			newBench(t, tt.setup).do(r).is(401, problem.Unauthorized)
		})
	}
}

func TestSignatureAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := mustKey(t, vectorSecret)
		b := newBench(t, func(o *Options) { o.Sources = []Source{{Name: "s", SigningKeys: [][]byte{key}}} })
		body := strings.Replace(good(), "1533052800", "900000000", 1) // The bubble's clock starts in 2000.
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		send := func() int {
			return b.post("/v1/events", body, header{"Authorization", "-"}, header{"Webhook-Id", "m"},
				header{"Webhook-Timestamp", stamp}, header{"Webhook-Signature", sign(key, "m", stamp, body)}).Code
		}
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 202}, {5 * time.Minute, 202}, {time.Second, 401}, {time.Hour, 401}} {
			time.Sleep(step.wait)
			if got := send(); got != step.want {
				t.Errorf("after another %v: got %d, want %d", step.wait, got, step.want)
			}
		}
	})
}

func TestParseSigningSecret(t *testing.T) {
	for _, tt := range []struct {
		name, secret string
		bytes        int // 0: an error.
	}{
		{"published", vectorSecret, 24},
		{"without prefix", strings.TrimPrefix(vectorSecret, "whsec_"), 24},
		{"64 bytes", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 64)), 64},
		{"65 bytes", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)), 0},
		{"23 bytes", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23)), 0},
		{"empty", "", 0},
		{"only the prefix", "whsec_", 0},
		{"not base64", "whsec_not*base64*at*all*but*long*enough", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := ParseSigningSecret(tt.secret)
			if (err == nil) != (tt.bytes > 0) || err == nil && len(key) != tt.bytes {
				t.Fatalf("got %d bytes, %v; want %d", len(key), err, tt.bytes)
			}
			if err != nil && len(tt.secret) > 10 && strings.Contains(err.Error(), tt.secret[6:]) {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}
