package callback

import (
	"strings"
	"testing"
)

// openEvent opens and decodes a sample in safe mode.
func openEvent(t *testing.T, format Format, file string) (*Message, Event) {
	t.Helper()
	m, err := safeRequest(t, format, testKey, testdata(t, file)).open(encryptedKeys(t))
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Decode()
	if err != nil {
		t.Fatal(err)
	}
	return m, e
}

// replyTo makes the reply of a test to any of the four.
func replyTo(e Event) Reply {
	switch e := e.(type) {
	case *AddWaybill:
		r := e.Reply(OK, "")
		r.WaybillData = WaybillData{{"ZTO_bagAddr", "广州"}, {"ZTO_mark", "888-666-666"}}
		return r
	case *CancelWaybill:
		return e.Reply(AlreadyPickedUp, "")
	case *CheckBiz:
		return e.Reply(WrongPassword, "密码 <错误> & ]]>", 0)
	case *GetQuota:
		return e.Reply(OK, "ok", 42)
	}
	return nil
}

func TestReplies(t *testing.T) {
	const headXML = "<xml><ToUserName><![CDATA[oABCD]]></ToUserName><FromUserName><![CDATA[gh_abcdefg]]></FromUserName>" +
		"<CreateTime>1533042556</CreateTime><MsgType><![CDATA[event]]></MsgType>"
	const headJSON = `{"ToUserName":"oABCD","FromUserName":"gh_abcdefg","CreateTime":1533042556,"MsgType":"event",`
	for _, tt := range []struct{ event, xml, json string }{
		{"add_waybill",
			"<Event><![CDATA[add_waybill]]></Event><Token><![CDATA[1234ABC234523451]]></Token>" +
				"<OrderID><![CDATA[012345678901234567890123456789]]></OrderID><BizID><![CDATA[xyz]]></BizID><WayBillID><![CDATA[123456789]]></WayBillID>" +
				"<ResultCode>0</ResultCode><ResultMsg><![CDATA[success]]></ResultMsg>" +
				"<WaybillData><![CDATA[##ZTO_bagAddr##广州##ZTO_mark##888-666-666##]]></WaybillData></xml>",
			`"Event":"add_waybill","Token":"1234ABC234523451","OrderID":"012345678901234567890123456789","BizID":"xyz","WayBillID":"123456789",` +
				`"ResultCode":0,"ResultMsg":"success","WaybillData":"##ZTO_bagAddr##广州##ZTO_mark##888-666-666##"}`},
		{"cancel_waybill",
			"<Event><![CDATA[cancel_waybill]]></Event><BizID><![CDATA[xyz]]></BizID><OrderID><![CDATA[0123456789]]></OrderID>" +
				"<WayBillID><![CDATA[123456789]]></WayBillID><ResultCode>30002</ResultCode><ResultMsg><![CDATA[already picked up]]></ResultMsg></xml>",
			`"Event":"cancel_waybill","BizID":"xyz","OrderID":"0123456789","WayBillID":"123456789","ResultCode":30002,"ResultMsg":"already picked up"}`},
		{"check_biz",
			"<Event><![CDATA[check_biz]]></Event><BizID><![CDATA[xyz]]></BizID><ResultCode>10002</ResultCode>" +
				"<ResultMsg><![CDATA[密码 <错误> & ]]]]><![CDATA[>]]></ResultMsg><Quota>0</Quota></xml>",
			`"Event":"check_biz","BizID":"xyz","ResultCode":10002,"ResultMsg":"密码 <错误> & ]]>","Quota":0}`},
		{"get_quota",
			"<Event><![CDATA[get_quota]]></Event><BizID><![CDATA[xyz]]></BizID><ResultCode>0</ResultCode><ResultMsg><![CDATA[ok]]></ResultMsg>" +
				"<Quota>42</Quota></xml>",
			`"Event":"get_quota","BizID":"xyz","ResultCode":0,"ResultMsg":"ok","Quota":42}`},
	} {
		t.Run(tt.event, func(t *testing.T) {
			checkReply(t, XML, tt.event+".xml", headXML+tt.xml, "text/xml; charset=utf-8")
			checkReply(t, JSON, tt.event+".json", headJSON+tt.json, "application/json; charset=utf-8")
		})
	}
}

// checkReply answers the sample in plain and in safe mode and wants the same text out of both.
func checkReply(t *testing.T, format Format, file, want, contentType string) {
	t.Helper()
	m, err := plainRequest(testdata(t, file)).open(plainKeys(t))
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Decode()
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Reply(replyTo(e), testTime)
	if err != nil || string(r.Body) != want || r.ContentType != contentType {
		t.Errorf("plain: got %s %q, %v\nwant %s", r.Body, r.ContentType, err, want)
	}
	m, e = openEvent(t, format, file)
	r, err = m.Reply(replyTo(e), testTime)
	if err != nil || r.ContentType != contentType {
		t.Fatalf("safe: %q, %v", r.ContentType, err)
	}
	readReply(t, r, format, testKey)
	outer := flat(t, string(r.Body), format)
	if got := decryptReply(t, outer["Encrypt"], testKey); got != want {
		t.Errorf("safe: got %s\nwant %s", got, want)
	}
	if outer["TimeStamp"] != "1700000000" || len(outer) != 4 {
		t.Errorf("the envelope is %v", outer)
	}
	if format == JSON && !strings.Contains(string(r.Body), `"TimeStamp":1700000000,`) {
		t.Errorf("TimeStamp is no number: %s", r.Body)
	}
}

func TestRepliesThatCannotBe(t *testing.T) {
	m, e := openEvent(t, XML, "add_waybill.xml")
	add := e.(*AddWaybill)
	change := func(f func(*AddWaybillReply)) AddWaybillReply {
		r := add.Reply(OK, "")
		f(&r)
		return r
	}
	for _, tt := range []struct {
		name  string
		reply Reply
		want  string // Part of the error; empty if it can be.
	}{
		{"accepted", add.Reply(OK, ""), ""},
		{"refused with the id 0", change(func(r *AddWaybillReply) { r.WayBillID, r.ResultCode = "0", Failed }), ""},
		{"refused without an id", change(func(r *AddWaybillReply) { r.WayBillID, r.ResultCode = "", BadCargo }), ""},
		{"accepted with the id 0", change(func(r *AddWaybillReply) { r.WayBillID = "0" }), "can't be given to an order"},
		{"accepted without an id", change(func(r *AddWaybillReply) { r.WayBillID = "" }), "can't be given to an order"},
		{"accepted with a space", change(func(r *AddWaybillReply) { r.WayBillID = "1 2" }), "can't be given to an order"},
		{"data", change(func(r *AddWaybillReply) { r.WaybillData = WaybillData{{"k", "v#"}} }), "begins or ends with #"},
		{"to another event", GetQuotaReply{}, "a reply to get_quota for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := m.Reply(tt.reply, testTime)
			if tt.want == "" {
				if err != nil || len(r.Body) == 0 {
					t.Errorf("got %q, %v", r.Body, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || r.Body != nil {
				t.Errorf("got %q, %v, want an error with %q", r.Body, err, tt.want)
			}
			if strings.Contains(err.Error(), "1234ABC") {
				t.Errorf("the error tells the Token: %v", err)
			}
		})
	}
}

func TestWaybillData(t *testing.T) {
	for _, tt := range []struct {
		name string
		data WaybillData
		want string
		bad  bool
	}{
		{"none", nil, "", false},
		{"the documents' example", WaybillData{{"ZTO_bagAddr", "广州"}, {"ZTO_mark", "888-666-666"}}, "##ZTO_bagAddr##广州##ZTO_mark##888-666-666##", false},
		{"empty value", WaybillData{{"a", ""}, {"b", "x"}}, "##a####b##x##", false},
		{"a lone #", WaybillData{{"addr", "3#楼"}}, "##addr##3#楼##", false},
		{"# first", WaybillData{{"a", "#1"}}, "", true},
		{"# last", WaybillData{{"a", "1#"}}, "", true},
		{"## within", WaybillData{{"a", "1##2"}}, "", true},
		{"only #", WaybillData{{"a", "#"}}, "", true},
		{"# in a key", WaybillData{{"a#b", "1"}}, "", true},
		{"empty key", WaybillData{{"", "1"}}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.data.Text()
			if got != tt.want || (err != nil) != tt.bad {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestRepliesHoldWhatXMLCannot(t *testing.T) {
	got := string(writeXML([]field{asText("A", "a\x00\x1b[31m\ufffe]]>\xff")}))
	want := "<xml><A><![CDATA[a\ufffd\ufffd[31m\ufffd]]]]><![CDATA[>\ufffd]]></A></xml>"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := string(writeJSON([]field{asText("A", "<&>\x00\xff\"\\")})), `{"A":"<&>\u0000\ufffd\"\\"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestResultCodes(t *testing.T) {
	for _, tt := range []struct {
		code ResultCode
		text string
	}{{OK, "success"}, {Failed, "system error"}, {AlreadyPickedUp, "already picked up"}, {40001, "40001"}} {
		if tt.code.String() != tt.text {
			t.Errorf("%d: got %q", int(tt.code), tt.code)
		}
	}
}
