package sandbox

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestRender compares what standard decoders read with what was written, for any text.
func TestRender(t *testing.T) {
	type item struct{ Name string }
	type doc struct {
		Text   string
		Number float64
		Object item
		Items  []item
		Last   string
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"]]>", "<xml>&amp;", "]]]>", "a\u0000b", "\uFFFE", "\r\n", "<![CDATA["}))
		want := doc{Text: text.Draw(t, "text"), Number: 1.25, Object: item{text.Draw(t, "name")}, Last: text.Draw(t, "last")}
		var items list
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			name := text.Draw(t, "item")
			want.Items = append(want.Items, item{name})
			items = append(items, fields{{"Name", name}})
		}
		fs := fields{{"Text", want.Text}, {"Number", number("1.25")}, {"Object", fields{{"Name", want.Object.Name}}}, {"Items", items}, {"Last", want.Last}}
		var asJSON, asXML doc
		if err := json.Unmarshal(fs.render(formatJSON), &asJSON); err != nil {
			t.Fatalf("JSON: %v: %s", err, fs.render(formatJSON))
		}
		if err := xml.Unmarshal(fs.render(formatXML), &asXML); err != nil {
			t.Fatalf("XML: %v: %s", err, fs.render(formatXML))
		}
		same := func(format, got, want string) {
			if format == formatXML { // What XML can't hold, and its line ends.
				want = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.Map(func(r rune) rune {
					if r < 0x20 && !strings.ContainsRune("\t\r\n", r) || r == 0xFFFE || r == 0xFFFF {
						return utf8.RuneError
					}
					return r
				}, want))
			}
			if got != want {
				t.Fatalf("%s: got %q, want %q", format, got, want)
			}
		}
		for format, got := range map[string]doc{formatJSON: asJSON, formatXML: asXML} {
			same(format, got.Text, want.Text)
			same(format, got.Object.Name, want.Object.Name)
			same(format, got.Last, want.Last)
			if len(got.Items) != len(want.Items) || got.Number != 1.25 {
				t.Fatalf("%s: %+v, want %+v", format, got, want)
			}
			for i := range want.Items {
				same(format, got.Items[i].Name, want.Items[i].Name)
			}
		}
	})
}

func TestReadReplyRefuses(t *testing.T) {
	tests := []struct{ name, format, text, want string }{
		{"a DOCTYPE", formatXML, `<!DOCTYPE xml [<!ENTITY a "b">]><xml><A>&a;</A></xml>`, "declaration"},
		{"an entity", formatXML, `<xml><A>&a;</A></xml>`, "no XML"},
		{"an element twice", formatXML, `<xml><A>1</A><A>2</A></xml>`, "twice"},
		{"elements in an element", formatXML, `<xml><A><B>1</B></A></xml>`, "a text is wanted"},
		{"something behind it", formatXML, `<xml><A>1</A></xml><xml></xml>`, "follows"},
		{"text between", formatXML, `<xml>x<A>1</A></xml>`, "between"},
		{"another root", formatXML, `<html></html>`, "not in <xml>"},
		{"a namespace", formatXML, `<xml xmlns="urn:x"><A>1</A></xml>`, "not in <xml>"},
		{"an open element", formatXML, `<xml><A>1</A>`, "no XML"},
		{"nothing", formatXML, ``, "not in <xml>"},
		{"not UTF-8", formatXML, "<xml><A>\xff</A></xml>", "UTF-8"},
		{"another encoding", formatXML, `<?xml version="1.0" encoding="gbk"?><xml><A>1</A></xml>`, "no XML"},
		{"a member twice", formatJSON, `{"A":1,"A":2}`, "twice"},
		{"an object", formatJSON, `{"A":{}}`, "a text or a number"},
		{"something behind it", formatJSON, `{"A":1}{}`, "follows"},
		{"an array", formatJSON, `[]`, "no JSON object"},
		{"cut", formatJSON, `{"A":1`, "ends early"},
		{"cut in a value", formatJSON, `{"A":"1`, "no JSON"},
		{"nothing", formatJSON, ``, "no JSON object"},
	}
	for _, test := range tests {
		t.Run(test.format+" "+test.name, func(t *testing.T) {
			if got, err := readReply(test.format, []byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("read %v, %v; want an error with %q", got, err, test.want)
			}
		})
	}
}

// testPush is a push of add_waybill that waits for its answer.
func testPush(t testing.TB, format, mode string) (*eventPush, *wire) {
	f := newFake(t, format, mode)
	s, _ := f.box(Options{Seed: 7})
	form, no := readOrderForm([]byte(orderBody("order-1")))
	if no != nil {
		t.Fatal(no.errmsg(""))
	}
	c := s.carriers["SF"]
	p := s.addPush(c, s.freshOrder(c, form, "wxmerchant"), form, "pwd")
	return p, s.wireOf(c, p.content, c.key, time.Now())
}

// FuzzCallbackReply answers a push with anything, as it came and as what an encrypted answer holds. What is taken has
// all that the document wants.
func FuzzCallbackReply(f *testing.F) {
	for _, body := range []string{
		"success", "{}", "<xml></xml>", `{"ResultCode":0}`, `{"Encrypt":"","MsgSignature":"","TimeStamp":0,"Nonce":""}`,
		"<xml><Encrypt>x</Encrypt></xml>", strings.Repeat("<a>", 10000), strings.Repeat("[", 10000), "<!DOCTYPE a><xml/>", "\xff",
		"<xml><ResultCode>99999999999999999999</ResultCode></xml>", `{"A":` + strings.Repeat("{\"A\":", 9999),
	} {
		f.Add(uint8(0), []byte(body))
		f.Add(uint8(3), []byte(body))
	}
	type sent struct {
		p *eventPush
		w *wire
	}
	var pushes []sent
	for _, mode := range []string{modePlain, modeCompat, modeSafe} {
		for _, format := range []string{formatXML, formatJSON} {
			p, w := testPush(f, format, mode)
			pushes = append(pushes, sent{p, w})
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		p, w := pushes[int(kind)%len(pushes)].p, pushes[int(kind)%len(pushes)].w
		format, mode := p.to.Format, p.to.Mode
		if opened, err := p.to.open(w, body, time.Now()); mode == modeSafe && err == nil {
			t.Fatalf("an answer that is not signed was opened: %q", opened)
		}
		got, err := p.read(body)
		if err != nil || got.code != 0 {
			return
		}
		read, err := readReply(format, body)
		if err != nil || got.waybillID != p.waybillID || read["Token"].text != p.token || read["ToUserName"].text != teamOpenID {
			t.Fatalf("taken: %+v of %q, %v", got, body, err)
		}
	})
}

// FuzzUnsealPlain decrypts anything that the key has encrypted, so that the bounds behind the padding are met.
func FuzzUnsealPlain(f *testing.F) {
	key := []byte("0123456789abcdef0123456789abcdef")
	block, err := aes.NewCipher(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("0123456789abcdef\x00\x00\x00\x01xwx1\x08\x08\x08\x08\x08\x08\x08\x08"))
	f.Add([]byte("0123456789abcdef\xff\xff\xff\xffxwx1\x08\x08\x08\x08\x08\x08\x08\x08"))
	f.Add([]byte(strings.Repeat("\x20", 32)))
	f.Fuzz(func(t *testing.T, plain []byte) {
		plain = plain[:len(plain)/sealBlock*sealBlock]
		sealed := make([]byte, len(plain))
		cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(sealed, plain)
		message, err := unseal(key, base64.StdEncoding.EncodeToString(sealed), "wx1")
		if err != nil {
			return
		}
		if again := seal(key, [16]byte(plain), message, "wx1"); again != base64.StdEncoding.EncodeToString(sealed) {
			t.Fatalf("%q was taken, and is not what %q is sealed as", plain, message)
		}
	})
}
