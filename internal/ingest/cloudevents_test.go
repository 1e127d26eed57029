package ingest

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"carrier/internal/problem"
	"carrier/internal/state"
)

var structured = header{"Content-Type", "application/cloudevents+json"}

// noID is a good event without its id.
func noID() string { return with("id", "") }

// envelopeOf is a CloudEvent with these members besides the required ones. A member that is there replaces the
// required one; a value of "-" leaves it out.
func envelopeOf(members ...string) string {
	all := []string{"specversion", `"1.0"`, "id", `"ce-1"`, "source", `"/scanner/7"`, "type", `"com.example.scan"`, "data", noID()}
	var text []string
	for i := 0; i < len(all); i += 2 {
		replaced := false
		for j := 0; j < len(members); j += 2 {
			replaced = replaced || members[j] == all[i]
		}
		if !replaced {
			text = append(text, fmt.Sprintf("%q:%s", all[i], all[i+1]))
		}
	}
	for j := 0; j < len(members); j += 2 {
		if members[j+1] != "-" {
			text = append(text, fmt.Sprintf("%q:%s", members[j], members[j+1]))
		}
	}
	return "{" + strings.Join(text, ",") + "}"
}

func TestStructuredCloudEvents(t *testing.T) {
	encoded := quoted(base64.StdEncoding.EncodeToString([]byte(" " + noID() + "\n")))
	for _, tt := range []struct {
		name, body string
		fields     string // Empty: accepted.
	}{
		{"plain", envelopeOf(), ""},
		{"same id in data", envelopeOf("data", with("id", `"ce-1"`)), ""},
		{"all attributes", envelopeOf("datacontenttype", `"application/json"`, "dataschema", `"https://e/s"`, "subject", `"1"`, "time", `"2026-01-02T03:04:05Z"`), ""},
		{"JSON by suffix", envelopeOf("datacontenttype", `"application/vnd.scan+json; charset=utf-8"`), ""},
		{"extensions", envelopeOf("traceparent", `"00-1"`, "partitionkey", "7", "sampled", "true", "x1", "null"), ""},
		{"null for an optional attribute", envelopeOf("datacontenttype", "null"), ""},
		{"base64", envelopeOf("data", "-", "data_base64", encoded), ""},
		{"specversion by escape", envelopeOf("specversion", `"1\u002e0"`), ""},

		{"array", "[]", ":type"},
		{"null", "null", ":type"},
		{"bare event", good(), "delivery_id:unknown_field waybill_id:unknown_field action_type:unknown_field action_time:unknown_field action_msg:unknown_field specversion:required source:required type:required data:required"},
		{"no specversion", envelopeOf("specversion", "-"), "specversion:required"},
		{"specversion 0.3", envelopeOf("specversion", `"0.3"`), "specversion:unsupported_specversion"},
		{"specversion 1.0.2", envelopeOf("specversion", `"1.0.2"`), "specversion:unsupported_specversion"},
		{"specversion as number", envelopeOf("specversion", "1.0"), "specversion:type"},
		{"no id", envelopeOf("id", "-"), "id:required"},
		{"empty id", envelopeOf("id", `""`), "id:required"},
		{"null id", envelopeOf("id", "null"), "id:required"},
		{"id as number", envelopeOf("id", "7"), "id:type"},
		{"long id", envelopeOf("id", quoted(strings.Repeat("x", 129))), "id:too_long"},
		{"unprintable id", envelopeOf("id", `"a\u0000"`), "id:illegal_character"},
		{"half a character", envelopeOf("id", `"\ud800"`), "id:lone_surrogate"},
		{"no source", envelopeOf("source", "-"), "source:required"},
		{"empty source", envelopeOf("source", `""`), "source:required"},
		{"no type", envelopeOf("type", "-"), "type:required"},
		{"no data", envelopeOf("data", "-"), "data:required"},
		{"data null", envelopeOf("data", "null"), "data:type"},
		{"data as text", envelopeOf("data", `"{}"`), "data:type"},
		{"data as array", envelopeOf("data", "["+noID()+"]"), "data:type"},
		{"data empty", envelopeOf("data", "{}"), "data.waybill_id:required data.action_type:required data.action_time:required data.action_msg:required"},
		{"data with a wrong field", envelopeOf("data", `{"waybill_id":"w","action_type":300002,"action_time":1e3,"action_msg":"m","x":1}`), "data.action_time:integer data.x:unknown_field"},
		{"data with a broken rule", envelopeOf("data", with("action_time", "1533052800000")), "data.id:id_mismatch data.action_time:action_time_milliseconds"},
		{"other id in data", envelopeOf("data", good()), "data.id:id_mismatch"},
		{"id in data by another type", envelopeOf("data", with("id", "1")), "data.id:type"},
		{"data twice", envelopeOf("data", noID(), "data_base64", encoded), "data_base64:data_twice"},
		{"data twice the other way", envelopeOf("data", "-", "data_base64", encoded, "data", noID()), "data_base64:data_twice"},
		{"base64 of another type", envelopeOf("data", "-", "data_base64", "7"), "data_base64:type"},
		{"not base64", envelopeOf("data", "-", "data_base64", `"*"`), "data_base64:not_base64"},
		{"base64 for addresses", envelopeOf("data", "-", "data_base64", `"__-_"`), "data_base64:not_base64"},
		{"base64 of no JSON", envelopeOf("data", "-", "data_base64", `"e30="`, "x", "1", "data_base64", `"e30="`), "data_base64:repeated_field data.waybill_id:required data.action_type:required data.action_time:required data.action_msg:required"},
		{"base64 of half a JSON", envelopeOf("data", "-", "data_base64", `"ew=="`), "data_base64:malformed_json"},
		{"base64 of nothing", envelopeOf("data", "-", "data_base64", `""`), "data_base64:malformed_json"},
		{"base64 of no UTF-8", envelopeOf("data", "-", "data_base64", `"/w=="`), "data_base64:not_utf8"},
		{"base64 of an array", envelopeOf("data", "-", "data_base64", `"W10="`), "data:type"},
		{"data is XML", envelopeOf("datacontenttype", `"application/xml"`), "datacontenttype:data_content_type"},
		{"data is in GBK", envelopeOf("datacontenttype", `"application/json; charset=gbk"`), "datacontenttype:data_content_type"},
		{"unreadable content type", envelopeOf("datacontenttype", `"json"`), "datacontenttype:data_content_type"},
		{"extension twice", envelopeOf("abc", "1", "abc", "1"), "abc:repeated_field"},
		{"attribute twice", strings.Replace(envelopeOf(), "{", `{"id":"ce-1",`, 1), "id:repeated_field"},
		{"attribute twice by escape", strings.Replace(envelopeOf(), "{", `{"\u0069d":"ce-1",`, 1), "id:repeated_field"},
		{"extension by a bad name", envelopeOf("dataBase64", `"x"`), "dataBase64:unknown_field"},
		{"in capitals", envelopeOf("Data", "{}"), "Data:unknown_field"},
		{"empty name", envelopeOf("", "1"), ":unknown_field"},
		{"extension as object", envelopeOf("ext", "{}"), "ext:type"},
		{"extension as array", envelopeOf("ext", "[]"), "ext:type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			checkCloudEvent(t, b, b.post("/v1/events", tt.body, structured), tt.fields, "ce-1")

			b = newBench(t)
			a := b.post("/v1/events/batch", "["+tt.body+"]", header{"Content-Type", "application/cloudevents-batch+json"})
			if got := strings.Join(fieldsOf(t, a.results()[0]), " "); got != tt.fields {
				t.Errorf("in a batch: fields %q, want %q", got, tt.fields)
			}
		})
	}
}

func checkCloudEvent(t *testing.T, b *bench, a *answer, fields, id string) {
	t.Helper()
	if fields != "" {
		a.is(422, problem.InvalidEvent)
		if got := strings.Join(a.fields(), " "); got != fields {
			t.Errorf("fields %q, want %q", got, fields)
		}
		return
	}
	want := state.Event{ID: id, Source: "courier-app", DeliveryID: "SF", WaybillID: "1234567890", Type: state.DeliveryBegun,
		Time: 1533052800, Msg: "正在派件", Token: "TOKEN"}
	if got := b.store.all(); a.Code != 202 || len(got) != 1 || got[0] != want || a.str("id") != id {
		t.Errorf("got %d, stored %+v, want %+v\n%s", a.Code, got, want, a.text)
	}
}

func TestMalformedStructuredCloudEvents(t *testing.T) {
	for _, body := range notJSONBodies() {
		newBench(t).post("/v1/events", body, structured).is(400, problem.MalformedJSON)
	}
	for _, body := range notUTF8Bodies() {
		newBench(t).post("/v1/events", body, structured).is(400, problem.NotUTF8)
	}
}

func TestEnvelopeWithManyAttributes(t *testing.T) {
	var members []string
	for i := range 40_000 {
		members = append(members, fmt.Sprintf("x%d", i), "1")
	}
	if a := newBench(t).post("/v1/events", envelopeOf(members...), structured); a.Code != 202 {
		t.Errorf("got %d: %.300s", a.Code, a.text)
	}
}

func TestBinaryCloudEvents(t *testing.T) {
	all := []header{{"Ce-Specversion", "1.0"}, {"Ce-Id", "ce-1"}, {"Ce-Source", "/scanner/7"}, {"Ce-Type", "com.example.scan"}}
	// but is all with one header replaced; an empty value leaves it out.
	but := func(name, value string) []header {
		var some []header
		for _, h := range all {
			if h.name == name {
				h.value = value
			}
			if h.value != "" {
				some = append(some, h)
			}
		}
		return some
	}
	for _, tt := range []struct {
		name    string
		headers []header
		body    string
		id      string
		fields  string
	}{
		{"plain", all, noID(), "ce-1", ""},
		{"same id in the body", all, with("id", `"ce-1"`), "ce-1", ""},
		{"with extensions", append(all, header{"Ce-Subject", "x"}, header{"Ce-Time", "2026-01-02T03:04:05Z"}, header{"Ce-X", "%"}), noID(), "ce-1", ""},
		{"percent-encoded", but("Ce-Id", "%e5%8d%95%20%22%E5%8F%B7%22%25"), noID(), `单 "号"%`, ""},
		{"one round only", but("Ce-Id", "%2541"), noID(), "%41", ""},
		{"quoted", but("Ce-Id", `"a \"b\" \\ c"`), noID(), `a "b" \ c`, ""},
		{"quoted and encoded", but("Ce-Id", `"a%20b"`), noID(), "a b", ""},
		{"plus stays", but("Ce-Id", "a+b"), noID(), "a+b", ""},
		{"raw UTF-8", but("Ce-Id", "单"), noID(), "单", ""},
		{"lone quote", but("Ce-Id", `"`), noID(), `"`, ""},

		{"no specversion", but("Ce-Specversion", ""), noID(), "", "ce-specversion:required"},
		{"specversion 2", but("Ce-Specversion", "2.0"), noID(), "", "ce-specversion:unsupported_specversion"},
		{"no id", but("Ce-Id", ""), noID(), "", "ce-id:required"},
		{"no id but one in the body", but("Ce-Id", ""), good(), "", "ce-id:required"},
		{"no source", but("Ce-Source", ""), noID(), "", "ce-source:required"},
		{"no type", but("Ce-Type", ""), noID(), "", "ce-type:required"},
		{"only an id", []header{{"Ce-Id", "ce-1"}}, noID(), "", "ce-specversion:required ce-source:required ce-type:required"},
		{"id twice", append(all, header{"Ce-Id", "ce-1"}), noID(), "", "ce-id:repeated_field"},
		{"bad percent", but("Ce-Id", "a%2"), noID(), "", "ce-id:header_encoding"},
		{"bad hex", but("Ce-Id", "a%zz"), noID(), "", "ce-id:header_encoding"},
		{"not UTF-8", but("Ce-Id", "%ff"), noID(), "", "ce-id:header_encoding"},
		{"raw bytes", but("Ce-Id", "\xff"), noID(), "", "ce-id:header_encoding"},
		{"surrogate", but("Ce-Id", "%ed%a0%80"), noID(), "", "ce-id:header_encoding"},
		{"unprintable", but("Ce-Id", "a%0ab"), noID(), "", "ce-id:illegal_character"},
		{"too long", but("Ce-Id", strings.Repeat("x", 129)), noID(), "", "ce-id:too_long"},
		{"other id in the body", all, good(), "", "id:id_mismatch"},
		{"body is an array", all, "[]", "", ":type"},
		{"body with a wrong field", all, with("action_type", "1"), "", "id:id_mismatch action_type:unknown_action_type"},
		{"body with an unknown field", all, `{"x":1,` + noID()[1:], "", "x:unknown_field"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			checkCloudEvent(t, b, b.post("/v1/events", tt.body, tt.headers...), tt.fields, tt.id)
		})
	}
	t.Run("malformed body", func(t *testing.T) {
		newBench(t).post("/v1/events", "{", all...).is(400, problem.MalformedJSON)
	})
	t.Run("structured wins over headers", func(t *testing.T) {
		b := newBench(t)
		checkCloudEvent(t, b, b.post("/v1/events", envelopeOf(), append(but("Ce-Id", "other"), structured)...), "", "ce-1")
	})
}
