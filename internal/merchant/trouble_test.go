package merchant

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestVaultTrouble(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	keeper := memory{}
	v := NewVault(keeper, "wxplatform", map[string]string{"wx1": "R0"})
	want := func(parts ...string) {
		t.Helper()
		lines := v.Trouble(t.Context(), []string{"wx1", "wx2"}, now)
		if !slices.EqualFunc(lines, parts, strings.Contains) {
			t.Errorf("the trouble is %q, want %q", lines, parts)
		}
	}
	want("no component_verify_ticket has come", "merchant wx2 has not authorised")
	for at, trouble := range map[time.Duration][]string{
		-13 * time.Hour: {"do not reach", "wx2"}, -11 * time.Hour: {"wx2"}, time.Minute: {"wx2"},
	} {
		if err := v.KeepTicket(t.Context(), "t", now.Add(at).Unix()); err != nil {
			t.Fatal(err)
		}
		want(trouble...)
		delete(keeper, v.ticketName())
	}
	if err := errors.Join(v.KeepTicket(t.Context(), "t", now.Unix()), v.KeepRefreshToken(t.Context(), "wx2", "R")); err != nil {
		t.Fatal(err)
	}
	want()
	v.keeper = broken{errors.New("disk gone")}
	want("disk gone")
}
