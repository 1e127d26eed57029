package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

const zhLang = "zh_CN.UTF-8"

// adminTranscript holds what commands show, in both languages. `go test ./cmd/carrier -run Transcript -update` writes
// it anew.
const adminTranscript = "testdata/admin.txt"

// TestAdminTranscript compares what commands show with what a person was found to read well.
func TestAdminTranscript(t *testing.T) {
	f := recordedAdmin(t)
	var got strings.Builder
	for _, args := range []string{
		"pushes list", "pushes show 7", "pushes show 8", "pushes discard 7 --reason x", "events list", "events accept 9 --reason seen",
		"waybill show 1234567890", "waybill find 7890", "waybill silent --stage in_transit --hours 48 --no-token", "waybill freeze SF/1234567890",
		"waybill expunge 1234567890 --because asked --yes", "waybill upstream 1234567890", "waybill heal 1234567890 --dry-run", "accounts list", "accounts show SF", "accounts probe SF", "replays list", "replays show 12", "differences", "audit",
		"dead-letters", "stats", "pushes replay --status failed --dry-run", "pushes replay --status failed --dry-run --rate 20",
	} {
		for _, lang := range []string{"C", zhLang} {
			status, out, errs := f.run(t, lang, strings.Fields(args)...)
			if status != exitDone || errs != "" {
				t.Errorf("carrier %s: status %d, %s", args, status, errs)
			}
			fmt.Fprintf(&got, "$ LANG=%s carrier %s\n%s\n", lang, args, out)
		}
	}
	if *update {
		if err := os.WriteFile(adminTranscript, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Split(read(t, adminTranscript), "\n$ ")
	for i, part := range strings.Split(got.String(), "\n$ ") {
		if i >= len(want) || part != want[i] {
			t.Errorf("not as in %s:\n%s", adminTranscript, part)
		}
	}
}

// recordedAdmin is a service with something of everything.
func recordedAdmin(t *testing.T) *fakeAdmin {
	t.Helper()
	const (
		rejected = `"verdict":"rejected","first_verdict":"rejected","reason":"illegal_transition","late":true,"gap":false,"held_until":null,"override":false,"expunged":false,"from":"delivered","allowed":[],"cause":7,` +
			`"explanation":{"en":"Nothing can follow \"delivered\", which event 7 brought.","zh":"事件 7 使运单已签收，此后不允许任何事件。"}`
		accepted = `"verdict":"accepted","first_verdict":"rejected","reason":"","late":false,"gap":true,"held_until":null,"override":%v,"expunged":false,"from":"","allowed":null,"cause":0,"explanation":{"en":"","zh":""}`
		breaker  = `{"host":"api.weixin.qq.com","state":"open","since":"2018-07-31T16:00:00Z","opened_by":"20 of 20: -1 system busy\u001b[2J","next_probe_at":"2018-07-31T16:00:30Z"}`
		account  = `{"delivery_id":"SF","breaker":` + breaker + `,"fallback_breaker":null,"paused":true,"pause_reason":"a test","pause_since":"2018-07-31T16:00:00Z","paused_until":null,` +
			`"next_probe_at":null,"access_token_expires_at":"2018-07-31T18:00:00Z","counts":{"pending":12,"delivered":1000,"failed":3,"discarded":0},"oldest_pending_seconds":754.2,` +
			`"waiting":12,"in_flight":0,"concurrency_now":64,"guard":{"tripped":true,"failed":30,"ended":50,"since":"2018-07-31T16:00:10Z","let_fail_until":null},` +
			`"quota":{"day":"2018-08-01","used":950108,"limit":1000000,"remaining":49892,"rate_per_minute":119.6,"ends_at":"2018-08-01T09:40:00Z","asked_at":"2018-07-31T16:00:00Z","ask_error":"",` +
			`"reserved":50000,"transit_held_since":"2018-07-31T16:00:20Z","transit_held_until":"2018-08-01T16:00:00Z"}}`
		plan = `{"dry_run":true,"matched":12,"evaluated":12,"complete":true,"totals":{"send":7,"waits_behind":2,"waits_for_token":1,"already_delivered":2,"new_verdict":1},"calls":10,"minutes":0.2,"sample":[` +
			`{"seq":7,"delivery_id":"SF","waybill_id":"1234567890","action_type":300002,"action_time":1533052800,"status":"failed","errcode":-1,"reason":"retries_ended","verdict":"send","behind":0,"would":"send","text":{"en":"","zh":""}},` +
			`{"seq":8,"delivery_id":"SF","waybill_id":"1234567890","action_type":300003,"action_time":1533052900,"status":"failed","errcode":-1,"reason":"retries_ended","verdict":"waits_behind","behind":7,"would":"waits_behind 7",` +
			`"text":{"en":"Push 7 of the waybill goes first.","zh":"运单的推送 7 先发送。"}}]}`
	)
	step := func(seq string, action, decision, push string) string {
		return `{"seq":` + seq + `,"event_id":"scan-` + seq + `","source":"app","action_type":` + action + `,"action_time":1533052800,"action_msg":"到达\r\n中转站","received_at":"2018-07-31T16:00:01Z",` +
			decision + `,"push":` + push + `}`
	}
	plainly := strings.ReplaceAll(accepted, "%v", "false")
	waybill := `{"delivery_id":"SF","waybill_id":"1234567890","stage":"in_transit","stage_name":{"en":"in transit","zh":"运输中"},"token_set":true,"token_at":"2018-07-31T15:00:00Z","parked":false,` +
		`"frozen":true,"frozen_since":"2018-07-31T16:00:00Z","frozen_by":"ops","frozen_reason":"wrong\u202eparcel","timeline":[` +
		step("7", "100001", strings.ReplaceAll(plainly, `"gap":true`, `"gap":false`), `{`+fakeDelivered+`,"attempts":1,"log":[`+fakeOK+`]}`) + `,` +
		step("8", "200001", plainly, `{`+fakeWaiting+`,"attempts":0,"log":[]}`) + `,` + step("9", "100003", rejected, "null") + `],` +
		`"shown":{"version":16,"received_at":"2018-07-31T16:00:03Z","order_id":"order-1","actions":[` +
		`{"action_time":1533052800,"action_type":300001,"action_msg":"快件已发往\u001b[2J 广州"},{"action_time":1533052801,"action_type":4294967296,"action_msg":""},` +
		`{"action_time":1533052802,"action_type":100001,"action_msg":"已揽件"}]}}`
	detail := strings.TrimSuffix(fakePush(7, 300002, fakeFailed, 3), `"attempts":3}`) + `"tries":1,"attempts":[` +
		`{"at":"2018-07-31T16:00:02Z","duration_ms":51.25,"errcode":null,"errmsg":"no answer within 10s","rid":"","scope":"upstream","outcome_unknown":true,"replay":"","meaning":{"en":"","zh":""}},` +
		`{"at":"2018-07-31T16:00:04Z","duration_ms":20,"errcode":9300507,"errmsg":"token invalid","rid":"6a2b-1","scope":"waybill","outcome_unknown":false,"replay":"12","meaning":{"en":"The waybill's Token is wrong.","zh":"运单 Token 错误。"},` +
		`"breaker":"half_open","fallback_host":"api2.weixin.qq.com","token_at":"2018-07-31T15:00:00Z","newer_token_at":"2018-07-31T16:00:05Z",` +
		`"access_token_at":"2018-07-31T15:48:00Z","access_token_refetched_at":"2018-07-31T16:03:00Z"}]}`
	none := strings.TrimSuffix(fakePush(8, 300003, fakeWaiting, 0), `"attempts":0}`) + `"tries":0,"attempts":[]}`

	f := newFakeAdmin(t)
	f.on("GET /admin/v1/pushes", 200, fakeList("", fakePush(8, 300003, fakeWaiting, 0), fakePush(7, 300002, fakeFailed, 3), fakePush(6, 200001, fakeDelivered, 1)))
	f.on("GET /admin/v1/pushes/7", 200, detail).on("GET /admin/v1/pushes/8", 200, none)
	f.on("POST /admin/v1/pushes/7/discard", 200, fakePush(7, 300002, strings.NewReplacer(`"failed"`, `"discarded"`, `"token_refused"`, `"x"`).Replace(fakeFailed), 3))
	event := func(seq, decision, status string) string {
		return `{` + strings.NewReplacer("%d", seq, "%[1]d", seq).Replace(strings.Replace(fakeScan, `"action_type":%d`, `"action_type":100003`, 1)) + `,` + decision + `,"status":"` + status + `"}`
	}
	f.on("GET /admin/v1/events", 200, fakeList("", event("9", rejected, ""), event("8", strings.ReplaceAll(accepted, "%v", "true"), "pending"),
		strings.Replace(event("7", strings.ReplaceAll(plainly, `"expunged":false`, `"expunged":true`), "discarded"), "丽影邓丽君【18666666666】正在派件", "", 1)))
	f.on("POST /admin/v1/events/9/accept", 200, event("9", strings.ReplaceAll(accepted, "%v", "true"), "pending"))
	f.on("GET /admin/v1/waybills/SF/1234567890", 200, waybill).on("POST /admin/v1/waybills/SF/1234567890/freeze", 200, waybill)
	f.on("POST /admin/v1/waybills/SF/1234567890/expunge", 200, `{"events":3,"discarded":1,"tokens":2,"orders":1,"shown":4,"waybill":`+waybill+`}`)
	f.on("GET /admin/v1/waybills/SF/1234567890/upstream", 200, fakeUpstream)
	f.on("POST /admin/v1/waybills/SF/1234567890/heal", 200, `{"dry_run":true,"seqs":[8],"replay":null,"text":{"en":"Missing pushes that go out again: 1.","zh":"将补推 1 个缺失的推送。"},"upstream":`+fakeUpstream+`}`)
	f.on("GET /admin/v1/accounts", 200, fakeList("", account)).on("POST /admin/v1/accounts/SF/probe", 200, account)
	f.on("GET /admin/v1/replays", 200, fakeList("", fakeReplay("12", "running", 500, 100, 2, 60), strings.Replace(fakeReplay("11", "done", 1, 1, 0, 0), `"seq":0`, `"seq":7`, 1)))
	f.on("GET /admin/v1/replays/12", 200, strings.Replace(fakeReplay("12", "running", 500, 100, 2, 60), `"waiting":[]`,
		`"waiting":[{"delivery_id":"SF","text":{"en":"its breaker is open","zh":"熔断打开"}}]`, 1))
	scan := `{"seq":7,"event_id":"s-7","source":"app","delivery_id":"SF","waybill_id":"1234567890","action_type":200001,"action_time":1533052800,"action_msg":"到达 \u001b[2J【186****6666】","received_at":"2018-07-31T16:00:00Z"}`
	summary := `{"delivery_id":"SF","waybill_id":"1234567890","stage":"in_transit","stage_name":{"en":"in transit","zh":"运输中"},"token_set":%s,"parked":false,"frozen":true,` +
		`"pending":1,"failed":2,"accepted":%s,"heard_at":%s}`
	f.on("GET /admin/v1/waybills", 200, fakeList("", fmt.Sprintf(summary, "true", scan, `"2018-07-31T16:00:00Z"`), fmt.Sprintf(summary, "false", "null", "null")))
	f.on("GET /admin/v1/silent", 200, fakeList("", strings.TrimSuffix(fmt.Sprintf(summary, "true", scan, `"2018-07-31T16:00:00Z"`), "}")+`,"silent_seconds":183600}`))
	f.on("GET /admin/v1/differences", 200, fakeList("", `{"delivery_id":"SF","waybill_id":"1234567890","merchant":"shop","found_at":"2018-07-31T16:00:00Z","checked_at":"2018-07-31T18:00:00Z","missing":[7,8],"changed":[9],"moved":[],"extra":1}`))
	f.on("GET /admin/v1/audit", 200, fakeList("", `{"id":"3","at":"2018-07-31T16:00:00Z","by":"ops","from":"10.0.0.7","action":"push.discard","delivery_id":"SF","waybill_id":"1234567890","seq":7,"replay":"","reason":"丢件","detail":""}`,
		`{"id":"2","at":"2018-07-31T16:00:00Z","by":"ops","from":"10.0.0.7","action":"replay.start","delivery_id":"","waybill_id":"","seq":0,"replay":"12","reason":"","detail":"status=failed"}`))
	f.on("GET /admin/v1/dead-letters", 200, fakeList("", `{"id":"1","received_at":"2018-07-31T16:00:00Z","source":"hub","subject":"carrier.events.hub","code":"malformed_json","reason":"The body is not one JSON value.","body":"{\u001b]0;x\u0007","body_base64":""}`,
		`{"id":"2","received_at":"2018-07-31T16:00:00Z","source":"hub","subject":"carrier.events.hub","code":"not_utf8","reason":"The body is not valid UTF-8.","body":null,"body_base64":"/w=="}`))
	f.on("GET /admin/v1/stats", 200, `{"version":"v1.2.3","started_at":"2018-07-31T16:00:00Z","uptime_seconds":3661,"events":{"accepted":1015,"rejected":3},"held":2,"pushes":{"pending":12,"delivered":1000,"failed":3},`+
		`"accounts":{"SF":{"counts":{"pending":12,"delivered":1000,"failed":3},"oldest_pending_seconds":2.25}},"replays_running":1,"store":{"commits":120,"rows":2030,"commit_ms":0.512,"free_bytes":53687091200}}`)
	f.on("POST /admin/v1/replays", 200, plan)
	return f
}

// TestAdminJSON: --json prints the API's answer, whatever it holds.
func TestAdminJSON(t *testing.T) {
	f := recordedAdmin(t)
	for _, args := range []string{
		"pushes list", "pushes show 7", "pushes discard 7 --reason x", "events list", "events accept 9 --reason x", "waybill show SF/1234567890", "waybill find 7890", "waybill silent",
		"waybill freeze SF/1234567890", "waybill expunge SF/1234567890 --because x --yes", "waybill upstream SF/1234567890", "waybill heal SF/1234567890 --dry-run", "accounts list", "accounts probe SF", "replays list", "replays show 12", "differences", "audit", "dead-letters", "stats",
		"pushes replay --status failed --dry-run",
	} {
		t.Run(args, func(t *testing.T) {
			status, out, errs := f.run(t, "C", append(strings.Fields(args), "--json")...)
			asked := f.log()
			method, rest, _ := strings.Cut(asked[len(asked)-1], " ")
			path, _, _ := strings.Cut(rest, " ")
			path, _, _ = strings.Cut(path, "?")
			var got, want any
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("status %d, %s%s: %v", status, out, errs, err)
			}
			if err := json.Unmarshal([]byte(f.answers[method+" "+path][0].body), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) || status != exitDone || errs != "" {
				t.Errorf("status %d, %s, got\n%s\nwant %v", status, errs, out, want)
			}
		})
	}
}

// TestAdminListsThatAreNotWhole: a list that a service which has just been started can't give whole says so, also if only
// its first page was not.
func TestAdminListsThatAreNotWhole(t *testing.T) {
	const item = `{"delivery_id":"SF","waybill_id":"%d","stage":"in_transit","stage_name":{"en":"in transit","zh":"运输中"},"token_set":true,"parked":false,"frozen":false,` +
		`"pending":0,"failed":0,"accepted":null,"heard_at":null,"silent_seconds":183600}`
	page := func(next, reading string, n int) string {
		return strings.TrimSuffix(fakeList(next, fmt.Sprintf(item, n)), "}") + `,"reading":` + reading + `}`
	}
	for _, test := range []struct {
		name, lang string
		pages      []string
		json, note string
	}{
		{"whole", "C", []string{page("", "null", 1)}, "null", ""},
		{"the first page is not", zhLang, []string{page("2", `{"events":20,"total":1000}`, 1), page("", "null", 2)}, `{"events":20,"total":1000}`,
			"carrier: 服务刚刚启动，已读取 20 / 1000 个事件：尚未读取的运单不在列表中，请稍后再查\n"},
		{"nor is the second", "C", []string{page("2", `{"events":20,"total":1000}`, 1), page("", `{"events":999,"total":1000}`, 2)}, `{"events":20,"total":1000}`,
			"carrier: the service was started a moment ago and has read 20 of 1000 events: waybills that it has not read yet are missing here; ask again soon\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeAdmin(t).on("GET /admin/v1/silent", 200, test.pages...)
			status, out, errs := f.run(t, test.lang, "waybill", "silent", "--all")
			if status != exitDone || errs != test.note || strings.Count(out, "SF/") != len(test.pages) {
				t.Errorf("status %d, printed %s, on standard error %q, want %q", status, out, errs, test.note)
			}
			f = newFakeAdmin(t).on("GET /admin/v1/silent", 200, test.pages...)
			_, out, _ = f.run(t, test.lang, "waybill", "silent", "--all", "--json")
			var got struct {
				Items   []json.RawMessage `json:"items"`
				Reading json.RawMessage   `json:"reading"`
			}
			if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Items) != len(test.pages) {
				t.Fatalf("%v in %s", err, out)
			}
			if text := strings.Join(strings.Fields(string(got.Reading)), ""); text != test.json {
				t.Errorf("reading is %s, want %s", text, test.json)
			}
		})
	}
}

// TestFindTooShort: who gives too few characters hears that it was no search for an end.
func TestFindTooShort(t *testing.T) {
	for _, test := range []struct{ name, end, body, want string }{
		{"too few", "890", fakeList(""), "carrier: nothing matches\ncarrier: fewer than the last 4 characters are looked for as whole numbers only\n"},
		{"enough", "7890", fakeList(""), "carrier: nothing matches\n"},
		{"a short number", "W1", fakeList("", `{"delivery_id":"SF","waybill_id":"W1","stage":"created","stage_name":{"en":"created","zh":"已下单"}}`), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeAdmin(t).on("GET /admin/v1/waybills", 200, test.body)
			if status, _, errs := f.run(t, "C", "waybill", "find", test.end); status != exitDone || errs != test.want {
				t.Errorf("status %d, %q, want %q", status, errs, test.want)
			}
		})
	}
}
