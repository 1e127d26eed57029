package sandbox

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The official vectors (WeChat 消息推送). The key is all zeros, so they don't tell which IV is used.
const (
	officialToken  = "AAAAA"
	officialAESKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	officialAppID  = "wxba5fad812f8e6fb9"
	officialPush   = "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04="
	officialReply  = "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="
)

func TestSignatureVectors(t *testing.T) {
	tests := []struct {
		name  string
		parts []string
		want  string
	}{
		{"verification", []string{officialToken, "1714036504", "1514711492"}, "f464b24fc39322e44b38aa78f5edd27bd1441696"},
		{"plain push", []string{officialToken, "1714037059", "486452656"}, "899cf89e464efb63f54ddac96b0a0a235f53aa78"},
		{"safe push, of the query", []string{officialToken, "1714112445", "415670741"}, "6c5c811b55cc85e0e1b54100749188c20beb3f5d"},
		{"safe push", []string{officialToken, "1714112445", "415670741", officialPush}, "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"},
		{"reply", []string{officialToken, "1713424427", "415670741", officialReply}, "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := signature(test.parts...); got != test.want {
				t.Errorf("signature %s, want %s", got, test.want)
			}
		})
	}
}

func mustKey(t testing.TB, encoded string) []byte {
	t.Helper()
	key, err := aesKey(encoded)
	if err != nil || len(key) != 32 {
		t.Fatalf("aesKey: %d bytes, %v", len(key), err)
	}
	return key
}

func TestSealVectors(t *testing.T) {
	key := mustKey(t, officialAESKey)
	plain, err := unseal(key, officialPush, officialAppID)
	if err != nil || len(plain) != 167 || !bytes.HasPrefix(plain, []byte("{")) {
		t.Fatalf("the official push: %d bytes %q, %v", len(plain), plain, err)
	}
	if again := seal(key, [16]byte([]byte("a8eedb185eb2fecf")), plain, officialAppID); again != officialPush {
		t.Errorf("the official push sealed again is %s", again)
	}
	if got := seal(key, [16]byte([]byte("707722b803182950")), []byte(`{"demo_resp":"good luck"}`), officialAppID); got != officialReply {
		t.Errorf("the official reply is %s", got)
	}
}

// otherAESKey is a key whose first half is not zero: an IV of zeros would show. Its vector was made with openssl:
//
//	openssl enc -aes-256-cbc -nopad -K $KEY -iv ${KEY:0:32}
const (
	otherAESKey = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"
	otherPush   = "Al31VOORMRWx6emIpmL5qiRLbYavzGbuJ+PMvEzISQr1bcgqI5Vpr3zmK8PQvVasYW8izg0mAVDZOcnOlP0ovA=="
)

func TestSealVectorOfAnotherKey(t *testing.T) {
	key := mustKey(t, otherAESKey)
	if got := hex.EncodeToString(key); got != "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20" {
		t.Fatalf("key %s", got)
	}
	got := seal(key, [16]byte([]byte("0123456789abcdef")), []byte(`{"demo_resp":"good luck"}`), officialAppID)
	if got != otherPush {
		t.Errorf("sealed %s, want %s", got, otherPush)
	}
}

func TestSealRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		random := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "random"))
		message := rapid.SliceOf(rapid.Byte()).Draw(t, "message")
		appID := rapid.StringMatching(`wx[0-9a-f]{0,16}`).Draw(t, "appid")
		sealed := seal(key, random, message, appID)
		got, err := unseal(key, sealed, appID)
		if err != nil || !bytes.Equal(got, message) {
			t.Fatalf("unsealed %q, %v; want %q", got, err, message)
		}
		if _, err := unseal(key, sealed, appID+"x"); err == nil {
			t.Fatal("another appid's message was taken")
		}
	})
}

func TestUnsealRefuses(t *testing.T) {
	key := mustKey(t, otherAESKey)
	good := seal(key, [16]byte{}, []byte("message"), "wx1")
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	tests := []struct{ name, sealed, want string }{
		{"nothing", "", "multiple of 32"},
		{"no base64", "???", "base64"},
		{"cut", encode(raw[:len(raw)-16]), "multiple of 32"},
		{"another key's", seal(bytes.Repeat([]byte{7}, 32), [16]byte{}, []byte("message"), "wx1"), "decrypted"},
		{"another appid's", seal(key, [16]byte{}, []byte("message"), "wx2"), "appid"},
		{"a block less", encode(raw[:0]), "multiple of 32"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := unseal(key, test.sealed, "wx1")
			if err == nil || got != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("unseal = %q, %v; want an error with %q", got, err, test.want)
			}
		})
	}
}

func TestAESKeyRefuses(t *testing.T) {
	for _, bad := range []string{"short", officialAESKey + "A", strings.Repeat("?", 43)} {
		if key, err := aesKey(bad); err == nil || key != nil || strings.Contains(err.Error(), bad) {
			t.Errorf("aesKey(%q) = %x, %v", bad, key, err)
		}
	}
}

// FuzzUnseal decrypts anything: never a panic, and what is taken is what was sealed.
func FuzzUnseal(f *testing.F) {
	key := bytes.Repeat([]byte{3}, 32)
	f.Add(seal(key, [16]byte{}, []byte("message"), "wx1"))
	f.Add(officialPush)
	f.Add("")
	f.Fuzz(func(t *testing.T, sealed string) {
		message, err := unseal(key, sealed, "wx1")
		if err != nil {
			if message != nil {
				t.Fatalf("%v, and the message %q", err, message)
			}
			return
		}
		raw, _ := base64.StdEncoding.DecodeString(sealed)
		if len(raw) < sealHead+len(message)+len("wx1")+1 {
			t.Fatalf("%d bytes out of %d", len(message), len(raw))
		}
	})
}
