package callback

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"carrier/internal/state"
)

// FuzzSignature: any texts have a signature, which doesn't depend on their order, and nothing else passes for it.
func FuzzSignature(f *testing.F) {
	f.Add("AAAAA", "1714036504", "1514711492", "", "f464b24fc39322e44b38aa78f5edd27bd1441696")
	f.Add("AAAAA", "1714112445", "415670741", goldenEncrypt, "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3")
	f.Add("", "", "", "", "")
	f.Fuzz(func(t *testing.T, token, timestamp, nonce, encrypt, guess string) {
		want := Signature(token, timestamp, nonce, encrypt)
		if len(want) != 40 || strings.Trim(want, "0123456789abcdef") != "" {
			t.Fatalf("signature %q", want)
		}
		if other := Signature(encrypt, nonce, timestamp, token); other != want {
			t.Fatalf("in another order %q, not %q", other, want)
		}
		s := &secrets{token: token}
		if !s.signed(want, timestamp, nonce, encrypt) || s.signed(guess, timestamp, nonce, encrypt) != (guess == want) {
			t.Fatalf("%q for %q", guess, want)
		}
	})
}

// FuzzDecrypt decrypts anything, as a ciphertext and as what comes out of one. What is taken was laid out exactly as
// this package does it: sealed again with the same random bytes it is the same.
func FuzzDecrypt(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add(bytes.Repeat([]byte{32}, 32), true)
	f.Add([]byte("0123456789abcdef\x00\x00\x00\x02{}"+testAppID+strings.Repeat("\x18", 24)), true)
	f.Add([]byte("0123456789abcdef\xff\xff\xff\xff{}"+testAppID+strings.Repeat("\x18", 24)), true)
	s := encryptedKeys(f).secrets()
	key := s.aesKeys[0]
	f.Fuzz(func(t *testing.T, data []byte, isPlain bool) {
		sealed := bytes.Clone(data)
		if isPlain {
			sealed = sealed[:len(sealed)/padBlock*padBlock]
			cipher.NewCBCEncrypter(key.block, key.iv[:]).CryptBlocks(sealed, sealed)
		}
		message, ok := key.decrypt(sealed, testAppID)
		if !ok {
			return
		}
		plain := make([]byte, len(sealed))
		cipher.NewCBCDecrypter(key.block, key.iv[:]).CryptBlocks(plain, sealed)
		again := *s
		again.random = bytes.NewReader(plain[:randomBytes])
		encrypt, err := again.seal(key, message)
		if err != nil {
			t.Fatal(err)
		}
		if encrypt != base64.StdEncoding.EncodeToString(sealed) {
			t.Fatalf("taken, and laid out in another way: %x", plain)
		}
	})
}

// FuzzXML: what is taken reads the same with encoding/xml, and has nothing that isn't allowed.
func FuzzXML(f *testing.F) {
	addSamples(f, "xml")
	for _, text := range []string{billionLaughs, "<xml/>", "<xml><A>&#x4e2d;&lt;</A><B><![CDATA[]]]]><![CDATA[>]]></B></xml>",
		"<?xml version='1.0' encoding='UTF-8' standalone=\"yes\"?>\r\n<xml>\r\n<a.b-c_1 >x\r</a.b-c_1 ></xml>\n", "<xml a='1'/>", "<xml><!-- --></xml>"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // Refused before it gets there.
		}
		got, err := readXML(text)
		if err != nil {
			return
		}
		want, err := standardXML(text)
		if err != nil {
			t.Fatalf("taken, and the standard library says: %v", err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %s\nwant %s", dump(got), dump(want))
		}
		checkTree(t, got, 1)
	})
}

// FuzzJSON: what is taken has the values that encoding/json finds, and no member twice.
func FuzzJSON(f *testing.F) {
	addSamples(f, "json")
	for _, text := range []string{`{}`, `{"A":"\ud800","B":[1,[2,{"c":null}]],"":0}`, `{"A":1,"a":2,"A":3}`, `{"A":1}{}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || !strings.HasPrefix(text, "{") {
			return
		}
		got, err := readJSON([]byte(text))
		if err != nil {
			return
		}
		var want map[string]any
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("taken, and the standard library says: %v", err)
		}
		if _, err := dec.Token(); err != io.EOF {
			t.Fatalf("taken with something behind it: %v", err)
		}
		for name, value := range want {
			kids := got.all(name)
			switch v := value.(type) {
			case string:
				if len(kids) != 1 || kids[0].kind != kindString || kids[0].text != v {
					t.Fatalf("%q is %s", name, dump(got))
				}
			case json.Number:
				if len(kids) != 1 || kids[0].kind != kindNumber || kids[0].text != v.String() {
					t.Fatalf("%q is %s", name, dump(got))
				}
			case []any:
				if len(kids) != len(v) {
					t.Fatalf("%q has %d elements, not %d", name, len(kids), len(v))
				}
			}
		}
		checkTree(t, got, 1)
	})
}

// FuzzRequest sends anything: as it is, which must be refused, and rightly signed and encrypted, which must not lead
// to anything but an event, a fault or a refusal with a name. What can be replied to is.
func FuzzRequest(f *testing.F) {
	for _, format := range []Format{XML, JSON} {
		for _, event := range []string{"add_waybill", "cancel_waybill", "check_biz", "get_quota", "add_express_path"} {
			body, err := os.ReadFile(filepath.Join("testdata", event+"."+format.String()))
			if err != nil {
				f.Fatal(err)
			}
			r := safeRequest(f, format, testKey, string(body))
			f.Add(r.query, body)
			f.Add(r.query, []byte(r.body))
		}
	}
	f.Add(plainRequest("").query+"&echostr=1", []byte(billionLaughs))
	keys, tokenOnly := encryptedKeys(f), plainKeys(f)
	stranger, err := NewKeys(Settings{Token: "Other1", EncodingAESKey: previousKey, AppID: testAppID})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		for _, r := range []request{{query, string(body)}, envelope(XML, string(body)), plainRequest(string(body)),
			safeRequest(t, XML, testKey, string(body)), safeRequest(t, JSON, previousKey, string(body))} {
			for _, k := range []Keys{keys, tokenOnly, stranger, {}} {
				m, err := r.open(k)
				checkOpened(t, m, err)
				_, err = k.Verify(r.query, testTime)
				checkNamed(t, err)
			}
			if m, _ := r.open(stranger); m != nil {
				t.Fatalf("taken with other keys: %v", m)
			}
		}
	})
}

func checkOpened(t *testing.T, m *Message, err error) {
	t.Helper()
	if (m == nil) != (err != nil) {
		t.Fatalf("message %v beside error %v", m, err)
	}
	if checkNamed(t, err); err != nil {
		return
	}
	e, err := m.Decode()
	if e == nil || e.event() != m.Event {
		t.Fatalf("decoded %v of %v", e, m)
	}
	if _, ok := errors.AsType[*Fault](err); err != nil && !ok {
		t.Fatalf("a fault of another kind: %v", err)
	}
	if add, ok := e.(*AddWaybill); ok && err == nil && (add.OrderID == "" || add.BizID == "" || add.WayBillID == "" ||
		add.Token.Reveal() == "" || len(add.Token.Reveal()) > state.MaxTokenBytes) {
		t.Fatalf("an order without what it needs: %v", add)
	}
	reply := replyTo(e)
	if reply == nil {
		return
	}
	if add, ok := reply.(AddWaybillReply); ok && err != nil {
		add.ResultCode = Failed
		reply = add
	}
	r, err := m.Reply(reply, testTime)
	if err != nil {
		if add, ok := e.(*AddWaybill); !ok || add.WayBillID != "0" {
			t.Fatalf("no reply to %v: %v", e, err)
		}
		return
	}
	if _, format, err := readTree(r.Body); err != nil || format != m.Format {
		t.Fatalf("the reply can't be read: %v: %s", err, r.Body)
	}
}

// checkNamed wants one of the errors that callers know.
func checkNamed(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, known := range []error{ErrForged, ErrStale, ErrPlain, ErrNoKey, ErrMalformed} {
		if errors.Is(err, known) && len(err.Error()) < 500 {
			return
		}
	}
	t.Fatalf("an error of another kind: %v", err)
}

func addSamples(f *testing.F, ext string) {
	files, err := filepath.Glob(filepath.Join("testdata", "*."+ext))
	if err != nil || len(files) == 0 {
		f.Fatal("no samples: ", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
}

// checkTree wants a tree within its bounds.
func checkTree(t *testing.T, n *node, depth int) {
	t.Helper()
	if depth > maxDepth || len(n.kids) > maxNodes || len(n.kids) > 0 && n.kind != kindGroup && n.kind != kindList {
		t.Fatalf("beyond bounds: %s", dump(n))
	}
	for _, kid := range n.kids {
		checkTree(t, kid, depth+1)
	}
}

// all are the children with a name, JSON's null among them.
func (n *node) all(name string) []*node {
	var found []*node
	for _, kid := range n.kids {
		if kid.name == name {
			found = append(found, kid)
		}
	}
	return found
}
