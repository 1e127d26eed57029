package console

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/store"
)

func TestAccountsPage(t *testing.T) {
	paused := account("ZTO", map[store.Status]int64{store.Pending: 12345, store.Failed: 7})
	paused.Paused, paused.PauseText, paused.PauseSince = true, admin.Text{En: "<b>40066</b>"}, new(time.Now())
	paused.Breaker.State, paused.Breaker.OpenedText = "open", admin.Text{En: "45009 x 20"}
	paused.Guard = admin.GuardItem{Tripped: true, Failed: 30, Ended: 50}
	paused.Quota = admin.QuotaItem{Used: 900, Limit: new(int64(1000)), EndsAt: new(time.Now().Add(time.Hour))}
	f := &fakeAdmin{accounts: []admin.AccountItem{account("SF", nil), paused}}
	b := open(t, f).as(opsToken)
	b.get("/accounts", Viewer, b.console.Accounts).
		says(200, "SF running", "ZTO paused", "<b>40066</b>", "12,345", "open api.weixin.qq.com", "opened by: 45009 x 20", "30 of 50", "900 of 1,000", "at this rate it ends at").
		has(`action="/accounts/SF/pause"`, `action="/accounts/ZTO/resume"`, `action="/accounts/SF/probe"`, `id="account-ZTO"`,
			`href="/pushes?status=pending&amp;delivery_id=ZTO"`, `<progress max="1000" value="900">`).
		lacks("disabled", "<b>40066")

	v := open(t, f).as(deskToken)
	v.get("/accounts", Viewer, v.console.Accounts).has("disabled").says(200, "this needs an operator's token")
	empty := open(t, &fakeAdmin{}).as(opsToken)
	empty.get("/accounts", Viewer, empty.console.Accounts).says(200, "No account is configured. Add one")
}

func TestActsOnAccounts(t *testing.T) {
	f := &fakeAdmin{}
	b := open(t, f).as(opsToken).with("delivery", "SF")
	b.post("/accounts/SF/pause", Operator, b.console.PauseAccount, url.Values{"reason": {" they move "}}).leadsTo("/accounts")
	b.post("/accounts/SF/resume", Operator, b.console.ResumeAccount, url.Values{"let_fail_for": {"10m"}}).leadsTo("/accounts")
	b.post("/accounts/SF/resume", Operator, b.console.ResumeAccount, nil).leadsTo("/accounts")
	b.post("/accounts/SF/probe", Operator, b.console.ProbeAccount, nil).leadsTo("/accounts")
	b.post("/accounts/SF/resume", Operator, b.console.ResumeAccount, url.Values{"let_fail_for": {"ten"}}).says(400, "let_fail_for must be a duration")
	want := []string{`ops: pause SF "they move"`, `ops: resume SF "" 10m0s`, `ops: resume SF "" 0s`, `ops: probe SF ""`}
	if !slices.Equal(f.acts, want) {
		t.Errorf("got %q, want %q", f.acts, want)
	}
	b.get("/accounts", Viewer, b.console.Accounts).says(200, "SF is paused", "SF is resumed", "A probe of SF")

	f.err = problem.New(problem.ConflictState).Say("Nothing to probe.", "无需试探。")
	b.post("/accounts/SF/probe", Operator, b.console.ProbeAccount, nil).says(409, "Nothing to probe.")
	v := open(t, f).as(deskToken)
	v.post("/accounts/SF/pause", Operator, v.console.PauseAccount, nil).says(403)
	if len(f.acts) != len(want)+1 {
		t.Errorf("a viewer's act was carried out: %q", f.acts)
	}
}
