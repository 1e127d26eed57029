package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"carrier/api/apicheck"
	"carrier/internal/app/apptest"
	"carrier/internal/bus/natstest"
	"carrier/internal/sandbox"
)

// TestDifferencesAreToldOverNATS: the dispatch system hears that WeChat does not show what it heard to be delivered, and
// that it does after the heal; in one line with the pushes, and as the description says.
func TestDifferencesAreToldOverNATS(t *testing.T) {
	srv := natstest.Start(t, nil)
	s := startSeen(t, "{share: 1, rate: 1000, after: 50ms, delay: 1ms}", func(set *apptest.Settings) { set.NATS = fmt.Sprintf("{url: %q}", srv.URL()) })
	dispatch := newDispatch(t, srv.Connect())
	scans := s.order(t, "broken")
	w := scans[0].WaybillID
	s.up.Faulty(t, sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{w: {Fault: "drop", Times: 2}}})
	lost := s.Accept(t, scans...)[:2]
	told := dispatch.tells(t, "differs", w, lost)
	s.Settled(t, soon)
	s.ask(t, 202, "POST", "/admin/v1/waybills/SF/"+w+"/heal", "")
	agreed := dispatch.tells(t, "agrees", w, nil)

	described, err := apicheck.LoadAsync()
	if err != nil {
		t.Fatal(err)
	}
	for message, o := range map[string]*outcome{"differsOutcome": &told, "agreesOutcome": &agreed} {
		if err := described.Message(message, flatHeader(o), o.Raw, true); err != nil {
			t.Error(err)
		}
	}
	if told.header("ce-id") == agreed.header("ce-id") || told.header("ce-sequence") >= agreed.header("ce-sequence") {
		t.Errorf("%s is told before %s", agreed.header("ce-id"), told.header("ce-id"))
	}
}

// tells waits until it is told that a waybill differs by these pushes, or that it agrees. What is missing was told to be
// delivered before.
func (d *dispatch) tells(t *testing.T, status, waybill string, missing []uint64) (told outcome) {
	t.Helper()
	var all []outcome
	apptest.Eventually(t, later, func() bool {
		all = d.outcomes(1)
		for _, o := range all {
			var body struct {
				Missing []uint64 `json:"missing"`
			}
			if err := json.Unmarshal(o.Raw, &body); err != nil {
				t.Fatal(err)
			}
			if o.Subject == "carrier.outcomes.SF."+status && o.WaybillID == waybill && slices.Equal(body.Missing, missing) {
				told = o
				return true
			}
		}
		return false
	}, func() string {
		return fmt.Sprintf("%s is told to be %s by %v; there are %d outcomes", waybill, status, missing, len(all))
	})
	for _, o := range all {
		if slices.Contains(missing, o.Seq) && o.header("ce-sequence") > told.header("ce-sequence") {
			t.Errorf("push %d is told to be missing before it is told to be %s", o.Seq, o.Status)
		}
	}
	return told
}

// flatHeader is an outcome's header with one value a name.
func flatHeader(o *outcome) map[string]string {
	flat := map[string]string{}
	for name, values := range o.Header {
		flat[name] = values[0]
	}
	return flat
}
