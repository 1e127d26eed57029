package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"carrier/internal/wiretest"
)

// TestNATSWireDead cuts the service off without closing anything, as a firewall does: it notices, goes on without, and
// is back soon after the wire is.
func TestNATSWireDead(t *testing.T) {
	r := prepareNATS(t, withCallback, nil)
	w := wiretest.New(t, r.srv.URL())
	r.settings.NATS = fmt.Sprintf("{url: %q}", w.URL)
	r.start()
	first := fleet("FIRST", 20, 100001, 200001)
	r.publishEvents("sorter-7", first...)
	r.drained()

	w.Stall()
	began := time.Now()
	during := fleet("DURING", 20, 100001, 200001)
	sendAll(t, r.s, during)
	missed := fleet("MISSED", 20, 100001, 200001)
	r.publishEvents("sorter-7", missed...)
	pushOrder(t, r.s, "SF", orderMessage("add_waybill", "1", "W1", "T"), -1)
	r.eventually(func() bool { return len(r.up.Nodes(during[len(during)-1].WaybillID).Nodes) == 2 }, "pushes go on")
	r.degraded("nats")
	t.Logf("/readyz told of the dead wire after %v", time.Since(began))
	if status, body := get(t, r.s.Admin+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz says %d %s", status, body)
	}

	w.Resume()
	began = time.Now()
	r.eventually(func() bool { return len(r.up.Nodes(missed[len(missed)-1].WaybillID).Nodes) == 2 }, "intake goes on")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("intake went on after %v, want 30 s at most", took)
	}
	r.ready()
	r.drained()
	r.s.Settled(t, later)
	all := slices.Concat(first, during, missed)
	arrivedInOrder(t, r.up, all)
	r.outcomes(len(all))
}
