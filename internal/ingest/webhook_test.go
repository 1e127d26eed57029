package ingest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

func TestEventReachesTheStore(t *testing.T) {
	b := newBench(t)
	a := b.post("/v1/events", goodEvent)
	if a.Code != http.StatusAccepted {
		t.Fatalf("got %d: %s", a.Code, a.text)
	}
	want := state.Event{
		ID: "scan-0001", Source: "courier-app", DeliveryID: "SF", WaybillID: "12345678901234567890",
		Type: state.DeliveryBegun, Time: 1533052800, Msg: secretMsg, Token: secretToken,
	}
	if got := b.store.all(); !slices.Equal(got, []state.Event{want}) {
		t.Errorf("stored\n%+v, want\n%+v", got, want)
	}
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		result store.Result
		status int
		want   string
	}{
		{"accepted", store.Result{Seq: 7, Verdict: state.Accepted, Stage: state.OutForDelivery}, 202,
			`{"id":"scan-0001","waybill_id":"12345678901234567890","verdict":"accepted","stage":"out_for_delivery","seq":7}`},
		{"accepted late with a gap", store.Result{Seq: 8, Verdict: state.Accepted, Stage: state.Delivered, Late: true, Gap: true}, 202,
			`{"id":"scan-0001","waybill_id":"12345678901234567890","verdict":"accepted","stage":"delivered","late":true,"gap":true,"seq":8}`},
		{"held", store.Result{Seq: 9, Verdict: state.Held, Reason: state.MissingScan}, 202,
			`{"id":"scan-0001","waybill_id":"12345678901234567890","verdict":"held","stage":"created","reason":"missing_scan","seq":9}`},
		{"ignored", store.Result{Seq: 10, Verdict: state.Ignored, Stage: state.PickedUp, Reason: state.RepeatsStage, Cause: 3}, 200,
			`{"id":"scan-0001","waybill_id":"12345678901234567890","verdict":"ignored","stage":"picked_up","reason":"repeats_stage","seq":10}`},
		{"duplicate", store.Result{Seq: 4, Verdict: state.Duplicate, Original: state.Held, Stage: state.InTransit}, 200,
			`{"id":"scan-0001","waybill_id":"12345678901234567890","verdict":"duplicate","stage":"in_transit","seq":4,"original":"held"}`},
		{"duplicate of a rejected one", store.Result{Seq: 4, Verdict: state.Duplicate, Original: state.Rejected}, 200,
			`{"id":"scan-0001","waybill_id":"12345678901234567890","verdict":"duplicate","stage":"created","seq":4,"original":"rejected"}`},
		{"rejected", store.Result{Seq: 42, Verdict: state.Rejected, Stage: state.Delivered, Reason: state.IllegalStep,
			From: state.Delivered, Allowed: []state.ActionType{}, Cause: 17}, 409,
			`{"type":"urn:carrier:problem:rejected","title":"Event rejected","status":409,` +
				`"detail":"300002 (out for delivery) can't follow the stage delivered (delivered), which the waybill was brought to by event 17.` +
				` Nothing is allowed at that point. It is recorded as event 42 and not pushed. If its type or time is wrong, send it corrected` +
				` under a new id; if it is right, an operator can accept it.","code":"rejected",` +
				`"id":"scan-0001","waybill_id":"12345678901234567890","verdict":"rejected","stage":"delivered","reason":"illegal_transition",` +
				`"seq":42,"from":"delivered","allowed":[],"cause":17}`},
		{"conflict", store.Result{Seq: 5, Verdict: state.Conflict, Stage: state.InTransit}, 409,
			`{"type":"urn:carrier:problem:conflict","title":"id used before","status":409,` +
				`"detail":"This id came before with other content, as event 5. Give a new event a new id; to repeat that event, send exactly the same content.",` +
				`"code":"conflict","id":"scan-0001","waybill_id":"12345678901234567890","verdict":"conflict","seq":5}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.store.decide = func([]state.Event) ([]store.Result, error) { return []store.Result{tt.result}, nil }
			a := b.post("/v1/events", goodEvent)
			if a.Code != tt.status || a.text != tt.want {
				t.Errorf("got %d\n%s\nwant %d\n%s", a.Code, a.text, tt.status, tt.want)
			}
			if key := "courier-app " + tt.result.Verdict.String(); b.observed[key] != 1 || len(b.observed) != 1 {
				t.Errorf("observed %v, want one %q", b.observed, key)
			}
		})
	}
}

func TestRejectionInWords(t *testing.T) {
	e := state.Event{ID: "x", WaybillID: "w", Type: state.Cancelled}
	illegal := store.Result{Seq: 42, Verdict: state.Rejected, Reason: state.IllegalStep, From: state.PickedUp,
		Allowed: []state.ActionType{state.Transit, state.Detained}, Cause: 17}
	unheard := illegal
	unheard.Cause = 0
	later := illegal
	later.Reason, later.Cause = state.ContradictsNext, 18
	for _, tt := range []struct {
		name   string
		result store.Result
		en, zh []string
	}{
		{"illegal", illegal,
			[]string{"400001 (order cancelled)", "picked_up (picked up)", "event 17", "200001 (in transit), 400002 (order held up)", "event 42"},
			[]string{"400001（订单取消）", "picked_up（已揽件）", "事件 17", "200001（更新运输轨迹）、400002（订单滞留）", "事件 42"}},
		{"no cause", unheard,
			[]string{"400001 (order cancelled) can't follow the stage picked_up (picked up). Allowed"},
			[]string{"运单处于 picked_up（已揽件）阶段，不能接受"}},
		{"contradicts a later one", later,
			[]string{"would contradict event 18", "Allowed at that point: 200001"},
			[]string{"事件 18 矛盾", "此处允许：200001"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			detail := refusal(&e, &tt.result).Detail
			for _, want := range tt.en {
				if !strings.Contains(detail.En, want) {
					t.Errorf("%q lacks %q", detail.En, want)
				}
			}
			for _, want := range tt.zh {
				if !strings.Contains(detail.Zh, want) {
					t.Errorf("%q lacks %q", detail.Zh, want)
				}
			}
		})
	}
}

func TestChineseAnswers(t *testing.T) {
	b := newBench(t)
	a := b.post("/v1/events", `{"id":"x","action_type":1}`, header{"Accept-Language", "zh-CN,zh;q=0.9"})
	a.is(422, problem.InvalidEvent)
	if a.str("title") != "事件无效" || !strings.Contains(a.str("detail"), "waybill_id 缺失或为空，必须填写") {
		t.Errorf("got %s", a.text)
	}
	for _, english := range []string{"must", "missing", "event"} {
		if strings.Contains(strings.ReplaceAll(a.text, "invalid_event", ""), english) {
			t.Errorf("%q in a Chinese answer: %s", english, a.text)
		}
	}
}

func TestInvalidTellsTheID(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"readable", `{"id":"scan-9"}`, "scan-9"},
		{"too long", `{"id":"` + strings.Repeat("x", 129) + `"}`, ""},
		{"unprintable", `{"id":"a\u0000"}`, ""},
		{"of another type", `{"id":5}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newBench(t).post("/v1/events", tt.body)
			a.is(422, problem.InvalidEvent)
			if got := a.str("id"); got != tt.want || a.str("verdict") != "invalid" {
				t.Errorf("id %q, verdict %q; want %q, invalid", got, a.str("verdict"), tt.want)
			}
		})
	}
}

func TestDeliveryID(t *testing.T) {
	const without = `{"id":"a","waybill_id":"w","action_type":100001,"action_time":1533052800,"action_msg":"m"}`
	with := func(id string) string { return strings.Replace(without, "{", `{"delivery_id":"`+id+`",`, 1) }
	restricted := func(o *Options) { twoAccounts(o); o.Sources[0].DeliveryIDs = []string{"SF"} }
	for _, tt := range []struct {
		name, body string
		setup      func(*Options)
		status     int
		code       problem.Code
		fields     string
		detail     string // Part of it.
		not        string // Not part of the answer.
	}{
		{"filled in", without, func(*Options) {}, 202, "", "", "", ""},
		{"two configured", without, twoAccounts, 422, problem.InvalidEvent, "delivery_id:required", "", ""},
		{"restricted to one of two", without, restricted, 422, problem.InvalidEvent, "delivery_id:required", "", ""},
		{"none configured", without, func(o *Options) { o.DeliveryIDs = nil }, 422, problem.InvalidEvent, "delivery_id:required", "", ""},
		{"empty", with(""), func(*Options) {}, 422, problem.InvalidEvent, "delivery_id:required", "", ""},
		{"second", with("YTO"), twoAccounts, 202, "", "", "", ""},
		{"unknown", with("ZTO"), twoAccounts, 422, problem.InvalidEvent, "delivery_id:unknown_delivery_id", "SF, YTO", ""},
		{"by letter case", with("sf"), twoAccounts, 422, problem.InvalidEvent, "delivery_id:unknown_delivery_id", "SF, YTO", ""},
		{"unknown to a restricted source", with("ZTO"), restricted, 422, problem.InvalidEvent, "delivery_id:unknown_delivery_id", "it can for: SF", "YTO"},
		{"unknown without accounts", with("SF"), func(o *Options) { o.DeliveryIDs = nil }, 422, problem.InvalidEvent, "delivery_id:unknown_delivery_id", "no account is configured", ""},
		{"allowed", with("SF"), restricted, 202, "", "", "", ""},
		{"forbidden", with("YTO"), restricted, 403, problem.ForbiddenDeliveryID, "delivery_id:forbidden_delivery_id", "delivery_ids", "YTO"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.setup)
			a := b.post("/v1/events", tt.body)
			if a.Code != tt.status || a.str("code") != string(tt.code) || strings.Join(a.fields(), " ") != tt.fields {
				t.Errorf("got %d %s %v, want %d %s %s", a.Code, a.str("code"), a.fields(), tt.status, tt.code, tt.fields)
			}
			if !strings.Contains(a.text, tt.detail) || tt.not != "" && strings.Contains(a.text, tt.not) {
				t.Errorf("%s should have %q and not %q", a.text, tt.detail, tt.not)
			}
			if stored := len(b.store.all()); stored != 0 != (tt.status == 202) {
				t.Errorf("%d events stored", stored)
			}
		})
	}
}

func TestStoreTrouble(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		code   problem.Code
		reason string
		retry  string
	}{
		{"disk low", fmt.Errorf("/var/lib/carrier: %w", store.ErrDiskLow), problem.StoreUnavailable, "disk_low", "30"},
		{"closing", store.ErrClosing, problem.StoreUnavailable, "stopping", "5"},
		{"unavailable", fmt.Errorf("%w: dial tcp 10.0.0.1", store.ErrUnavailable), problem.StoreUnavailable, "unavailable", "2"},
		{"unknown", errors.New("connection lost in COMMIT"), problem.OutcomeUnknown, "", "1"},
	} {
		for _, path := range []string{"/v1/events", "/v1/events/batch"} {
			t.Run(tt.name+path, func(t *testing.T) {
				body := goodEvent
				if strings.HasSuffix(path, "batch") {
					body = "[" + goodEvent + `,{"id":"bad"}]`
				}
				b := newBench(t)
				b.store.decide = func([]state.Event) ([]store.Result, error) { return nil, tt.err }
				a := b.post(path, body)
				a.is(503, tt.code)
				if a.str("reason") != tt.reason || a.Header().Get("Retry-After") != tt.retry {
					t.Errorf("reason %q, Retry-After %q; want %q, %q", a.str("reason"), a.Header().Get("Retry-After"), tt.reason, tt.retry)
				}
				if strings.Contains(a.text, tt.err.Error()) || strings.Contains(a.text, "/var") || strings.Contains(a.text, "10.0") {
					t.Errorf("the answer tells what is inside: %s", a.text)
				}
				if !strings.Contains(a.str("detail"), "same id") {
					t.Errorf("detail %q does not say how to go on", a.str("detail"))
				}
				if b.observed["courier-app unavailable"] != 1 {
					t.Errorf("observed %v", b.observed)
				}
			})
		}
	}
}

func TestStoreThatMiscounts(t *testing.T) {
	b := newBench(t)
	b.store.decide = func([]state.Event) ([]store.Result, error) { return nil, nil }
	b.post("/v1/events", goodEvent).is(503, problem.OutcomeUnknown)
	if !strings.Contains(b.log.String(), "0 results for 1 events") {
		t.Errorf("log %s", b.log)
	}
}

func TestNotReadyReadsNothing(t *testing.T) {
	b := newBench(t)
	b.store.ready = store.ErrDiskLow
	r := newPost("/v1/events", "")
	r.Body = unreadableBody{t}
	b.do(r).is(503, problem.StoreUnavailable)
	if len(b.store.applied) != 0 {
		t.Error("Apply was called")
	}
}

func TestTroubleIsLoggedWhenItChanges(t *testing.T) {
	b := newBench(t)
	lines := func() int { return strings.Count(b.log.String(), "\n") }
	fail := func(err error) {
		b.store.decide = func([]state.Event) ([]store.Result, error) { return nil, err }
		b.post("/v1/events", goodEvent)
	}
	for range 3 {
		fail(store.ErrDiskLow)
	}
	if lines() != 1 {
		t.Fatalf("after three equal errors:\n%s", b.log)
	}
	fail(store.ErrClosing)
	if lines() != 2 {
		t.Fatalf("after another error:\n%s", b.log)
	}
	b.store.decide = nil
	b.post("/v1/events", goodEvent)
	b.post("/v1/events", goodEvent)
	if lines() != 3 || !strings.Contains(b.log.String(), `"was":"stopping"`) {
		t.Errorf("after the end:\n%s", b.log)
	}
}

func TestRefusalsAreLogged(t *testing.T) {
	b := newBench(t)
	b.post("/v1/events", strings.Replace(goodEvent, "300002", "300009", 1))
	b.store.decide = func([]state.Event) ([]store.Result, error) {
		return []store.Result{{Seq: 3, Verdict: state.Rejected, Reason: state.IllegalStep}}, nil
	}
	b.post("/v1/events", goodEvent)
	for _, want := range []string{
		`"verdict":"invalid","event_id":"scan-0001","code":"invalid_event","fields":"action_type:unknown_action_type"`,
		`"verdict":"rejected","event_id":"scan-0001","delivery_id":"SF","waybill_id":"12345678901234567890","action_type":300002,"reason":"illegal_transition","seq":3`,
	} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, b.log)
		}
	}
}

// TestBuffersAreNotShared sends different events through one webhook, whose buffers are reused, and finds each whole.
func TestBuffersAreNotShared(t *testing.T) {
	b := newBench(t)
	for i := range 50 {
		body := fmt.Sprintf(`{"id":"e%d","waybill_id":"w%d","action_type":100001,"action_time":%d,"action_msg":"m%d","token":"t%d"}`,
			i, i, 1533052800+i, i, i)
		b.post("/v1/events", body)
	}
	for i, e := range b.store.all() {
		want := state.Event{ID: fmt.Sprint("e", i), Source: "courier-app", DeliveryID: "SF", WaybillID: fmt.Sprint("w", i),
			Type: state.PickupDone, Time: 1533052800 + int64(i), Msg: fmt.Sprint("m", i), Token: fmt.Sprint("t", i)}
		if e != want {
			t.Fatalf("event %d is %+v, want %+v", i, e, want)
		}
	}
}
