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
)

var (
	operator = Actor{Name: "ops", Operator: true}
	viewer   = Actor{Name: "desk"}
	someTime = time.Date(2026, 3, 4, 12, 0, 0, 123_000_000, time.FixedZone("", 8*3600))
)

func samplePush() store.Push {
	return store.Push{
		Seq: 7, Ord: 9, ReceivedAt: someTime, Status: store.Failed, Reason: "token_refused", Tries: 3, DoneAt: someTime,
		Event: state.Event{
			ID: "scan-1", Source: "app", DeliveryID: "SF", WaybillID: "1", Type: state.DeliveryBegun, Time: 1533052800,
			Msg: "丽影邓丽君【18666666666】正在派件", Token: "SECRET",
		},
		Attempts: []store.Attempt{
			{At: someTime, Duration: 1500 * time.Microsecond, Errmsg: "timeout", Scope: "upstream", Unknown: true},
			{At: someTime, Duration: time.Second, Errcode: new(9300507), Errmsg: "token error 13800138000", RID: "r-1", Scope: "waybill"},
		},
	}
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

// TestMembers holds the shapes against the contract, section 10; what is more than that is listed here too.
func TestMembers(t *testing.T) {
	p := samplePush()
	event := store.Event{Event: p.Event}
	w := store.Waybill{Timeline: []store.Step{{Push: p}}}
	story := waybillItem(&w, operator, func(p *store.Push) store.WaitingFor { return p.WaitingFor })
	account := accountItem(&pathpush.Snapshot{Breakers: make([]pathpush.BreakerSnapshot, 2)}, &store.Stats{}, someTime)
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"list", List[PushItem]{}, "items next_cursor"},
		{"push", pushItem(&p, operator), "action_msg action_time action_type attempts delivered_at delivery_id errcode errmsg " +
			"event_id next_attempt_at reason received_at seq source status waiting_for waybill_id"},
		{"push with attempts", pushDetail(&p, operator), "action_msg action_time action_type attempts delivered_at delivery_id " +
			"errcode errmsg event_id next_attempt_at reason received_at seq source status tries waiting_for waybill_id"},
		{"attempt", pushDetail(&p, operator).Attempts[0], "at duration_ms errcode errmsg outcome_unknown rid scope"},
		{"event", eventItem(&event, operator), "action_msg action_time action_type delivery_id event_id first_verdict gap " +
			"held_until late reason received_at seq source status verdict waybill_id"},
		{"waybill", story, "delivery_id frozen parked stage stage_name timeline token_set waybill_id"},
		{"step", story.Timeline[0], "action_msg action_time action_type event_id gap held_until late push reason received_at " +
			"seq source verdict"},
		{"push of a step", story.Timeline[0].Push, "attempts delivered_at errcode errmsg next_attempt_at reason status waiting_for"},
		{"account", account, "access_token_expires_at breaker concurrency_now counts delivery_id fallback_breaker in_flight " +
			"next_probe_at oldest_pending_seconds pause_reason paused paused_until"},
		{"breaker", account.Breaker, "host next_probe_at opened_by since state"},
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
	got := object(t, pushDetail(&p, operator))
	want := map[string]any{
		"seq": 7.0, "event_id": "scan-1", "source": "app", "delivery_id": "SF", "waybill_id": "1", "action_type": 300002.0,
		"action_time": 1533052800.0, "action_msg": "丽影邓丽君【18666666666】正在派件", "status": "failed", "waiting_for": "",
		"errcode": 9300507.0, "errmsg": "token error 13800138000", "reason": "token_refused", "tries": 3.0,
		"received_at": "2026-03-04T04:00:00.123Z", "delivered_at": nil, "next_attempt_at": nil,
		"attempts": []any{
			map[string]any{"at": "2026-03-04T04:00:00.123Z", "duration_ms": 1.5, "errcode": nil, "errmsg": "timeout", "rid": "",
				"scope": "upstream", "outcome_unknown": true},
			map[string]any{"at": "2026-03-04T04:00:00.123Z", "duration_ms": 1000.0, "errcode": 9300507.0,
				"errmsg": "token error 13800138000", "rid": "r-1", "scope": "waybill", "outcome_unknown": false},
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
			item := pushItem(&store.Push{Status: tt.status, DoneAt: someTime, NextAt: someTime}, operator)
			if (item.DeliveredAt != nil) != tt.delivered || (item.NextAttemptAt != nil) != tt.next {
				t.Errorf("delivered_at %v, next_attempt_at %v", item.DeliveredAt, item.NextAttemptAt)
			}
		})
	}
}

// TestNothingIsNull: programs loop over these without asking.
func TestNothingIsNull(t *testing.T) {
	story := waybillItem(&store.Waybill{}, operator, nil)
	account := accountItem(&pathpush.Snapshot{Breakers: make([]pathpush.BreakerSnapshot, 1)}, &store.Stats{}, someTime)
	tests := []struct {
		name, member string
		v            any
	}{
		{"pushes", "items", listOf(store.Page[store.Push]{}, func(*store.Push) PushItem { return PushItem{} })},
		{"events", "items", listOf(store.Page[store.Event]{}, func(*store.Event) EventItem { return EventItem{} })},
		{"attempts", "attempts", pushDetail(&store.Push{}, operator)},
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
		pushItem(&p, viewer), pushDetail(&p, viewer), eventItem(&event, viewer),
		waybillItem(&w, viewer, func(p *store.Push) store.WaitingFor { return p.WaitingFor }),
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
	if got := pushItem(&p, operator).ActionMsg; got != p.Event.Msg {
		t.Errorf("an operator sees %q", got)
	}
}

func TestCursor(t *testing.T) {
	list := listOf(store.Page[store.Push]{Next: 123456}, func(*store.Push) PushItem { return PushItem{} })
	q, err := PushQuery(map[string][]string{"cursor": {list.NextCursor}}, someTime)
	if err != nil || q.Before != 123456 {
		t.Errorf("cursor %q reads as %d, %v", list.NextCursor, q.Before, err)
	}
	if last := listOf(store.Page[store.Push]{}, func(*store.Push) PushItem { return PushItem{} }); last.NextCursor != "" {
		t.Errorf("the last page has the cursor %q", last.NextCursor)
	}
}
