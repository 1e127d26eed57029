package ingest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

var ndjson = header{"Content-Type", "application/x-ndjson"}

// numbered are n good events with the ids e0, e1, ...
func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = with("id", fmt.Sprintf(`"e%d"`, i))
	}
	return all
}

func verdicts(results []map[string]any) string {
	var all []string
	for _, r := range results {
		all = append(all, r["verdict"].(string))
	}
	return strings.Join(all, " ")
}

func TestVerdictsAreAllCounted(t *testing.T) {
	if got := allVerdicts[:]; !slices.Equal(got, state.Verdicts()) {
		t.Errorf("counted %v, there are %v", got, state.Verdicts())
	}
}

func TestBatchOfEveryVerdict(t *testing.T) {
	b := newBench(t)
	b.store.decide = func(events []state.Event) ([]store.Result, error) {
		return []store.Result{
			{Seq: 1, Verdict: state.Accepted, Stage: state.OutForDelivery},
			{Seq: 2, Verdict: state.Held, Reason: state.MissingScan},
			{Seq: 3, Verdict: state.Ignored, Reason: state.RepeatsStage, Stage: state.PickedUp},
			{Seq: 1, Verdict: state.Duplicate, Original: state.Accepted, Stage: state.OutForDelivery},
			{Seq: 5, Verdict: state.Rejected, Reason: state.IllegalStep, From: state.Delivered, Stage: state.Delivered, Allowed: []state.ActionType{}},
			{Seq: 6, Verdict: state.Conflict},
		}, nil
	}
	events := numbered(6)
	events = slices.Insert(events, 3, `{"id":"bad","action_type":"x"}`)
	a := b.post("/v1/events/batch", "["+strings.Join(events, ",")+"]")
	if a.Code != 200 {
		t.Fatalf("got %d: %s", a.Code, a.text)
	}
	const want = `{"results":[` +
		`{"index":0,"id":"e0","waybill_id":"1234567890","verdict":"accepted","stage":"out_for_delivery","seq":1},` +
		`{"index":1,"id":"e1","waybill_id":"1234567890","verdict":"held","stage":"created","reason":"missing_scan","seq":2},` +
		`{"index":2,"id":"e2","waybill_id":"1234567890","verdict":"ignored","stage":"picked_up","reason":"repeats_stage","seq":3},` +
		`{"index":3,"id":"bad","type":"urn:carrier:problem:invalid_event",`
	if !strings.HasPrefix(a.text, want) {
		t.Errorf("got\n%s\nwant it to begin with\n%s", a.text, want)
	}
	const end = `"counts":{"accepted":1,"held":1,"ignored":1,"duplicate":1,"rejected":1,"invalid":1,"conflict":1}}`
	if !strings.HasSuffix(a.text, end) {
		t.Errorf("got\n%s\nwant it to end with\n%s", a.text, end)
	}
	results := a.results()
	if got := verdicts(results); got != "accepted held ignored invalid duplicate rejected conflict" {
		t.Errorf("verdicts %s", got)
	}
	for i, want := range map[int][2]any{3: {422.0, "invalid_event"}, 5: {409.0, "rejected"}, 6: {409.0, "conflict"}} {
		if got := [2]any{results[i]["status"], results[i]["code"]}; got != want {
			t.Errorf("result %d: %v, want %v", i, got, want)
		}
	}
	if results[5]["from"] != "delivered" || len(results[5]["allowed"].([]any)) != 0 || results[6]["id"] != "e5" {
		t.Errorf("got %v\n%v", results[5], results[6])
	}
	for _, v := range state.Verdicts() {
		if b.observed["courier-app "+v.String()] != 1 {
			t.Errorf("observed %v, want one %s", b.observed, v)
		}
	}
	if len(b.store.applied) != 1 {
		t.Errorf("%d calls of Apply, want one", len(b.store.applied))
	}
	if log := b.log.String(); !strings.Contains(log, `"events":7,"rejected":1,"conflict":1,"invalid":1`) || strings.Count(log, "\n") != 1 {
		t.Errorf("log %s", log)
	}
}

func TestBatchKeepsOrder(t *testing.T) {
	for _, tt := range []struct {
		name, before, between, after string
		headers                      []header
	}{
		{"array", "[", ",", "]", nil},
		{"array with space", " \n[ ", " ,\r\n\t", " ]\n", nil},
		{"lines", "", "\n", "", []header{ndjson}},
		{"lines with CRLF and blanks", "\n\r\n", "\r\n \t\r\n\n", "\n\n", []header{ndjson}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			events := numbered(MaxBatch)
			a := b.post("/v1/events/batch", tt.before+strings.Join(events, tt.between)+tt.after, tt.headers...)
			if got := len(a.results()); got != MaxBatch {
				t.Fatalf("%d results", got)
			}
			for i, e := range b.store.all() {
				if want := fmt.Sprintf("e%d", i); e.ID != want || a.results()[i]["id"] != want {
					t.Fatalf("place %d holds %s and answers %v, want %s", i, e.ID, a.results()[i]["id"], want)
				}
			}
		})
	}
}

func TestBadItemsSpoilNothing(t *testing.T) {
	restricted := func(o *Options) { twoAccounts(o); o.Sources[0].DeliveryIDs = []string{"SF"} }
	for _, tt := range []struct {
		name, item string
		lines      bool // As a line only: an array with it would be no JSON.
		status     float64
		code       problem.Code
		fields     string
		id         string
	}{
		{"invalid", `{"id":"x"}`, false, 422, problem.InvalidEvent, "delivery_id:required waybill_id:required action_type:required action_time:required action_msg:required", "x"},
		{"number", `7`, false, 422, problem.InvalidEvent, ":type", ""},
		{"array", `[` + good() + `]`, false, 422, problem.InvalidEvent, ":type", ""},
		{"null", `null`, false, 422, problem.InvalidEvent, ":type", ""},
		{"forbidden", with("delivery_id", `"YTO"`), false, 403, problem.ForbiddenDeliveryID, "delivery_id:forbidden_delivery_id", "scan-0001"},
		{"unknown account", with("delivery_id", `"ZTO"`), false, 422, problem.InvalidEvent, "delivery_id:unknown_delivery_id", "scan-0001"},
		{"no JSON", `{"id":"x"`, true, 400, problem.MalformedJSON, "", ""},
		{"two on a line", good() + good(), true, 400, problem.MalformedJSON, "", ""},
		{"not UTF-8", "{\"id\":\"\xff\"}", true, 400, problem.NotUTF8, "", ""},
		{"garbage", "\x00\x01\x02", true, 400, problem.MalformedJSON, "", ""},
		{"byte order mark", "\ufeff" + good(), true, 400, problem.MalformedJSON, "", ""},
	} {
		for _, lines := range []bool{false, true} {
			if tt.lines && !lines {
				continue
			}
			t.Run(fmt.Sprintf("%s, lines %v", tt.name, lines), func(t *testing.T) {
				b := newBench(t, restricted)
				items := []string{with("id", `"first"`), tt.item, with("id", `"last"`)}
				body, headers := "["+strings.Join(items, ",")+"]", []header(nil)
				if lines {
					body, headers = strings.Join(items, "\n"), []header{ndjson}
				}
				results := b.post("/v1/events/batch", body, headers...).results()
				if got := verdicts(results); got != "accepted invalid accepted" {
					t.Fatalf("verdicts %s", got)
				}
				r := results[1]
				if r["status"] != tt.status || r["code"] != string(tt.code) || strings.Join(fieldsOf(t, r), " ") != tt.fields || r["id"] != tt.id {
					t.Errorf("got %v, want %v %s %s id %q", r, tt.status, tt.code, tt.fields, tt.id)
				}
				if got := b.store.all(); len(got) != 2 || got[0].ID != "first" || got[1].ID != "last" {
					t.Errorf("stored %v", got)
				}
			})
		}
	}
}

func TestBatchAsAWhole(t *testing.T) {
	many := strings.Join(numbered(MaxBatch+1), "\n")
	for _, tt := range []struct {
		name, body string
		lines      bool
		status     int
		code       problem.Code
		fields     string
	}{
		{"empty array", "[]", false, 200, "", ""},
		{"no lines", "", true, 200, "", ""},
		{"blank lines", "\n \r\n\t\n", true, 200, "", ""},
		{"empty body", "", false, 400, problem.MalformedJSON, ""},
		{"cut off", "[" + good(), false, 400, problem.MalformedJSON, ""},
		{"one bad element", "[" + good() + ",{]", false, 400, problem.MalformedJSON, ""},
		{"comma at the end", "[" + good() + ",]", false, 400, problem.MalformedJSON, ""},
		{"not UTF-8", "[" + good() + ",\"\xff\"]", false, 400, problem.NotUTF8, ""},
		{"byte order mark", "\ufeff[]", false, 400, problem.MalformedJSON, ""},
		{"an object", good(), false, 422, problem.InvalidEvent, ":type"},
		{"lines as JSON", good() + "\n" + good(), false, 400, problem.MalformedJSON, ""},
		{"null", "null", false, 422, problem.InvalidEvent, ":type"},
		{"too many", "[" + strings.ReplaceAll(many, "\n", ",") + "]", false, 413, problem.BatchTooLarge, ""},
		{"too many lines", many, true, 413, problem.BatchTooLarge, ""},
		{"far too many", "[" + strings.Repeat("0,", 400_000) + "0]", false, 413, problem.BatchTooLarge, ""},
		{"far too many lines", strings.Repeat("0\n", 400_000), true, 413, problem.BatchTooLarge, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			var headers []header
			if tt.lines {
				headers = append(headers, ndjson)
			}
			a := b.post("/v1/events/batch", tt.body, headers...)
			if a.Code != tt.status || a.str("code") != string(tt.code) || strings.Join(a.fields(), " ") != tt.fields {
				t.Fatalf("got %d %s %v, want %d %s %s", a.Code, a.str("code"), a.fields(), tt.status, tt.code, tt.fields)
			}
			if len(b.store.applied) != 0 {
				t.Error("Apply was called")
			}
			if tt.status == 200 && a.text != `{"results":[],"counts":{"accepted":0,"held":0,"ignored":0,"duplicate":0,"rejected":0,"invalid":0,"conflict":0}}` {
				t.Errorf("got %s", a.text)
			}
			if tt.code == problem.BatchTooLarge && a.num("max_events") != MaxBatch {
				t.Errorf("got %s", a.text)
			}
		})
	}
}

func TestBatchInChinese(t *testing.T) {
	a := newBench(t).post("/v1/events/batch", `[{"id":"x"}]`, header{"Accept-Language", "zh"})
	if r := a.results()[0]; r["title"] != "事件无效" || !strings.Contains(r["detail"].(string), "必须填写") {
		t.Errorf("got %v", r)
	}
}

func TestSourceOfABatch(t *testing.T) {
	b := newBench(t)
	b.post("/v1/events/batch", "["+good()+"]", header{"Authorization", "Bearer wrong"}).is(401, problem.Unauthorized)
	b.post("/v1/events/batch", "["+good()+"]", header{"Ce-Id", "ignored"})
	if got := b.store.all(); len(got) != 1 || got[0].ID != "scan-0001" || got[0].Source != "courier-app" {
		t.Errorf("stored %v", got)
	}
}
