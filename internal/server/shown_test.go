package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"carrier/internal/store"
)

// TestShown: what the customer sees is part of a waybill's story, and enough to make it one.
func TestShown(t *testing.T) {
	seen := &store.Shown{Version: 16, ReceivedAt: time.Unix(1533052803, 0), OrderID: "order-1", Actions: []store.ShownAction{
		{Time: 1533052800, Type: 300001, Msg: "派件员 18666666666"}, {Time: 1533052801, Type: 100001},
	}}
	const (
		whole = `"shown":{"version":16,"received_at":"2018-07-31T16:00:03Z","order_id":"order-1","actions":[` +
			`{"action_time":1533052800,"action_type":300001,"action_msg":"派件员 18666666666"},{"action_time":1533052801,"action_type":100001,"action_msg":""}]}}`
		path = "/admin/v1/waybills/SF/W1"
	)
	masked := strings.Replace(whole, "18666666666", "186****6666", 1)
	tests := []struct {
		name   string
		shown  *store.Shown
		scans  bool
		token  string
		status int
		want   []string
	}{
		{"beside scans", seen, true, opsToken, 200, []string{`"seq":6`, whole}},
		{"beside scans, to a viewer", seen, true, deskToken, 200, []string{`"seq":6`, masked}},
		{"alone", seen, false, opsToken, 200, []string{`{"delivery_id":"SF","waybill_id":"W1","stage":"created"`, `"token_set":false`, `"timeline":[],` + whole}},
		{"alone, to a viewer", seen, false, deskToken, 200, []string{`"timeline":[],` + masked}},
		{"no actions", &store.Shown{ReceivedAt: time.Unix(1, 0)}, false, opsToken, 200, []string{`"order_id":"","actions":[]}`}},
		{"nothing but scans", nil, true, opsToken, 200, []string{`"seq":6`, `"shown":null}`}},
		{"nothing at all", nil, false, opsToken, 404, []string{"not_found"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			if r.store.shown = tt.shown; tt.scans {
				r.scene()
			} else {
				r.store.gone = true // Of other kinds.
			}
			w := r.do("GET", path, "", "Authorization", "Bearer "+tt.token)
			wantStatus(t, w, tt.status)
			for _, want := range tt.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("got %s, want %s", w.Body, want)
				}
			}
		})
	}
	r := newRig(t)
	r.store.shown, r.store.gone = seen, true
	w := r.do("POST", path+"/expunge", `{"reason":"why"}`)
	wantStatus(t, w, http.StatusOK)
	if body := w.Body.String(); !strings.Contains(body, `"orders":0,"shown":2,"waybill":{`) || strings.Contains(body, "派件员") {
		t.Errorf("expunging answers %s", body)
	}
}
