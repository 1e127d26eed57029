package problem_test

import (
	"fmt"
	"strings"
	"testing"

	"carrier/internal/problem"
)

func TestCheckObject(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       problem.Code
	}{
		{"an object", `{"a":1}`, ""},
		{"an empty one", `{}`, ""},
		{"nothing", ``, problem.MalformedJSON},
		{"half of one", `{"a":`, problem.MalformedJSON},
		{"two", `{}{}`, problem.MalformedJSON},
		{"a byte order mark", "\xef\xbb\xbf{}", problem.MalformedJSON},
		{"no UTF-8", "{\"a\":\"\xff\"}", problem.NotUTF8},
		{"a list", `[1]`, problem.InvalidRequest},
		{"a string", `"{}"`, problem.InvalidRequest},
		{"null", `null`, problem.InvalidRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got problem.Code
			if p := problem.CheckObject([]byte(tt.text)); p != nil {
				got = p.Code
			}
			if got != tt.want {
				t.Errorf("CheckObject: %q, want %q", got, tt.want)
			}
		})
	}
}

func TestMembers(t *testing.T) {
	const object = ` {"b":{"c":[1,2]},"a":"x","b":null,"":0} `
	list := func(most int) string {
		var got []string
		for name, raw := range problem.Members([]byte(object)) {
			if got = append(got, fmt.Sprintf("%s=%s", name, raw)); len(got) == most {
				break
			}
		}
		return strings.Join(got, ";")
	}
	if got, want := list(9), `b={"c":[1,2]};a="x";b=null;=0`; got != want {
		t.Errorf("Members: %s, want %s", got, want)
	}
	if got, want := list(2), `b={"c":[1,2]};a="x"`; got != want {
		t.Errorf("Members, left early: %s, want %s", got, want)
	}
}
