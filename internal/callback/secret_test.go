package callback

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// private are pieces of all that must never be printed.
var private = []string{"1234ABC", "xyz123", "张三", "18666666666", "王小蒙", "大厦", "钻石包", "易碎", "18677778888", "村口", testToken, testKey, testAppID}

// hidden has its value where fmt reads it without asking for its methods.
type hidden struct{ v any }

// printed shows a value in every way that somebody may take, alone and within something else.
func printed(v any) string {
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%5.2f"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", []any{v})
		fmt.Fprintf(&out, verb+"\n", struct{ V any }{v})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	fmt.Fprintln(&out, fmt.Errorf("about %v", v))
	return out.String()
}

func TestNothingPrivateIsPrinted(t *testing.T) {
	values := map[string]any{"keys": encryptedKeys(t), "secret": NewSecret("xyz123"),
		"settings": Settings{Token: testToken, EncodingAESKey: testKey, PreviousEncodingAESKey: previousKey, AppID: testAppID}}
	for _, event := range []string{"add_waybill", "cancel_waybill", "check_biz", "get_quota", "add_express_path"} {
		m, e := openEvent(t, XML, event+".xml")
		values[event], values[event+" message"] = e, m
		if r := replyTo(e); r != nil {
			if reply, ok := r.(CheckBizReply); ok {
				reply.ResultMsg = "" // Ours to write; the rest is what came.
				r = reply
			}
			values[event+" reply"] = r
		}
		if add, ok := e.(*AddWaybill); ok {
			values["add_waybill copied"], values["sender"] = *add, add.Sender
		}
	}
	for name, v := range values {
		out := printed(v)
		for _, p := range private {
			if hex := fmt.Sprintf("%x", p); strings.Contains(out, p) || strings.Contains(out, hex) {
				t.Errorf("%s tells %q:\n%.600s", name, p, out)
			}
		}
	}
}

// TestSecretsAreNotPrintedByReflection: addresses would be, there; passwords and keys are not.
func TestSecretsAreNotPrintedByReflection(t *testing.T) {
	_, add := openEvent(t, XML, "add_waybill.xml")
	for _, v := range []any{encryptedKeys(t), NewSecret("xyz123"), add, *add.(*AddWaybill), replyTo(add)} {
		out := printed(hidden{v}) + printed(&hidden{v}) + printed([]hidden{{v}})
		for _, p := range []string{"xyz123", "1234ABC", testToken, testAppID, fmt.Sprintf("%x", testToken)} {
			if strings.Contains(out, p) {
				t.Errorf("%T tells %q:\n%.600s", v, p, out)
			}
		}
	}
}

func TestWhatIsPrintedOfAnOrder(t *testing.T) {
	_, e := openEvent(t, JSON, "add_waybill.json")
	add := e.(*AddWaybill)
	want := "[event=add_waybill order=" + fingerprint(add.BizID, add.OrderID) + " biz_id=xyz order_id=012345678901234567890123456789 waybill_id=123456789]"
	if got := fmt.Sprintf("%v|%s|%+v", add, add, *add); got != want+"|"+want+"|"+want {
		t.Errorf("got %s", got)
	}
}

func TestSecret(t *testing.T) {
	s := NewSecret("xyz123")
	if s.Reveal() != "xyz123" || s.String() != "***" || fmt.Sprintf("%q %x %#v", s, s, s) != `"***" *** ***` {
		t.Errorf("got %q, %v", s.Reveal(), s)
	}
	asJSON, err := json.Marshal(map[string]Secret{"a": s})
	if err != nil || string(asJSON) != `{"a":"***"}` {
		t.Errorf("JSON %s, %v", asJSON, err)
	}
	if asXML, err := xml.Marshal(s); err != nil || strings.Contains(string(asXML), "xyz") {
		t.Errorf("XML %s, %v", asXML, err)
	}
	if empty := NewSecret(""); empty != (Secret{}) || empty.Reveal() != "" || empty.String() != "" {
		t.Errorf("the empty one is %q", empty.Reveal())
	}
}
