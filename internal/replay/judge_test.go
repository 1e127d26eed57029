package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestJudge spells stories out, a word a push in order of time: type, status, and where it matters "@" and its ord.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		story  string
		change func(*store.Waybill, *rule)
		want   string // Verdicts in order of sending.
	}{
		{name: "one failed push", story: "100001:failed", want: "1 send"},
		{name: "all of a waybill go one behind the other", story: "100001:failed 200001:failed 300002:failed",
			want: "1 send, 2 waits_behind 1, 3 waits_behind 1"},
		{name: "behind one that is open", story: "100001:pending 200001:failed 300002:failed",
			want: "1 pending, 2 waits_behind 1, 3 waits_behind 1"},
		{name: "an open one that goes later is not waited for", story: "100001:failed 200001:pending",
			want: "1 send, 2 pending"},
		{name: "what is sent counts by acceptance, not by time", story: "100001:failed@2 200001:failed@1",
			want: "2 send, 1 waits_behind 2"},
		{name: "delivered ones are never sent", story: "100001:delivered 200001:failed", want: "1 already_delivered, 2 send"},
		{name: "discarded ones are left alone", story: "100001:discarded 200001:failed", want: "1 discarded, 2 send"},
		{name: "unless they are asked for", story: "100001:discarded 200001:failed",
			change: func(_ *store.Waybill, r *rule) { r.filter.Status = store.Discarded }, want: "1 send"},
		{name: "pending ones asked for", story: "100001:pending 200001:failed",
			change: func(_ *store.Waybill, r *rule) { r.filter.Status = store.Pending }, want: "1 pending"},
		{name: "a later stage was delivered", story: "100001:failed 200001:failed 300002:delivered",
			want: "1 superseded_by_stage, 2 superseded_by_stage, 3 already_delivered"},
		{name: "later by time, not by acceptance", story: "100001:failed@3 200001:delivered@1 300002:failed@2",
			want: "2 already_delivered, 3 send, 1 superseded_by_stage"},
		{name: "the same stage again supersedes nothing", story: "200001:failed 200001:delivered",
			want: "1 send, 2 already_delivered"},
		{name: "held up before and after the pickup are two stages", story: "400002:failed 100001:failed 400002:delivered",
			want: "1 superseded_by_stage, 2 superseded_by_stage, 3 already_delivered"},
		{name: "what follows a superseded one waits behind it", story: "100001:failed 200001:delivered 300002:failed",
			want: "1 superseded_by_stage, 2 already_delivered, 3 waits_behind 1"},
		{name: "unless that is left out", story: "100001:failed 200001:delivered 300002:failed",
			change: func(_ *store.Waybill, r *rule) { r.skipSuperseded = true },
			want:   "1 superseded_by_stage, 2 already_delivered, 3 send"},
		{name: "no Token", story: "100001:failed 200001:failed",
			change: func(w *store.Waybill, _ *rule) { w.TokenSet = false }, want: "1 waits_for_token, 2 waits_for_token"},
		{name: "frozen", story: "100001:failed 200001:failed",
			change: func(w *store.Waybill, _ *rule) { w.Frozen = true }, want: "1 waits_for_thaw, 2 waits_for_thaw"},
		{name: "parked: a replay lets it go", story: "100001:failed 200001:pending",
			change: func(w *store.Waybill, _ *rule) { w.Parked = true }, want: "1 send, 2 pending"},
		{name: "the account is gone", story: "100001:failed 200001:delivered",
			change: func(_ *store.Waybill, r *rule) { r.configured = func(string) bool { return false } },
			want:   "1 no_account, 2 already_delivered"},
		{name: "only what the filter finds", story: "100001:failed 200001:failed",
			change: func(_ *store.Waybill, r *rule) { r.filter.Type = state.Transit }, want: "2 send"},
		{name: "only up to a number", story: "100001:failed 200001:failed",
			change: func(_ *store.Waybill, r *rule) { r.upTo = 1 }, want: "1 send"},
		{name: "not what ended since", story: "100001:failed 200001:failed",
			change: func(w *store.Waybill, r *rule) { r.id, r.createdAt = 7, w.Timeline[0].Push.DoneAt.Add(time.Second) },
			want:   "1 send"},
		{name: "not what it made pending itself", story: "100001:failed 200001:failed",
			change: func(w *store.Waybill, r *rule) {
				r.id, r.createdAt = 7, w.Timeline[1].Push.DoneAt.Add(time.Second)
				w.Timeline[0].Push.Replay = 7
			}, want: "2 send"},
		{name: "an event without a push", story: "100001: 200001:failed", want: "2 send"},
	} {
		t.Run(c.name, func(t *testing.T) {
			story := storyOf(t, c.story)
			r := rule{upTo: 100, configured: func(string) bool { return true }, held: nothing}
			if c.change != nil {
				c.change(&story, &r)
			}
			var got []string
			for _, i := range judge(&story, &r) {
				text := fmt.Sprintf("%d %s", i.Push.Seq, i.Verdict)
				if i.Behind != 0 {
					text += fmt.Sprintf(" %d", i.Behind)
				}
				got = append(got, text)
			}
			if got := strings.Join(got, ", "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func nothing(string, bool) store.WaitingFor { return store.WaitNothing }

// storyOf reads a story of TestJudge. The n-th push has number n, and ended in the n-th minute.
func storyOf(t *testing.T, text string) store.Waybill {
	t.Helper()
	w := store.Waybill{Waybill: waybill("SF", 1), TokenSet: true}
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, word := range strings.Fields(text) {
		p := store.Push{Seq: uint64(i + 1), Ord: uint64(i + 1)}
		word, ord, ok := strings.Cut(word, "@")
		if ok {
			if _, err := fmt.Sscan(ord, &p.Ord); err != nil {
				t.Fatal(err)
			}
		}
		kind, status, _ := strings.Cut(word, ":")
		if _, err := fmt.Sscan(kind, (*int32)(&p.Event.Type)); err != nil {
			t.Fatal(err)
		}
		if err := p.Status.UnmarshalText([]byte(status)); err != nil {
			t.Fatal(err)
		}
		p.Event.DeliveryID, p.Event.WaybillID, p.Event.Time = "SF", "W1", int64(i)
		if p.Status != store.Pending {
			p.DoneAt = began.Add(time.Duration(i+1) * time.Minute)
		}
		w.Timeline = append(w.Timeline, store.Step{Event: store.Event{Event: p.Event, Verdict: state.Accepted}, Push: p})
	}
	return w
}

// TestReached: where an illegal step was accepted by an operator, it leads where it leads from anywhere.
func TestReached(t *testing.T) {
	for _, s := range state.Stages() {
		for _, a := range state.ActionTypes {
			to, outcome := state.Next(s, a)
			got := reached(s, a)
			if outcome != state.Illegal && got != to {
				t.Errorf("%s from %s leads to %s, want %s", a, s, got, to)
			}
			if outcome == state.Illegal && got == s {
				t.Errorf("%s from %s leads nowhere", a, s)
			}
		}
	}
}
