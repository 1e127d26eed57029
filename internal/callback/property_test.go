package callback

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyText draws text that XML can hold as it is: no control characters, and no carriage return, which XML reads as a
// line feed.
func anyText() *rapid.Generator[string] {
	return rapid.Map(rapid.String(), func(s string) string {
		return strings.ReplaceAll(xmlText(s), "\r", "\n")
	})
}

// anyOrder draws an order with texts of any kind, and with the message that says it.
func anyOrder(t *rapid.T, format Format) (AddWaybill, string) {
	text := anyText()
	some := rapid.StringMatching(`[!-~一-龥]{1,64}`)
	o := AddWaybill{
		Token: NewSecret(some.Draw(t, "Token")), OrderID: some.Draw(t, "OrderID"), BizID: some.Draw(t, "BizID"), BizPwd: NewSecret(text.Draw(t, "BizPwd")),
		ShopAppID: text.Draw(t, "ShopAppID"), WayBillID: some.Draw(t, "WayBillID"), Remark: text.Draw(t, "Remark"),
	}
	return o, string(format.write(append(head("add_waybill"), asText("Token", o.Token.Reveal()), asText("OrderID", o.OrderID), asText("BizID", o.BizID),
		asText("BizPwd", o.BizPwd.Reveal()), asText("ShopAppID", o.ShopAppID), asText("WayBillID", o.WayBillID), asText("Remark", o.Remark))))
}

// TestRoundTrip: what a sender puts into a message comes out of it, and what is replied arrives there, in every mode
// and format and under both keys.
func TestRoundTrip(t *testing.T) {
	encrypted, plain := encryptedKeys(t), plainKeys(t)
	rapid.Check(t, func(rt *rapid.T) {
		format := rapid.SampledFrom([]Format{XML, JSON}).Draw(rt, "format")
		mode := rapid.SampledFrom([]Mode{Plain, Compatible, Safe}).Draw(rt, "mode")
		key := rapid.SampledFrom([]string{testKey, previousKey}).Draw(rt, "key")
		want, message := anyOrder(rt, format)
		var r request
		keys := encrypted
		switch mode {
		case Plain:
			keys, key, r = plain, "", plainRequest(message)
		case Compatible:
			r = safeRequest(t, format, key, message, asText("Event", "get_quota"))
		case Safe:
			r = safeRequest(t, format, key, message)
		}
		m, err := r.open(keys)
		if err != nil {
			rt.Fatalf("%v\n%s", err, r.body)
		}
		if m.Mode != mode || m.Format != format || m.PreviousKey != (key == previousKey) {
			rt.Fatalf("got %v, previous key %v", m, m.PreviousKey)
		}
		e, err := m.Decode()
		if err != nil || !reflect.DeepEqual(e, &want) {
			rt.Fatalf("got %s, %v\nwant %s", plainView(e), err, plainView(&want))
		}
		msg := anyText().Draw(rt, "ResultMsg")
		answer, err := m.Reply(want.Reply(Failed, msg), testTime)
		if err != nil {
			rt.Fatal(err)
		}
		got := readReply(t, answer, format, key)
		if msg == "" {
			msg = Failed.String()
		}
		wantReply := map[string]string{"ToUserName": m.From, "FromUserName": m.To, "CreateTime": "1533042556", "MsgType": "event", "Event": "add_waybill",
			"Token": want.Token.Reveal(), "OrderID": want.OrderID, "BizID": want.BizID, "WayBillID": want.WayBillID, "ResultCode": "-1",
			"ResultMsg": msg, "WaybillData": ""}
		if !reflect.DeepEqual(got, wantReply) {
			rt.Fatalf("reply %q\nwant  %q", got, wantReply)
		}
	})
}

// TestSealAndOpenAnyBytes: the crypto doesn't care what a message is.
func TestSealAndOpenAnyBytes(t *testing.T) {
	s := encryptedKeys(t).secrets()
	rapid.Check(t, func(rt *rapid.T) {
		message := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "message")
		which := rapid.IntRange(0, 1).Draw(rt, "key")
		encrypt, err := s.seal(s.aesKeys[which], message)
		if err != nil {
			rt.Fatal(err)
		}
		o, err := s.open(encrypt)
		if err != nil || string(o.message) != string(message) || o.key != s.aesKeys[which] || o.previous != (which == 1) {
			rt.Fatalf("got %x, previous %v, %v, want %x", o.message, o.previous, err, message)
		}
		if again, err := s.seal(s.aesKeys[which], message); err != nil || again == encrypt {
			rt.Fatalf("sealed twice it is the same, %v", err)
		}
	})
}

// TestWaybillDataCanBeTakenApart as upstream must: at every ##.
func TestWaybillDataCanBeTakenApart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.StringMatching(`[a#中 ]{0,5}`)
		var data WaybillData
		for range rapid.IntRange(1, 4).Draw(rt, "pairs") {
			data = append(data, WaybillField{part.Draw(rt, "key"), part.Draw(rt, "value")})
		}
		text, err := data.Text()
		if err != nil {
			return
		}
		parts := strings.Split(text, "##")
		if len(parts) != 2*len(data)+2 || parts[0] != "" || parts[len(parts)-1] != "" {
			rt.Fatalf("%q falls into %q", text, parts)
		}
		for i, f := range data {
			if parts[1+2*i] != f.Key || parts[2+2*i] != f.Value {
				rt.Fatalf("%q falls into %q, want %q", text, parts, data)
			}
		}
	})
}
