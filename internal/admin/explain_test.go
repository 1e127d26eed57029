package admin

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// half matches what is left where a sentence lacks a value.
var half = regexp.MustCompile(`%!|\( |\(\)|（）|: \.|：。|\[\]|,,|\.\.|。。| {2}|event 0\b|事件 0|push 0\b|推送 0|0001-01-01| $|^ |<nil>`)

// wantWhole checks that a text says something, all of it, in both languages.
func wantWhole(t *testing.T, text Text) {
	t.Helper()
	t.Logf("%s", text.En)
	t.Logf("%s", text.Zh)
	for _, s := range []string{text.En, text.Zh} {
		if s == "" || half.MatchString(s) {
			t.Errorf("half a text: %q", s)
		}
	}
	if !strings.HasSuffix(text.En, ".") || !strings.HasSuffix(text.Zh, "。") {
		t.Errorf("no whole sentence: %q, %q", text.En, text.Zh)
	}
	if hasHan(text.En) {
		t.Errorf("Chinese in the English text: %q", text.En)
	}
	if !hasHan(text.Zh) {
		t.Errorf("no Chinese in the Chinese text: %q", text.Zh)
	}
}

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x4e00 && r <= 0x9fff })
}

func wantWords(t *testing.T, text Text, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text.En, w) && !strings.Contains(text.Zh, w) {
			t.Errorf("%q is not said: %q, %q", w, text.En, text.Zh)
		}
	}
}

func TestExplanations(t *testing.T) {
	event := func(a state.ActionType) state.Event { return state.Event{Type: a} }
	until := time.Date(2026, 3, 4, 12, 2, 0, 0, time.UTC)
	tests := []struct {
		name  string
		event store.Event
		words []string // Each is in one of the two languages.
	}{
		{"an illegal step", store.Event{Event: event(state.Cancelled), First: state.Rejected, Verdict: state.Rejected, Reason: state.IllegalStep,
			From: state.PickedUp, Cause: 12, Allowed: state.Allowed(state.PickedUp)},
			[]string{"illegal_transition", "picked up", "已揽件", "event 12", "事件 12", "400001 order cancelled", "400001 订单取消",
				"200001 in transit", "300002 开始派送"}},
		{"an illegal step after nothing", store.Event{Event: event(state.Cancelled), First: state.Rejected, Verdict: state.Rejected,
			Reason: state.IllegalStep, From: state.Created, Allowed: state.Allowed(state.Created)}, []string{"created", "已下单"}},
		{"after the end", store.Event{Event: event(state.Transit), First: state.Rejected, Verdict: state.Rejected, Reason: state.IllegalStep,
			From: state.Delivered, Cause: 9, Allowed: []state.ActionType{}}, []string{"final", "终态", "event 9"}},
		{"a contradiction", store.Event{Event: event(state.Cancelled), First: state.Rejected, Verdict: state.Rejected,
			Reason: state.ContradictsNext, From: state.Assigned, Cause: 15, Allowed: []state.ActionType{state.PickupAssigned}},
			[]string{"contradicts_later_event", "courier assigned", "event 15", "事件 15", "100003 分配业务员"}},
		{"a contradiction that allows nothing", store.Event{Event: event(state.Cancelled), First: state.Rejected, Verdict: state.Rejected,
			Reason: state.ContradictsNext, From: state.Assigned, Cause: 15, Allowed: []state.ActionType{}}, []string{"Nothing is allowed", "不允许任何"}},
		{"rejected after it was held", store.Event{Event: event(state.Signed), First: state.Held, Verdict: state.Rejected, Reason: state.IllegalStep},
			[]string{"illegal_transition", "an operator accepted", "300003 signed for"}},
		{"rejected without a reason", store.Event{Event: event(state.Signed), First: state.Rejected, Verdict: state.Rejected,
			From: state.Delivered, Allowed: []state.ActionType{}}, []string{"(rejected)"}},
		{"a missing scan", store.Event{Event: event(state.Signed), First: state.Held, Verdict: state.Held, Reason: state.MissingScan, HeldUntil: until},
			[]string{"missing_scan", "out for delivery", "派送中", "2026-03-04T12:02:00Z"}},
		{"behind a held one", store.Event{Event: event(state.Signed), First: state.Held, Verdict: state.Held, Reason: state.BehindHeld, HeldUntil: until},
			[]string{"behind_held", "2026-03-04T12:02:00Z"}},
		{"the same event again", store.Event{Event: event(state.Signed), Verdict: state.Ignored, Reason: state.RepeatsEvent, Cause: 3},
			[]string{"repeats_event", "event 3", "事件 3"}},
		{"the same stage again", store.Event{Event: event(state.Signed), Verdict: state.Ignored, Reason: state.RepeatsStage, Cause: 3},
			[]string{"repeats_stage", "event 3", "事件 3"}},
		{"the same stage again, of which nothing is known", store.Event{Event: event(state.Signed), Verdict: state.Ignored,
			Reason: state.RepeatsStage}, []string{"repeats_stage"}},
		{"an override", store.Event{Event: event(state.Cancelled), First: state.Rejected, Verdict: state.Accepted, Override: true,
			From: state.PickedUp, Allowed: state.Allowed(state.PickedUp)}, []string{"by an operator", "picked up", "200001"}},
		{"an override of one that was held first", store.Event{Event: event(state.Cancelled), First: state.Held, Verdict: state.Accepted,
			Override: true}, []string{"by an operator", "运维人员"}},
		{"late", store.Event{Event: event(state.Transit), Verdict: state.Accepted, Late: true}, []string{"late", "迟到"}},
		{"with a gap", store.Event{Event: event(state.Transit), Verdict: state.Accepted, Gap: true}, []string{"gap", "缺少扫描"}},
		{"late and with a gap", store.Event{Event: event(state.Transit), Verdict: state.Accepted, Late: true, Gap: true},
			[]string{"late", "gap"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := explain(&tt.event)
			wantWhole(t, text)
			wantWords(t, text, tt.words...)
		})
	}
	if plain := explain(&store.Event{Event: event(state.Transit), First: state.Accepted, Verdict: state.Accepted}); plain != (Text{}) {
		t.Errorf("a plainly accepted event is explained: %+v", plain)
	}
}

// TestEveryRejectionOfTheTable: every cell that is illegal, as the machine decides it, has a whole explanation.
func TestEveryRejectionOfTheTable(t *testing.T) {
	for _, from := range state.Stages() {
		for _, a := range state.ActionTypes {
			if _, out := state.Next(from, a); out != state.Illegal {
				continue
			}
			for _, reason := range []state.Reason{state.IllegalStep, state.ContradictsNext} {
				e := store.Event{Event: state.Event{Type: a}, First: state.Rejected, Verdict: state.Rejected, Reason: reason, From: from,
					Allowed: state.Allowed(from), Cause: 77}
				text := explain(&e)
				wantWhole(t, text)
				wantWords(t, text, reason.String(), from.Name(false), from.Name(true), a.Name(false), a.Name(true), "event 77")
				for _, ok := range e.Allowed {
					wantWords(t, text, ok.String()+" "+ok.Name(false), ok.String()+" "+ok.Name(true))
				}
			}
		}
	}
}

// TestEveryHold: whatever implies a missing scan says which stages it could follow.
func TestEveryHold(t *testing.T) {
	for _, from := range state.Stages() {
		for _, a := range state.ActionTypes {
			if _, out := state.Next(from, a); out != state.Gap {
				continue
			}
			e := store.Event{Event: state.Event{Type: a}, Verdict: state.Held, Reason: state.MissingScan, HeldUntil: someTime}
			text := explain(&e)
			wantWhole(t, text)
			if len(stagesBefore(a)) == 0 {
				t.Errorf("%s follows nothing", a)
			}
		}
	}
}
