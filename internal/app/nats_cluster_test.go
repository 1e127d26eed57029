package app_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/bus/natstest"
	"carrier/internal/sandbox"
)

// TestNATSLeaderStopped stops the leader of the streams of a cluster of three: intake goes on within 30 s, and nothing
// that a server had is lost.
func TestNATSLeaderStopped(t *testing.T) {
	cluster := natstest.StartCluster(t)
	r := &natsRig{t: t, up: apptest.NewUpstream(t, sandbox.Options{Open: true})}
	r.settings = apptest.NewSettings(t, sf(r.up))
	r.settings.NATS = fmt.Sprintf("{url: %q, replicas: 3}", cluster.URLs())
	r.dispatch = newDispatch(t, cluster.Connect())
	r.start()
	var all []apptest.Event
	for i, stream := range []string{eventsStream, outcomesStream, eventsStream} {
		before := fleet(fmt.Sprintf("LED%d-", i), 30, 100001, 200001)
		r.publishEvents("sorter-7", before...)
		leader := cluster.StreamLeader(stream)
		leader.Down()
		began := time.Now()
		after := fleet(fmt.Sprintf("LEADERLESS%d-", i), 30, 100001, 200001)
		for _, e := range after {
			r.untilPublished("sorter-7", e)
		}
		r.eventually(func() bool { return len(r.up.Nodes(after[len(after)-1].WaybillID).Nodes) == 2 }, "intake goes on")
		took := time.Since(began)
		t.Logf("without the leader of %s: the last of %d scans was upstream after %v", stream, len(after), took)
		if took > 30*time.Second {
			t.Errorf("without the leader of %s intake went on after %v, want 30 s at most", stream, took)
		}
		leader.Up()
		r.ready()
		all = append(all, slices.Concat(before, after)...)
	}
	r.drained()
	r.s.Settled(t, later)
	arrivedInOrder(t, r.up, all)
	told := map[string]bool{}
	for _, o := range r.outcomes(len(all)) {
		told[o.EventID] = true
	}
	if len(told) != len(all) {
		t.Errorf("the outcomes of %d events are told, want %d", len(told), len(all))
	}
}
