package callback

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// with changes parameters of a request; an empty value takes one out.
func (r request) with(t *testing.T, pairs ...string) request {
	t.Helper()
	values, err := url.ParseQuery(r.query)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if values.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			values.Del(pairs[i])
		}
	}
	r.query = values.Encode()
	return r
}

func TestModesAndFormats(t *testing.T) {
	for _, format := range []Format{XML, JSON} {
		message := quotaMessage(format)
		beside := append(head("add_waybill")[1:], asText("BizID", "forged"))
		for _, tt := range []struct {
			name    string
			keys    Keys
			request request
			mode    Mode
			biz     string
		}{
			{"plain", plainKeys(t), plainRequest(message), Plain, "xyz"},
			{"plain, said to be raw", plainKeys(t), plainRequest(message).with(t, "encrypt_type", "raw"), Plain, "xyz"},
			{"safe", encryptedKeys(t), safeRequest(t, format, testKey, message), Safe, "xyz"},
			{"compatible: only Encrypt counts", encryptedKeys(t), safeRequest(t, format, testKey, message, beside...), Compatible, "xyz"},
			{"compatible without a key: only the plain fields can count", plainKeys(t),
				safeRequest(t, format, testKey, message, append(head("get_quota")[1:], asText("BizID", "plain"))...), Compatible, "plain"},
		} {
			t.Run(fmt.Sprint(tt.name, " ", format), func(t *testing.T) {
				m, err := tt.request.open(tt.keys)
				if err != nil {
					t.Fatal(err)
				}
				if m.Mode != tt.mode || m.Format != format || m.Event != "get_quota" || m.MsgType != "event" || m.CreateTime != 1533042556 ||
					m.To != "gh_abcdefg" || m.From != "oABCD" {
					t.Errorf("got %v: %+v", m, *m)
				}
				e, err := m.Decode()
				if q, ok := e.(*GetQuota); err != nil || !ok || q.BizID != tt.biz {
					t.Errorf("decoded %v, %v, want BizID %q", e, err, tt.biz)
				}
			})
		}
	}
}

func TestWhatIsRefusedAndWhy(t *testing.T) {
	message := quotaMessage(XML)
	safe, plain := safeRequest(t, XML, testKey, message), plainRequest(message)
	body := func(r request, body string) request { r.body = body; return r }
	query := func(r request, query string) request { r.query = query; return r }
	both, tokenOnly := encryptedKeys(t), plainKeys(t)
	for _, tt := range []struct {
		name    string
		keys    Keys
		request request
		want    error
	}{
		{"plain though a key is set", both, plain, ErrPlain},
		{"plain though a key is set, forged", both, plain.with(t, "signature", strings.Repeat("0", 40)), ErrForged},
		{"plain body called encrypted", both, plain.with(t, "encrypt_type", "aes", "msg_signature", Signature(testToken, "1700000000", testNonce)), ErrMalformed},
		{"encrypted without a key", tokenOnly, safe, ErrNoKey},
		{"no msg_signature", both, safe.with(t, "msg_signature", ""), ErrForged},
		{"signature in place of msg_signature", both, safe.with(t, "msg_signature", Signature(testToken, "1700000000", testNonce)), ErrForged},
		{"msg_signature in capitals", both, safe.with(t, "msg_signature", strings.ToUpper(readQueryOf(t, safe).msgSignature)), ErrForged},
		{"no signature", tokenOnly, plain.with(t, "signature", ""), ErrForged},
		{"signature cut", tokenOnly, plain.with(t, "signature", readQueryOf(t, plain).signature[:39]), ErrForged},
		{"another Token", mustKeys(t, Settings{Token: "Carrier2"}), plain, ErrForged},
		{"another AppID", mustKeys(t, Settings{Token: testToken, EncodingAESKey: testKey, AppID: "wx1123456789abcdef"}), safe, ErrForged},
		{"another key", mustKeys(t, Settings{Token: testToken, EncodingAESKey: strings.Repeat("B", 43), AppID: testAppID}), safe, ErrForged},
		{"unknown encrypt_type", both, safe.with(t, "encrypt_type", "rsa"), ErrMalformed},
		{"no timestamp", both, safe.with(t, "timestamp", ""), ErrMalformed},
		{"timestamp in milliseconds", both, safe.with(t, "timestamp", "1700000000000"), ErrMalformed},
		{"timestamp with a sign", both, safe.with(t, "timestamp", "-170000000"), ErrMalformed},
		{"no nonce", both, safe.with(t, "nonce", ""), ErrMalformed},
		{"long nonce", both, safe.with(t, "nonce", strings.Repeat("1", 33)), ErrMalformed},
		{"nonce with other signs", both, safe.with(t, "nonce", "1+1"), ErrMalformed},
		{"a parameter twice", both, query(safe, safe.query+"&nonce="+testNonce), ErrMalformed},
		{"unreadable query", both, query(safe, safe.query+"&x=%zz"), ErrMalformed},
		{"huge query", both, query(safe, safe.query+"&x="+strings.Repeat("x", 5000)), ErrMalformed},
		{"empty body", both, body(safe, ""), ErrMalformed},
		{"no Encrypt", both, body(safe, "<xml><ToUserName>x</ToUserName></xml>"), ErrMalformed},
		{"Encrypt is a group", both, body(safe, "<xml><Encrypt><A>1</A></Encrypt></xml>"), ErrMalformed},
		{"Encrypt is a number", both, body(safe, `{"Encrypt":1}`), ErrMalformed},
		{"Encrypt is a list", both, body(safe, `{"Encrypt":["x"]}`), ErrMalformed},
		{"Encrypt is not at the top", both, body(safe, strings.ReplaceAll(strings.ReplaceAll(safe.body, "<Encrypt>", "<A><Encrypt>"), "</Encrypt>", "</Encrypt></A>")),
			ErrMalformed},
		{"DOCTYPE", both, body(safe, "<!DOCTYPE xml>"+safe.body), ErrMalformed},
		{"text behind", both, body(safe, safe.body+"x"), ErrMalformed},
		{"unreadable within", both, safeRequest(t, XML, testKey, billionLaughs), ErrMalformed},
		{"JSON within XML", both, safeRequest(t, XML, testKey, quotaMessage(JSON)), ErrMalformed},
		{"nothing within", both, safeRequest(t, XML, testKey, ""), ErrMalformed},
		{"CreateTime is no number", tokenOnly, plainRequest("<xml><CreateTime>x</CreateTime></xml>"), ErrMalformed},
		{"MsgType twice", tokenOnly, plainRequest("<xml><MsgType>event</MsgType><MsgType>text</MsgType></xml>"), ErrMalformed},
		{"Event twice", tokenOnly, plainRequest(strings.Replace(message, "<Event>", "<Event>x</Event><Event>", 1)), ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := tt.request.open(tt.keys)
			if !errors.Is(err, tt.want) || m != nil {
				t.Fatalf("got %v, %v, want %v", m, err, tt.want)
			}
			if tt.want == ErrForged && err != ErrForged {
				t.Errorf("the error says more than it should: %v", err)
			}
			for _, secret := range []string{testToken, testKey, previousKey, testAppID, "xyz123"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells a secret: %v", err)
				}
			}
		})
	}
}

func readQueryOf(t *testing.T, r request) query {
	t.Helper()
	q, err := readQuery(r.query)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestFreshness(t *testing.T) {
	for _, tt := range []struct {
		name   string
		window time.Duration
		off    time.Duration
		want   error
	}{
		{"now", 0, 0, nil},
		{"as old as may be", 0, Window, nil},
		{"older", 0, Window + time.Second, ErrStale},
		{"as far ahead as may be", 0, -Window, nil},
		{"further ahead", 0, -Window - time.Second, ErrStale},
		{"years ago", 0, 5 * 365 * 24 * time.Hour, ErrStale},
		{"own window", 10 * time.Second, 10 * time.Second, nil},
		{"outside the own window", 10 * time.Second, 11 * time.Second, ErrStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := Settings{Token: testToken, Window: tt.window}
			plain, safe := plainRequest(quotaMessage(XML)), safeRequest(t, XML, testKey, quotaMessage(XML))
			if _, err := mustKeys(t, set).Open(plain.query, []byte(plain.body), testTime.Add(tt.off)); !errors.Is(err, tt.want) {
				t.Errorf("plain: %v, want %v", err, tt.want)
			}
			if _, err := mustKeys(t, set).Verify(plain.query+"&echostr=1", testTime.Add(tt.off)); !errors.Is(err, tt.want) {
				t.Errorf("verification: %v, want %v", err, tt.want)
			}
			set.EncodingAESKey, set.AppID = testKey, testAppID
			if _, err := mustKeys(t, set).Open(safe.query, []byte(safe.body), testTime.Add(tt.off)); !errors.Is(err, tt.want) {
				t.Errorf("safe: %v, want %v", err, tt.want)
			}
			// What isn't signed isn't told that it is stale.
			if _, err := mustKeys(t, set).Open(safe.with(t, "msg_signature", "0").query, []byte(safe.body), testTime.Add(tt.off)); err != ErrForged {
				t.Errorf("forged: %v, want ErrForged", err)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	right := plainRequest("").query
	for _, tt := range []struct {
		name, query, want string
		err               error
	}{
		{"right", right + "&echostr=4375120948345356249", "4375120948345356249", nil},
		{"base64", right + "&echostr=" + url.QueryEscape("aB+/-_=="), "aB+/-_==", nil},
		{"none", right, "", ErrMalformed},
		{"a page", right + "&echostr=" + url.QueryEscape("<script>"), "", ErrMalformed},
		{"long", right + "&echostr=" + strings.Repeat("1", 513), "", ErrMalformed},
		{"twice", right + "&echostr=1&echostr=2", "", ErrMalformed},
		{"wrong signature", strings.Replace(right, "signature=", "signature=0", 1) + "&echostr=1", "", ErrForged},
		{"other nonce", strings.Replace(right, "nonce=9", "nonce=8", 1) + "&echostr=1", "", ErrForged},
		{"no query", "", "", ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, keys := range []Keys{plainKeys(t), encryptedKeys(t)} { // echostr is never encrypted.
				got, err := keys.Verify(tt.query, testTime)
				if got != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
				}
			}
		})
	}
}

// TestReplayKeyKnowsSwaps takes one signature with its timestamp and nonce swapped: rightly signed both, as WeChat's
// signature is made, so the replay key has to be the same.
func TestReplayKeyKnowsSwaps(t *testing.T) {
	const timestamp, nonce = "1700000000", "1700000100"
	signature := Signature(testToken, timestamp, nonce)
	open := func(timestamp, nonce, body string) *Message {
		t.Helper()
		m, err := plainKeys(t).Open("timestamp="+timestamp+"&nonce="+nonce+"&signature="+signature, []byte(body), testTime)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := open(timestamp, nonce, quotaMessage(XML))
	again := open(timestamp, nonce, quotaMessage(XML))
	swapped := open(nonce, timestamp, quotaMessage(XML))
	otherBody := open(timestamp, nonce, quotaMessage(JSON))
	if first.ReplayKey != again.ReplayKey || first.Digest != again.Digest {
		t.Error("a repeat has another key or digest")
	}
	if first.ReplayKey != swapped.ReplayKey {
		t.Error("swapping timestamp and nonce gives another key")
	}
	if first.ReplayKey != otherBody.ReplayKey || first.Digest == otherBody.Digest {
		t.Error("another body under the same signature must have the same key and another digest")
	}
}

func TestEventNamesAreReadInAnyLetterCase(t *testing.T) {
	message := string(XML.write(append([]field{asText("MsgType", "Event"), asText("Event", "Get_QUOTA")}, asText("BizID", "xyz"))))
	m, err := plainRequest(message).open(plainKeys(t))
	if err != nil || m.Event != "get_quota" {
		t.Fatalf("got %v, %v", m, err)
	}
	if e, err := m.Decode(); err != nil || e.(*GetQuota).BizID != "xyz" {
		t.Errorf("decoded %v, %v", e, err)
	}
}

func TestMessagesThatAreNoEvents(t *testing.T) {
	message := string(JSON.write([]field{asText("MsgType", "text"), asText("Event", "add_waybill"), asText("Content", "hello")}))
	m, err := plainRequest(message).open(plainKeys(t))
	if err != nil || m.MsgType != "text" || m.Event != "" {
		t.Fatalf("got %v, %v", m, err)
	}
	if e, err := m.Decode(); err != nil || *e.(*Unknown) != (Unknown{}) {
		t.Errorf("decoded %v, %v", e, err)
	}
	if _, err := m.Reply(AddWaybillReply{WayBillID: "1"}, testTime); err == nil {
		t.Error("a reply to an order for what is none")
	}
	if got := string(Success().Body); got != "success" {
		t.Errorf("got %q", got)
	}
}
