package callback

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The documents' own example (消息推送, 消息加解密): its key decodes to 32 zero bytes, so that it can't tell an IV taken
// from the key from one of zeros.
const (
	goldenToken   = "AAAAA"
	goldenAppID   = "wxba5fad812f8e6fb9"
	goldenNonce   = "415670741"
	goldenEncrypt = "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZU" +
		"XQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2" +
		"cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04="
	goldenMessage = `{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event",` +
		`"Event":"debug_demo","debug_str":"hello world"}`
)

func goldenKeys(t *testing.T, random string) Keys {
	return mustKeys(t, Settings{Token: goldenToken, EncodingAESKey: strings.Repeat("A", 43), AppID: goldenAppID, Random: strings.NewReader(random)})
}

func TestGoldenVerification(t *testing.T) {
	query := "signature=f464b24fc39322e44b38aa78f5edd27bd1441696&echostr=4375120948345356249&timestamp=1714036504&nonce=1514711492"
	got, err := goldenKeys(t, "").Verify(query, time.Unix(1714036504, 0))
	if err != nil || got != "4375120948345356249" {
		t.Errorf("got %q, %v, want the echostr", got, err)
	}
}

func TestGoldenPlainPost(t *testing.T) {
	keys := mustKeys(t, Settings{Token: goldenToken})
	query := "signature=899cf89e464efb63f54ddac96b0a0a235f53aa78&timestamp=1714037059&nonce=486452656"
	m, err := keys.Open(query, []byte(goldenMessage), time.Unix(1714037059, 0))
	if err != nil {
		t.Fatal(err)
	}
	if m.Mode != Plain || m.Format != JSON || m.Event != "debug_demo" || m.From != "o9AgO5Kd5ggOC-bXrbNODIiE3bGY" {
		t.Errorf("got %v from %q", m, m.From)
	}
}

func TestGoldenSafePostAndReply(t *testing.T) {
	keys := goldenKeys(t, "707722b803182950")
	query := "signature=6c5c811b55cc85e0e1b54100749188c20beb3f5d&timestamp=1714112445&nonce=" + goldenNonce +
		"&openid=o9AgO5Kd5ggOC-bXrbNODIiE3bGY&encrypt_type=aes&msg_signature=046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"
	m, err := keys.Open(query, []byte(`{"ToUserName":"gh_97417a04a28d","Encrypt":"`+goldenEncrypt+`"}`), time.Unix(1714112445, 0))
	if err != nil {
		t.Fatal(err)
	}
	if m.Mode != Safe || m.Format != JSON || m.Event != "debug_demo" || m.To != "gh_97417a04a28d" || m.CreateTime != 1714112445 ||
		m.ReplayKey != "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3" || m.PreviousKey {
		t.Errorf("got %+v", m)
	}
	e, err := m.Decode()
	if u, ok := e.(*Unknown); err != nil || !ok || u.Name != "debug_demo" {
		t.Errorf("decoded %v, %v, want an unknown event", e, err)
	}
	got, err := m.wrap([]byte(`{"demo_resp":"good luck"}`), time.Unix(1713424427, 0))
	want := `{"Encrypt":"ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==",` +
		`"MsgSignature":"1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1","TimeStamp":1713424427,"Nonce":"415670741"}`
	if err != nil || string(got.Body) != want {
		t.Errorf("reply %s, %v\nwant  %s", got.Body, err, want)
	}
}

// The numbers of this one come from the openssl command, with IV = key[:16] and a key that isn't zero.
func TestVectorWithNonZeroKey(t *testing.T) {
	const encrypt = "Q3stYC6hdFzMh9T8HCvyDNE2MVm116ycRcfQircFkF9J/4mVpiGWjwQeELkCAYIQmLEKxFOIykBbPO/6H0ZWCcmShDJgWolXW59IaeJPtVmqfLobJHBBUQYbsR/N" +
		"lxkLQsToE9QF1IrKGFtr/mCXqn4nmHv5MaxP9r08GKf9vyD0zMyXdtO9JeoMzk6elPwZuww44W/DVSFGuQCVTtQEKGLPF+bVVnhezjuuoaSmfkuZwiNa/qfrm0aA" +
		"lmBRTw8F32CSYf1Cz27Al+JAEoeEDuIMWjEBYT/RYNIwSxFk2FDotzVwOII6if4D1butQZBQBQ6s0hSy1qOUUM0n8GKCHC6C+2IpiWvEdj2Mcoa3SrccWVSqRZdM" +
		"UB0WCN3NpDG6dvPZlnBKPFV88Np7ZtDYSDTRgjXwfxRPrQ8VSAOqPQtmmQ3oSa9FVbHsKE4j5wPwNpl81rCJ+X2x3IYquuih1eXZBktMvb5tqnC+1zIIdXsCVHp+" +
		"YBgrracgeoyvA1+k"
	keys := mustKeys(t, Settings{Token: testToken, EncodingAESKey: testKey, AppID: testAppID, Random: strings.NewReader("0123456789abcdef")})
	query := "timestamp=1700000000&nonce=987654321&encrypt_type=aes&msg_signature=9921897196de8f2846d7bf2f2394f8aa5caf9558"
	m, err := keys.Open(query, []byte("<xml><ToUserName><![CDATA[gh_abcdefg]]></ToUserName><Encrypt><![CDATA["+encrypt+"]]></Encrypt></xml>"), testTime)
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Decode()
	if q, ok := e.(*GetQuota); err != nil || !ok || q.BizID != "xyz" || q.BizPwd.Reveal() != "xyz123" || q.ShopAppID != "wxABCD" {
		t.Errorf("decoded %v, %v", e, err)
	}
	if got, err := m.inner.s.seal(m.inner.key, []byte(quotaMessage(XML))); err != nil || got != encrypt {
		t.Errorf("sealed %s, %v\nwant   %s", got, err, encrypt)
	}
}

func TestNewKeysNamesWhatIsWrong(t *testing.T) {
	const canary = "Canary"
	for _, tt := range []struct {
		name string
		set  Settings
		want string // Part of the error; empty if the settings are right.
	}{
		{"Token alone", Settings{Token: "abc"}, ""},
		{"all", Settings{Token: testToken, EncodingAESKey: testKey, PreviousEncodingAESKey: previousKey, AppID: testAppID}, ""},
		{"no Token", Settings{}, "callback Token"},
		{"short Token", Settings{Token: "ab"}, "callback Token"},
		{"long Token", Settings{Token: strings.Repeat(canary, 6)}, "callback Token"},
		{"Token with a sign", Settings{Token: canary + "-1"}, "callback Token"},
		{"short key", Settings{Token: testToken, EncodingAESKey: canary, AppID: testAppID}, "callback EncodingAESKey: must have 43 characters"},
		{"key with padding", Settings{Token: testToken, EncodingAESKey: testKey + "=", AppID: testAppID}, "this one has 44"},
		{"key with other signs", Settings{Token: testToken, EncodingAESKey: canary + strings.Repeat("-", 37), AppID: testAppID}, "letters and digits"},
		{"key with a line feed", Settings{Token: testToken, EncodingAESKey: testKey[:42] + "\n", AppID: testAppID}, "letters and digits"},
		{"wrong previous key", Settings{Token: testToken, EncodingAESKey: testKey, PreviousEncodingAESKey: canary, AppID: testAppID},
			"callback previous EncodingAESKey"},
		{"previous key alone", Settings{Token: testToken, PreviousEncodingAESKey: previousKey, AppID: testAppID}, "callback EncodingAESKey: is missing"},
		{"no AppID", Settings{Token: testToken, EncodingAESKey: testKey}, "callback AppID"},
		{"window", Settings{Token: testToken, Window: -1}, "callback Window"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewKeys(tt.set)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
}

// TestAllFailuresAreOne signs rightly what is wrong inside, as only somebody with the Token can: every failure must be
// the same value with the same text, the padding's above all.
func TestAllFailuresAreOne(t *testing.T) {
	keys, message := encryptedKeys(t), quotaMessage(XML)
	for name, encrypt := range wrongEncrypts(t, message) {
		m, err := envelope(XML, encrypt).open(keys)
		if m != nil || err != ErrForged {
			t.Errorf("%s: got %v, %v, want exactly ErrForged", name, m, err)
		}
	}
	if m, err := envelope(XML, layoutOf(message).encrypt(t, testKey)).open(keys); err != nil || m == nil {
		t.Errorf("the right one: %v", err)
	}
}

func wrongEncrypts(t *testing.T, message string) map[string]string {
	wrong := map[string]string{
		"other key":        layoutOf(message).encrypt(t, strings.Repeat("B", 43)),
		"no base64":        "%%%%",
		"short base64":     "QUJD",
		"base64 cut":       strings.TrimRight(layoutOf("1").encrypt(t, testKey), "="),
		"no whole blocks":  layoutOf(message).encrypt(t, testKey)[:84],
		"spaces":           " " + layoutOf(message).encrypt(t, testKey),
		"line feed within": layoutOf(message).encrypt(t, testKey)[:40] + "\n" + layoutOf(message).encrypt(t, testKey)[40:],
		"url alphabet":     strings.NewReplacer("+", "-", "/", "_").Replace(layoutOf(message).encrypt(t, testKey)),
	}
	change := func(name string, f func(*layout)) {
		l := layoutOf(message)
		f(&l)
		wrong[name] = l.encrypt(t, testKey)
	}
	for last := range 256 { // Every last byte but the right one.
		change(fmt.Sprintf("last byte %d", last), func(l *layout) { l.pad[len(l.pad)-1] = byte(last) })
	}
	right := layoutOf(message)
	delete(wrong, fmt.Sprintf("last byte %d", len(right.pad)))
	if len(right.pad) != 1 {
		for i := range len(right.pad) - 1 {
			change(fmt.Sprintf("padding byte %d", i), func(l *layout) { l.pad[i]++ })
		}
	}
	change("AppID of another", func(l *layout) { l.appID = strings.Repeat("x", len(testAppID)) })
	change("no AppID", func(l *layout) { l.appID = ""; l.pad = rightPad(*l) })
	change("AppID with more behind", func(l *layout) { l.appID += "x"; l.pad = rightPad(*l) })
	change("length one less", func(l *layout) { l.length-- })
	change("length one more", func(l *layout) { l.length++ })
	change("length of all", func(l *layout) { l.length += uint32(len(testAppID)) })
	change("length beyond", func(l *layout) { l.length += 1000 })
	change("length of 2^31", func(l *layout) { l.length = 1 << 31 })
	change("length of 2^32-1", func(l *layout) { l.length = 1<<32 - 1 })
	change("padding to 16 only", func(l *layout) {
		l.message += strings.Repeat(" ", 32-(16+4+len(l.message)+len(l.appID))%32) // Now whole blocks of 32.
		l.length, l.pad = uint32(len(l.message)), []byte(strings.Repeat("\x10", 16))
	})
	change("padding over everything", func(l *layout) { *l = layout{pad: []byte(strings.Repeat("\x20", 32))}; l.random = "" })
	return wrong
}

func TestBothKeysWork(t *testing.T) {
	keys := encryptedKeys(t)
	for _, tt := range []struct {
		name, key string
		previous  bool
	}{{"current", testKey, false}, {"previous", previousKey, true}} {
		for _, format := range []Format{XML, JSON} {
			t.Run(fmt.Sprint(tt.name, " ", format), func(t *testing.T) {
				m, err := safeRequest(t, format, tt.key, quotaMessage(format)).open(keys)
				if err != nil {
					t.Fatal(err)
				}
				if m.PreviousKey != tt.previous || m.Format != format || m.Mode != Safe {
					t.Errorf("got %v, previous key %v", m, m.PreviousKey)
				}
				r, err := m.Reply(GetQuotaReply{BizID: "xyz", Quota: 7}, testTime)
				if err != nil {
					t.Fatal(err)
				}
				if got := readReply(t, r, format, tt.key); got["Quota"] != "7" || got["ResultCode"] != "0" {
					t.Errorf("the reply, decrypted with the key of the request: %v", got)
				}
			})
		}
	}
}

func TestRandomSourceFails(t *testing.T) {
	keys := mustKeys(t, Settings{Token: testToken, EncodingAESKey: testKey, AppID: testAppID, Random: strings.NewReader("short")})
	m, err := safeRequest(t, XML, testKey, quotaMessage(XML)).open(keys)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := m.Reply(GetQuotaReply{}, testTime); err == nil || r.Body != nil {
		t.Errorf("got %q, %v, want an error and nothing to send", r.Body, err)
	}
}

func TestZeroKeysTakeNothing(t *testing.T) {
	var keys Keys
	timestamp := fmt.Sprint(testTime.Unix())
	query := "timestamp=" + timestamp + "&nonce=1&echostr=1&signature=" + Signature("", timestamp, "1")
	if _, err := keys.Open(query, []byte(quotaMessage(XML)), testTime); !errors.Is(err, ErrForged) {
		t.Errorf("Open: %v, want ErrForged", err)
	}
	if _, err := keys.Verify(query, testTime); !errors.Is(err, ErrForged) {
		t.Errorf("Verify: %v, want ErrForged", err)
	}
}
