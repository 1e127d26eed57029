package admin

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"carrier/internal/pathpush"
	"carrier/internal/state"
	"carrier/internal/store"
)

var (
	waitSince = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	waitUntil = time.Date(2026, 3, 4, 12, 5, 0, 0, time.UTC)
)

func openBreaker(host string, since, probe time.Time) pathpush.BreakerSnapshot {
	return pathpush.BreakerSnapshot{Host: host, State: "open", Since: since, OpenedBy: "12 × errcode -1", NextProbeAt: probe}
}

func TestWaits(t *testing.T) {
	busy := store.Attempt{At: waitSince.Add(-time.Second), Duration: time.Second, Errcode: new(-1), Errmsg: "system error"}
	silent := store.Attempt{At: waitSince.Add(-time.Second), Duration: time.Second, Errmsg: "timeout"}
	closed := pathpush.Snapshot{DeliveryID: "SF", Breakers: []pathpush.BreakerSnapshot{{Host: "a", State: "closed", Since: waitSince}}}
	paused := func(reason string, until, probe time.Time) pathpush.Snapshot {
		return pathpush.Snapshot{DeliveryID: "SF", Paused: true, PauseReason: reason, PausedSince: waitSince, PausedUntil: until, NextProbeAt: probe}
	}
	s, u := &waitSince, &waitUntil
	tests := []struct {
		name    string
		push    store.Push
		hold    store.Hold
		account pathpush.Snapshot
		want    WaitItem
		words   []string
	}{
		{"for its next attempt", store.Push{WaitingFor: store.WaitRetry, NextAt: waitUntil, Attempts: []store.Attempt{busy}}, store.Hold{}, closed,
			WaitItem{For: store.WaitRetry, Since: s, Until: u}, []string{"errcode -1: system error", "2026-03-04T12:05:00Z"}},
		{"for its next attempt, after silence", store.Push{WaitingFor: store.WaitRetry, NextAt: waitUntil, Attempts: []store.Attempt{silent}},
			store.Hold{}, closed, WaitItem{For: store.WaitRetry, Since: s, Until: u}, []string{"timeout"}},
		{"for its next attempt, nothing known", store.Push{WaitingFor: store.WaitRetry}, store.Hold{}, closed, WaitItem{For: store.WaitRetry}, nil},
		{"for the breaker", store.Push{WaitingFor: store.WaitBreaker}, store.Hold{},
			pathpush.Snapshot{DeliveryID: "SF", Breakers: []pathpush.BreakerSnapshot{openBreaker("api.example", waitSince, waitUntil)}},
			WaitItem{For: store.WaitBreaker, Since: s, Until: u}, []string{"api.example", "12 × errcode -1", "2026-03-04T12:00:00Z", "2026-03-04T12:05:00Z"}},
		{"for the first of two breakers", store.Push{WaitingFor: store.WaitBreaker}, store.Hold{},
			pathpush.Snapshot{DeliveryID: "SF", Breakers: []pathpush.BreakerSnapshot{
				openBreaker("one.example", waitSince.Add(time.Hour), waitUntil.Add(time.Hour)), openBreaker("two.example", waitSince, waitUntil)}},
			WaitItem{For: store.WaitBreaker, Since: s, Until: u}, []string{"two.example"}},
		{"for a breaker that closed just now", store.Push{WaitingFor: store.WaitBreaker}, store.Hold{}, closed,
			WaitItem{For: store.WaitBreaker}, []string{"breaker"}},
		{"for an operator", store.Push{WaitingFor: store.WaitAccount}, store.Hold{}, paused("盘点 stocktaking.", time.Time{}, time.Time{}),
			WaitItem{For: store.WaitAccount, Since: s}, []string{"stocktaking", "resume", "2026-03-04T12:00:00Z"}},
		{"for an account without words", store.Push{WaitingFor: store.WaitAccount}, store.Hold{}, paused("", time.Time{}, time.Time{}),
			WaitItem{For: store.WaitAccount, Since: s}, []string{"resume"}},
		{"for the day's quota", store.Push{WaitingFor: store.WaitAccount}, store.Hold{}, paused("errcode 45009: quota", waitUntil, time.Time{}),
			WaitItem{For: store.WaitAccount, Since: s, Until: u}, []string{"45009", "by itself at 2026-03-04T12:05:00Z"}},
		{"for what upstream has against the account", store.Push{WaitingFor: store.WaitAccount}, store.Hold{},
			paused("errcode 40164: invalid ip", time.Time{}, waitUntil), WaitItem{For: store.WaitAccount, Since: s, Until: u},
			[]string{"40164", "at 2026-03-04T12:05:00Z", "probe"}},
		{"for an access_token", store.Push{WaitingFor: store.WaitAccount}, store.Hold{},
			pathpush.Snapshot{DeliveryID: "SF", Paused: true, PauseReason: "no access_token", PausedUntil: waitUntil},
			WaitItem{For: store.WaitAccount, Until: u}, []string{"access_token"}},
		{"for the rest of the day's quota", store.Push{WaitingFor: store.WaitAccount}, store.Hold{},
			pathpush.Snapshot{DeliveryID: "SF", Quota: pathpush.QuotaSnapshot{Day: waitUntil.Add(-24 * time.Hour), Limit: 1000, Remaining: 99, Reserved: 100, HeldSince: waitSince}},
			WaitItem{For: store.WaitAccount, Since: s, Until: u},
			[]string{"99", "1000", "100", "push.quota_reserve", "2026-03-04T12:00:00Z", "2026-03-04T12:05:00Z", "resume"}},
		{"for an account that goes on just now", store.Push{WaitingFor: store.WaitAccount}, store.Hold{}, closed,
			WaitItem{For: store.WaitAccount}, []string{"by itself"}},
		{"for an account that is gone", store.Push{WaitingFor: store.WaitAccount}, store.Hold{}, pathpush.Snapshot{DeliveryID: "YTO"},
			WaitItem{For: store.WaitAccount}, []string{"not configured", "SF"}},
		{"for a Token", store.Push{WaitingFor: store.WaitToken, Waiting: store.Waiting{Since: waitSince, Until: waitUntil}}, store.Hold{}, closed,
			WaitItem{For: store.WaitToken, Since: s, Until: u}, []string{"fails at 2026-03-04T12:05:00Z", "add_waybill"}},
		{"for a Token, for ever", store.Push{WaitingFor: store.WaitToken, Waiting: store.Waiting{Since: waitSince}}, store.Hold{}, closed,
			WaitItem{For: store.WaitToken, Since: s}, []string{"no Token yet"}},
		{"behind another", store.Push{WaitingFor: store.WaitWaybill, Waiting: store.Waiting{Since: waitSince, Behind: 41}}, store.Hold{}, closed,
			WaitItem{For: store.WaitWaybill, Since: s, Behind: 41}, []string{"Push 41", "推送 41"}},
		{"behind one that is not known", store.Push{WaitingFor: store.WaitWaybill}, store.Hold{}, closed, WaitItem{For: store.WaitWaybill}, nil},
		{"parked", store.Push{WaitingFor: store.WaitWaybill, Waiting: store.Waiting{Since: waitSince, Parked: true}}, store.Hold{}, closed,
			WaitItem{For: store.WaitWaybill, Since: s, Parked: true}, []string{"parked", "replay", "重放"}},
		{"frozen", store.Push{WaitingFor: store.WaitWaybill, Waiting: store.Waiting{Since: waitUntil, Frozen: true, Reason: "客诉"}},
			store.Hold{Since: waitSince, By: "ops", Reason: "客诉 complaint"}, closed,
			WaitItem{For: store.WaitWaybill, Since: s, Frozen: true}, []string{"ops", "complaint", "2026-03-04T12:00:00Z", "thaw"}},
		{"frozen, in a list", store.Push{WaitingFor: store.WaitWaybill, Waiting: store.Waiting{Since: waitSince, Frozen: true, Reason: "complaint"}},
			store.Hold{}, closed, WaitItem{For: store.WaitWaybill, Since: s, Frozen: true}, []string{"An operator", "complaint"}},
		{"frozen without a word", store.Push{WaitingFor: store.WaitWaybill, Waiting: store.Waiting{Frozen: true}}, store.Hold{}, closed,
			WaitItem{For: store.WaitWaybill, Frozen: true}, []string{"An operator"}},
		{"frozen and parked", store.Push{WaitingFor: store.WaitWaybill, Waiting: store.Waiting{Since: waitSince, Frozen: true, Parked: true}},
			store.Hold{}, closed, WaitItem{For: store.WaitWaybill, Since: s, Frozen: true, Parked: true}, []string{"holds", "parked"}},
		{"for what is not known yet", store.Push{WaitingFor: "stars"}, store.Hold{}, closed, WaitItem{For: "stars"}, []string{"stars"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.push.Status, tt.push.Event.DeliveryID = store.Pending, "SF"
			got := seenBy(operator, tt.account).waiting(&tt.push, tt.hold)
			if got == nil {
				t.Fatal("it waits for nothing")
			}
			text := got.Text
			got.Text = Text{}
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
			// Reasons are in an operator's or upstream's own language.
			if strings.ContainsAny(text.En, "盘点客诉") {
				text.En = strings.NewReplacer("盘点", "", "客诉", "").Replace(text.En)
				text.En = strings.ReplaceAll(text.En, "  ", " ")
			}
			wantWhole(t, text)
			wantWords(t, text, tt.words...)
		})
	}
}

func TestWhatDoesNotWait(t *testing.T) {
	for _, p := range []store.Push{
		{Status: store.Pending}, {Status: store.Delivered, WaitingFor: store.WaitRetry}, {Status: store.Failed}, {Status: store.Discarded}, {},
	} {
		if got := seenBy(operator).waiting(&p, store.Hold{}); got != nil {
			t.Errorf("%s: %+v", p.Status, got)
		}
	}
}

// TestAccountsAreReadOnce: a page of a thousand waiting pushes looks at the accounts once, one of others not at all.
func TestAccountsAreReadOnce(t *testing.T) {
	reads := 0
	v := &view{by: operator, snapshots: func() []pathpush.Snapshot {
		reads++
		return []pathpush.Snapshot{{DeliveryID: "SF"}}
	}}
	v.push(&store.Push{Status: store.Failed, Event: state.Event{DeliveryID: "SF"}}, store.Hold{})
	if reads != 0 {
		t.Errorf("read %d times for what does not wait", reads)
	}
	for range 1000 {
		v.push(&store.Push{Status: store.Pending, WaitingFor: store.WaitBreaker, Event: state.Event{DeliveryID: "SF"}}, store.Hold{})
	}
	if reads != 1 {
		t.Errorf("read %d times", reads)
	}
}

// TestViewersSeeNoPhoneNumbersInWaits: upstream's and operators' words stand in them.
func TestViewersSeeNoPhoneNumbersInWaits(t *testing.T) {
	account := pathpush.Snapshot{DeliveryID: "SF", Paused: true, PauseReason: "ask 13800138000"}
	for _, p := range []store.Push{
		{WaitingFor: store.WaitAccount},
		{WaitingFor: store.WaitRetry, Attempts: []store.Attempt{{Errmsg: "no such receiver 13800138000"}}},
		{WaitingFor: store.WaitWaybill, Waiting: store.Waiting{Frozen: true, Reason: "call 13800138000 first"}},
	} {
		p.Status, p.Event.DeliveryID = store.Pending, "SF"
		got := seenBy(viewer, account).waiting(&p, store.Hold{})
		for _, text := range []string{got.Text.En, got.Text.Zh} {
			if strings.Contains(text, "13800138000") || !strings.Contains(text, "138****8000") {
				t.Errorf("%s: %s", p.WaitingFor, text)
			}
		}
	}
}
