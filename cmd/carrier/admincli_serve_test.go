package main

import (
	"net/http"
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
	token := fileOf(t, "token", settings.Operator+"\n")
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
		{"pushes list --status nonsense", "", 2, []string{"carrier: status must be"}},
		{"pushes list --json --all", "", 0, []string{`"waybill_id": "顺/1"`, `\u202e`}},
		{"pushes show 1", "", 0, []string{"100001 picked up", `已揽件\u202e`, "waits for a Token", "no attempts yet"}},
		{"pushes show 999", "", 1, []string{"There is no push or event 999; the lists show their numbers as seq.\n"}},
		{"pushes replay 1", "", 1, []string{"Push 1", "pending"}},
		{"events list", "", 0, []string{"held", "ignored"}},
		{"waybill show 顺/1 --delivery-id SF", "", 0, []string{"picked up", "none yet"}},
		{"waybill show SF/顺/1", "", 0, []string{"picked up"}},
		{"waybill show SF/nobody", "", 1, []string{"There is no waybill SF/nobody:"}},
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

// TestAnOperatorPutsItRight replays what failed, and uses each verb on a running service.
func TestAnOperatorPutsItRight(t *testing.T) {
	t.Parallel()
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	_, c := serveCarrier(t, settings, settings.File(t))
	ask := func(status int, args string, says ...string) {
		t.Helper()
		env := []string{"CARRIER_ADMIN_URL=" + c.Admin, "CARRIER_ADMIN_TOKEN=" + settings.Operator, "LC_ALL=C"}
		got, out, errs := command(t, env, "", strings.Fields(args)...)
		if got != status {
			t.Errorf("carrier %s: status %d\n%s%s", args, got, out, errs)
		}
		for _, word := range says {
			if !strings.Contains(out+errs, word) {
				t.Errorf("carrier %s does not say %q:\n%s%s", args, word, out, errs)
			}
		}
	}
	scan := func(id string, waybill string, action int, at int64) apptest.Event {
		return apptest.Event{ID: id, DeliveryID: "SF", WaybillID: waybill, ActionType: action, ActionTime: 1_700_000_000 + at, ActionMsg: "scan " + id, Token: "t-" + waybill}
	}

	up.Faulty(t, sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{"W1": {Errcode: 40097}}})
	c.Accept(t, scan("a", "W1", 100001, 0), scan("b", "W1", 200001, 1))
	c.Settled(t, soon)
	ask(0, "pushes list --status failed --errcode 40097", "refused", "W1")
	ask(0, "pushes show 1", "40097", "refused: WeChat refused this scan for good", "latest attempts: 1")
	ask(0, "pushes replay --status failed --dry-run", "Pushes that match: 2", "waits_behind 1", "Nothing was changed")
	ask(1, "pushes replay --status failed --because try", "replay 1 is done: 0 of 2 pushes delivered, 2 failed", "not delivered: 2")
	up.Faulty(t, sandbox.Faults{})
	ask(0, "pushes replay --status failed --because fixed --rate 100", "replay 2 is done: 2 of 2 pushes delivered")
	ask(0, "pushes replay --status failed", "replay 3: no push matches")
	ask(1, "pushes replay 1", "push 1", "--force")
	ask(0, "pushes replay 1 --force --reason again", "push 1 of SF/W1")
	c.Settled(t, soon)
	ask(0, "replays list", "status=failed", "fixed", "push 1")
	ask(0, "replays show 2", "done", "delivered          2")
	ask(0, "replays follow 2", "replay 2 is done")
	ask(1, "replays cancel 2", "carrier: ")
	ask(1, "replays show 99", "There is no replay 99")

	ask(0, "waybill freeze SF/W1 --reason inspection", "frozen", "inspection")
	c.Accept(t, scan("c", "W1", 300002, 2), scan("d", "W1", 300003, 3))
	ask(0, "waybill show W1", "in transit", "pending (waybill)")
	ask(0, "pushes list --waiting-for waybill", "W1")
	ask(0, "waybill skip SF/W1 --reason wrong")
	ask(0, "pushes list --status discarded", "wrong")
	ask(0, "waybill thaw SF/W1")
	c.Settled(t, soon)
	ask(1, "waybill retry SF/W1", "carrier: ")
	ask(1, "pushes discard 1 --reason late", "carrier: ")
	if a := c.Send(t, scan("e", "W1", 100001, 9)); a.Verdict != "rejected" {
		t.Fatalf("a pickup after the signature is %s", a.Body)
	}
	ask(0, "events list --verdict rejected", "rejected", "W1")
	ask(0, "events accept 5 --reason seen", "accepted, by an operator")
	ask(1, "events accept 5 --reason seen", "carrier: ")
	ask(1, "accounts probe SF", "carrier: ")
	ask(0, "accounts pause SF --reason lunch", "paused", "lunch")
	ask(0, "accounts resume SF --let-fail-for 10m", "sending", "may fail for good until")
	ask(0, "audit", "replay.start", "waybill.freeze", "event.accept", "account.resume", "ops", "inspection")
	ask(0, "audit --action push.replay --json", `"action": "push.replay"`)
	ask(0, "dead-letters", "nothing matches")
	ask(0, "differences", "no difference is known", "merchants")
	ask(2, "waybill expunge SF/W1 --because asked", "--yes")
	ask(0, "waybill expunge W1 --because asked --yes", "texts forgotten   5", "Tokens forgotten  1", "pushes discarded  0", "Copies")
	ask(0, "waybill expunge W1 --because asked --yes", "There was nothing left to forget.")
	ask(1, "waybill expunge SF/nobody --because asked --yes", "There is no waybill SF/nobody:")
	ask(1, "pushes replay 1 --force", "The text of event 1 was expunged")
	ask(0, "waybill show W1", "delivered", "none yet")
	ask(0, "audit --action waybill.expunge", "ops", "SF/W1", "asked")
	ask(0, "stats", "delivered", "SF")
}
