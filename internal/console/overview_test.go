package console

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/store"
)

func TestOverviewWhenAllIsWell(t *testing.T) {
	b := open(t, &fakeAdmin{accounts: []admin.AccountItem{account("SF", nil)}}).as(deskToken)
	b.get("/", Viewer, b.console.Overview).says(200, "All is well", "SF running", "No push waits", "counted since the start at").
		has(`data-live="/console/events?of=overview"`, "<svg")
	b.cookies[langCookie] = "zh-CN"
	b.get("/", Viewer, b.console.Overview).says(200, "一切正常", "没有推送在等待")
}

// TestTroubles: each thing that is wrong is said in words and leads to the list behind it, the worst first.
func TestTroubles(t *testing.T) {
	opened := func(a *admin.AccountItem) { a.Breaker.State, a.Waiting = "open", 1200 }
	tests := []struct {
		name   string
		change func(*admin.AccountItem)
		fake   func(*fakeAdmin)
		meter  func(*Meter)
		class  string
		text   string
		href   string
	}{
		{name: "a pause", change: func(a *admin.AccountItem) { a.Paused, a.PauseText = true, admin.Text{En: "by li", Zh: "x"} }, class: "bad", text: "SF is paused: by li", href: "/accounts#account-SF"},
		{name: "a breaker", change: opened, class: "bad", text: "the breaker of api.weixin.qq.com is open; 1,200 pushes wait", href: "/accounts#account-SF"},
		{name: "the guard", change: func(a *admin.AccountItem) {
			a.Paused, a.Guard = true, admin.GuardItem{Tripped: true, Failed: 3, Ended: 20}
		}, class: "bad", text: "3 of 20 pushes", href: "/accounts#account-SF"},
		{name: "an old push", change: func(a *admin.AccountItem) { a.OldestPendingSeconds = 4000 }, class: "warn", text: "has waited 1 h 6 min", href: "/pushes?status=pending&amp;delivery_id=SF"},
		{name: "an access_token that ran out", change: func(a *admin.AccountItem) {
			a.AccessTokenExpiresAt, a.Waiting = new(time.Now().Add(-time.Minute)), 1
		}, class: "bad", text: "no valid access_token", href: "/accounts#account-SF"},
		{name: "a quota that ends", change: func(a *admin.AccountItem) {
			a.Quota.EndsAt = new(time.Date(2026, 1, 2, 9, 40, 0, 0, time.UTC))
		}, class: "warn", text: "quota ends at 17:40", href: "/accounts#account-SF"},
		{name: "a quota that is short", change: func(a *admin.AccountItem) { a.Quota.TransitHeldSince = new(time.Now()) }, class: "bad", text: "transit scans are held back", href: "/accounts#account-SF"},
		{name: "differences", fake: func(f *fakeAdmin) { f.differences = make([]admin.DifferenceItem, 3) }, class: "bad", text: "does not show what was delivered: 3", href: "/differences"},
		{name: "failed pushes", fake: func(f *fakeAdmin) { f.stats.Pushes = map[store.Status]int64{store.Failed: 4321} }, class: "warn", text: "4,321 pushes have failed", href: "/pushes?status=failed"},
		{name: "a dead letter", fake: func(f *fakeAdmin) { f.letters = []admin.DeadLetterItem{{ReceivedAt: time.Now().Add(-2 * time.Minute)}} }, class: "warn", text: "A dead letter came 2 min ago", href: "/dead-letters"},
		{name: "rejections", meter: func(m *Meter) { m.Events("app", "rejected", 2) }, class: "warn", text: "2 events were rejected", href: "/events/rejected?since=1h"},
		{name: "a source that is refused", meter: func(m *Meter) { m.Events("app", "invalid", 15); m.Events("app", "accepted", 15) }, class: "warn", text: "Of what app sends, 50% is refused", href: "/sources"},
		{name: "strangers", meter: func(m *Meter) { m.Events("", "unauthorized", 99) }, class: "warn", text: "99 requests came without a right key", href: "/sources"},
		{name: "a clock", meter: func(m *Meter) { m.Scanned("app", -90*time.Second) }, class: "warn", text: "The clock of app is ahead by at least 1 min", href: "/sources"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := account("SF", nil)
			f := &fakeAdmin{}
			if tt.change != nil {
				tt.change(&a)
			}
			if tt.fake != nil {
				tt.fake(f)
			}
			f.accounts = []admin.AccountItem{a}
			b := open(t, f)
			if tt.meter != nil {
				tt.meter(b.console.meter)
			}
			b.as(deskToken).get("/", Viewer, b.console.Overview).says(200, tt.text).
				has(`<li class="` + tt.class + `"><a href="` + tt.href + `">`).lacks("All is well")
		})
	}
}

func TestTroubleOfTheWholeServiceComesFirst(t *testing.T) {
	b := open(t, &fakeAdmin{stats: admin.StatsItem{Pushes: map[store.Status]int64{store.Failed: 1}}}).as(deskToken)
	b.console.trouble = func() []string { return []string{"the disk is full"} }
	b.get("/", Viewer, b.console.Overview).says(200, "the disk is full 1 push has failed")
}

func TestOverviewFails(t *testing.T) {
	b := open(t, &fakeAdmin{err: problem.New(problem.StoreUnavailable)}).as(deskToken)
	b.get("/", Viewer, b.console.Overview).says(503)
}

// TestSlowFiguresAreReadSeldom: however many look, the store is asked once in ten seconds.
func TestSlowFiguresAreReadSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAdmin{waits: []admin.WaitCount{{For: store.WaitToken, Count: 500, More: true}}}
		b := open(t, f).as(deskToken)
		b.get("/", Viewer, b.console.Overview).says(200, "500+ the waybill's Token")
		f.waits = nil
		time.Sleep(slowFor - 1)
		b.get("/", Viewer, b.console.Overview).says(200, "500+")
		time.Sleep(time.Nanosecond)
		b.get("/", Viewer, b.console.Overview).says(200, "No push waits")
	})
}

// TestUnseen: the overview says first what customers do not see.
func TestUnseen(t *testing.T) {
	moving, stuck, old := account("SF", nil), account("JT", nil), account("YTO", nil)
	moving.Waiting, moving.OldestPendingSeconds = 7, 3
	stuck.Waiting, stuck.Paused = 1200, true
	old.Waiting, old.OldestPendingSeconds = 1, 4000
	tests := []struct {
		name     string
		accounts []admin.AccountItem
		failed   int64
		differs  int
		want     string // Empty: they see all that they should.
	}{
		{name: "nothing", accounts: []admin.AccountItem{moving}},
		{name: "one that failed", failed: 1, want: "Customers do not see all of it: 1 push failed."},
		{name: "what waits", accounts: []admin.AccountItem{moving, stuck, old}, want: "Customers do not see all of it: 1,201 pushes wait."},
		{name: "all of that", accounts: []admin.AccountItem{old}, failed: 2, differs: 1,
			want: "Customers do not see all of it: 2 pushes failed, 1 push waits, 1 waybill differs at WeChat."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeAdmin{accounts: tt.accounts, differences: make([]admin.DifferenceItem, tt.differs)}
			f.stats.Pushes = map[store.Status]int64{store.Failed: tt.failed}
			b := open(t, f).as(deskToken)
			page := b.get("/", Viewer, b.console.Overview).says(200, tt.want)
			if has := strings.Contains(page.body, `class="truth"`); has != (tt.want != "") {
				t.Errorf("it says so: %v", has)
			}
		})
	}
}
