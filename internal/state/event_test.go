package state_test

import (
	"strings"
	"testing"

	"carrier/internal/state"
)

func TestIsWaybillID(t *testing.T) {
	for _, id := range []string{"12345678901234567890", "SF/1", "..", "100%", "顺丰0001", strings.Repeat("é", 64)} {
		if !state.IsWaybillID(id) {
			t.Errorf("%q is refused", id)
		}
	}
	for name, id := range map[string]string{
		"nothing": "", "a space": "a b", "a space that does not break": "a\u00a0b", "a wide space": "a\u3000b", "a line feed": "a\n",
		"a control": "a\x7f", "a control of the second kind": "a\u0085", "a direction": "a\u202e", "no width": "a\u200b", "no UTF-8": "a\xff",
		"65 characters": strings.Repeat("é", 65),
	} {
		if state.IsWaybillID(id) {
			t.Errorf("%s: %q is taken", name, id)
		}
	}
}
