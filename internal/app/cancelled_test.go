package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestOrderCancelledUpstream: WeChat cancels an order and the cancellation never arrives; then it refuses the waybill. The
// service asks about the order, and what is left to push of it is discarded. What another waybill has left, which is
// refused in the same way and whose order stands, is not.
func TestOrderCancelledUpstream(t *testing.T) {
	s := startSeen(t, "{share: 0, rate: 1000, after: 50ms, delay: 1ms}")
	gone, stands := s.order(t, "gone"), s.order(t, "stands")
	s.Accept(t, gone[:2]...)
	s.Accept(t, stands[:2]...)
	s.Settled(t, soon)
	if _, err := s.up.CancelSilently("SF", gone[0].WaybillID); err != nil {
		t.Fatal(err)
	}
	refused := sandbox.WaybillFault{Errcode: 40199, Times: 1000}
	s.up.Faulty(t, sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{gone[0].WaybillID: refused, stands[0].WaybillID: refused}})
	left := s.Accept(t, gone[2:]...)
	kept := s.Accept(t, stands[2:]...)

	apptest.Eventually(t, later, func() bool { return len(s.pushesWith(t, "reason=cancelled_upstream")) == len(left) },
		func() string {
			return fmt.Sprintf("discarded are %v, want %v", s.pushesWith(t, "status=discarded"), left)
		})
	if got := s.pushesWith(t, "status=discarded&waybill_id="+gone[0].WaybillID); !slices.Equal(got, left) {
		t.Errorf("discarded are %v, want %v", got, left)
	}
	untouched := append(s.pushesWith(t, "status=failed&waybill_id="+stands[0].WaybillID), s.pushesWith(t, "status=pending&waybill_id="+stands[0].WaybillID)...)
	if !slices.Equal(untouched, kept) || len(s.pushesWith(t, "status=discarded")) != len(left) {
		t.Errorf("of the order that stands are left %v, want %v; discarded are %v", untouched, kept, s.pushesWith(t, "status=discarded"))
	}
	if c := s.compare(t, gone[0].WaybillID); c.Order == nil || !c.Order.Cancelled || !c.Same {
		t.Errorf("compared it is %+v", c)
	}
	if audit := string(s.ask(t, 200, "GET", "/admin/v1/audit?by=(verifier)", "")); strings.Count(audit, `"reason":"cancelled_upstream"`) != len(left) {
		t.Errorf("the audit log: %s", audit)
	}
	if _, metrics := s.Ask(t, http.MethodGet, "/metrics", nil); !strings.Contains(string(metrics), `carrier_verify_total{result="cancelled"} 1`) {
		t.Error("/metrics does not count the cancelled order")
	}
}

// pushesWith lists the numbers of the pushes that a query selects, oldest first.
func (s *seenService) pushesWith(t *testing.T, query string) []uint64 {
	t.Helper()
	var list struct {
		Items []struct {
			Seq uint64 `json:"seq"`
		} `json:"items"`
	}
	if err := json.Unmarshal(s.ask(t, 200, "GET", "/admin/v1/pushes?"+query, ""), &list); err != nil {
		t.Fatal(err)
	}
	var seqs []uint64
	for _, item := range list.Items {
		seqs = append(seqs, item.Seq)
	}
	slices.Sort(seqs)
	return seqs
}
