package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestQuotaReserve uses up what is not kept of the day's quota: main scans get through all the same, with the transit
// scans before them, and the other transit scans wait until WeChat takes more.
func TestQuotaReserve(t *testing.T) {
	const limit, waybills = 100, 30
	apptest.Eventually(t, 2*time.Minute+soon, awayFromMidnight, apptest.Text("the day in Beijing has begun, and with it another quota"))
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	up.Faulty(t, sandbox.Faults{QuotaDay: limit})
	settings := apptest.NewSettings(t, sf(up))
	settings.Push = strings.Replace(apptest.QuickPush, "{", "{quota_reserve: 0.5, ", 1)
	s := start(t, settings)

	picked := fleet("Q", waybills, 100001)
	first := sendAll(t, s, picked[:1])
	told := func() bool { return s.Account(t, "SF").Quota.Limit != nil }
	apptest.Eventually(t, soon, told, apptest.Text("WeChat tells the day's quota"))
	sendAll(t, s, picked[1:])
	s.Settled(t, soon)
	if q := s.Account(t, "SF").Quota; *q.Limit != limit || *q.Remaining != limit-q.Used || q.Used < waybills || q.TransitHeldSince != nil {
		t.Fatalf("after %d pickups the quota is %+v", waybills, q)
	}

	transit := fleet("Q", waybills, 100001, 200001)[waybills:]
	sendAll(t, s, transit)
	held := func() bool {
		a := s.Account(t, "SF")
		// Calls count before they are made: transit scans may wait while the last that got through are under way.
		return a.Quota.TransitHeldSince != nil && a.InFlight == 0 && a.Counts["delivered"] == int64(up.Stats().Pushes)
	}
	apptest.Eventually(t, soon, held, apptest.Text("transit scans wait"))
	waiting := checkHeld(t, s, up, limit)

	// What customers wait for gets through: of waybills that wait, and of new ones.
	var out []apptest.Event
	for _, p := range waiting[:5] {
		out = append(out, scan(p.WaybillID, 3, 300002))
	}
	more := fleet("R", 10, 100001)
	sendAll(t, s, out)
	sendAll(t, s, more)
	through := func() bool { return len(s.Pushes(t, "status=pending")) == len(waiting)-len(out) }
	apptest.Eventually(t, soon, through, func() string { return fmt.Sprintf("main scans get through: %+v", s.Pushes(t, "status=pending")) })
	for _, p := range s.Pushes(t, "status=pending") {
		if p.ActionType != 200001 || p.WaitingFor != "account" {
			t.Errorf("push %d (%d) waits for %q, want only transit scans to wait", p.Seq, p.ActionType, p.WaitingFor)
		}
	}

	// A restart forgets nothing of it.
	s.stop()
	s = start(t, settings)
	pushes := up.Stats().Pushes
	apptest.Eventually(t, soon, held, apptest.Text("transit scans wait after a restart"))
	if q := s.Account(t, "SF").Quota; q.Used < int64(pushes) || *q.Limit != limit {
		t.Errorf("after a restart the quota is %+v, want at least %d used", q, pushes)
	}
	sendAll(t, s, fleet("S", 1, 100001))
	apptest.Eventually(t, soon, func() bool { return up.Stats().Pushes == pushes+1 }, apptest.Text("a pickup gets through"))
	checkHeld(t, s, up, limit)

	up.Faulty(t, sandbox.Faults{QuotaDay: 10 * limit})
	s.Call(t, http.MethodPost, "/admin/v1/accounts/SF/resume", map[string]string{"reason": "the quota was raised"}, http.StatusOK, nil)
	s.Settled(t, soon)
	apptest.Eventually(t, soon, func() bool {
		q := s.Account(t, "SF").Quota
		return *q.Limit == 10*limit && q.TransitHeldSince == nil
	}, func() string { return fmt.Sprintf("the quota is the raised one: %+v", s.Account(t, "SF").Quota) })
	all := slices.Concat(picked, transit, out, more)
	arrivedInOrder(t, up, all)
	if stats := up.Stats(); stats.Errcodes[45009] != 0 || stats.Repeats != 0 {
		t.Errorf("%d pushes met the end of the quota, %d arrived twice", stats.Errcodes[45009], stats.Repeats)
	}
	if p := s.GetPush(t, first[0]); p.Status != "delivered" {
		t.Errorf("the first push is %s", p.Status)
	}
}

// awayFromMidnight tells whether this is neither the last minute of the day in Beijing, with which what is used of its
// quota ends, nor the first, in which WeChat is not asked.
func awayFromMidnight() bool {
	const hour, minute = 3600, 60
	second := (time.Now().Unix() + 8*hour) % (24 * hour)
	return second >= minute && second < 24*hour-minute
}

// checkHeld looks at everything that tells of transit scans that wait, and returns those that do.
func checkHeld(t *testing.T, s *service, up *apptest.Upstream, limit int64) []apptest.ListedPush {
	t.Helper()
	a, pushes := s.Account(t, "SF"), up.Stats().Pushes
	q := a.Quota
	if a.Paused || *q.Limit != limit || *q.Remaining > q.Reserved || q.AskedAt == nil || q.TransitHeldUntil == nil ||
		time.Until(*q.TransitHeldUntil) > 24*time.Hour || q.TransitHeldUntil.UTC().Format(time.TimeOnly) != "16:00:00" {
		t.Errorf("the account is %+v", a)
	}
	if int64(pushes) > q.Used {
		t.Errorf("%d pushes arrived and %d were counted", pushes, q.Used)
	}
	waiting, pending := s.Pushes(t, "waiting_for=account"), s.Pushes(t, "status=pending")
	if len(waiting) == 0 || len(waiting) != len(pending) {
		t.Fatalf("%d pushes wait for the account, %d are pending", len(waiting), len(pending))
	}
	var one struct {
		WaitingFor string `json:"waiting_for"`
		Waiting    struct {
			Since, Until *time.Time
			Text         struct{ En, Zh string }
		} `json:"waiting"`
	}
	s.Call(t, http.MethodGet, fmt.Sprintf("/admin/v1/pushes/%d", waiting[0].Seq), nil, http.StatusOK, &one)
	if w := one.Waiting; one.WaitingFor != "account" || w.Since == nil || w.Until == nil || !w.Until.Equal(*q.TransitHeldUntil) ||
		!strings.Contains(w.Text.En, "push.quota_reserve") || !strings.Contains(w.Text.Zh, "当日配额不足") {
		t.Errorf("one of them says %+v", one)
	}
	status, body := s.AskAs(t, "", http.MethodGet, "/readyz", nil)
	var health struct {
		Status   string
		Degraded []string
	}
	if err := json.Unmarshal(body, &health); err != nil || status != http.StatusOK || health.Status != "degraded" ||
		!slices.ContainsFunc(health.Degraded, func(d string) bool { return strings.Contains(d, "transit scans wait") }) {
		t.Errorf("/readyz answers %d %s", status, body)
	}
	_, metrics := s.AskAs(t, "", http.MethodGet, "/metrics", nil)
	if !metricIs(string(metrics), `carrier_quota_limit{delivery_id="SF"}`, "", fmt.Sprint(limit)) ||
		!metricIs(string(metrics), `carrier_quota_used{delivery_id="SF"}`, "", fmt.Sprint(q.Used)) {
		t.Error("/metrics does not show the quota")
	}
	return waiting
}
