package app_test

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// scopePush retries fast, and has a breaker that five bad answers open.
const scopePush = `{retry: {initial: 10ms, max: 50ms, multiplier: 2, max_age: 72h}, token_retries: 3, ` +
	`breaker: {min_requests: 5, failure_ratio: 0.5, interval: 60s, open_for: 200ms, half_open: 1}}`

// row is one answer of upstream and what it must mean (README, Errcodes). Each has an account and an upstream of
// its own in one running service, so that no row can touch another.
type row struct {
	name    string
	box     sandbox.Options
	timeout time.Duration
	play    func(t *testing.T, r *rowRun)
}

// rowRun is a row while it is played.
type rowRun struct {
	*service
	id string // The account.
	up *apptest.Upstream
}

// scan is an event of one of the row's waybills.
func (r *rowRun) scan(waybill string, n, action int) apptest.Event {
	e := scan(r.id+"-"+waybill, n, action)
	e.DeliveryID = r.id
	return e
}

func (r *rowRun) account(t *testing.T) apptest.AccountState { return r.Account(t, r.id) }

// ready waits for the account's access_token, so that faults befall pushes only.
func (r *rowRun) ready(t *testing.T) {
	t.Helper()
	apptest.Eventually(t, soon, func() bool { return r.account(t).AccessTokenExpiresAt != nil }, apptest.Text("an access_token"))
}

// until waits for a push to be as wanted, and returns it.
func (r *rowRun) until(t *testing.T, seq uint64, what string, ok func(p *apptest.PushDetail) bool) apptest.PushDetail {
	t.Helper()
	var p apptest.PushDetail
	apptest.Eventually(t, later, func() bool { p = r.GetPush(t, seq); return ok(&p) }, func() string {
		return fmt.Sprintf("push %d is %s; it is %+v, the account %+v", seq, what, p, r.account(t))
	})
	return p
}

func (r *rowRun) delivered(t *testing.T, seq uint64) apptest.PushDetail {
	t.Helper()
	return r.until(t, seq, "delivered", func(p *apptest.PushDetail) bool { return p.Status == "delivered" })
}

// untouched checks that the breaker never opened.
func (r *rowRun) untouched(t *testing.T) {
	t.Helper()
	if b := r.account(t).Breaker; b.State != "closed" || b.OpenedBy != "" {
		t.Errorf("the breaker is %s, opened by %q; want it untouched", b.State, b.OpenedBy)
	}
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, `"msg":"breaker open"`) && strings.Contains(line, fmt.Sprintf(`"delivery_id":%q`, r.id)) {
			t.Errorf("the breaker was open for a while: %s", line)
		}
	}
}

func scopesOf(p *apptest.PushDetail) string {
	words := make([]string, len(p.Attempts))
	for i, a := range p.Attempts {
		words[i] = a.Scope
	}
	return strings.Join(words, " ")
}

// TestScopeTable plays every row against a running service.
func TestScopeTable(t *testing.T) {
	rows := slices.Concat(upstreamRows(), credentialRows(), accountRows(), rateRows(), waybillRows(), eventRows())
	settings := apptest.NewSettings(t)
	settings.Push = scopePush
	ups := make([]*apptest.Upstream, len(rows))
	for i, r := range rows {
		r.box.Seed = uint64(i + 1)
		ups[i] = apptest.NewUpstream(t, r.box)
		settings.Accounts = append(settings.Accounts, apptest.Account{
			DeliveryID: "ROW" + strconv.Itoa(i), BaseURL: ups[i].URL, Timeout: cmp.Or(r.timeout, 10*time.Second),
		})
	}
	s := start(t, settings)
	t.Run("rows", func(t *testing.T) { // Ends when all parallel rows have.
		for i, r := range rows {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				r.play(t, &rowRun{s, "ROW" + strconv.Itoa(i), ups[i]})
			})
		}
	})
	status, body := s.AskAs(t, "", http.MethodGet, "/readyz", nil)
	if status != http.StatusOK {
		t.Errorf("/readyz answers %d after all that, want 200: %s", status, body)
	}
}

// upstreamRows: backoff, counted for the breaker, delivered once upstream is well again.
func upstreamRows() []row {
	share := func(set func(*sandbox.Faults)) sandbox.Faults {
		var f sandbox.Faults
		set(&f)
		return f
	}
	busy := -1
	var rows []row
	for _, c := range []struct {
		name    string
		faults  sandbox.Faults
		errcode *int
		applied bool // Upstream took it, and nobody could know.
	}{
		{"errcode -1", share(func(f *sandbox.Faults) { f.Busy = 1 }), &busy, false},
		{"no answer in time", share(func(f *sandbox.Faults) { f.Hang = 1 }), nil, true},
		{"reset before", share(func(f *sandbox.Faults) { f.ResetsBefore = 1 }), nil, false},
		{"reset after", share(func(f *sandbox.Faults) { f.Resets = 1 }), nil, true},
		{"closed at once", share(func(f *sandbox.Faults) { f.Outage = true }), nil, false},
		{"HTML with status 200", share(func(f *sandbox.Faults) { f.HTML = 1 }), nil, false},
		{"half JSON", share(func(f *sandbox.Faults) { f.HalfJSON = 1 }), nil, true},
		{"empty body", share(func(f *sandbox.Faults) { f.Empty = 1 }), nil, false},
		{"redirect", share(func(f *sandbox.Faults) { f.Redirect = 1 }), nil, false},
		{"huge body", share(func(f *sandbox.Faults) { f.Huge = 1 }), nil, true},
		{"missing errcode", share(func(f *sandbox.Faults) { f.NoErrcode = 1 }), nil, false},
		{"HTTP 5xx", share(func(f *sandbox.Faults) { f.HTTP500 = 1 }), nil, false},
	} {
		rows = append(rows, row{
			name: "upstream/" + c.name, box: sandbox.Options{Open: true}, timeout: 300 * time.Millisecond,
			play: func(t *testing.T, r *rowRun) {
				r.ready(t)
				r.up.Faulty(t, c.faults)
				events := []apptest.Event{r.scan("A", 1, 100001), r.scan("A", 2, 200001)}
				seqs := r.Accept(t, events...)
				p := r.until(t, seqs[0], "tried five times", func(p *apptest.PushDetail) bool { return len(p.Attempts) >= 5 })
				for _, a := range p.Attempts {
					if a.Scope != "upstream" || (a.Errcode == nil) != (c.errcode == nil) || a.Errcode != nil && *a.Errcode != *c.errcode {
						t.Errorf("attempt %+v, want scope upstream and errcode %v", a, c.errcode)
					}
					if c.applied && !a.Unknown {
						t.Errorf("attempt %+v: upstream took it, and the record does not say that the outcome is unknown", a)
					}
					if a.Errmsg == "" {
						t.Errorf("attempt %+v says nothing of what happened", a)
					}
				}
				if p.Status != "pending" || p.Tries < 5 {
					t.Errorf("the push is %s with %d tries, want it pending with 5 or more", p.Status, p.Tries)
				}
				if second := r.GetPush(t, seqs[1]); second.WaitingFor != "waybill" || len(second.Attempts) != 0 {
					t.Errorf("the second push of the waybill is %+v, want it waiting for the first", second)
				}
				apptest.Eventually(t, soon, func() bool { return r.account(t).Breaker.OpenedBy != "" }, apptest.Text("the breaker opens"))

				r.up.Faulty(t, sandbox.Faults{})
				r.delivered(t, seqs[1])
				apptest.Eventually(t, soon, func() bool { return r.account(t).Breaker.State == "closed" }, apptest.Text("the breaker closes"))
				view, stats := r.up.Nodes(events[0].WaybillID), r.up.Stats()
				if !slices.Equal(view.Nodes, trace(events...)) {
					t.Errorf("upstream has %+v, want %+v", view.Nodes, trace(events...))
				}
				if applied := len(view.Arrivals); c.applied != (applied > 2) {
					t.Errorf("upstream took it %d times in all, applied under the fault: %v", applied, c.applied)
				}
				// One, and one more where the first took too long on a busy machine; not one for each of the attempts.
				if stats.Redirected != 0 || stats.Overlaps != 0 || stats.TokenFetches > 2 {
					t.Errorf("%d redirects followed, %d overlaps, %d access_tokens fetched; want 0, 0, and 1 or 2",
						stats.Redirected, stats.Overlaps, stats.TokenFetches)
				}
			},
		})
	}
	return rows
}

// credentialRows: one refresh, sent again at once, at no cost.
func credentialRows() []row {
	var rows []row
	for _, code := range []int{40001, 40014, 42001, 41001} {
		rows = append(rows, row{
			name: fmt.Sprintf("credential/%d", code), box: sandbox.Options{Open: true},
			play: func(t *testing.T, r *rowRun) {
				r.ready(t)
				e := r.scan("A", 1, 100001)
				r.up.Faulty(t, sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{e.WaybillID: {Errcode: code, Times: 1}}})
				p := r.delivered(t, r.Accept(t, e)[0])
				if scopesOf(&p) != "credential ok" || p.Tries != 1 || *p.Attempts[0].Errcode != code {
					t.Errorf("attempts %+v, %d of which count; want credential %d, ok, and one that counts", p.Attempts, p.Tries, code)
				}
				r.untouched(t)
				if stats := r.up.Stats(); stats.Forced > 1 || stats.Pushes != 2 || stats.Repeats != 0 {
					t.Errorf("%+v: want two pushes and at most one forced access_token", stats)
				}
			},
		})
	}
	return append(rows, row{
		name: "credential/the access_token dies", box: sandbox.Options{Open: true},
		play: func(t *testing.T, r *rowRun) {
			r.ready(t)
			r.up.Faulty(t, sandbox.Faults{ExpireNow: true})
			p := r.delivered(t, r.Accept(t, r.scan("A", 1, 100001))[0])
			if stats := r.up.Stats(); scopesOf(&p) != "credential ok" || p.Tries != 1 || stats.TokenFetches != 2 || stats.Forced != 0 {
				t.Errorf("attempts %q, %d counted, %d fetches (%d forced); want one refresh that is not forced",
					scopesOf(&p), p.Tries, stats.TokenFetches, stats.Forced)
			}
			r.untouched(t)
		},
	}, row{
		name: "credential/refused twice in a row", box: sandbox.Options{Open: true},
		play: func(t *testing.T, r *rowRun) {
			r.ready(t)
			r.up.Faulty(t, sandbox.Faults{ExpireTokens: 1})
			seq := r.Accept(t, r.scan("A", 1, 100001))[0]
			r.until(t, seq, "refused twice", func(p *apptest.PushDetail) bool { return len(p.Attempts) >= 2 })
			r.up.Faulty(t, sandbox.Faults{})
			p := r.delivered(t, seq)
			if p.Tries != 1 {
				t.Errorf("%d attempts count, want the last one only: %q", p.Tries, scopesOf(&p))
			}
			r.untouched(t)
		},
	})
}

// accountCodes are the errcodes that speak of the account.
var accountCodes = []int{40013, 40125, 40164, 40243, 48001, 48004, 50002, 61024, 89503, 89506, 89507}

// accountRows: the account is paused with the reason, nothing else is tried, a resume sends all.
func accountRows() []row {
	var rows []row
	for _, code := range accountCodes {
		rows = append(rows, row{
			name: fmt.Sprintf("account/%d", code), box: sandbox.Options{Open: true},
			play: func(t *testing.T, r *rowRun) { playPause(t, r, code, "account", nil) },
		})
	}
	return append(rows, row{
		name: "account/a wrong secret", box: sandbox.Options{Open: true, Apps: []sandbox.App{{AppID: "wx", Secret: "another"}}},
		play: func(t *testing.T, r *rowRun) {
			seq := r.Accept(t, r.scan("A", 1, 100001))[0]
			apptest.Eventually(t, soon, func() bool { return r.account(t).Paused }, apptest.Text("the account is paused"))
			p := r.GetPush(t, seq)
			if p.WaitingFor != "account" || len(p.Attempts) != 0 || r.up.Stats().Pushes != 0 {
				t.Errorf("the push is %+v, want it waiting for the account without an attempt", p)
			}
			if why := r.account(t).PauseReason; !strings.Contains(why, "40013") && !strings.Contains(why, "40125") {
				t.Errorf("the reason is %q, want the errcode in it", why)
			}
			r.untouched(t)
		},
	})
}

// playPause answers one push with code, and checks that everything of the account waits until it is resumed. until
// checks when the pause ends by itself; nil: it must not.
func playPause(t *testing.T, r *rowRun, code int, scope string, until func(at time.Time) bool) {
	r.ready(t)
	first, second := r.scan("A", 1, 100001), r.scan("B", 1, 100001)
	r.up.Faulty(t, sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{first.WaybillID: {Errcode: code, Times: 1}}})
	seqs := r.Accept(t, first)
	apptest.Eventually(t, soon, func() bool { return r.account(t).Paused }, apptest.Text("the account is paused"))
	seqs = append(seqs, r.Accept(t, second)...)

	account := r.account(t)
	if !strings.Contains(account.PauseReason, strconv.Itoa(code)) || len(account.PauseReason) < 20 {
		t.Errorf("the reason is %q, want the errcode %d and what to do", account.PauseReason, code)
	}
	switch {
	case until == nil && account.PausedUntil != nil:
		t.Errorf("it ends by itself at %v, want it to wait for an operator", account.PausedUntil)
	case until != nil && (account.PausedUntil == nil || !until(*account.PausedUntil)):
		t.Errorf("it is paused until %v", account.PausedUntil)
	}
	for i, seq := range seqs {
		p := r.until(t, seq, "waiting for the account, with its attempt kept", func(p *apptest.PushDetail) bool {
			return p.WaitingFor == "account" && len(p.Attempts) == 1-i
		})
		if p.Status != "pending" || p.Tries != 0 || len(p.Attempts) != 1-i {
			t.Errorf("push %d: %s, %d tries, attempts %+v; want it pending at no cost", seq, p.Status, p.Tries, p.Attempts)
		}
		if i == 0 && (p.Attempts[0].Scope != scope || *p.Attempts[0].Errcode != code) {
			t.Errorf("the attempt says %+v, want scope %s and errcode %d", p.Attempts[0], scope, code)
		}
	}
	if list := r.Pushes(t, "waiting_for=account&delivery_id="+r.id); len(list) != 2 {
		t.Errorf("%d pushes are listed as waiting for the account, want 2", len(list))
	}
	r.untouched(t)
	if n := r.up.Stats().Pushes; n != 1 {
		t.Errorf("upstream got %d pushes of a paused account, want the first one only", n)
	}

	if status, body := r.AskAs(t, r.Viewer, http.MethodPost, "/admin/v1/accounts/"+r.id+"/resume", nil); status != http.StatusForbidden {
		t.Errorf("a viewer's resume is answered %d, want 403: %s", status, body)
	}
	if status, body := r.Ask(t, http.MethodPost, "/admin/v1/accounts/"+r.id+"/resume", nil); status != http.StatusOK {
		t.Fatalf("resume: status %d: %s", status, body)
	}
	for _, seq := range seqs {
		if p := r.delivered(t, seq); p.Tries != 1 {
			t.Errorf("push %d took %d tries, want the pause to cost nothing", seq, p.Tries)
		}
	}
	if account := r.account(t); account.Paused || account.PauseReason != "" {
		t.Errorf("after the resume the account is %+v", account)
	}
}

// rateRows: the account waits until the next minute, or the next day in Beijing; a resume ends that.
func rateRows() []row {
	beijing := time.FixedZone("Beijing", 8*60*60)
	nextMinute := func(at time.Time) bool {
		wait := time.Until(at)
		return wait > 0 && wait <= 70*time.Second
	}
	nextDay := func(at time.Time) bool {
		there := at.In(beijing)
		return time.Until(at) > 0 && time.Until(at) <= 24*time.Hour+time.Minute && there.Hour() == 0 && there.Minute() == 0
	}
	return []row{
		{name: "rate/45011", box: sandbox.Options{Open: true}, play: func(t *testing.T, r *rowRun) { playPause(t, r, 45011, "rate", nextMinute) }},
		{name: "rate/45009", box: sandbox.Options{Open: true}, play: func(t *testing.T, r *rowRun) { playPause(t, r, 45009, "rate", nextDay) }},
	}
}

// waybillRows: a few retries, then only this waybill is parked; a new Token, or a replay, puts it back in order.
func waybillRows() []row {
	return []row{
		{name: "waybill/9300507 until a new Token comes", play: func(t *testing.T, r *rowRun) {
			seqs := playParked(t, r, 9300507, true)
			status, body := r.Ask(t, http.MethodPut, "/admin/v1/waybills/"+r.id+"/"+r.id+"-A/token", map[string]string{"token": "the right one"})
			if status != http.StatusOK {
				t.Fatalf("registering the Token: status %d: %s", status, body)
			}
			finishParked(t, r, seqs)
		}},
		{name: "waybill/40199 until a replay", play: func(t *testing.T, r *rowRun) {
			seqs := playParked(t, r, 40199, false)
			if _, err := r.up.AddOrder(sandbox.Order{WaybillID: r.id + "-A", Token: "token-" + r.id + "-A"}); err != nil {
				t.Fatal(err)
			}
			if status, body := r.Ask(t, http.MethodPost, fmt.Sprintf("/admin/v1/pushes/%d/replay", seqs[0]), nil); status != http.StatusAccepted {
				t.Fatalf("replay: status %d: %s", status, body)
			}
			finishParked(t, r, seqs)
		}},
		{name: "waybill/a new Token in the next event", play: func(t *testing.T, r *rowRun) {
			seqs := playParked(t, r, 9300507, true)
			e := r.scan("A", 3, 300002)
			e.Token = "the right one"
			seqs = append(seqs, r.Accept(t, e)...)
			finishParked(t, r, seqs)
		}},
	}
}

// playParked sends two events of waybill A, whose Token is wrong or which upstream does not know, and one of B.
func playParked(t *testing.T, r *rowRun, code int, known bool) []uint64 {
	t.Helper()
	good := r.scan("B", 1, 100001)
	orders := []sandbox.Order{{WaybillID: good.WaybillID, Token: good.Token}}
	if known {
		orders = append(orders, sandbox.Order{WaybillID: r.id + "-A", Token: "the right one"})
	}
	for _, o := range orders {
		if _, err := r.up.AddOrder(o); err != nil {
			t.Fatal(err)
		}
	}
	seqs := r.Accept(t, r.scan("A", 1, 100001), r.scan("A", 2, 200001))
	p := r.until(t, seqs[0], "given up", func(p *apptest.PushDetail) bool { return p.Status == "failed" })
	if p.Reason != "token_refused" || p.Tries != 3 || scopesOf(&p) != "waybill waybill waybill" || p.Errcode == nil || *p.Errcode != code {
		t.Errorf("the push failed as %+v, want token_refused by errcode %d after token_retries (3)", p, code)
	}
	if kept := r.Waybill(t, r.id, r.id+"-A"); !kept.Parked {
		t.Errorf("the waybill is not parked: %+v", kept)
	}
	second := r.GetPush(t, seqs[1])
	if second.Status != "pending" || second.WaitingFor != "waybill" || len(second.Attempts) != 0 {
		t.Errorf("the waybill's next push is %+v, want it waiting", second)
	}
	r.delivered(t, r.Accept(t, good)[0]) // The account goes on.
	r.untouched(t)
	if stats := r.up.Stats(); stats.TokenFetches != 1 {
		t.Errorf("%d access_tokens were fetched; the waybill's Token has nothing to do with them", stats.TokenFetches)
	}
	return seqs
}

// finishParked checks that all of waybill A arrives, in order, and that it is parked no longer.
func finishParked(t *testing.T, r *rowRun, seqs []uint64) {
	t.Helper()
	var want []int64
	for _, seq := range seqs {
		want = append(want, r.delivered(t, seq).ActionTime)
	}
	var got []int64
	for _, n := range r.up.Nodes(r.id + "-A").Nodes {
		got = append(got, n.ActionTime)
	}
	if !slices.Equal(got, want) {
		t.Errorf("upstream got the times %v, want %v", got, want)
	}
	if kept := r.Waybill(t, r.id, r.id+"-A"); kept.Parked {
		t.Error("the waybill is still parked")
	}
}

// eventRows: failed at once, the waybill goes on. 99999 stands for any code that nobody knows.
func eventRows() []row {
	var rows []row
	for _, code := range []int{40097, 47001, 44002, 9300526, 99999} {
		rows = append(rows, row{
			name: fmt.Sprintf("event/%d", code), box: sandbox.Options{Open: true},
			play: func(t *testing.T, r *rowRun) {
				r.ready(t)
				faults := map[string]sandbox.WaybillFault{}
				for i := range 6 { // One more than opens a breaker.
					faults[r.scan(strconv.Itoa(i), 1, 100001).WaybillID] = sandbox.WaybillFault{Errcode: code, Times: 1}
				}
				r.up.Faulty(t, sandbox.Faults{Waybills: faults})
				for i := range 6 {
					seqs := r.Accept(t, r.scan(strconv.Itoa(i), 1, 100001), r.scan(strconv.Itoa(i), 2, 200001))
					p := r.until(t, seqs[0], "failed", func(p *apptest.PushDetail) bool { return p.Status == "failed" })
					if p.Reason != "refused" || p.Tries != 1 || scopesOf(&p) != "event" || *p.Errcode != code {
						t.Errorf("the push failed as %+v, want refused by errcode %d at the first attempt", p, code)
					}
					r.delivered(t, seqs[1])
				}
				r.untouched(t)
				if kept := r.Waybill(t, r.id, r.id+"-0"); kept.Parked {
					t.Error("the waybill is parked; only the event is bad")
				}
				if list := r.Pushes(t, fmt.Sprintf("status=failed&errcode=%d&delivery_id=%s", code, r.id)); len(list) != 6 {
					t.Errorf("%d failed pushes are listed by errcode, want 6", len(list))
				}
			},
		})
	}
	return rows
}

// TestRetriesEndAndErrcodesCanBeOverridden plays what the settings change of the table.
func TestRetriesEndAndErrcodesCanBeOverridden(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	settings.Push = `{retry: {initial: 5ms, max: 10ms, multiplier: 2, max_age: 50ms}, errcodes: {40199: event, 40097: account}}`
	s := start(t, settings)
	r := &rowRun{s, "SF", up}
	r.ready(t)
	up.Faulty(t, sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{
		"BUSY": {Errcode: -1}, "GONE": {Errcode: 40199, Times: 1}, "ARGS": {Errcode: 40097, Times: 1},
	}})

	p := r.until(t, s.Accept(t, scan("BUSY", 1, 100001))[0], "given up", func(p *apptest.PushDetail) bool { return p.Status == "failed" })
	if p.Reason != "retries_ended" || p.Tries < 2 {
		t.Errorf("a push that upstream never took ended as %+v, want retries_ended", p)
	}
	p = r.until(t, s.Accept(t, scan("GONE", 1, 100001))[0], "failed", func(p *apptest.PushDetail) bool { return p.Status == "failed" })
	if p.Reason != "refused" || p.Tries != 1 {
		t.Errorf("40199, overridden to event, ended as %+v", p)
	}
	s.Accept(t, scan("ARGS", 1, 100001))
	apptest.Eventually(t, soon, func() bool { return s.Account(t, "SF").Paused }, apptest.Text("40097, overridden to account, pauses it"))
}
