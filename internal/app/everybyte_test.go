package app_test

import (
	"fmt"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestEveryByte breaks a connection to upstream at every byte of a push and of its answer: closed, reset, and fallen
// silent. All pushes arrive, in order; twice only where the service could not know what became of the first sending.
func TestEveryByte(t *testing.T) {
	// More than there are bytes in either: what is left of a count breaks the next push on the connection.
	const ofRequest, ofAnswer = 520, 260
	var cuts []apptest.Cut
	for k := range ofRequest {
		cuts = append(cuts, apptest.Cut{After: k, How: apptest.Ending(k % 3)})
	}
	for k := range ofAnswer {
		for _, how := range []apptest.Ending{apptest.Close, apptest.Reset, apptest.Stall} {
			cuts = append(cuts, apptest.Cut{Answer: true, After: k, How: how})
		}
	}
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	proxy := apptest.NewCutter(t, up.URL, cuts)
	account := apptest.Account{DeliveryID: "SF", BaseURL: proxy.URL, Timeout: 300 * time.Millisecond}
	s := start(t, apptest.NewSettings(t, account))
	before := openFiles(t)
	var sent []apptest.Event
	for round := 0; proxy.Left() > 0; round++ {
		events := fleet(fmt.Sprintf("BYTE%d-", round), 150, 100001, 200001)
		sendAll(t, s, events)
		sent = append(sent, events...)
		s.Settled(t, later)
	}
	arrivedInOrder(t, up, sent)
	stats, unknown := up.Stats(), unknownOutcomes(t, s)
	t.Logf("%d connections were cut under %d pushes; %d arrived twice, the outcome of %d attempts is recorded as unknown",
		len(cuts), len(sent), stats.Repeats, unknown)
	if stats.Repeats == 0 || stats.Repeats > uint64(unknown) {
		t.Errorf("%d pushes arrived twice, and the outcome of %d attempts is recorded as unknown", stats.Repeats, unknown)
	}
	if p := s.Pushes(t, "status=failed"); len(p) != 0 {
		t.Errorf("%d pushes failed, the first is %+v; each was to be retried", len(p), p[0])
	}
	// Four ends of each connection that may be kept: the service's, both of the proxy's, and upstream's.
	apptest.Eventually(t, soon, func() bool { return openFiles(t) <= before+4*64+20 }, func() string {
		return fmt.Sprintf("the open files, %d at first, are not many more in the end: %d", before, openFiles(t))
	})
}
