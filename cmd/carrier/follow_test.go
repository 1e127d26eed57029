package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/adminclient"
)

// TestBulkReplayIsFollowed starts replays that end at once, in every way.
func TestBulkReplayIsFollowed(t *testing.T) {
	for _, test := range []struct {
		name, replay string
		status       int
		out, errs    string
	}{
		{"all delivered", fakeReplay("12", "done", 5, 5, 0, 0), exitDone, "replay 12 is done: 5 of 5 pushes delivered, in 1m5s\n", ""},
		{"some failed", fakeReplay("12", "done", 5, 3, 2, 0), exitFailed, "replay 12 is done: 3 of 5 pushes delivered, 2 failed, in 1m5s\n",
			"carrier: not delivered: 2; carrier pushes list --status failed shows why\n"},
		{"one discarded", strings.Replace(fakeReplay("12", "done", 5, 4, 0, 0), `"discarded":0`, `"discarded":1`, 1), exitFailed,
			"replay 12 is done: 4 of 5 pushes delivered, 1 discarded, in 1m5s\n", "carrier: not delivered: 1; carrier pushes list --status failed shows why\n"},
		{"some left alone", strings.Replace(fakeReplay("12", "done", 5, 4, 0, 0), `"skipped":0`, `"skipped":1`, 1), exitDone,
			"replay 12 is done: 4 of 5 pushes delivered, 1 left as they were, in 1m5s\n", ""},
		{"cancelled", fakeReplay("12", "cancelled", 5, 1, 0, 2), exitFailed, "replay 12 is cancelled: 1 of 5 pushes delivered, 2 on their way still, in 1m5s\n",
			"carrier: replay 12 was cancelled\n"},
		{"nothing matched", fakeReplay("12", "done", 0, 0, 0, 0), exitDone, "replay 12: no push matches; nothing was sent\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeAdmin(t).on("POST /admin/v1/replays", 202, test.replay).on("GET /admin/v1/replays/12", 200, test.replay)
			for _, args := range []string{"pushes replay --status failed", "replays follow 12"} {
				status, out, errs := f.run(t, "C", strings.Fields(args)...)
				if status != test.status || out != test.out || errs != test.errs {
					t.Errorf("carrier %s: status %d\n%s%s", args, status, out, errs)
				}
				status, out, _ = f.run(t, "C", append(strings.Fields(args), "--json")...)
				if status != test.status || !strings.HasPrefix(out, "{\n  \"id\": \"12\"") {
					t.Errorf("carrier %s --json: status %d\n%s", args, status, out)
				}
			}
		})
	}
	f := newFakeAdmin(t).on("POST /admin/v1/replays", 202, fakeReplay("12", "running", 5, 0, 0, 5))
	status, out, errs := f.run(t, zhLang, "pushes", "replay", "--status", "failed", "--no-follow")
	if status != exitDone || out != "重放 12（5 个推送）进行中；carrier replays follow 12 可查看进度\n" || errs != "" {
		t.Errorf("--no-follow: status %d\n%s%s", status, out, errs)
	}
}

// TestFollowingStopsAndTheReplayGoesOn presses Ctrl-C, with and without a bar to take away.
func TestFollowingStopsAndTheReplayGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFakeAdmin(t).on("POST /admin/v1/replays", 202, fakeReplay("12", "running", 5, 1, 0, 4))
	f.on("GET /admin/v1/replays/12", 200, fakeReplay("12", "running", 5, 1, 0, 4))
	stop := context.AfterFunc(t.Context(), cancel)
	defer stop()
	go func() { // As soon as it follows.
		for len(f.log()) < 2 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	status, out, errs := f.runWith(ctx, t, "", nil, "pushes", "replay", "--status", "failed")
	want := "carrier: stopped following; replay 12 goes on: carrier replays follow 12 follows it again, carrier replays cancel 12 ends it\n"
	if status != exitFailed || out != "" || errs != want {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	for _, asked := range f.log() {
		if strings.Contains(asked, "cancel") {
			t.Errorf("the replay itself was ended: %s", asked)
		}
	}
}

// scriptedReplay answers one after the other, and then the last again and again.
type scriptedReplay struct {
	answers []any // adminclient.Replay or error.
	asked   int
}

func (s *scriptedReplay) ask(context.Context, string) (a replayAnswer, err error) {
	answer := s.answers[min(s.asked, len(s.answers)-1)]
	s.asked++
	if err, failed := answer.(error); failed {
		return a, err
	}
	a.Value = answer.(adminclient.Replay)
	return a, nil
}

func TestWatch(t *testing.T) {
	running := adminclient.Replay{ID: "12", Status: "running", Matched: 10, Requeued: 10, Delivered: 3, Open: 7}
	paused, waiting, done := running, running, running
	paused.Status = "paused"
	waiting.Waiting = []adminclient.ReplayWaiting{{DeliveryID: "SF", Text: adminclient.Text{En: "its breaker is open"}}, {DeliveryID: "YTO", Text: adminclient.Text{En: "paused"}}}
	done.Status, done.Delivered, done.Open = "done", 10, 0
	away := &adminclient.Unreachable{URL: "http://a", Err: errors.New("connection refused")}
	busy := &adminclient.Refusal{Status: 503, Detail: "Busy."}
	lost := &adminclient.Refusal{Status: 404, Detail: "There is no replay 12."}
	for _, test := range []struct {
		name    string
		answers []any
		took    time.Duration
		err     error
		notes   string
	}{
		{"it ends", []any{running, done}, 2 * followEvery, nil, ""},
		{"it is paused, and goes on", []any{paused, paused, running, done}, 4 * followEvery, nil, "carrier: replay 12 is paused; carrier replays resume 12 lets it go on\n"},
		{"it waits", []any{waiting, waiting, done}, 3 * followEvery, nil, "carrier: SF: its breaker is open; YTO: paused\n"},
		{"the service restarts", []any{away, away, busy, running, done}, 5 * followEvery, nil,
			"carrier: http://a does not answer: connection refused; trying again\ncarrier: Busy; trying again\n"},
		{"the service stays away", []any{running, away}, followEvery + followPatience + followEvery, away, "carrier: http://a does not answer: connection refused; trying again\n"},
		{"the replay is not there", []any{lost}, followEvery, lost, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var notes strings.Builder
				begun := time.Now()
				script := &scriptedReplay{answers: test.answers}
				a, err := watch(t.Context(), replayAnswer{Value: running}, script.ask, &followNotes{s: &screen{}, w: &notes})
				if !errors.Is(err, test.err) || (test.err == nil) != (err == nil) || a.Value.Ended() != (test.err == nil) {
					t.Errorf("it ended with %+v, %v", a.Value, err)
				}
				if took := time.Since(begun); took != test.took {
					t.Errorf("it took %v, want %v", took, test.took)
				}
				if notes.String() != test.notes {
					t.Errorf("noted %q, want %q", notes.String(), test.notes)
				}
			})
		})
	}
}

// TestFollowBar draws a bar, also of a replay that came to match more.
func TestFollowBar(t *testing.T) {
	var out strings.Builder
	r := adminclient.Replay{ID: "12", Status: "running", Matched: 10}
	var shown watching = newFollowBar(&followNotes{s: &screen{}, w: &out}, &r)
	shown.show(&r)
	r.Requeued, r.Delivered, r.Failed, r.Open = 10, 4, 1, 5
	r.Waiting = []adminclient.ReplayWaiting{{DeliveryID: "SF", Text: adminclient.Text{En: "paused\x1b[2J"}}}
	shown.show(&r)
	r.Waiting = nil
	r.Requeued, r.Delivered, r.Open = 12, 10, 1
	shown.show(&r)
	shown.trouble(errors.New("away"))
	shown.clear()
	for _, want := range []string{"replay 12: 4 delivered, 1 not", "5/10", "carrier: SF: paused\\x1b[2J\n", "11/12", "carrier: away; trying again\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the bar does not show %q: %q", want, out.String())
		}
	}
}

// TestFollowGivesUp says how to go on when the service is gone for good.
func TestFollowGivesUp(t *testing.T) {
	for _, test := range []struct {
		status       int
		answer, want string
	}{
		{403, `{"detail":"Not allowed.","code":"forbidden"}`, "carrier: Not allowed; replay 12 may go on all the same: carrier replays follow 12 follows it again\n"},
		{404, `{"detail":"There is no replay 12.","code":"not_found"}`, "carrier: There is no replay 12.\n"},
	} {
		f := newFakeAdmin(t).on("GET /admin/v1/replays/12", 200, fakeReplay("12", "running", 5, 1, 0, 4))
		f.on("GET /admin/v1/replays/12", test.status, test.answer)
		status, _, errs := f.run(t, "C", "replays", "follow", "12")
		if status != exitFailed || errs != test.want {
			t.Errorf("after %d: status %d, %s", test.status, status, errs)
		}
	}
}
