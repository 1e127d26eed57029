package ingest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"carrier/internal/problem"
)

// malformedCase is a body that must never reach the store, and how it is answered.
type malformedCase struct {
	name, body string
	code       problem.Code
	fields     string // "field:code", with spaces between.
}

// goodFields are the fields of a good event, each with its value in JSON.
var goodFields = [][2]string{
	{"id", `"scan-0001"`}, {"delivery_id", `"SF"`}, {"waybill_id", `"1234567890"`}, {"action_type", "300002"},
	{"action_time", "1533052800"}, {"action_msg", `"正在派件"`}, {"token", `"TOKEN"`},
}

// with is a good event with one field's value replaced; an empty value leaves the field out, an unknown one is added.
func with(field, value string) string {
	var members []string
	found := false
	for _, f := range goodFields {
		v := f[1]
		if f[0] == field {
			v, found = value, true
		}
		if v != "" {
			members = append(members, fmt.Sprintf("%q:%s", f[0], v))
		}
	}
	if !found {
		members = append(members, fmt.Sprintf("%q:%s", field, value))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// good is a good event.
func good() string { return with("id", `"scan-0001"`) }

// and is a good event with more members at its end.
func and(members string) string { return strings.TrimSuffix(good(), "}") + "," + members + "}" }

func quoted(s string) string { return `"` + s + `"` }

// malformedCases are far over 200: every wrong type of every field, every way to repeat and misname one, the edges of
// every rule, and what is no JSON or no UTF-8 at all.
func malformedCases() []malformedCase {
	var all []malformedCase
	add := func(name, body string, code problem.Code, fields string) {
		all = append(all, malformedCase{name, body, code, fields})
	}
	for _, c := range typeCases() {
		add(c.name, c.body, problem.InvalidEvent, c.fields)
	}
	for _, c := range nameCases() {
		add(c.name, c.body, problem.InvalidEvent, c.fields)
	}
	for _, c := range ruleCases() {
		add(c.name, c.body, problem.InvalidEvent, c.fields)
	}
	for i, body := range notJSONBodies() {
		add(fmt.Sprintf("not JSON %d %.30q", i, body), body, problem.MalformedJSON, "")
	}
	for i, body := range notUTF8Bodies() {
		add(fmt.Sprintf("not UTF-8 %d %.30q", i, body), body, problem.NotUTF8, "")
	}
	for _, top := range []string{`[]`, `[` + good() + `]`, `"x"`, `""`, `0`, `-1.5e3`, `true`, `false`, `null`, " \n null\t"} {
		add("top level "+top, top, problem.InvalidEvent, ":type")
	}
	return all
}

func typeCases() (all []malformedCase) {
	add := func(field, value, code string) {
		all = append(all, malformedCase{name: field + " as " + fmt.Sprintf("%.40s", value), body: with(field, value), fields: field + ":" + code})
	}
	for _, f := range []string{"id", "delivery_id", "waybill_id", "action_msg", "token"} {
		for _, v := range []string{"null", "true", "false", "0", "-1", "1.5", "[]", `["a"]`, "{}", `{"a":"b"}`} {
			add(f, v, "type")
		}
		for _, v := range []string{`\ud800`, `\udfff`, `a\ud800b`, `\ud800\u0041`, `\ud800\ud800`, `\udc00\ud800`, `\uD83D`} {
			add(f, quoted(v), "lone_surrogate")
		}
	}
	for _, f := range []string{"action_type", "action_time"} {
		for _, v := range []string{"null", "true", "false", `""`, `"300002"`, `"1533052800"`, "[]", "[300002]", "{}"} {
			add(f, v, "type")
		}
		for _, v := range []string{"1.0", "1533052800.0", "1e3", "1E3", "1.5e9", "3.00002e5", "-0.0", "1e400", "1e-1"} {
			add(f, v, "integer")
		}
		for _, v := range []string{"9223372036854775808", "-9223372036854775809", strings.Repeat("9", 400)} {
			add(f, v, "range")
		}
	}
	return all
}

func nameCases() (all []malformedCase) {
	add := func(name, body, fields string) {
		all = append(all, malformedCase{name: name, body: body, fields: fields})
	}
	for _, f := range goodFields {
		add("repeated "+f[0], and(fmt.Sprintf("%q:%s", f[0], f[1])), f[0]+":repeated_field")
		escaped := fmt.Sprintf(`"\u%04x%s"`, f[0][0], f[0][1:])
		add("repeated by an escape "+f[0], and(escaped+":"+f[1]), f[0]+":repeated_field")
		escaped = fmt.Sprintf(`"%s\u%04X"`, f[0][:len(f[0])-1], f[0][len(f[0])-1])
		add("repeated by another escape "+f[0], and(escaped+":null"), f[0]+":repeated_field")
		upper := strings.ToUpper(f[0])
		add("also in capitals "+f[0], and(fmt.Sprintf("%q:%s", upper, f[1])), upper+":unknown_field")
		title := strings.ToUpper(f[0][:1]) + f[0][1:]
		add("also with a capital "+f[0], and(fmt.Sprintf("%q:%s", title, f[1])), title+":unknown_field")
		add("with a space "+f[0], and(fmt.Sprintf("\"%s \":%s", f[0], f[1])), f[0]+" :unknown_field")
	}
	for _, name := range []string{"", "x", "ID", "actionTime", "action-time", "waybillId", "errcode", "__proto__", "seq",
		"verdict", "source", "delivery_ıd", "ıd", "toKen", "数据", "$where", "id\\u0000", "\\ud800"} {
		shown := strings.ReplaceAll(name, "\\u0000", "\x00")
		if name == "\\ud800" {
			shown = `"\ud800"`
		}
		add("unknown "+name, and(`"`+name+`":1`), shown+":unknown_field")
	}
	add("long name", and(`"`+strings.Repeat("k", 1000)+`":1`), strings.Repeat("k", 64)+"…:unknown_field")
	add("long name cut in a character", and(`"`+strings.Repeat("中", 1000)+`":1`), strings.Repeat("中", 21)+"…:unknown_field")
	add("nested value", and(`"x":{"a":[1,{"b":"}]"}],"c":"\\"}`), "x:unknown_field")
	add("two unknown", and(`"x":1,"y":2`), "x:unknown_field y:unknown_field")
	add("unknown twice", and(`"x":1,"x":2`), "x:unknown_field x:unknown_field")
	return all
}

func ruleCases() (all []malformedCase) {
	add := func(field, value, code string) {
		name := fmt.Sprintf("%s = %.40q", field, value)
		if value == "" {
			name = field + " left out"
		}
		all = append(all, malformedCase{name: name, body: with(field, value), fields: field + ":" + code})
	}
	for _, f := range []string{"id", "waybill_id", "action_type", "action_time", "action_msg"} {
		add(f, "", "required")
	}
	for _, f := range []string{"id", "delivery_id", "waybill_id", "action_msg"} {
		add(f, `""`, "required")
	}
	add("id", quoted(strings.Repeat("x", 129)), "too_long")
	add("id", quoted(strings.Repeat("单", 129)), "too_long")
	for _, v := range []string{`\u0000`, `a\nb`, `a\r\nb`, `\t`, `\u007f`, `\u0085`, `\u001b[31m`, `\u202e`, `\u200b`, `\u2028`, `\ufeff`,
		`\u00a0`, `\u3000`, `\ue000`, "a\u2066b", `\ud87e\ude1e`, `\udb40\udc01`} {
		if v != `\ud87e\ude1e` { // A compatibility ideograph, which is printable.
			add("id", quoted(v), "illegal_character")
		}
	}
	add("waybill_id", quoted(strings.Repeat("9", 65)), "too_long")
	add("waybill_id", quoted(strings.Repeat("单", 65)), "too_long")
	for _, v := range []string{" ", " 123", "123 ", "12 3", `\t1`, `1\n`, `1\r\n`, `\u0000`, `\u001b[0m`, `\u007f`, `\u0080`, `1\u00a02`,
		`\u2003`, `\u2028`, `\u3000`, `1\u200b2`, `\u202e1`, `\ufeff1`, `\u00ad`, `\u2060`} {
		add("waybill_id", quoted(v), "illegal_character")
	}
	for _, v := range []string{"0", "-0", "-1", "1", "100000", "100004", "200002", "300001", "300005", "400003", "-300002",
		"4295067297", "-4294867295", "9223372036854775807", "-9223372036854775808"} {
		add("action_type", v, "unknown_action_type")
	}
	for _, v := range []string{"0", "-0", "-1", "-1533052800", "-9223372036854775808"} {
		add("action_time", v, "action_time_not_positive")
	}
	for _, v := range []string{"100000000000", "1533052800000", "1533052800000000000", "9223372036854775807"} {
		add("action_time", v, "action_time_milliseconds")
	}
	for _, v := range []string{"99999999999", fmt.Sprint(time.Now().Add(11 * time.Minute).Unix())} {
		add("action_time", v, "action_time_future")
	}
	add("action_msg", quoted(strings.Repeat("x", 1025)), "too_long")
	add("action_msg", quoted(strings.Repeat("件", 342)), "too_long")
	add("action_msg", quoted(strings.Repeat(`\u4ef6`, 342)), "too_long")
	add("token", quoted(strings.Repeat("t", 257)), "too_long")
	add("token", quoted(strings.Repeat("密", 86)), "too_long")
	for _, v := range []string{"sf", "SF ", " SF", "YTO", `SF\u0000`, "顺丰", strings.Repeat("S", 1000)} {
		add("delivery_id", quoted(v), "unknown_delivery_id")
	}
	all = append(all, malformedCase{name: "nothing", body: "{}",
		fields: "id:required waybill_id:required action_type:required action_time:required action_msg:required"})
	all = append(all, malformedCase{name: "everything",
		body:   `{"id":1,"delivery_id":"X","waybill_id":" ","action_type":1,"action_time":1e3,"action_msg":"","token":null,"x":1,"id":2}`,
		fields: "id:type action_time:integer token:type x:unknown_field id:repeated_field delivery_id:unknown_delivery_id waybill_id:illegal_character action_type:unknown_action_type action_msg:required"})
	return all
}

func notJSONBodies() []string {
	good := good()
	bodies := []string{
		"", " ", "\r\n", "\x00", "{", "}", "[", "]", `"`, "{]", "[}", "{,}", "{}}", "[]]", "{} {}", "{}\n{}", "{};", "{}\x00", "\ufeff{}", "\ufeff" + good,
		good + good, good + ",", good + "\x00", good + "garbage", good[1:], good[:len(good)-1], "[" + good, good + "]",
		`{id:"a"}`, `{'id':'a'}`, `{"id"}`, `{"id":}`, `{"id":"a",}`, `{,"id":"a"}`, `{"id" "a"}`, `{"id"=>"a"}`, `{"id":"a";}`, `{1:2}`, `{null:1}`,
		`{"id":"a" "token":"b"}`, `{"id":"a"} // comment`, `{/* c */"id":"a"}`, `{"id":'a'}`, "{\"id\":`a`}",
		`{"id":"a` + "\n" + `b"}`, `{"id":"a` + "\x00" + `"}`, `{"id":"a` + "\x1f" + `"}`, "{\"id\":\"\t\"}",
		`{"id":"\x41"}`, `{"id":"\u12"}`, `{"id":"\u12G4"}`, `{"id":"\U00000041"}`, `{"id":"\'"}`, `{"id":"\`, `{"id":"\"}`, `{"id":"\u"}`, `{"id":"\0"}`,
		`{"action_time":NaN}`, `{"action_time":Infinity}`, `{"action_time":-Infinity}`, `{"action_time":-}`, `{"action_time":+1}`, `{"action_time":01}`,
		`{"action_time":.5}`, `{"action_time":5.}`, `{"action_time":1e}`, `{"action_time":1e+}`, `{"action_time":0x5B60A480}`, `{"action_time":1_000}`,
		`{"action_time":1,533}`, `{"action_time":--1}`, `{"action_time":-01}`, `{"action_time":1.}`,
		"nul", "TRUE", "True", "undefined", "tru", "nulll", "None", "abc", "-", "+1", "01", "1.", "1e", "00", "0x10", "NaN",
		"id=scan-0001&waybill_id=1", "<event><id>a</id></event>", "id: a\nwaybill_id: b\n", "id,waybill_id\na,b\n", "--boundary\r\n",
		strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000), strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		utf16Text(good, false), "\u3000" + good, "\u00a0{}", "\v{}", "\f{}", "{\u2028}",
	}
	for i := 1; i < len(good); i += 17 {
		if cut := good[:i]; strings.ToValidUTF8(cut, "?") == cut {
			bodies = append(bodies, cut)
		}
	}
	return bodies
}

// utf16Text is text in UTF-16 without a byte order mark, which for ASCII is valid UTF-8 full of NULs.
func utf16Text(text string, mark bool) string {
	var b bytes.Buffer
	if mark {
		b.WriteString("\xff\xfe")
	}
	for _, u := range utf16.Encode([]rune(strings.ReplaceAll(text, "正在派件", "x"))) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func notUTF8Bodies() []string {
	bodies := []string{"\xff", "\xfe\xff", utf16Text(good(), true), "\x80{}", "{}\xc0\x80", "{\"id\":\"a\"}\xff", "\x1f\x8b\x08\x00gzip"}
	for _, bad := range []string{"\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe4\xbd", "\x80",
		"\xc3\x28", "\xf0\x28\x8c\xbc", "\xd5\xfd\xd4\xda\xc5\xc9\xbc\xfe"} { // The last is 正在派件 in GBK.
		for _, f := range []string{"id", "waybill_id", "action_msg", "token", "delivery_id"} {
			bodies = append(bodies, with(f, quoted(bad)))
		}
		bodies = append(bodies, `{"`+bad+`":1}`)
	}
	return bodies
}

func TestMalformedBodies(t *testing.T) {
	cases := malformedCases()
	if len(cases) < 400 {
		t.Fatalf("only %d cases", len(cases))
	}
	t.Logf("%d cases", len(cases))
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			a := b.post("/v1/events", tt.body)
			e, _ := problem.Look(tt.code)
			a.is(e.Status, tt.code)
			if got := strings.Join(a.fields(), " "); got != tt.fields {
				t.Errorf("fields %q, want %q", got, tt.fields)
			}
			if a.str("verdict") != "invalid" || b.observed["courier-app invalid"] != 1 {
				t.Errorf("verdict %q, observed %v", a.str("verdict"), b.observed)
			}
			if len(b.store.applied) != 0 {
				t.Error("Apply was called")
			}
			if len(a.text) > 8192 {
				t.Errorf("an answer of %d bytes", len(a.text))
			}
		})
	}
}

// TestMalformedItems sends the same cases as elements of a batch, where each must spoil only itself.
func TestMalformedItems(t *testing.T) {
	b := newBench(t)
	for _, tt := range malformedCases() {
		if tt.code != problem.InvalidEvent {
			continue
		}
		b.store.applied = nil
		a := b.post("/v1/events/batch", "["+with("id", `"first"`)+","+tt.body+","+with("id", `"last"`)+"]")
		if a.Code != 200 {
			t.Fatalf("%s: got %d: %s", tt.name, a.Code, a.text)
		}
		got := a.results()[1]
		if fields := strings.Join(fieldsOf(t, got), " "); got["verdict"] != "invalid" || got["code"] != "invalid_event" || fields != tt.fields {
			t.Errorf("%s: %v, fields %q, want %q", tt.name, got["verdict"], fields, tt.fields)
		}
		if events := b.store.all(); len(events) != 2 || events[0].ID != "first" || events[1].ID != "last" {
			t.Errorf("%s: stored %v", tt.name, events)
		}
	}
}

func TestManyErrorsAreCut(t *testing.T) {
	var body strings.Builder
	body.WriteString(`{"a":1`)
	for i := range 50_000 {
		fmt.Fprintf(&body, `,"k%d":1`, i)
	}
	body.WriteString("}")
	a := newBench(t).post("/v1/events", body.String())
	a.is(422, problem.InvalidEvent)
	if got := len(a.fields()); got != maxFieldErrors {
		t.Errorf("%d errors, want %d", got, maxFieldErrors)
	}
	if len(a.text) > 10_000 {
		t.Errorf("an answer of %d bytes", len(a.text))
	}
}

func TestGoodBodiesAtTheEdges(t *testing.T) {
	for _, tt := range []struct{ field, value string }{
		{"id", quoted(strings.Repeat("x", 128))},
		{"id", quoted(strings.Repeat("单", 128))},
		{"id", quoted(`a b~!"`[:5])},
		{"id", `"\u4e2d\ud83d\ude00"`},
		{"waybill_id", quoted(strings.Repeat("单", 64))},
		{"waybill_id", quoted("SF-12_3/4#é")},
		{"action_time", "1"},
		{"action_time", fmt.Sprint(time.Now().Add(9 * time.Minute).Unix())},
		{"action_msg", quoted(strings.Repeat("x", 1024))},
		{"action_msg", quoted(strings.Repeat("件", 341))},
		{"action_msg", quoted(strings.Repeat(`\u4ef6`, 341))},
		{"action_msg", quoted(`<a href=\"x\">&\u0000\n\u202e`)},
		{"token", quoted(strings.Repeat("t", 256))},
		{"token", quoted("")},
		{"token", ""},
		{"delivery_id", ""},
		{"delivery_id", `"\u0053F"`},
	} {
		t.Run(fmt.Sprintf("%s %.30s", tt.field, tt.value), func(t *testing.T) {
			b := newBench(t)
			if a := b.post("/v1/events", with(tt.field, tt.value)); a.Code != 202 {
				t.Errorf("got %d: %s", a.Code, a.text)
			}
		})
	}
	for _, code := range []string{"100001", "100002", "100003", "200001", "300002", "300003", "300004", "400001", "400002"} {
		if a := newBench(t).post("/v1/events", " \n"+with("action_type", code)+"\r\n\t "); a.Code != 202 {
			t.Errorf("%s: got %d: %s", code, a.Code, a.text)
		}
	}
}
