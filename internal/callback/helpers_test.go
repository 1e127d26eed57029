package callback

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	testToken   = "Carrier1"
	testAppID   = "wx0123456789abcdef"
	testKey     = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG" // Its last character has bits beyond the 32 bytes.
	previousKey = "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba"
	testNonce   = "987654321"
)

// testTime is the timestamp of the tests' pushes.
var testTime = time.Unix(1700000000, 0)

// mustKeys makes keys, or ends the test.
func mustKeys(t testing.TB, set Settings) Keys {
	t.Helper()
	keys, err := NewKeys(set)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// encryptedKeys are those of most tests; plainKeys have the Token alone.
func encryptedKeys(t testing.TB) Keys {
	return mustKeys(t, Settings{Token: testToken, EncodingAESKey: testKey, PreviousEncodingAESKey: previousKey, AppID: testAppID})
}

func plainKeys(t testing.TB) Keys { return mustKeys(t, Settings{Token: testToken}) }

// layout is what a sender encrypts, with every part open to be wrong.
type layout struct {
	random  string
	length  uint32
	message string
	appID   string
	pad     []byte
}

// layoutOf is the right one.
func layoutOf(message string) layout {
	l := layout{random: "0123456789abcdef", length: uint32(len(message)), message: message, appID: testAppID}
	l.pad = rightPad(l)
	return l
}

func rightPad(l layout) []byte {
	count := 32 - (len(l.random)+4+len(l.message)+len(l.appID))%32
	return []byte(strings.Repeat(string(rune(count)), count))
}

// encrypt is the sender's side, written for the tests alone; what isn't whole blocks is cut.
func (l layout) encrypt(t testing.TB, encodingAESKey string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encodingAESKey + "=")
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		t.Fatal(err)
	}
	plain := append([]byte(l.random), binary.BigEndian.AppendUint32(nil, l.length)...)
	plain = append(append(append(plain, l.message...), l.appID...), l.pad...)
	plain = plain[:len(plain)/aes.BlockSize*aes.BlockSize]
	cipher.NewCBCEncrypter(block, raw[:16]).CryptBlocks(plain, plain)
	return base64.StdEncoding.EncodeToString(plain)
}

// request is a push on its way.
type request struct {
	query string
	body  string
}

// safeRequest is a message in safe mode, or in compatible mode with the fields given beside Encrypt.
func safeRequest(t testing.TB, format Format, key, message string, beside ...field) request {
	t.Helper()
	return envelope(format, layoutOf(message).encrypt(t, key), beside...)
}

// envelope signs an Encrypt and puts it into a request.
func envelope(format Format, encrypt string, beside ...field) request {
	timestamp := fmt.Sprint(testTime.Unix())
	query := url.Values{
		"signature": {Signature(testToken, timestamp, testNonce)}, "timestamp": {timestamp}, "nonce": {testNonce}, "openid": {"oABCD"},
		"encrypt_type": {"aes"}, "msg_signature": {Signature(testToken, timestamp, testNonce, encrypt)},
	}
	fs := append([]field{asText("ToUserName", "gh_abcdefg")}, beside...)
	return request{query.Encode(), string(format.write(append(fs, asText("Encrypt", encrypt))))}
}

// plainRequest is a message in plain mode.
func plainRequest(message string) request {
	timestamp := fmt.Sprint(testTime.Unix())
	query := url.Values{"signature": {Signature(testToken, timestamp, testNonce)}, "timestamp": {timestamp}, "nonce": {testNonce}, "openid": {"oABCD"}}
	return request{query.Encode(), message}
}

func (r request) open(k Keys) (*Message, error) { return k.Open(r.query, []byte(r.body), testTime) }

// head begins the message of an event in either format.
func head(event string) []field {
	return []field{asText("ToUserName", "gh_abcdefg"), asText("FromUserName", "oABCD"), asNumber("CreateTime", 1533042556),
		asText("MsgType", "event"), asText("Event", event)}
}

// quotaMessage is a small one.
func quotaMessage(format Format) string {
	return string(format.write(append(head("get_quota"), asText("BizID", "xyz"), asText("BizPwd", "xyz123"), asText("ShopAppID", "wxABCD"))))
}

// decodeMessage opens a plain message and decodes it.
func decodeMessage(t *testing.T, message string) (Event, error) {
	t.Helper()
	m, err := plainRequest(message).open(plainKeys(t))
	if err != nil {
		t.Fatalf("open: %v\n%s", err, message)
	}
	return m.Decode()
}

// readReply reads a reply's fields as WeChat would, decrypting it if it is encrypted.
func readReply(t testing.TB, r Response, format Format, key string) map[string]string {
	t.Helper()
	got := flat(t, string(r.Body), format)
	if key == "" {
		return got
	}
	if want := Signature(testToken, got["TimeStamp"], got["Nonce"], got["Encrypt"]); got["MsgSignature"] != want {
		t.Fatalf("MsgSignature %q, want %q", got["MsgSignature"], want)
	}
	if got["Nonce"] != testNonce {
		t.Fatalf("Nonce %q, want the request's %q", got["Nonce"], testNonce)
	}
	return flat(t, decryptReply(t, got["Encrypt"], key), format)
}

// decryptReply is the other side of layout.encrypt, as trusting as a test may be.
func decryptReply(t testing.TB, encrypt, encodingAESKey string) string {
	t.Helper()
	raw, _ := base64.StdEncoding.DecodeString(encodingAESKey + "=")
	block, err := aes.NewCipher(raw)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := base64.StdEncoding.DecodeString(encrypt)
	if err != nil || len(plain) == 0 || len(plain)%32 != 0 {
		t.Fatalf("Encrypt of %d bytes: %v", len(plain), err)
	}
	cipher.NewCBCDecrypter(block, raw[:16]).CryptBlocks(plain, plain)
	length := int(binary.BigEndian.Uint32(plain[16:20]))
	if 20+length+len(testAppID) > len(plain) || string(plain[20+length:20+length+len(testAppID)]) != testAppID {
		t.Fatalf("the decrypted reply has another layout: %q", plain)
	}
	return string(plain[20 : 20+length])
}

// flat reads a reply's fields by name, with the standard library alone.
func flat(t testing.TB, body string, format Format) map[string]string {
	t.Helper()
	got := map[string]string{}
	if format == JSON {
		var values map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &values); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		for name, raw := range values {
			if got[name] = string(raw); raw[0] == '"' {
				var text string
				if err := json.Unmarshal(raw, &text); err != nil {
					t.Fatal(err)
				}
				got[name] = text
			}
		}
		return got
	}
	root, err := standardXML(body)
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, kid := range root.kids {
		got[kid.name] = kid.text
	}
	return got
}
