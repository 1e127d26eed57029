package callback

import (
	"reflect"
	"strings"
	"testing"
)

func TestJSONTree(t *testing.T) {
	got, err := readJSON([]byte(`{"A":"x<>\u4e2d","N":1.50,"B":true,"Z":null,"G":{"a":1,"A":2},"L":[{"N":"1"},{"N":"2"}],"E":[],"D":[[1]]} `))
	if err != nil {
		t.Fatal(err)
	}
	want := &node{kind: kindGroup, kids: []*node{
		{name: "A", kind: kindString, text: "x<>中"}, {name: "N", kind: kindNumber, text: "1.50"}, {name: "B", kind: kindBool},
		{name: "Z", kind: kindNull},
		{name: "G", kind: kindGroup, kids: []*node{{name: "a", kind: kindNumber, text: "1"}, {name: "A", kind: kindNumber, text: "2"}}},
		{name: "L", kind: kindGroup, inList: true, kids: []*node{{name: "N", kind: kindString, text: "1"}}},
		{name: "L", kind: kindGroup, inList: true, kids: []*node{{name: "N", kind: kindString, text: "2"}}},
		{name: "D", kind: kindList, inList: true, kids: []*node{{name: "D", kind: kindNumber, text: "1", inList: true}}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %s\nwant %s", dump(got), dump(want))
	}
}

func TestHostileJSONIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"repeated member", `{"A":1,"A":2}`, "twice"},
		{"repeated by escape", `{"A":1,"\u0041":2}`, "twice"},
		{"repeated within", `{"G":{"A":1,"B":2,"A":3}}`, "twice"},
		{"repeated list", `{"L":[1],"L":[2]}`, "twice"},
		{"repeated null", `{"A":null,"A":1}`, "twice"},
		{"repeated empty list", `{"A":[],"A":1}`, "twice"},
		{"second document", `{}{}`, "one JSON object"},
		{"text behind", `{} x`, "one JSON object"},
		{"comma at the end", `{"A":1,}`, "one JSON object"},
		{"no end", `{"A":1`, "one JSON object"},
		{"single quotes", `{'A':1}`, "one JSON object"},
		{"comment", `{/* */}`, "one JSON object"},
		{"NaN", `{"A":NaN}`, "one JSON object"},
		{"control character", "{\"A\":\"\x01\"}", "one JSON object"},
		{"too deep", strings.Repeat(`{"A":`, maxDepth) + "1" + strings.Repeat("}", maxDepth), "deeper"},
		{"lists too deep", `{"A":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}", "deeper"},
		{"200,000 deep", strings.Repeat(`{"A":`, 200_000), "one JSON object"},
		{"too many values", `{"A":[` + strings.Repeat("1,", maxNodes) + "1]}", "more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readJSON([]byte(tt.text))
			if err == nil {
				t.Fatalf("taken: %s", dump(got))
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want one with %q", err, tt.want)
			}
		})
	}
}

func TestFormatIsToldByTheFirstCharacter(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		format     Format
		want       string // Of the error; empty if it is taken.
	}{
		{"XML", " \r\n\t<xml></xml>", XML, ""},
		{"JSON", "\n {}", JSON, ""},
		{"empty", "", 0, "neither"},
		{"spaces", "  ", 0, "neither"},
		{"list", "[]", 0, "neither"},
		{"text", "success", 0, "neither"},
		{"byte order mark", "\ufeff<xml></xml>", 0, "neither"},
		{"no UTF-8", "<xml><A>\xc4\xe3</A></xml>", 0, "UTF-8"},
		{"JSON without UTF-8", "{\"A\":\"\xff\"}", 0, "UTF-8"},
		{"too large", "{" + strings.Repeat(" ", MaxBodyBytes) + "}", 0, "more than 1048576 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, format, err := readTree([]byte(tt.body))
			if tt.want == "" && (err != nil || format != tt.format) {
				t.Errorf("got %v, %v, want %v", format, err, tt.format)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
