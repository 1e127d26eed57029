package console

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

func someReplays() []admin.ReplayItem {
	return []admin.ReplayItem{
		{
			ID: "1", Status: store.ReplayRunning, By: "li", Reason: "<i>outage</i>", CreatedAt: time.Now(), Matched: 1000, Requeued: 600,
			Delivered: 500, Failed: 20, Skipped: 30, Open: 80, Filter: store.Query{Errcode: new(40199), DeliveryID: "SF", Type: state.ActionType(200001)},
			Waiting: []admin.ReplayWait{{DeliveryID: "SF", Text: admin.Text{En: "the breaker is open", Zh: "熔断器打开"}}},
		},
		{ID: "2", Status: store.ReplayDone, By: "ops", CreatedAt: time.Now(), EndedAt: new(time.Now()), Seq: 77, Matched: 1, Delivered: 1},
		{ID: "3", Status: store.ReplayPaused, By: "ops", CreatedAt: time.Now(), Matched: 0},
	}
}

func TestReplaysPage(t *testing.T) {
	f := &fakeAdmin{replays: someReplays(), next: "AAAA"}
	b := open(t, f).as(deskToken)
	b.get("/replays", Viewer, b.console.Replays).
		says(200, "running", "55 %", "<i>outage</i>", "push 77", "Next page").
		has(`href="/replays/1"`, `href="/replays?cursor=AAAA"`, `data-live="/console/events?of=replays"`)
	b.get("/replays?cursor=nonsense", Viewer, b.console.Replays).says(400, "cursor")
	f.replays = nil
	b.get("/replays", Viewer, b.console.Replays).says(200, "Nothing was replayed yet").has(`href="/pushes?status=failed"`)
}

func TestReplayPage(t *testing.T) {
	f := &fakeAdmin{replays: someReplays()}
	b := open(t, f).as(opsToken)
	b.with("id", "1").get("/replays/1", Viewer, b.console.Replay).
		says(200, "Replay 1", "55 %", "errcode=40199", "action_type=200001", "SF : the breaker is open").
		has(`action="/replays/1/pause"`, `action="/replays/1/cancel"`, `href="/pushes?action_type=200001&amp;delivery_id=SF&amp;errcode=40199&amp;status=failed"`,
			`data-live="/console/events?id=1&amp;of=replay"`)
	b.with("id", "3").get("/replays/3", Viewer, b.console.Replay).says(200, "all that failed").has(`action="/replays/3/resume"`)
	b.with("id", "2").get("/replays/2", Viewer, b.console.Replay).says(200, "done", "push 77").lacks("<form class=\"verbs", `action="/replays/2/`)
	b.with("id", "x").get("/replays/x", Viewer, b.console.Replay).says(404, `"x" is no replay`)
	v := open(t, f).as(deskToken).with("id", "1")
	v.get("/replays/1", Viewer, v.console.Replay).has("disabled")
}

func TestActsOnReplays(t *testing.T) {
	f := &fakeAdmin{replays: someReplays()}
	b := open(t, f).as(opsToken).with("id", "1")
	b.post("/replays/1/pause", Operator, b.console.PauseReplay, nil).leadsTo("/replays/1")
	b.post("/replays/1/resume", Operator, b.console.ResumeReplay, nil).leadsTo("/replays/1")
	b.post("/replays/1/cancel", Operator, b.console.CancelReplay, nil).
		says(200, "Cancel replay 1?", "can't be taken back", "1,000", "550").has(`action="/replays/1/cancel"`, `name="confirmed" value="yes"`)
	if len(f.acts) != 2 {
		t.Fatalf("it was not asked for twice: %q", f.acts)
	}
	b.post("/replays/1/cancel", Operator, b.console.CancelReplay, url.Values{"confirmed": {"yes"}, "reason": {"wrong filter"}}).leadsTo("/replays/1")
	want := []string{`ops: pause replay 1 ""`, `ops: resume replay 1 ""`, `ops: cancel replay 1 "wrong filter"`}
	if !slices.Equal(f.acts, want) {
		t.Errorf("got %q, want %q", f.acts, want)
	}
	f.err = problem.New(problem.ConflictState).Say("It is done already.", "已完成。")
	b.post("/replays/1/pause", Operator, b.console.PauseReplay, nil).says(409, "It is done already.")
}
