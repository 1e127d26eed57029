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

// ask is an operator's request that must be answered with a status; the answer is read into out, if that is not nil.
func ask(t *testing.T, s *service, method, path, body string, status int, out any) string {
	t.Helper()
	var sent any
	if body != "" {
		sent = json.RawMessage(body)
	}
	got, answer := s.Ask(t, method, "/admin/v1"+path, sent)
	if got != status {
		t.Fatalf("%s %s answers %d, want %d: %s", method, path, got, status, answer)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, answer)
		}
	}
	return string(answer)
}

type explained struct {
	Verdict     string `json:"verdict"`
	Override    bool   `json:"override"`
	From        string `json:"from"`
	Allowed     []int  `json:"allowed"`
	Cause       uint64 `json:"cause"`
	Explanation struct {
		En, Zh string
	} `json:"explanation"`
}

type waitItem struct {
	For    string
	Since  *time.Time
	Until  *time.Time
	Behind uint64
	Parked bool
	Frozen bool
	Text   struct{ En, Zh string }
}

// TestOperate puts right what went wrong, as an operator does, over the real store and the real pusher: an override, a
// freeze, a skip, a discard, and what the audit log says of it in the end.
func TestOperate(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	s := start(t, apptest.NewSettings(t, sf(up)))

	// A rejection says why, and an operator takes the event all the same.
	done := s.Accept(t, scan("DONE", 1, 100001), scan("DONE", 2, 300002), scan("DONE", 3, 300003))
	late := s.Send(t, scan("DONE", 4, 300004))
	if late.Verdict != "rejected" {
		t.Fatalf("got %+v", late)
	}
	var events struct{ Items []explained }
	ask(t, s, "GET", "/events?verdict=rejected", "", 200, &events)
	if len(events.Items) != 1 {
		t.Fatalf("got %+v", events)
	}
	why := events.Items[0]
	if why.From != "delivered" || why.Cause != done[2] || why.Override ||
		!strings.Contains(why.Explanation.En, fmt.Sprintf("event %d", done[2])) || !strings.Contains(why.Explanation.Zh, "已签收") {
		t.Errorf("the rejection is explained as %+v", why)
	}
	accept := fmt.Sprintf("/events/%d/accept", late.Seq)
	ask(t, s, "POST", accept, "", 400, nil)
	ask(t, s, "POST", accept, `{"reason":"refused at the door"}`, 200, &why)
	if why.Verdict != "accepted" || !why.Override || why.Explanation.En == "" {
		t.Errorf("after the override it is %+v", why)
	}
	ask(t, s, "POST", accept, `{"reason":"again"}`, 409, nil)
	s.Settled(t, soon)
	if p := s.GetPush(t, late.Seq); p.Status != "delivered" {
		t.Errorf("the accepted event is %s", p.Status)
	}

	// A frozen waybill takes scans and sends nothing, and says who holds it.
	s.Accept(t, scan("ICE", 1, 100001))
	s.Settled(t, soon)
	ask(t, s, "POST", "/waybills/SF/ICE/freeze", `{"reason":"complaint"}`, 200, nil)
	ask(t, s, "POST", "/waybills/SF/ICE/freeze", `{"reason":"complaint"}`, 200, nil)
	ice := s.Accept(t, scan("ICE", 2, 200001), scan("ICE", 3, 300002))
	var push struct {
		WaitingFor string `json:"waiting_for"`
		Waiting    *waitItem
	}
	ask(t, s, "GET", fmt.Sprintf("/pushes/%d", ice[0]), "", 200, &push)
	if w := push.Waiting; push.WaitingFor != "waybill" || w == nil || !w.Frozen || w.Since == nil || !strings.Contains(w.Text.En, "ops") ||
		!strings.Contains(w.Text.En, "complaint") {
		t.Errorf("the frozen push waits for %+v", push)
	}
	ask(t, s, "POST", fmt.Sprintf("/pushes/%d/retry", ice[0]), "", 409, nil)
	ask(t, s, "POST", "/waybills/SF/ICE/skip", `{"reason":"scanned by mistake"}`, 200, nil)
	ask(t, s, "POST", "/waybills/SF/ICE/thaw", `{"reason":"settled"}`, 200, nil)
	s.Settled(t, soon)
	if a, b := s.GetPush(t, ice[0]), s.GetPush(t, ice[1]); a.Status != "discarded" || a.Reason != "scanned by mistake" || b.Status != "delivered" {
		t.Errorf("skipped is %s (%s), the one behind it %s", a.Status, a.Reason, b.Status)
	}
	ask(t, s, "POST", "/waybills/SF/ICE/skip", "", 409, nil)
	ask(t, s, "POST", "/waybills/SF/NOBODY/freeze", "", 404, nil)

	// A paused account's pushes wait for it.
	ask(t, s, "POST", "/accounts/SF/probe", "", 409, nil)
	ask(t, s, "POST", "/accounts/SF/pause", `{"reason":"stocktaking"}`, 200, nil)
	ask(t, s, "POST", "/accounts/SF/probe", `{"reason":"try"}`, 409, nil)
	idle := s.Accept(t, scan("IDLE", 1, 100001), scan("IDLE", 2, 200001))
	ask(t, s, "GET", fmt.Sprintf("/pushes/%d", idle[0]), "", 200, &push)
	if push.WaitingFor != "account" || push.Waiting == nil || !strings.Contains(push.Waiting.Text.En, "stocktaking") || push.Waiting.Since == nil {
		t.Errorf("the paused account's push waits for %+v", push)
	}
	ask(t, s, "GET", fmt.Sprintf("/pushes/%d", idle[1]), "", 200, &push)
	if push.WaitingFor != "waybill" || push.Waiting == nil || push.Waiting.Behind != idle[0] {
		t.Errorf("the one behind it waits for %+v", push)
	}
	ask(t, s, "POST", fmt.Sprintf("/pushes/%d/discard", idle[0]), `{"reason":"a test"}`, 200, nil)
	ask(t, s, "POST", "/accounts/SF/resume", `{"let_fail_for":"1m"}`, 200, nil)
	s.Settled(t, soon)

	wantAudit(t, s, []string{"event.accept", "waybill.freeze", "waybill.skip", "waybill.thaw", "account.pause", "account.probe", "push.discard",
		"account.resume"})
}

// wantAudit checks who did what in which order, as everybody may read it.
func wantAudit(t *testing.T, s *service, want []string) {
	t.Helper()
	status, body := s.AskAs(t, s.Viewer, http.MethodGet, "/admin/v1/audit", nil)
	var log struct {
		Items []struct {
			ID, By, From, Action, Reason string
			At                           time.Time
		}
	}
	if err := json.Unmarshal(body, &log); err != nil || status != http.StatusOK {
		t.Fatalf("got %d %s, %v", status, body, err)
	}
	var got []string
	for _, e := range slices.Backward(log.Items) {
		got = append(got, e.Action)
		if e.By != "ops" || e.From != "127.0.0.1" || e.ID == "" || time.Since(e.At) > time.Hour {
			t.Errorf("kept %+v", e)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the audit log has\n%s\nwant\n%s", strings.Join(got, " "), strings.Join(want, " "))
	}
}

// TestReplayOverTheRealStore: what failed is sent again by a bulk replay, after a dry run that says so.
func TestReplayOverTheRealStore(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{})
	s := start(t, apptest.NewSettings(t, sf(up)))
	for _, w := range []string{"R1", "R2", "R3"} {
		s.Accept(t, scan(w, 1, 100001), scan(w, 2, 200001))
	}
	// The sandbox knows none of these waybills, so the first push of each fails and its waybill is parked.
	apptest.Eventually(t, soon, func() bool { return len(s.Pushes(t, "status=failed")) == 3 }, func() string { return fmt.Sprint(s.Pushes(t, "")) })

	var plan apptest.DryRun
	ask(t, s, "POST", "/replays", `{"filter":{"status":"failed"},"dry_run":true}`, 200, &plan)
	if plan.Matched != 3 || !plan.Complete || plan.Totals["send"] != 3 || plan.Calls != 3 {
		t.Errorf("the dry run says %+v", plan)
	}
	var replay apptest.Replay
	ask(t, s, "POST", "/replays", `{"filter":{"status":"failed"},"reason":"a test"}`, 202, &replay)
	if replay.Matched != 3 || replay.By != "ops" {
		t.Errorf("got %+v", replay)
	}
	apptest.Eventually(t, soon, func() bool {
		ask(t, s, "GET", "/replays/"+replay.ID, "", 200, &replay)
		return replay.Status == "done"
	}, func() string { return fmt.Sprintf("%+v", replay) })
	if replay.Requeued != 3 || replay.Failed != 3 || replay.Open != 0 {
		t.Errorf("in the end it is %+v", replay)
	}
	ask(t, s, "POST", "/replays/"+replay.ID+"/cancel", "", 409, nil)
	for _, p := range s.Pushes(t, "status=failed") {
		detail := s.GetPush(t, p.Seq)
		if last := detail.Attempts[len(detail.Attempts)-1]; last.Replay != replay.ID {
			t.Errorf("push %d: the last attempt comes of %q, want %s", p.Seq, last.Replay, replay.ID)
		}
	}
	wantAudit(t, s, []string{"replay.start"})
}
