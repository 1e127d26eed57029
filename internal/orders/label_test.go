package orders

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestLabel(t *testing.T) {
	tests := []struct {
		name string
		data map[string]string
		want string
		bad  string
	}{
		{name: "nothing"},
		{name: "sorted", data: map[string]string{"ZTO_mark": "888-666-666", "ZTO_bagAddr": "广州"}, want: "##ZTO_bagAddr##广州##ZTO_mark##888-666-666##"},
		{name: "an empty value", data: map[string]string{"a": "", "b": "1"}, want: "##a####b##1##"},
		{name: "a lone #", data: map[string]string{"a": "3#楼"}, want: "##a##3#楼##"},
		{name: "the password", data: map[string]string{"a": "x" + canaryPwd}, want: "##a##x***##"},
		{name: "no key", data: map[string]string{"": "1"}, bad: "key"},
		{name: "# in a key", data: map[string]string{"a#": "1"}, bad: "key"},
		{name: "two #", data: map[string]string{"a": "b##c"}, bad: "value"},
		{name: "# at the end", data: map[string]string{"a": "b#"}, bad: "value"},
		{name: "# at the beginning", data: map[string]string{"a": "#b"}, bad: "value"},
		{name: "a line break", data: map[string]string{"a": "b\nc"}, bad: "value"},
		{name: "too long", data: map[string]string{"a": strings.Repeat("x", maxLabel)}, bad: "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := label(tt.data, canaryPwd)
			if got != tt.want || (err == nil) != (tt.bad == "") || err != nil && !strings.Contains(err.Error(), tt.bad) {
				t.Errorf("got %q, %v; want %q, %q", got, err, tt.want, tt.bad)
			}
		})
	}
}

// TestLabelIsReadAgain: whatever label writes, labelFields reads, so that a repeat is answered with the same.
func TestLabelIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.MapOf(rapid.StringMatching(`[a-zA-Z_# 广]{0,4}`), rapid.StringMatching(`[a-z0-9 #广州]{0,6}`)).Draw(t, "data")
		text, err := label(data, "")
		if err != nil {
			return
		}
		fields := labelFields(text)
		if len(fields) != len(data) {
			t.Fatalf("%q is read as %v", text, fields)
		}
		for _, f := range fields {
			if v, ok := data[f.Key]; !ok || v != f.Value {
				t.Fatalf("%q is read as %v", text, fields)
			}
		}
	})
}
