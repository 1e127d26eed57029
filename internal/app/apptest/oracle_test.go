package apptest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/sandbox"
)

// goodRun is a run without a fault: three scans of one waybill, one of them held at first, an echo and an illegal one.
func goodRun() *Run {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	event := func(id string, action int, when int64) Event {
		return Event{ID: id, WaybillID: "W", ActionType: action, ActionTime: when, ActionMsg: "scan " + strings.TrimSuffix(id, "-echo")}
	}
	sent := []Sent{
		{Event: event("a", 100001, 100), Want: "accepted", Verdict: "accepted", Seq: 1},
		{Event: event("c", 300003, 300), Want: "held", Verdict: "held", Seq: 2},
		{Event: event("b", 300002, 200), Want: "accepted", Verdict: "accepted", Seq: 3},
		{Event: event("a-echo", 100001, 100), Want: "ignored", Verdict: "ignored", Seq: 4},
		{Event: event("x", 100002, 400), Want: "rejected", Verdict: "rejected", Seq: 5},
		{Event: event("lost", 100002, 500), Want: "rejected", Unanswered: 1},
	}
	r := &Run{Sent: sent, Order: map[string][]string{"W": {"a", "b", "c"}}}
	for _, s := range sent[:5] {
		r.Stored = append(r.Stored, StoredEvent{Kept: kept(s.Seq, &s.Event), Verdict: s.Verdict})
	}
	for i, k := range []int{0, 2, 1} {
		e := &sent[k].Event
		r.Pushes = append(r.Pushes, ListedPush{Push: Push{Kept: kept(sent[k].Seq, e), Status: "delivered"}})
		r.Arrivals = append(r.Arrivals, sandbox.Arrival{
			N: uint64(i + 1), At: at.Add(time.Duration(i) * time.Second), WaybillID: "W",
			ActionType: int64(e.ActionType), ActionTime: e.ActionTime, ActionMsg: e.ActionMsg,
		})
	}
	return r
}

// kept is an event as the service shows it.
func kept(seq uint64, e *Event) Kept {
	return Kept{Seq: seq, EventID: e.ID, DeliveryID: e.DeliveryID, WaybillID: e.WaybillID, ActionType: e.ActionType, ActionTime: e.ActionTime, ActionMsg: e.ActionMsg}
}

// again lets arrival i arrive once more, directly after itself.
func again(r *Run, i int) {
	copied := r.Arrivals[i]
	copied.At = copied.At.Add(time.Second / 2)
	r.Arrivals = slices.Insert(r.Arrivals, i+1, copied)
	renumber(r)
}

func renumber(r *Run) {
	for i := range r.Arrivals {
		r.Arrivals[i].N = uint64(i + 1)
	}
}

// TestOracleFindsPlantedViolations plants one fault after the other: an oracle that can't see them proves nothing.
func TestOracleFindsPlantedViolations(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(r *Run)
		law   string // The only law that is blamed; empty: none.
	}{
		{"nothing planted", func(*Run) {}, ""},
		{"acknowledged and lost", func(r *Run) { r.Stored = r.Stored[:3]; r.Stored = append(r.Stored, goodRun().Stored[4]) }, "L1"},
		{"rejected and lost", func(r *Run) { r.Stored = r.Stored[:4] }, "L1"},
		{"kept twice", func(r *Run) { r.Stored = append(r.Stored, r.Stored[0]) }, "L1"},
		{"kept with another text", func(r *Run) { r.Stored[0].ActionMsg += "?" }, "L1"},
		{"kept under another number", func(r *Run) { r.Stored[1].Seq = 77 }, "L1"},
		{"kept without being sent", func(r *Run) { r.Stored = append(r.Stored, StoredEvent{Kept: Kept{Seq: 9, EventID: "ghost"}}) }, "L3"},
		{"unanswered and kept all the same", func(r *Run) {
			r.Stored = append(r.Stored, StoredEvent{Kept: kept(6, &r.Sent[5].Event)})
		}, ""},
		{"accepted without a push", func(r *Run) { r.Pushes = r.Pushes[:2] }, "L2"},
		{"never sent", func(r *Run) { r.Pushes[2].Status = "pending"; r.Arrivals = r.Arrivals[:2] }, "L2"},
		{"said to be delivered", func(r *Run) { r.Arrivals = r.Arrivals[:2] }, "L2"},
		{"given up without a reason", func(r *Run) { r.Pushes[2].Status = "failed" }, "L2"},
		{"given up with a reason", func(r *Run) { r.Pushes[2].Status, r.Pushes[2].Reason = "failed", "refused" }, ""},
		{"a push of what was rejected", func(r *Run) {
			r.Pushes = append(r.Pushes, ListedPush{Push: Push{Kept: Kept{EventID: "x"}, Status: "pending"}})
		}, "L7"},
		{"arrived with altered bytes", func(r *Run) {
			again(r, 2)
			r.Arrivals[3].ActionMsg += "!"
		}, "L3"},
		{"arrived out of order", func(r *Run) {
			r.Arrivals[0], r.Arrivals[1] = r.Arrivals[1], r.Arrivals[0]
			renumber(r)
		}, "L4"},
		{"went back", func(r *Run) {
			first := r.Arrivals[0]
			first.Unanswered = true
			r.Arrivals = append(r.Arrivals, first)
			renumber(r)
		}, "L4"},
		{"sent twice without need", func(r *Run) { again(r, 1) }, "L5"},
		{"sent twice, the first answer lost", func(r *Run) { again(r, 1); r.Arrivals[1].Unanswered = true }, ""},
		{"sent twice, killed in between", func(r *Run) {
			again(r, 1)
			r.Outages = []Outage{{r.Arrivals[1].At.Add(time.Millisecond), r.Arrivals[2].At.Add(-time.Millisecond)}}
		}, ""},
		{"sent twice, killed much later", func(r *Run) {
			again(r, 1)
			r.Outages = []Outage{{r.Arrivals[2].At.Add(time.Hour), r.Arrivals[2].At.Add(2 * time.Hour)}}
		}, "L5"},
		{"sent twice, killed long before", func(r *Run) {
			again(r, 1)
			r.Outages = []Outage{{r.Arrivals[0].At.Add(-2 * time.Hour), r.Arrivals[0].At.Add(-time.Hour)}}
		}, "L5"},
		{"what was rejected arrived", func(r *Run) {
			e := r.Sent[4].Event
			r.Arrivals = append(r.Arrivals, sandbox.Arrival{N: 4, At: r.Arrivals[2].At, WaybillID: "W",
				ActionType: int64(e.ActionType), ActionTime: e.ActionTime, ActionMsg: e.ActionMsg})
			r.Order["W"] = append(r.Order["W"], "x")
		}, "L6"},
		{"an access_token fetched after a refusal", func(r *Run) {
			r.Starts, r.Upstream = 1, sandbox.Stats{TokenFetches: 2, Errcodes: map[int]uint64{42001: 1}}
		}, ""},
		{"an access_token fetched for nothing", func(r *Run) {
			r.Starts, r.Upstream = 1, sandbox.Stats{TokenFetches: 2, Errcodes: map[int]uint64{9300507: 1}}
		}, "L8"},
		{"refused once, and failed", func(r *Run) {
			r.Upstream.Errcodes = map[int]uint64{40097: 1}
			r.Pushes[2].Status, r.Pushes[2].Reason, r.Pushes[2].Errcode = "failed", "refused", new(40097)
		}, ""},
		{"refused, and sent again", func(r *Run) { r.Upstream.Errcodes = map[int]uint64{40097: 1} }, "L9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			c.plant(r)
			found := r.Violations()
			if c.law == "" {
				if len(found) > 0 {
					t.Errorf("found %q, want nothing", found)
				}
				return
			}
			if len(found) == 0 {
				t.Fatalf("the oracle did not find the planted violation of %s", c.law)
			}
			for _, f := range found {
				if !strings.HasPrefix(f, c.law+":") {
					t.Errorf("found %q, want violations of %s only", f, c.law)
				}
			}
		})
	}
}

// TestPlansAreWhatTheyClaim checks the generator's plans against the table, so that a mistake in them is not taken
// for one of the service.
func TestPlansAreWhatTheyClaim(t *testing.T) {
	const seed, plans = 7, 2000
	wants := map[string]int{}
	batches := 0
	for n := range plans {
		p := NewPlan(seed, n, "SF", 1_700_000_000)
		if again := NewPlan(seed, n, "SF", 1_700_000_000); again.WaybillID != p.WaybillID || !slices.Equal(again.Upstream, p.Upstream) {
			t.Fatalf("plan %d is another one the second time", n)
		}
		ids, pushed, tokens := map[string]bool{}, 0, 0
		for _, request := range p.Requests {
			if len(request) > 1 {
				batches++
			}
			for _, s := range request {
				if ids[s.ID] {
					t.Fatalf("plan %d uses id %s twice", n, s.ID)
				}
				ids[s.ID] = true
				wants[s.Want]++
				if s.Want == "accepted" || s.Want == "held" {
					pushed++
				}
				if s.Token != "" {
					tokens++
				}
			}
		}
		if pushed != len(p.Upstream) || tokens != 1 {
			t.Fatalf("plan %d: %d events to be pushed for %d in Upstream; the Token is in %d", n, pushed, len(p.Upstream), tokens)
		}
	}
	for _, verdict := range []string{"accepted", "held", "ignored", "rejected"} {
		if wants[verdict] < plans/50 {
			t.Errorf("only %d events of %d plans are to be %s", wants[verdict], plans, verdict)
		}
	}
	if batches < plans/10 {
		t.Errorf("only %d batches in %d plans", batches, plans)
	}
}

func TestCellsAreThePromised(t *testing.T) {
	cells := Cells()
	if len(cells) != 99 {
		t.Fatalf("the table has %d cells, want 99", len(cells))
	}
	counts := map[byte]int{}
	for _, c := range cells {
		counts[c.Mark]++
		if way := WayTo(c.Stage); stageAfter(way) != c.Stage || !legal(way) {
			t.Errorf("the way %v leads to %s, not to %s", way, stageAfter(way), c.Stage)
		}
	}
	if counts['Y']+counts['G']+counts['=']+counts['-'] != 99 {
		t.Errorf("marks: %v", counts)
	}
}
