package sandbox

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzUpdate sends any body: it is applied only if it holds to the rules, and an answer comes in any case.
func FuzzUpdate(f *testing.F) {
	for _, body := range []string{
		bodyOf("W1", "T1", 0), "", "{}", "[]", "null", `{"token":null}`, `{"token":"T1","token":"T2"}`, "\xff",
		`{"token":"T1","waybill_id":"W1","action_time":1e9,"action_type":200001,"action_msg":"x"}`,
		`{"token":"T1","waybill_id":"W1","action_time":1,"action_type":200001,"action_msg":"\ud800"}`,
		strings.Repeat("[", 20000),
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := New(Options{Open: true})
		got := call(t, s, http.MethodPost, updateURL+"?access_token="+testToken(t, s, "wx1"), string(body))
		if got.Errcode == nil {
			t.Fatalf("an answer without errcode: %+v", got)
		}
		page := s.Arrivals(0, 10)
		if (*got.Errcode == 0) != (len(page.Arrivals) == 1) {
			t.Fatalf("errcode %d, %d applied", *got.Errcode, len(page.Arrivals))
		}
		if *got.Errcode != 0 {
			return
		}
		a := page.Arrivals[0]
		if a.WaybillID == "" || a.ActionMsg == "" || len(a.ActionMsg) > 1024 || a.ActionTime <= 0 ||
			a.ActionTime >= milliseconds || !actionTypes[a.ActionType] || !utf8.Valid(body) {
			t.Fatalf("applied against the rules: %+v", a)
		}
	})
}

// FuzzFaults sends anything to /_sandbox/faults: refused and nothing changed, or set and shown as it was set.
func FuzzFaults(f *testing.F) {
	for _, body := range []string{
		"", "{}", `{"busy":0.5,"latency":"5ms"}`, `{"waybills":{"W":{"errcode":1,"times":2}}}`, `{"errcodes":{"1":1e-300}}`,
		`{"busy":1e999}`, `{"token":{"hang":1},"outage":true,"quota_day":3}`, `null`, `{"latency":"-0s"}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := New(Options{})
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequest(http.MethodPut, "/_sandbox/faults", strings.NewReader(body)))
		set := s.Faults()
		switch rec.Code {
		case http.StatusBadRequest:
			if !reflect.DeepEqual(set, Faults{}) {
				t.Fatalf("refused and set: %+v", set)
			}
		case http.StatusOK:
			if err := set.validate(); err != nil {
				t.Fatalf("set against the rules: %v", err)
			}
			var again Faults
			own(t, s, http.MethodPut, "/_sandbox/faults", rec.Body.String(), http.StatusOK, &again)
			if !reflect.DeepEqual(s.Faults(), set) {
				t.Fatalf("shown %s\nset %+v\nset again %+v", rec.Body, set, s.Faults())
			}
		default:
			t.Fatalf("status %d", rec.Code)
		}
	})
}
