package merchant

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestVaultKeepsTheNewestTicket(t *testing.T) {
	keeper := memory{}
	v := NewVault(keeper, "wxplatform", nil)
	ticket := func(want string) {
		t.Helper()
		if got, err := v.VerifyTicket(t.Context()); got != want || err != nil {
			t.Errorf("VerifyTicket() = %q, %v; want %q", got, err, want)
		}
	}
	keep := func(text string, at int64) {
		t.Helper()
		if err := v.KeepTicket(t.Context(), text, at); err != nil {
			t.Error(err)
		}
	}
	ticket("")
	keep("second", 200)
	ticket("second")
	keep("first", 100) // WeChat sends again what was not answered in time.
	ticket("second")
	keep("third", 200)
	ticket("third")
	if err := v.KeepTicket(t.Context(), "", 300); err == nil {
		t.Error("an empty ticket is kept")
	}
	keeper[v.ticketName()] = []byte(`{"ticket":"CANARY`)
	if _, err := v.VerifyTicket(t.Context()); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("what can't be read: %v", err)
	}
	keep("fourth", 1)
	ticket("fourth")
	if got, _ := NewVault(keeper, "wxother", nil).VerifyTicket(t.Context()); got != "" {
		t.Errorf("another platform has the ticket %q", got)
	}
}

func TestVaultKeepsTheNewestRefreshToken(t *testing.T) {
	keeper := memory{}
	refresh := func(configured, want string) *Vault {
		t.Helper()
		v := NewVault(keeper, "wxplatform", map[string]string{"wx1": configured})
		if got, err := v.RefreshToken(t.Context(), "wx1"); got != want || err != nil {
			t.Errorf("with %q configured: %q, %v; want %q", configured, got, err, want)
		}
		return v
	}
	keep := func(v *Vault, token string) {
		t.Helper()
		if err := v.KeepRefreshToken(t.Context(), "wx1", token); err != nil {
			t.Error(err)
		}
	}
	keep(refresh("R0", "R0"), "R1")
	keep(refresh("R0", "R1"), "R2")
	refresh("R0", "R2")
	keep(refresh("S0", "S0"), "S1") // The merchant has authorised anew.
	refresh("S0", "S1")
	v := NewVault(keeper, "wxplatform", map[string]string{"wx1": "S0"})
	if got, err := v.RefreshToken(t.Context(), "wx2"); got != "" || err != nil {
		t.Errorf("another merchant has %q, %v", got, err)
	}
}

type broken struct{ err error }

func (b broken) Secret(context.Context, string) ([]byte, error)  { return nil, b.err }
func (b broken) PutSecret(context.Context, string, []byte) error { return b.err }

func TestVaultTellsOfTrouble(t *testing.T) {
	trouble := errors.New("trouble")
	v := NewVault(broken{trouble}, "wxplatform", map[string]string{"wx1": "R0"})
	_, ticket := v.VerifyTicket(t.Context())
	_, refresh := v.RefreshToken(t.Context(), "wx1") // That of the configuration may be worn out.
	for _, err := range []error{ticket, refresh, v.KeepTicket(t.Context(), "t", 1), v.KeepRefreshToken(t.Context(), "wx1", "r")} {
		if !errors.Is(err, trouble) {
			t.Errorf("%v, want %v", err, trouble)
		}
	}
}
