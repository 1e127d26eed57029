package admin

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/pathpush"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

var (
	operator = Actor{Name: "ops", Operator: true}
	viewer   = Actor{Name: "desk"}
	someTime = time.Date(2026, 3, 4, 12, 0, 0, 123_000_000, time.FixedZone("", 8*3600))
)

func samplePush() store.Push {
	return store.Push{
		Seq: 7, Ord: 9, ReceivedAt: someTime, Status: store.Failed, Reason: "token_refused", Tries: 3, DoneAt: someTime, Replay: 12,
		Event: state.Event{
			ID: "scan-1", Source: "app", DeliveryID: "SF", WaybillID: "1", Type: state.DeliveryBegun, Time: 1533052800,
			Msg: "丽影邓丽君【18666666666】正在派件", Token: "SECRET",
		},
		Attempts: []store.Attempt{
			{At: someTime, Duration: 1500 * time.Microsecond, Errmsg: "timeout", Scope: "upstream", Unknown: true},
			{At: someTime, Duration: time.Second, Errcode: new(9300507), Errmsg: "token error 13800138000", RID: "r-1", Scope: "waybill", Replay: 12,
				Breaker: store.BreakerHalfOpen, Fallback: "api2.weixin.qq.com", TokenAt: someTime.Add(-time.Hour), AccessTokenAt: someTime.Add(-12 * time.Minute)},
		},
	}
}

// seenBy is an answer to by while the account SF is as accounts says.
func seenBy(by Actor, accounts ...pathpush.Snapshot) *view {
	return &view{by: by, snapshots: func() []pathpush.Snapshot { return accounts }}
}

// keys lists the members of a JSON object, sorted.
func keys(t *testing.T, v any) string {
	t.Helper()
	members := object(t, v)
	var names []string
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func object(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "SECRET") {
		t.Errorf("a Token shows: %s", text)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return members
}

// TestMembers holds the shapes against the members that programs rely on.
func TestMembers(t *testing.T) {
	p := samplePush()
	event := store.Event{Event: p.Event}
	w := store.Waybill{Timeline: []store.Step{{Push: p}}}
	story := seenBy(operator).waybill(&w)
	seen := store.Shown{Actions: make([]store.ShownAction, 1)}
	account := accountItem(&pathpush.Snapshot{Breakers: make([]pathpush.BreakerSnapshot, 2)}, &store.Stats{}, someTime)
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"list", List[PushItem]{}, "items next_cursor"},
		{"push", seenBy(operator).push(&p, store.Hold{}), "action_msg action_time action_type attempts delivered_at delivery_id errcode errmsg " +
			"event_id next_attempt_at reason received_at replay seq source status verified_at waiting waiting_for waybill_id"},
		{"push with attempts", seenBy(operator).pushDetail(&p, &store.Waybill{}), "action_msg action_time action_type attempts delivered_at delivery_id " +
			"errcode errmsg event_id next_attempt_at reason received_at replay seq source status tries verified_at waiting waiting_for waybill_id"},
		{"attempt", seenBy(operator).pushDetail(&p, &store.Waybill{}).Attempts[0], "access_token_at access_token_refetched_at at breaker duration_ms " +
			"errcode errmsg fallback_host meaning newer_token_at outcome_unknown replay rid scope token_at"},
		{"event", eventItem(&event, operator), "action_msg action_time action_type allowed cause delivery_id event_id explanation expunged " +
			"first_verdict from gap held_until late override reason received_at seq source status verdict waybill_id"},
		{"waybill", story, "delivery_id frozen frozen_by frozen_reason frozen_since parked shown stage stage_name " +
			"timeline token_at token_set waybill_id"},
		{"what is shown", shownItem(&seen, operator), "actions order_id received_at version"},
		{"action of that", shownItem(&seen, operator).Actions[0], "action_msg action_time action_type"},
		{"step", story.Timeline[0], "action_msg action_time action_type allowed cause event_id explanation expunged from gap held_until " +
			"late override push reason received_at seq source verdict"},
		{"push of a step", story.Timeline[0].Push, "attempts delivered_at errcode errmsg log next_attempt_at reason replay " +
			"status verified_at waiting waiting_for"},
		{"account", account, "access_token_expires_at breaker concurrency_now counts delivery_id fallback_breaker guard " +
			"in_flight next_probe_at oldest_pending_seconds pause_reason pause_since pause_text paused paused_until quota waiting"},
		{"quota", account.Quota, "ask_error asked_at day ends_at limit rate_per_minute remaining reserved transit_held_since transit_held_until used"},
		{"breaker", account.Breaker, "host next_probe_at opened_by opened_text since state"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := keys(t, tt.v); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestValuesOfAPush(t *testing.T) {
	p := samplePush()
	got := object(t, seenBy(operator).pushDetail(&p, &store.Waybill{}))
	want := map[string]any{
		"seq": 7.0, "event_id": "scan-1", "source": "app", "delivery_id": "SF", "waybill_id": "1", "action_type": 300002.0,
		"action_time": 1533052800.0, "action_msg": "丽影邓丽君【18666666666】正在派件", "status": "failed", "waiting_for": "",
		"errcode": 9300507.0, "errmsg": "token error 13800138000", "reason": "token_refused", "tries": 3.0,
		"received_at": "2026-03-04T04:00:00.123Z", "delivered_at": nil, "verified_at": nil, "next_attempt_at": nil, "waiting": nil, "replay": "12",
		"attempts": []any{
			map[string]any{"at": "2026-03-04T04:00:00.123Z", "duration_ms": 1.5, "errcode": nil, "errmsg": "timeout", "rid": "",
				"scope": "upstream", "outcome_unknown": true, "replay": "", "meaning": map[string]any{"en": "", "zh": ""},
				"breaker": "", "fallback_host": "", "token_at": nil, "newer_token_at": nil, "access_token_at": nil, "access_token_refetched_at": nil},
			map[string]any{"at": "2026-03-04T04:00:00.123Z", "duration_ms": 1000.0, "errcode": 9300507.0,
				"errmsg": "token error 13800138000", "rid": "r-1", "scope": "waybill", "outcome_unknown": false,
				"replay": "12", "meaning": map[string]any{"en": wechat.Meaning(9300507, false), "zh": wechat.Meaning(9300507, true)},
				"breaker": "half_open", "fallback_host": "api2.weixin.qq.com", "token_at": "2026-03-04T03:00:00.123Z", "newer_token_at": nil,
				"access_token_at": "2026-03-04T03:48:00.123Z", "access_token_refetched_at": nil},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestInstantsOfAPush: a time that has no meaning in a status is null.
func TestInstantsOfAPush(t *testing.T) {
	tests := []struct {
		status          store.Status
		delivered, next bool
	}{
		{store.Pending, false, true},
		{store.Delivered, true, false},
		{store.Failed, false, false},
		{store.Discarded, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.status.String(), func(t *testing.T) {
			item := seenBy(operator).push(&store.Push{Status: tt.status, DoneAt: someTime, NextAt: someTime}, store.Hold{})
			if (item.DeliveredAt != nil) != tt.delivered || (item.NextAttemptAt != nil) != tt.next {
				t.Errorf("delivered_at %v, next_attempt_at %v", item.DeliveredAt, item.NextAttemptAt)
			}
		})
	}
}

// TestNothingIsNull: programs loop over these without asking.
func TestNothingIsNull(t *testing.T) {
	story := seenBy(operator).waybill(&store.Waybill{})
	account := accountItem(&pathpush.Snapshot{Breakers: make([]pathpush.BreakerSnapshot, 1)}, &store.Stats{}, someTime)
	tests := []struct {
		name, member string
		v            any
	}{
		{"pushes", "items", listOf("pushes", store.Page[store.Push]{}, func(*store.Push) PushItem { return PushItem{} })},
		{"events", "items", listOf("pushes", store.Page[store.Event]{}, func(*store.Event) EventItem { return EventItem{} })},
		{"attempts", "attempts", seenBy(operator).pushDetail(&store.Push{}, &store.Waybill{})},
		{"timeline", "timeline", story},
		{"counts", "counts", account},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := object(t, tt.v)[tt.member]; got == nil {
				t.Errorf("%s is null", tt.member)
			}
		})
	}
	if got := object(t, account)["counts"]; !reflect.DeepEqual(got, map[string]any{
		"pending": 0.0, "delivered": 0.0, "failed": 0.0, "discarded": 0.0,
	}) {
		t.Errorf("counts are %v", got)
	}
	if got := object(t, account); got["fallback_breaker"] != nil || got["paused_until"] != nil {
		t.Errorf("what does not exist is not null: %v", got)
	}
}

// TestViewersSeeNoPhoneNumbers: in no text that a person wrote.
func TestViewersSeeNoPhoneNumbers(t *testing.T) {
	p := samplePush()
	p.Reason = "asked 13900139000, sent by hand"
	event := store.Event{Event: p.Event}
	w := store.Waybill{Timeline: []store.Step{{Event: event, Push: p}}}
	for _, v := range []any{
		seenBy(viewer).push(&p, store.Hold{}), seenBy(viewer).pushDetail(&p, &store.Waybill{}), eventItem(&event, viewer),
		seenBy(viewer).waybill(&w),
	} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, phone := range []string{"18666666666", "13800138000", "13900139000"} {
			if strings.Contains(string(text), phone) {
				t.Errorf("%s shows in %s", phone, text)
			}
		}
	}
	if got := seenBy(operator).push(&p, store.Hold{}).ActionMsg; got != p.Event.Msg {
		t.Errorf("an operator sees %q", got)
	}
}
