package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestAdminCommandsAndServe asks a running service, as an operator does who looks for a scan that did not arrive.
func TestAdminCommandsAndServe(t *testing.T) {
	t.Parallel()
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	_, c := serveCarrier(t, settings, settings.File(t))
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(settings.Operator+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	event := apptest.Event{ID: "s1", DeliveryID: "SF", WaybillID: "顺/1", ActionType: 100001, ActionTime: 1_700_000_000, ActionMsg: "已揽件\u202e [2J"}
	c.Accept(t, event)
	signed := event
	signed.ID, signed.ActionType, signed.ActionMsg = "s2", 300003, "signed"
	signed.ActionTime++
	c.Send(t, signed) // Held: scans are missing.
	event.ID = "s3"
	if a := c.Send(t, event); a.HTTP != http.StatusOK {
		t.Fatalf("a repeat is answered %d: %s", a.HTTP, a.Body)
	}

	for _, step := range []struct {
		args, stdin string
		status      int
		says        []string
	}{
		{"stats --admin-url http://127.0.0.1:1", "", 1, []string{"is the service running"}},
		{"accounts list", "", 0, []string{"SF", "closed"}},
		{"pushes list", "", 0, []string{"SF/顺/1", "100001 picked up", "pending (token)"}},
		{"pushes list --status failed", "", 0, []string{"nothing matches"}},
		{"pushes list --status nonsense", "", 1, []string{"status"}},
		{"pushes list --json --all", "", 0, []string{`"waybill_id": "顺/1"`, `\u202e`}},
		{"pushes show 1", "", 0, []string{"100001 picked up", `已揽件\u202e`, "waits for a Token", "no attempts yet"}},
		{"pushes show 999", "", 1, []string{"carrier: "}},
		{"pushes replay 1", "", 1, []string{"push 1", "pending"}},
		{"events list", "", 0, []string{"held", "ignored"}},
		{"waybill show 顺/1 --delivery-id SF", "", 0, []string{"picked up", "none yet"}},
		{"waybill show SF/顺/1", "", 0, []string{"picked up"}},
		{"waybill show SF/nobody", "", 1, []string{"carrier: "}},
		{"waybill token SF/顺/1 --new-token-file -", "the-waybill's-token", 0, []string{"the Token is registered"}},
		{"accounts pause SF --reason lunch", "", 0, []string{"paused", "lunch"}},
		{"accounts resume SF", "", 0, []string{"sending"}},
		{"accounts pause NOBODY", "", 1, []string{"carrier: "}},
	} {
		args := append(strings.Fields(step.args), "--token-file", token)
		status, out, errs := command(t, []string{"CARRIER_ADMIN_URL=" + c.Admin, "LC_ALL=C"}, step.stdin, args...)
		if status != step.status {
			t.Errorf("carrier %s: status %d\n%s%s", step.args, status, out, errs)
		}
		for _, word := range step.says {
			if !strings.Contains(out+errs, word) {
				t.Errorf("carrier %s does not say %q:\n%s%s", step.args, word, out, errs)
			}
		}
		if status != 0 {
			oneLine(t, errs)
		}
		if strings.Contains(out+errs, "the-waybill's-token") || strings.Contains(out+errs, settings.Operator) {
			t.Errorf("carrier %s prints a secret:\n%s%s", step.args, out, errs)
		}
	}
}
