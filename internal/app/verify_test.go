package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// seenService is a service of whose waybills a merchant can tell what the customer sees.
type seenService struct {
	described
	up       *apptest.Upstream
	merchant *apptest.Merchant
}

// startSeen runs a service that checks as verify says. edits may change its settings.
func startSeen(t *testing.T, verify string, edits ...func(*apptest.Settings)) *seenService {
	t.Helper()
	carrier := sandbox.Carrier{DeliveryID: "SF", AppID: "wx0000000000000001", URL: apptest.CallbackURL("SF"), Token: callbackToken, EncodingAESKey: aesKey()}
	route := &apptest.Route{}
	up := apptest.NewUpstream(t, sandbox.Options{Carriers: []sandbox.Carrier{carrier}, CallbackTransport: route})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL,
		Callback: fmt.Sprintf("{token: %s, encoding_aes_key: %q}", callbackToken, carrier.EncodingAESKey)})
	settings.Merchants = fmt.Sprintf("[{name: shop, appid: wxmerchant, secret: s, base_url: %q}]", up.URL)
	settings.Verify = verify
	for _, edit := range edits {
		edit(settings)
	}
	s := &seenService{described: startDescribed(t, settings), up: up, merchant: apptest.NewMerchant(t, up)}
	route.Lead(s.Client)
	return s
}

// order orders a waybill and gives scans of it that need no Token of their own.
func (s *seenService) order(t *testing.T, orderID string) []apptest.Event {
	t.Helper()
	ordered, err := s.merchant.Order(t.Context(), "SF", orderID)
	if err != nil || ordered.Errcode != 0 {
		t.Fatalf("ordering: %+v, %v", ordered, err)
	}
	scans := story(ordered.WaybillID, 100003, 100001, 200001, 200001, 300002, 300003)
	for i := range scans {
		scans[i] = without(scans[i])
	}
	return scans
}

// comparison is what the upstream call answers, as far as it is looked at here.
type comparison struct {
	Same   bool           `json:"same"`
	Totals map[string]int `json:"totals"`
	Lines  []struct {
		Kind      string        `json:"kind"`
		Seq       uint64        `json:"seq"`
		Delivered *sandbox.Node `json:"delivered"`
		Upstream  *sandbox.Node `json:"upstream"`
	} `json:"lines"`
	Order *struct {
		OrderID   string `json:"order_id"`
		Cancelled bool   `json:"cancelled"`
	} `json:"order"`
}

func (s *seenService) compare(t *testing.T, waybill string) (c comparison) {
	t.Helper()
	if err := json.Unmarshal(s.ask(t, 200, "GET", "/admin/v1/waybills/SF/"+waybill+"/upstream", ""), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// differences counts a waybill's lines that are differences, by kind.
func (c *comparison) differences() map[string]int {
	got := map[string]int{}
	for _, kind := range []string{"missing", "changed", "moved", "extra", "pending"} {
		if n := c.Totals[kind]; n > 0 {
			got[kind] = n
		}
	}
	return got
}

// TestPlantedDifferencesAreFoundAndHealed: answers are lost after pushes were applied, and WeChat drops, doubles and
// changes nodes. What the verifier lists, and the comparison finds, is what was planted; heal mends what is missing, and
// nothing but that.
func TestPlantedDifferencesAreFoundAndHealed(t *testing.T) {
	s := startSeen(t, "{share: 1, rate: 1000, per_day: 1000000, after: 100ms, delay: 1ms}")
	s.up.Faulty(t, sandbox.Faults{
		Trouble: sandbox.Trouble{Resets: 0.1}, Trace: sandbox.TraceFaults{Drop: 0.1, Duplicate: 0.1, Change: 0.1},
	})
	var waybills []string
	for i := range 20 {
		scans := s.order(t, fmt.Sprintf("order-%d", i))
		waybills = append(waybills, scans[0].WaybillID)
		s.Accept(t, scans...)
	}
	s.Settled(t, later)
	s.up.Faulty(t, sandbox.Faults{})
	planted, totals := s.planted(waybills)
	s.listed(t, planted)
	for _, w := range waybills {
		if c := s.compare(t, w); fmt.Sprint(c.differences()) != fmt.Sprint(planted[w]) || c.Same != (planted[w] == nil) {
			t.Errorf("%s: found %v, planted %v", w, c.differences(), planted[w])
		}
		s.heal(t, w, planted[w]["missing"])
		if delete(planted[w], "missing"); len(planted[w]) == 0 {
			delete(planted, w)
		}
		c := s.compare(t, w)
		if got := c.differences(); fmt.Sprint(got) != fmt.Sprint(planted[w]) {
			t.Errorf("%s: after the heal there are %v, want %v", w, got, planted[w])
		}
		if c.Order == nil || c.Order.Cancelled {
			t.Errorf("%s: the order is %+v", w, c.Order)
		}
	}
	s.listed(t, planted)
	lost := s.up.Stats().Unanswered
	t.Logf("%d answers were lost; planted and found: %v; left after the heals: %d waybills", lost, totals, len(planted))
	if totals["missing"]+totals["extra"]+totals["changed"] < 10 || lost == 0 {
		t.Errorf("only %v were planted, and %d answers lost", totals, lost)
	}
}

// planted counts the differences that the sandbox made, by waybill and kind, and in all.
func (s *seenService) planted(waybills []string) (byWaybill map[string]map[string]int, totals map[string]int) {
	kinds := map[string]string{"drop": "missing", "duplicate": "extra", "change": "changed"}
	byWaybill, totals = map[string]map[string]int{}, map[string]int{}
	for _, w := range waybills {
		for _, a := range s.up.Nodes(w).Arrivals {
			kind := kinds[a.Trace]
			if kind == "" {
				continue
			}
			if byWaybill[w] == nil {
				byWaybill[w] = map[string]int{}
			}
			byWaybill[w][kind]++
			totals[kind]++
		}
	}
	return byWaybill, totals
}

// listed waits until the verifier lists these differences, by waybill and kind, and no others.
func (s *seenService) listed(t *testing.T, want map[string]map[string]int) {
	t.Helper()
	list := func() string {
		var answer struct {
			Items []struct {
				WaybillID string   `json:"waybill_id"`
				Missing   []uint64 `json:"missing"`
				Changed   []uint64 `json:"changed"`
				Moved     []uint64 `json:"moved"`
				Extra     int      `json:"extra"`
			} `json:"items"`
		}
		if err := json.Unmarshal(s.ask(t, 200, "GET", "/admin/v1/differences", ""), &answer); err != nil {
			t.Fatal(err)
		}
		found := map[string]map[string]int{}
		for _, d := range answer.Items {
			counts := map[string]int{"missing": len(d.Missing), "changed": len(d.Changed), "moved": len(d.Moved), "extra": d.Extra}
			maps.DeleteFunc(counts, func(_ string, n int) bool { return n == 0 })
			found[d.WaybillID] = counts
		}
		return fmt.Sprint(found)
	}
	apptest.Eventually(t, later, func() bool { return list() == fmt.Sprint(want) },
		func() string { return fmt.Sprintf("listed are %s, want %v", list(), want) })
}

// heal heals a waybill of which so many nodes are missing, and waits until that is through.
func (s *seenService) heal(t *testing.T, waybill string, missing int) {
	t.Helper()
	path := "/admin/v1/waybills/SF/" + waybill + "/heal"
	type answer struct {
		DryRun bool                            `json:"dry_run"`
		Seqs   []uint64                        `json:"seqs"`
		Replay *struct{ ID, Status string }    `json:"replay"`
		Text   struct{ En string }             `json:"text"`
		Up     struct{ Totals map[string]int } `json:"upstream"`
	}
	var plan, done answer
	status := map[bool]int{false: 200, true: 202}[missing > 0]
	for _, call := range []struct {
		status int
		body   string
		into   *answer
	}{{200, `{"dry_run":true}`, &plan}, {status, `{"reason":"用户反馈轨迹缺失"}`, &done}} {
		if err := json.Unmarshal(s.ask(t, call.status, "POST", path, call.body), call.into); err != nil {
			t.Fatal(err)
		}
	}
	if len(plan.Seqs) != missing || !plan.DryRun || plan.Replay != nil || !slices.Equal(plan.Seqs, done.Seqs) || (done.Replay != nil) != (missing > 0) {
		t.Errorf("%s: planned %+v, done %+v; %d are missing", waybill, plan, done, missing)
	}
	s.Settled(t, soon)
	time.Sleep(10 * time.Millisecond)
}

// TestTheVerifierInTheBackground: what WeChat shows is marked, and what it does not show is listed until it is healed.
func TestTheVerifierInTheBackground(t *testing.T) {
	s := startSeen(t, "{share: 1, rate: 1000, after: 50ms, delay: 1ms}")
	whole, broken := s.order(t, "whole"), s.order(t, "broken")
	s.up.Faulty(t, sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{broken[0].WaybillID: {Fault: "drop", Times: 2}}})
	s.Accept(t, whole...)
	lost := s.Accept(t, broken...)[:2]
	s.Settled(t, soon)
	type differences struct {
		Items []struct {
			WaybillID string   `json:"waybill_id"`
			Missing   []uint64 `json:"missing"`
		} `json:"items"`
	}
	list := func() (d differences) {
		t.Helper()
		if err := json.Unmarshal(s.ask(t, 200, "GET", "/admin/v1/differences", ""), &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	apptest.Eventually(t, soon, func() bool {
		d := list().Items
		return len(d) == 1 && d[0].WaybillID == broken[0].WaybillID && slices.Equal(d[0].Missing, lost)
	}, func() string { return fmt.Sprintf("the differences are %+v, want pushes %v", list(), lost) })
	verified := func(seq uint64) bool {
		var p struct {
			VerifiedAt *time.Time `json:"verified_at"`
		}
		if err := json.Unmarshal(s.ask(t, 200, "GET", fmt.Sprintf("/admin/v1/pushes/%d", seq), ""), &p); err != nil {
			t.Fatal(err)
		}
		return p.VerifiedAt != nil
	}
	apptest.Eventually(t, soon, func() bool { return verified(lost[1] + 1) }, apptest.Text("what WeChat shows is not verified"))
	if verified(lost[0]) || verified(lost[1]) {
		t.Error("what WeChat does not show is verified")
	}
	s.ask(t, 202, "POST", "/admin/v1/waybills/SF/"+broken[0].WaybillID+"/heal", "")
	apptest.Eventually(t, soon, func() bool { return len(list().Items) == 0 && verified(lost[0]) && verified(lost[1]) },
		func() string { return fmt.Sprintf("after the heal the differences are %+v", list()) })
	_, metrics := s.Ask(t, http.MethodGet, "/metrics", nil)
	for _, result := range []string{"same", "different"} {
		if !strings.Contains(string(metrics), fmt.Sprintf(`carrier_verify_total{result=%q}`, result)) {
			t.Errorf("/metrics counts none that is %s", result)
		}
	}
}
