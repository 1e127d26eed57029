package admin

import (
	"errors"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

var queryNow = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestPushQuery(t *testing.T) {
	tests := []struct {
		name, query string
		want        store.Query // With Limit 0 standing for the default.
	}{
		{"nothing", "", store.Query{}},
		{"pending", "status=pending", store.Query{Status: store.Pending}},
		{"delivered", "status=delivered", store.Query{Status: store.Delivered}},
		{"failed", "status=failed", store.Query{Status: store.Failed}},
		{"discarded", "status=discarded", store.Query{Status: store.Discarded}},
		{"retry", "waiting_for=retry", store.Query{WaitingFor: store.WaitRetry}},
		{"breaker", "waiting_for=breaker", store.Query{WaitingFor: store.WaitBreaker}},
		{"account", "waiting_for=account", store.Query{WaitingFor: store.WaitAccount}},
		{"token", "waiting_for=token", store.Query{WaitingFor: store.WaitToken}},
		{"waybill", "waiting_for=waybill", store.Query{WaitingFor: store.WaitWaybill}},
		{"errcode", "errcode=40199", store.Query{Errcode: new(40199)}},
		{"errcode -1", "errcode=-1", store.Query{Errcode: new(-1)}},
		{"errcode 0", "errcode=0", store.Query{Errcode: new(0)}},
		{"reason", "reason=token_refused", store.Query{Reason: "token_refused"}},
		{"an operator's words as reason", "reason=%E9%87%8D%E5%A4%8D", store.Query{Reason: "重复"}},
		{"delivery_id", "delivery_id=SF", store.Query{DeliveryID: "SF"}},
		{"waybill_id", "waybill_id=SF%2F1+%25", store.Query{WaybillID: "SF/1 %"}},
		{"action_type", "action_type=300003", store.Query{Type: state.Signed}},
		{"source", "source=courier-app", store.Query{Source: "courier-app"}},
		{"since, a duration", "since=24h", store.Query{Since: queryNow.Add(-24 * time.Hour)}},
		{"since, no time at all", "since=0s", store.Query{Since: queryNow}},
		{"since, RFC 3339", "since=2026-01-02T15:04:05Z", store.Query{Since: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)}},
		{"since, a zone whose + was not escaped", "since=2026-01-02T15:04:05+08:00",
			store.Query{Since: time.Date(2026, 1, 2, 7, 4, 5, 0, time.UTC)}},
		{"since, a zone", "since=2026-01-02T15:04:05%2B08:00", store.Query{Since: time.Date(2026, 1, 2, 7, 4, 5, 0, time.UTC)}},
		{"until", "until=90m", store.Query{Until: queryNow.Add(-90 * time.Minute)}},
		{"limit, least", "limit=1", store.Query{Limit: 1}},
		{"limit, most", "limit=1000", store.Query{Limit: 1000}},
		{"several", "status=failed&delivery_id=SF&errcode=9300507&limit=5",
			store.Query{Status: store.Failed, DeliveryID: "SF", Errcode: new(9300507), Limit: 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want.Limit == 0 {
				tt.want.Limit = defaultLimit
			}
			for what, parse := range map[string]func(url.Values, time.Time) (store.Query, error){
				"PushQuery": PushQuery, "EventQuery": EventQuery,
			} {
				values, err := url.ParseQuery(tt.query)
				if err != nil {
					t.Fatal(err)
				}
				got, err := parse(values, queryNow)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				got.Since, got.Until = inUTC(got.Since), inUTC(got.Until)
				if !reflect.DeepEqual(got, tt.want) {
					t.Errorf("%s: got %+v, want %+v", what, got, tt.want)
				}
			}
		})
	}
}

func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

func TestEventQueryVerdicts(t *testing.T) {
	for _, v := range []state.Verdict{state.Accepted, state.Held, state.Ignored, state.Rejected} {
		q, err := EventQuery(url.Values{"verdict": {v.String()}}, queryNow)
		if err != nil || q.Verdict != v {
			t.Errorf("%s: got %s, %v", v, q.Verdict, err)
		}
	}
}

func TestWrongFilters(t *testing.T) {
	tests := []struct{ name, query, field, code string }{
		{"unknown status", "status=sent", "status", "value"},
		{"status in capitals", "status=Failed", "status", "value"},
		{"empty status", "status=", "status", "value"},
		{"status twice", "status=failed&status=pending", "status", "value"},
		{"waiting for nothing", "waiting_for=", "waiting_for", "value"},
		{"waiting for something else", "waiting_for=godot", "waiting_for", "value"},
		{"errcode in words", "errcode=busy", "errcode", "value"},
		{"errcode with a fraction", "errcode=1.5", "errcode", "value"},
		{"errcode beyond all numbers", "errcode=99999999999999999999", "errcode", "value"},
		{"no reason", "reason=", "reason", "value"},
		{"two delivery_ids", "delivery_id=SF&delivery_id=YTO", "delivery_id", "value"},
		{"no waybill_id", "waybill_id=", "waybill_id", "value"},
		{"action_type that is none", "action_type=100004", "action_type", "value"},
		{"action_type in words", "action_type=signed", "action_type", "value"},
		{"action_type beyond 32 bits", "action_type=4295267299", "action_type", "value"},
		{"source twice", "source=a&source=a", "source", "value"},
		{"since in words", "since=yesterday", "since", "value"},
		{"since ahead", "since=-1h", "since", "value"},
		{"since as a number", "since=1533052800", "since", "value"},
		{"since without a zone", "since=2026-01-02T15:04:05", "since", "value"},
		{"until as a date", "until=2026-01-02", "until", "value"},
		{"until the year 1, which is no time", "until=0001-01-01T00:00:00Z", "until", "value"},
		{"until before all events", "until=1969-12-31T23:59:59Z", "until", "value"},
		{"since the year 10000, by its zone", "since=9999-12-31T23:59:59-01:00", "since", "value"},
		{"since before the year 0, by its zone", "since=0000-01-01T00:00:00%2B01:00", "since", "value"},
		{"since after until", "since=1h&until=2h", "since", "range"},
		{"limit 0", "limit=0", "limit", "value"},
		{"limit below 0", "limit=-1", "limit", "value"},
		{"limit above the most", "limit=1001", "limit", "value"},
		{"limit in words", "limit=all", "limit", "value"},
		{"cursor that is none", "cursor=!", "cursor", "value"},
		{"cursor 0", "cursor=0", "cursor", "value"},
		{"cursor of another list", "cursor=" + cursor("audit", 7), "cursor", "value"},
		{"cursor below 0", "cursor=-5", "cursor", "value"},
		{"cursor made up", "cursor=AAAAAAE", "cursor", "value"},
		{"cursor beyond all numbers", "cursor=zzzzzzzzzzzzzz", "cursor", "value"},
		{"unknown filter", "stauts=failed", "stauts", "unknown_filter"},
		{"filter in capitals", "Status=failed", "Status", "unknown_filter"},
		{"verdict of a push", "verdict=rejected", "verdict", "unknown_filter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantWrong(t, PushQuery, tt.query, tt.field, tt.code) })
	}
}

func TestWrongVerdicts(t *testing.T) {
	// The last three exist, but no such event is ever kept: a list of them would be empty for ever.
	for _, v := range []string{"", "okay", "Accepted", "duplicate", "invalid", "conflict"} {
		t.Run(v, func(t *testing.T) { wantWrong(t, EventQuery, "verdict="+v, "verdict", "value") })
	}
}

func wantWrong(t *testing.T, parse func(url.Values, time.Time) (store.Query, error), query, field, code string) {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parse(values, queryNow)
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok || p.Code != problem.InvalidFilter {
		t.Fatalf("got %v, want a problem about a filter", err)
	}
	if len(p.Errors) != 1 || p.Errors[0].Field != field || p.Errors[0].Code != code {
		t.Fatalf("got %+v, want %s at %s", p.Errors, code, field)
	}
	if m := p.Errors[0].Message; m.Zh == "" || !strings.Contains(m.En, strings.TrimPrefix(field, "filter.")) {
		t.Errorf("the message does not name %s in both languages: %+v", field, m)
	}
}

func TestEveryWrongFilterIsNamed(t *testing.T) {
	_, err := PushQuery(url.Values{"zzz": {"1"}, "limit": {"0"}, "status": {"x"}, "aaa": {"1"}}, queryNow)
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok {
		t.Fatal(err)
	}
	var got []string
	for _, e := range p.Errors {
		got = append(got, e.Field)
	}
	if want := "status limit aaa zzz"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestWrongFiltersAreNotNamedWithoutEnd: what is wrong is said about some of them.
func TestWrongFiltersAreNotNamedWithoutEnd(t *testing.T) {
	values := url.Values{"status": {"x"}}
	for i := range 1000 {
		values.Set("f"+strconv.Itoa(i), "1")
	}
	_, err := PushQuery(values, queryNow)
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok || len(p.Errors) != 1+maxUnknown {
		t.Errorf("got %v with %d errors, want %d", err, len(p.Errors), 1+maxUnknown)
	}
}

// TestTimesOfFilters: the first and the last moment that can be one.
func TestTimesOfFilters(t *testing.T) {
	for _, value := range []string{"1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0s", "2562047h"} {
		if _, err := ReplayQuery(url.Values{"since": {value}}, queryNow); err != nil {
			t.Errorf("since %s: %v", value, err)
		}
	}
	if _, err := PushQuery(url.Values{"since": {"1h"}, "until": {"1h"}}, queryNow); err != nil {
		t.Errorf("a moment: %v", err)
	}
}

func TestAuditQuery(t *testing.T) {
	got, err := AuditQuery(url.Values{"by": {"ops"}, "action": {"push.replay"}, "delivery_id": {"SF"}, "waybill_id": {"1"},
		"since": {"1h"}, "until": {"1m"}, "limit": {"9"}}, queryNow)
	want := store.AuditQuery{By: "ops", Action: store.ActReplay, DeliveryID: "SF", WaybillID: "1", Since: queryNow.Add(-time.Hour),
		Until: queryNow.Add(-time.Minute), Limit: 9}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, action := range store.Actions() {
		if _, err := AuditQuery(url.Values{"action": {action}}, queryNow); err != nil {
			t.Errorf("%s: %v", action, err)
		}
	}
}

func TestWrongQueriesOfOtherLists(t *testing.T) {
	tests := []struct {
		name, query, field, code string
		parse                    func(url.Values) error
	}{
		{"an act that is none", "action=push.burn", "action", "value", ofAudit},
		{"by nobody", "by=", "by", "value", ofAudit},
		{"a filter of pushes", "status=failed", "status", "unknown_filter", ofAudit},
		{"a filter of replays", "status=running", "status", "unknown_filter", ofReplays},
		{"a cursor of pushes", "cursor=" + cursor("pushes", 7), "cursor", "value", ofReplays},
		{"too long a page", "limit=1001", "limit", "value", ofDeadLetters},
		{"a cursor of replays", "cursor=" + cursor("replays", 7), "cursor", "value", ofDeadLetters},
		{"anything where nothing is taken", "limit=1", "limit", "unknown_filter", NoQuery},
		{"a page of a bulk replay", "limit=1", "filter.limit", "unknown_filter", ofReplay},
		{"a cursor of a bulk replay", "cursor=x", "filter.cursor", "unknown_filter", ofReplay},
		{"a verdict of a bulk replay", "verdict=rejected", "filter.verdict", "unknown_filter", ofReplay},
		{"an audit log upside down", "since=1m&until=1h", "since", "range", ofAudit},
		{"a bulk replay upside down", "since=1m&until=1h", "filter.since", "range", ofReplay},
		{"a wrong status of a bulk replay", "status=lost", "filter.status", "value", ofReplay},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantWrong(t, func(v url.Values, _ time.Time) (store.Query, error) { return store.Query{}, tt.parse(v) }, tt.query, tt.field, tt.code)
		})
	}
}

func ofAudit(v url.Values) error       { _, err := AuditQuery(v, queryNow); return err }
func ofReplays(v url.Values) error     { _, err := ReplaysQuery(v, queryNow); return err }
func ofDeadLetters(v url.Values) error { _, err := DeadLettersQuery(v, queryNow); return err }
func ofReplay(v url.Values) error      { _, err := ReplayQuery(v, queryNow); return err }

// TestReplayQuery: it selects what the list of the same filters shows, and its times are fixed.
func TestReplayQuery(t *testing.T) {
	values := url.Values{"status": {"failed"}, "errcode": {"-1"}, "action_type": {"300003"}, "since": {"24h"}, "source": {"app"}}
	got, err := ReplayQuery(values, queryNow)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := PushQuery(values, queryNow)
	if err != nil {
		t.Fatal(err)
	}
	listed.Limit = 0
	if !reflect.DeepEqual(got, listed) {
		t.Errorf("got %+v, the list has %+v", got, listed)
	}
	if !got.Since.Equal(queryNow.Add(-24 * time.Hour)) {
		t.Errorf("since is %s", got.Since)
	}
}

// TestFilters: what documentation and other callers see is what is read.
func TestFilters(t *testing.T) {
	want := map[string]string{
		"pushes":       "status waiting_for errcode reason delivery_id waybill_id action_type source since until limit cursor",
		"events":       "status waiting_for errcode reason delivery_id waybill_id action_type source since until verdict limit cursor",
		"audit":        "by action delivery_id waybill_id since until limit cursor",
		"replays":      "limit cursor",
		"dead-letters": "limit cursor",
		"waybills":     "ends_with limit cursor",
		"silent":       "stage hours delivery_id no_token limit cursor",
	}
	got := Filters()
	if len(got) != len(want) {
		t.Errorf("got %d lists, want %d", len(got), len(want))
	}
	for list, names := range want {
		if s := strings.Join(got[list], " "); s != names {
			t.Errorf("%s: got %s, want %s", list, s, names)
		}
	}
	if s := strings.Join(ReplayFilters(), " "); s+" limit cursor" != want["pushes"] {
		t.Errorf("a bulk replay takes %s", s)
	}
}
