package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"carrier/internal/admin"
	"carrier/internal/pathpush"
	"carrier/internal/replay"
	"carrier/internal/state"
	"carrier/internal/store"
)

// scene fills the store: five pushes of one waybill, one of each status and one that waits, a rejected event, two replays.
func (r *rig) scene() {
	event := state.Event{ID: "e", Source: "app", DeliveryID: "SF", WaybillID: "W1", Type: state.Transit, Time: 1533052800, Msg: "到达 18666666666"}
	r.store.pushes = []store.Push{
		{Seq: 1, Ord: 1, Event: event, Status: store.Failed},
		{Seq: 2, Ord: 2, Event: event, Status: store.Delivered},
		{Seq: 3, Ord: 9, Event: event, Status: store.Pending},
		{Seq: 4, Ord: 4, Event: event, Status: store.Pending, WaitingFor: store.WaitRetry},
		{Seq: 5, Ord: 5, Event: event, Status: store.Discarded},
		{Seq: 6, Event: event, Status: store.NoPush},
		{Seq: 7, Ord: 10, Event: event, Status: store.Pending, WaitingFor: store.WaitToken},
	}
	rejected := store.Event{Seq: 6, Event: event, First: state.Rejected, Verdict: state.Rejected, Reason: state.IllegalStep,
		From: state.Delivered, Allowed: []state.ActionType{}}
	r.store.story.Timeline = []store.Step{{Event: rejected}}
	r.store.replays = []store.Replay{{ID: 1, Status: store.ReplayRunning}, {ID: 2, Status: store.ReplayPaused}, {ID: 3, Status: store.ReplayDone}}
}

// TestActs: what each act answers, and what the audit log gets of it.
func TestActs(t *testing.T) {
	long := strings.Repeat("因", 501)
	tests := []struct {
		name, path, body string
		status           int
		want             []string // in the answer
		act              string   // the audit's action; empty: nothing is kept
	}{
		{"replay", "/pushes/1/replay", `{"reason":"why"}`, 202, []string{`"status":"pending"`}, store.ActReplay},
		{"replay nothing", "/pushes/99/replay", "", 404, []string{"not_found", "no push or event 99"}, ""},
		{"replay what is on its way", "/pushes/4/replay", "", 409, []string{`"push_status":"pending"`}, ""},
		{"discard", "/pushes/4/discard", `{"reason":"why"}`, 200, []string{`"status":"discarded"`}, store.ActDiscard},
		{"discard a failed one", "/pushes/1/discard", `{"reason":"why"}`, 200, []string{`"status":"discarded"`}, store.ActDiscard},
		{"discard without a reason", "/pushes/4/discard", "", 400, []string{`"field":"reason"`, "required"}, ""},
		{"discard with a blank reason", "/pushes/4/discard", `{"reason":" \t"}`, 400, []string{`"field":"reason"`}, ""},
		{"discard with a novel", "/pushes/4/discard", `{"reason":"` + long + `"}`, 400, []string{`"field":"reason"`, "500"}, ""},
		{"discard with the longest reason", "/pushes/4/discard", `{"reason":"` + long[3:] + `"}`, 200, nil, store.ActDiscard},
		{"discard what is delivered", "/pushes/2/discard", `{"reason":"why"}`, 409, []string{`"push_status":"delivered"`, "taken back"}, ""},
		{"discard what is discarded", "/pushes/5/discard", `{"reason":"why"}`, 409, []string{`"push_status":"discarded"`}, ""},
		{"discard what was not accepted", "/pushes/6/discard", `{"reason":"why"}`, 409, []string{`"push_status":""`, "not accepted"}, ""},
		{"discard nothing", "/pushes/99/discard", `{"reason":"why"}`, 404, nil, ""},
		{"retry", "/pushes/4/retry", `{"reason":"why"}`, 202, []string{`"status":"pending"`, `"waiting":null`}, store.ActRetry},
		{"retry what waits for a Token", "/pushes/7/retry", "", 409,
			[]string{`"push_status":"pending"`, `"waiting":{"for":"token"`, "would not help"}, ""},
		{"retry what is on its way", "/pushes/3/retry", "", 409, []string{`"waiting":null`, "on its way"}, ""},
		{"retry what failed", "/pushes/1/retry", "", 409, []string{`"push_status":"failed"`, "replay it"}, ""},
		{"retry nothing", "/pushes/99/retry", "", 404, nil, ""},
		{"accept", "/events/6/accept", `{"reason":"why"}`, 200, []string{`"verdict":"accepted"`, `"override":true`}, store.ActAccept},
		{"accept without a reason", "/events/6/accept", "{}", 400, []string{`"field":"reason"`}, ""},
		{"accept what is accepted", "/events/4/accept", `{"reason":"why"}`, 404, nil, ""}, // The fake has no such event, but a push.
		{"accept nothing", "/events/99/accept", `{"reason":"why"}`, 404, nil, ""},

		{"freeze", "/waybills/SF/W1/freeze", `{"reason":"why"}`, 200, []string{`"frozen":true`, `"timeline":[{`}, store.ActFreeze},
		{"thaw", "/waybills/SF/W1/thaw", `{"reason":"why"}`, 200, []string{`"frozen":false`}, store.ActThaw},
		{"freeze a stranger's", "/waybills/XX/W1/freeze", "", 404, []string{"no account"}, ""},
		{"freeze with a novel", "/waybills/SF/W1/freeze", `{"reason":"` + long + `"}`, 400, []string{`"field":"reason"`}, ""},
		{"skip", "/waybills/SF/W1/skip", `{"reason":"why"}`, 200, []string{`"seq":4`, `"status":"discarded"`}, store.ActSkip},
		{"skip a stranger's", "/waybills/XX/W1/skip", "", 404, []string{"no account"}, ""},
		{"retry a waybill", "/waybills/SF/W1/retry", `{"reason":"why"}`, 200, nil, store.ActRetry},
		{"retry a stranger's", "/waybills/XX/W1/retry", "", 404, nil, ""},

		{"expunge", "/waybills/SF/W1/expunge", `{"reason":"why"}`, 200, []string{`{"events":8,"discarded":4,"tokens":0,"orders":0,"shown":0,"waybill":{"delivery_id":"SF"`,
			`"reason":"expunged"`}, store.ActExpunge},
		{"expunge what an account left that is gone", "/waybills/XX/W1/expunge", `{"reason":"why"}`, 200, []string{`"delivery_id":"XX"`}, store.ActExpunge},
		{"expunge without a reason", "/waybills/SF/W1/expunge", "", 400, []string{`"field":"reason"`, "required"}, ""},
		{"expunge with a novel", "/waybills/SF/W1/expunge", `{"reason":"` + long + `"}`, 400, []string{`"field":"reason"`, "500"}, ""},
		{"expunge nothing", "/waybills/SF/UNKNOWN/expunge", `{"reason":"why"}`, 404, []string{"not_found", "SF/UNKNOWN"}, ""},

		{"pause a replay", "/replays/1/pause", `{"reason":"why"}`, 200, []string{`"id":"1"`, `"status":"paused"`}, store.ActReplayPause},
		{"pause a paused replay", "/replays/2/pause", "", 409, []string{`"replay_status":"paused"`, "already"}, ""},
		{"resume a replay", "/replays/2/resume", `{"reason":"why"}`, 200, []string{`"status":"running"`}, store.ActReplayResume},
		{"resume a running replay", "/replays/1/resume", "", 409, []string{`"replay_status":"running"`}, ""},
		{"cancel a replay", "/replays/1/cancel", `{"reason":"why"}`, 200, []string{`"status":"cancelled"`}, store.ActReplayCancel},
		{"cancel what is done", "/replays/3/cancel", "", 409, []string{`"replay_status":"done"`, "final"}, ""},
		{"cancel nothing", "/replays/99/cancel", "", 404, nil, ""},
		{"cancel what is no number", "/replays/x/cancel", "", 404, []string{"no replay"}, ""},
		{"cancel replay 0", "/replays/0/cancel", "", 404, nil, ""},
		{"start a replay", "/replays", `{"filter":{"status":"failed"},"reason":"why"}`, 202,
			[]string{`"status":"running"`, `"matched":7`, `"filter":{"status":"failed"}`, `"waiting":[]`}, store.ActReplayStart},

		{"pause an account", "/accounts/SF/pause", `{"reason":"why"}`, 200, []string{`"paused":true`, `"pause_reason":"why"`}, store.ActPause},
		{"pause a stranger's", "/accounts/XX/pause", "", 404, nil, ""},
		{"resume an account", "/accounts/SF/resume", `{"reason":"why"}`, 200, []string{`"paused":false`}, store.ActResume},
		{"let it fail", "/accounts/SF/resume", `{"reason":"why","let_fail_for":"10m"}`, 200, nil, store.ActResume},
		{"let it fail for too long", "/accounts/SF/resume", `{"let_fail_for":"25h"}`, 400, []string{`"field":"let_fail_for"`}, ""},
		{"let it fail backwards", "/accounts/SF/resume", `{"let_fail_for":"-1s"}`, 400, []string{`"field":"let_fail_for"`}, ""},
		{"let it fail for a while", "/accounts/SF/resume", `{"let_fail_for":"a while"}`, 400, []string{`"field":"let_fail_for"`, "duration"}, ""},
		{"let it fail for a number", "/accounts/SF/resume", `{"let_fail_for":600}`, 400, []string{`"field":"let_fail_for"`}, ""},
		{"probe nothing", "/accounts/中通/probe", "", 409, []string{`"breaker":"closed"`, `"paused":false`}, ""},
		{"probe", "/accounts/SF/probe", `{"reason":"why"}`, 200, []string{`"state":"open"`}, store.ActProbe},
		{"back up", "/store/backup", `{"reason":"why"}`, 200, nil, store.ActBackup},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.scene()
			r.pusher.open = true
			w := r.do("POST", "/admin/v1"+tt.path, tt.body, "X-Forwarded-For", "1.1.1.1")
			wantStatus(t, w, tt.status)
			for _, want := range tt.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("got %s, want %s", w.Body, want)
				}
			}
			if tt.act == "" {
				if len(r.store.acts) > 0 {
					t.Errorf("kept %+v", r.store.acts)
				}
				return
			}
			if len(r.store.acts) != 1 {
				t.Fatalf("kept %+v, want one act", r.store.acts)
			}
			act := r.store.acts[0]
			if !strings.HasPrefix(act.Reason, "因") && act.Reason != "why" {
				t.Errorf("the reason is %q", act.Reason)
			}
			act.Reason, act.Detail = "", ""
			if want := (store.Act{By: "ops", From: "192.0.2.1", Action: tt.act}); act != want {
				t.Errorf("kept %+v, want %+v", act, want)
			}
		})
	}
}

// TestActsAreKeptWithWhatTheyMeant: the details that a reason does not tell.
func TestActsAreKeptWithWhatTheyMeant(t *testing.T) {
	tests := []struct{ name, method, path, body, detail string }{
		{"by force", "POST", "/pushes/2/replay", `{"force":true}`, "force"},
		{"let it fail", "POST", "/accounts/SF/resume", `{"let_fail_for":"10m"}`, "let_fail_for 10m0s"},
		{"a bulk replay", "POST", "/replays", `{"filter":{"errcode":40199,"since":"2026-01-02T15:04:05+08:00"},"rate":5.5,"skip_superseded":true}`,
			`{"filter":{"errcode":40199,"since":"2026-01-02T07:04:05Z"},"rate":5.5,"skip_superseded":true}`},
		{"a Token", "PUT", "/waybills/SF/W1/token", `{"token":"T","reason":"why"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.scene()
			if w := r.do(tt.method, "/admin/v1"+tt.path, tt.body); w.Code >= 300 {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			if len(r.store.acts) != 1 || r.store.acts[0].Detail != tt.detail {
				t.Errorf("kept %+v, want %s", r.store.acts, tt.detail)
			}
		})
	}
}

// TestWhatCantBeRecordedIsNotDone: an act that the store does not keep by itself is recorded before it is carried out.
func TestWhatCantBeRecordedIsNotDone(t *testing.T) {
	r := newRig(t)
	r.pusher.open = true
	r.pusher.paused["SF"] = "before"
	r.store.err = store.ErrDiskLow
	for _, path := range []string{"/accounts/SF/resume", "/accounts/中通/pause", "/accounts/SF/probe", "/store/backup"} {
		wantProblem(t, r.do("POST", "/admin/v1"+path, ""), http.StatusServiceUnavailable, "store_unavailable")
	}
	if len(r.pusher.paused) != 1 || r.pusher.probed != "" {
		t.Errorf("paused %v, probed %q", r.pusher.paused, r.pusher.probed)
	}
}

// TestProbeOfAPause: of one that a probe can't end, the answer says so.
func TestProbeOfAPause(t *testing.T) {
	r := newRig(t)
	r.pusher.paused["SF"], r.pusher.err = "stocktaking", fmt.Errorf("paused by hand: %w", pathpush.ErrNothingToProbe)
	w := r.do("POST", "/admin/v1/accounts/SF/probe", "")
	wantProblem(t, w, http.StatusConflict, "conflict_state")
	for _, want := range []string{`"paused":true`, `"pause_reason":"stocktaking"`, "Resume it"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("got %s, want %s", w.Body, want)
		}
	}
}

// TestHeadOfAWaybill: the first in the order of sending, not of arrival; and when none is open.
func TestHeadOfAWaybill(t *testing.T) {
	r := newRig(t)
	r.scene()
	for _, want := range []uint64{4, 3, 7} {
		wantStatus(t, r.do("POST", "/admin/v1/waybills/SF/W1/skip", ""), http.StatusOK)
		if p, _ := r.store.find(want); p.Status != store.Discarded {
			t.Fatalf("push %d is %s", want, p.Status)
		}
	}
	for _, verb := range []string{"skip", "retry"} {
		w := r.do("POST", "/admin/v1/waybills/SF/W1/"+verb, "")
		wantProblem(t, w, http.StatusConflict, "conflict_state")
		if !strings.Contains(w.Body.String(), `"open":0`) || !strings.Contains(w.Body.String(), `"frozen":false`) {
			t.Errorf("%s: got %s", verb, w.Body)
		}
	}
	r.store.err = store.ErrNotFound
	wantProblem(t, r.do("POST", "/admin/v1/waybills/SF/W1/skip", ""), http.StatusNotFound, "not_found")
}

// TestWhatWasExpungedIsNotSent: neither a replay, by force or not, nor an override; the refusal says why.
func TestWhatWasExpungedIsNotSent(t *testing.T) {
	r := newRig(t)
	r.scene()
	wantStatus(t, r.do("POST", "/admin/v1/waybills/SF/W1/expunge", `{"reason":"why"}`), http.StatusOK)
	for path, body := range map[string]string{
		"/pushes/1/replay": "", "/pushes/2/replay": `{"force":true}`, "/events/6/accept": `{"reason":"why"}`,
	} {
		w := r.do("POST", "/admin/v1"+path, body)
		wantProblem(t, w, http.StatusConflict, "conflict_state")
		if !strings.Contains(w.Body.String(), "was expunged") || strings.Contains(w.Body.String(), "force") {
			t.Errorf("%s: got %s", path, w.Body)
		}
	}
}

// TestExpungedOrder: a waybill that only an order had made known has no story any more.
func TestExpungedOrder(t *testing.T) {
	r := newRig(t)
	r.store.story.TokenSet = true
	for _, want := range []string{`"tokens":1,"orders":1`, `"tokens":0,"orders":0`} {
		w := r.do("POST", "/admin/v1/waybills/SF/W1/expunge", `{"reason":"why"}`)
		wantStatus(t, w, http.StatusOK)
		for _, want := range []string{`{"events":0,"discarded":0,` + want, `"waybill_id":"W1","stage":"created"`, `"token_set":false`, `"timeline":[]`} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("got %s, want %s", w.Body, want)
			}
		}
	}
	wantProblem(t, r.do("GET", "/admin/v1/waybills/SF/W1", ""), http.StatusNotFound, "not_found")
}

func TestRetryOfAWaybillThatWaitsForSomethingElse(t *testing.T) {
	r := newRig(t)
	r.store.pushes = []store.Push{{Seq: 7, Ord: 1, Status: store.Pending, WaitingFor: store.WaitToken, Event: state.Event{DeliveryID: "SF"}}}
	w := r.do("POST", "/admin/v1/waybills/SF/W1/retry", "")
	wantProblem(t, w, http.StatusConflict, "conflict_state")
	if !strings.Contains(w.Body.String(), `"seq":7`) || !strings.Contains(w.Body.String(), `"for":"token"`) {
		t.Errorf("got %s", w.Body)
	}
}

// TestReplayBodies: how a bulk replay is asked for.
func TestReplayBodies(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		want       string // in the answer
	}{
		{"dry", `{"filter":{"status":"failed"},"dry_run":true}`, 200, `"dry_run":true`},
		{"all that failed", `{"filter":{}}`, 202, `"status":"running"`},
		{"numbers", `{"filter":{"errcode":-1,"action_type":300003}}`, 202, `"errcode":-1`},
		{"numbers as text", `{"filter":{"errcode":"-1","action_type":"300003"}}`, 202, `"action_type":300003`},
		{"everything", `{"filter":{"status":"discarded","waiting_for":"retry","errcode":1,"reason":"r","delivery_id":"SF","waybill_id":"1",` +
			`"action_type":100001,"source":"app","since":"2026-01-01T15:04:05Z","until":"2026-01-02T15:04:05Z"},"dry_run":false,"rate":10000,"reason":"why",` +
			`"skip_superseded":true}`, 202, `"until":"2026-01-02T15:04:05Z"`},
		{"the greatest rate and more", `{"filter":{},"rate":10001}`, 400, `"field":"rate"`},
		{"a rate below 0", `{"filter":{},"rate":-1}`, 400, `"field":"rate"`},
		{"a rate of no use", `{"filter":{},"rate":5e-324}`, 400, `"field":"rate"`},
		{"the least rate", `{"filter":{},"rate":0.01}`, 202, `"rate":0.01`},
		{"a time that JSON can't hold", `{"filter":{"since":"9999-12-31T23:59:59-01:00"}}`, 400, `"field":"filter.since"`},
		{"a time that is none", `{"filter":{"until":"0001-01-01T00:00:00Z"}}`, 400, `"field":"filter.until"`},
		{"a rate as text", `{"filter":{},"rate":"5"}`, 400, `"field":"rate"`},
		{"a rate beyond all numbers", `{"filter":{},"rate":1e999}`, 400, `"field":"rate"`},
		{"no filter", `{"dry_run":true}`, 400, `"field":"filter"`},
		{"no body", "", 400, `"field":"filter"`},
		{"filter null", `{"filter":null}`, 400, `"field":"filter"`},
		{"filter as text", `{"filter":"status=failed"}`, 400, `"field":"filter"`},
		{"filter as a list", `{"filter":[{}]}`, 400, `"field":"filter"`},
		{"two filters", `{"filter":{},"filter":{"status":"failed"}}`, 400, `"code":"repeated_field"`},
		{"filter in capitals", `{"Filter":{}}`, 400, `"field":"Filter"`},
		{"a filter twice", `{"filter":{"status":"failed","status":"discarded"}}`, 400, `"field":"filter.status"`},
		{"a filter in capitals", `{"filter":{"Status":"failed"}}`, 400, `"field":"filter.Status"`},
		{"a misspelt filter", `{"filter":{"stauts":"failed"}}`, 400, `"field":"filter.stauts"`},
		{"a filter of the wrong type", `{"filter":{"status":5}}`, 400, `"field":"filter.status"`},
		{"a filter null", `{"filter":{"status":null}}`, 400, `"field":"filter.status"`},
		{"an object as filter", `{"filter":{"status":{"a":1}}}`, 400, `"field":"filter.status"`},
		{"a number with a fraction", `{"filter":{"errcode":1.5}}`, 400, `"field":"filter.errcode"`},
		{"a truth as a number", `{"filter":{"errcode":true}}`, 400, `"field":"filter.errcode"`},
		{"an empty filter", `{"filter":{"source":""}}`, 400, `"field":"filter.source"`},
		{"a page", `{"filter":{"limit":"5"}}`, 400, `"field":"filter.limit"`},
		{"a verdict", `{"filter":{"verdict":"rejected"}}`, 400, `"field":"filter.verdict"`},
		{"a delivered status", `{"filter":{"status":"lost"}}`, 400, `"code":"invalid_filter"`},
		{"dry as text", `{"filter":{},"dry_run":"true"}`, 400, `"field":"dry_run"`},
		{"dry as a number", `{"filter":{},"dry_run":1}`, 400, `"field":"dry_run"`},
		{"skip null", `{"filter":{},"skip_superseded":null}`, 400, `"field":"skip_superseded"`},
		{"a reason too long", `{"filter":{},"reason":"` + strings.Repeat("x", 501) + `"}`, 400, `"field":"reason"`},
		{"several mistakes", `{"filter":{"x":1},"rate":"a","y":2}`, 400, `"field":"y"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			w := r.do("POST", "/admin/v1/replays", tt.body)
			wantStatus(t, w, tt.status)
			if !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("got %s, want %s", w.Body, tt.want)
			}
			if tt.status >= 400 && (len(r.store.acts) > 0 || !reflect.DeepEqual(r.replays.asked, replay.Request{})) {
				t.Errorf("it was asked for %+v", r.replays.asked)
			}
		})
	}
}

// TestDryRun: every verdict is shown, with what it means.
func TestDryRun(t *testing.T) {
	r := newRig(t)
	r.replays.plan = replay.Plan{Matched: 10, Evaluated: 9, Complete: false, Calls: 5, Minutes: 0.1, Totals: map[replay.Verdict]int{}}
	for i, v := range replay.Verdicts() {
		r.replays.plan.Totals[v] = i + 1
		item := replay.Item{Push: store.Push{Seq: uint64(i + 1), Status: store.Failed, Reason: "refused", Event: state.Event{DeliveryID: "SF",
			WaybillID: "W1", Type: state.Signed, Time: 1}, Attempts: []store.Attempt{{Errcode: new(40199)}}}, Verdict: v}
		if v == replay.WaitsBehind {
			item.Behind = 123
		}
		r.replays.plan.Sample = append(r.replays.plan.Sample, item)
	}
	w := r.do("POST", "/admin/v1/replays", `{"filter":{"status":"failed"},"dry_run":true,"rate":5,"reason":"why"}`)
	wantStatus(t, w, http.StatusOK)
	var plan struct {
		DryRun             bool `json:"dry_run"`
		Complete           bool
		Matched, Evaluated int
		Calls              int
		Minutes            float64
		Totals             map[string]int
		Sample             []struct {
			Seq                            uint64
			DeliveryID, WaybillID          string
			ActionType                     int `json:"action_type"`
			Errcode                        int
			Status, Reason, Verdict, Would string
			Behind                         uint64
			Text                           struct{ En, Zh string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &plan); err != nil {
		t.Fatal(err)
	}
	if !plan.DryRun || plan.Complete || plan.Matched != 10 || plan.Evaluated != 9 || plan.Calls != 5 || plan.Minutes != 0.1 {
		t.Errorf("got %+v", plan)
	}
	if len(plan.Sample) != len(replay.Verdicts()) || len(plan.Totals) != len(replay.Verdicts()) {
		t.Fatalf("got %s", w.Body)
	}
	said := map[string]bool{}
	for i, v := range replay.Verdicts() {
		row := plan.Sample[i]
		would := string(v)
		if v == replay.WaitsBehind {
			would += " 123"
		}
		if row.Verdict != string(v) || row.Would != would || row.Errcode != 40199 || row.Status != "failed" || row.Reason != "refused" ||
			row.ActionType != 300003 {
			t.Errorf("%s: got %+v", v, row)
		}
		if row.Text.En == "" || row.Text.Zh == "" || said[row.Text.En] || said[row.Text.Zh] || strings.Contains(row.Text.En, "_token") {
			t.Errorf("%s is not explained: %+v", v, row.Text)
		}
		said[row.Text.En], said[row.Text.Zh] = true, true
	}
	if len(r.store.acts) > 0 {
		t.Errorf("a dry run is audited: %+v", r.store.acts)
	}
}

// TestReplayAsAnswered: progress, and why it does not go on.
func TestReplayAsAnswered(t *testing.T) {
	r := newRig(t)
	at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.FixedZone("", 8*3600))
	r.store.replays = []store.Replay{{ID: 12, By: "ops", Reason: "why", CreatedAt: at, Status: store.ReplayRunning, Rate: 2.5, Matched: 9,
		Filter:   store.Query{Status: store.Failed, Since: at, DeliveryID: "SF", Errcode: new(0), Limit: 5, Before: 7},
		Requeued: 6, Skipped: 1, Delivered: 3, Failed: 1, Discarded: 1}}
	r.replays.waits = []replay.Wait{{DeliveryID: "SF", En: "paused", Zh: "暂停"}}
	w := r.do("GET", "/admin/v1/replays/12", "")
	wantStatus(t, w, http.StatusOK)
	want := `{"id":"12","status":"running","by":"ops","reason":"why","created_at":"2026-03-04T04:00:00Z","ended_at":null,"seq":0,` +
		`"filter":{"status":"failed","errcode":0,"delivery_id":"SF","since":"2026-03-04T04:00:00Z"},"rate":2.5,"skip_superseded":false,` +
		`"matched":9,"requeued":6,"skipped":1,"delivered":3,"failed":1,"discarded":1,"open":1,` +
		`"waiting":[{"delivery_id":"SF","text":{"en":"paused","zh":"暂停"}}]}`
	if got := strings.TrimSpace(w.Body.String()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	list := r.do("GET", "/admin/v1/replays?limit=3", "")
	if got := strings.TrimSpace(list.Body.String()); got != `{"items":[`+want+`],"next_cursor":""}` || r.store.page != (admin.PageQuery{Limit: 3}) {
		t.Errorf("got %s of %+v", got, r.store.page)
	}
}

// TestStats: figures of all accounts, also of one that is not configured any more.
func TestStats(t *testing.T) {
	r := newRig(t)
	r.scene()
	r.o.Admin.Version, r.o.Admin.StartedAt = "v1", time.Now().Add(-time.Hour)
	r.store.stats = store.Stats{
		Pushes: map[string]map[store.Status]int64{"SF": {store.Failed: 2}, "OLD": {store.Failed: 3, store.Pending: 1}},
		Events: map[state.Verdict]int64{state.Accepted: 6}, Held: 1, Commits: 4, CommitTime: 10 * time.Millisecond, Rows: 9, FreeBytes: 7,
		Oldest: map[string]time.Time{"OLD": time.Now().Add(-time.Minute)},
	}
	w := r.do("GET", "/admin/v1/stats", "", "Authorization", "Bearer "+deskToken)
	wantStatus(t, w, http.StatusOK)
	for _, want := range []string{`"version":"v1"`, `"events":{"accepted":6,"held":0,"ignored":0,"rejected":0}`, `"held":1`,
		`"pushes":{"delivered":0,"discarded":0,"failed":5,"pending":1}`, `"OLD":{"counts":{`, `"中通":{"counts":{`, `"replays_running":1`,
		`"store":{"commits":4,"rows":9,"commit_ms":2.5,"free_bytes":7}`, `"uptime_seconds":36`, `"oldest_pending_seconds":60`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("got %s, want %s", w.Body, want)
		}
	}
}
