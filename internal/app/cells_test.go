package app_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestNinetyNineCells sends every event of the README's table (Stages) to a running service, and looks at the
// answer, at what is kept, and at what upstream received.
func TestNinetyNineCells(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, sf(up))
	settings.ReorderWindow = 250 * time.Millisecond
	s := start(t, settings)

	type tried struct {
		cell   apptest.Cell
		way    []apptest.Event
		event  apptest.Event
		answer apptest.Answer
	}
	var all []tried
	for _, c := range apptest.Cells() {
		waybill := fmt.Sprintf("%s-%d", c.Stage, c.Action)
		way := story(waybill, apptest.WayTo(c.Stage)...)
		s.Accept(t, way...)
		e := scan(waybill, len(way)+1, c.Action)
		all = append(all, tried{c, way, e, s.Send(t, e)})
	}
	s.Settled(t, soon)

	for _, x := range all {
		t.Run(x.event.WaybillID, func(t *testing.T) {
			compareAnswer(t, &x.cell, &x.answer)
			kept := s.Waybill(t, "SF", x.event.WaybillID)
			if kept.Stage != x.cell.To {
				t.Errorf("the stage is %s in the end, want %s", kept.Stage, x.cell.To)
			}
			last := kept.Timeline[len(kept.Timeline)-1]
			wantVerdict := map[byte]string{'Y': "accepted", 'G': "accepted", '=': "ignored", '-': "rejected"}[x.cell.Mark]
			if len(kept.Timeline) != len(x.way)+1 || last.Seq != x.answer.Seq || last.Verdict != wantVerdict {
				t.Errorf("the timeline has %d events and ends with %+v, want %d and the verdict %s of number %d",
					len(kept.Timeline), last, len(x.way)+1, wantVerdict, x.answer.Seq)
			}
			if last.Gap != (x.cell.Mark == 'G') || last.Late {
				t.Errorf("gap %v, late %v, want gap %v and not late", last.Gap, last.Late, x.cell.Mark == 'G')
			}
			want := x.way
			if wantVerdict == "accepted" {
				want = append(slices.Clone(x.way), x.event)
			} else if last.Push != nil {
				t.Errorf("an event that is %s has a push: %+v", wantVerdict, last.Push)
			}
			if got := up.Nodes(x.event.WaybillID).Nodes; !slices.Equal(got, trace(want...)) {
				t.Errorf("upstream has %+v, want %+v", got, trace(want...))
			}
		})
	}
	if n := up.Stats().Repeats; n != 0 {
		t.Errorf("upstream saw %d nodes twice, want none: nothing went wrong", n)
	}
}

// compareAnswer holds an answer against the cell of the table.
func compareAnswer(t *testing.T, c *apptest.Cell, a *apptest.Answer) {
	t.Helper()
	type answer struct {
		HTTP                               int
		Verdict, Stage, Reason, Code, From string
		Allowed                            []int
		Late, Gap                          bool
	}
	got := answer{a.HTTP, a.Verdict, a.Stage, a.Reason, a.Code, a.From, a.Allowed, a.Late, a.Gap}
	var want answer
	switch c.Mark {
	case 'Y':
		want = answer{HTTP: http.StatusAccepted, Verdict: "accepted", Stage: c.To}
	case 'G':
		want = answer{HTTP: http.StatusAccepted, Verdict: "held", Stage: c.Stage, Reason: "missing_scan"}
	case '=':
		want = answer{HTTP: http.StatusOK, Verdict: "ignored", Stage: c.Stage, Reason: "repeats_stage"}
	case '-':
		want = answer{HTTP: http.StatusConflict, Verdict: "rejected", Code: "rejected", From: c.Stage, Allowed: apptest.Allowed(c.Stage)}
		got.Stage, got.Reason = "", "" // Told in words that are tested elsewhere.
		if ct := a.Head.Get("Content-Type"); ct != "application/problem+json" {
			t.Errorf("Content-Type %q, want application/problem+json", ct)
		}
		if a.Status != http.StatusConflict || a.Title == "" || a.Detail == "" {
			t.Errorf("the problem is incomplete: %s", a.Body)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("answered\n%+v, want\n%+v\n%s", got, want, a.Body)
	}
	if a.Seq == 0 {
		t.Errorf("no seq in %s", a.Body)
	}
}

// TestOrderOfArrival covers what the table alone does not say (README, Stages): held events, late ones, repeats.
func TestOrderOfArrival(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	s := start(t, apptest.NewSettings(t, sf(up))) // The reorder window of 2m does not end here.

	type send struct {
		n, action int
		verdict   string
		late      bool
		stage     string // In the answer.
	}
	for _, c := range []struct {
		name     string
		sends    []send
		upstream []int // The numbers n in the order in which upstream must see them.
		stage    string
	}{
		{"nothing is sent while the first scan is missing", []send{
			{2, 300003, "held", false, "created"}, {1, 300002, "held", false, "created"},
		}, nil, "created"},
		{"held ones go in order of time", []send{
			{3, 300003, "held", false, "created"}, {2, 300002, "held", false, "created"}, {1, 100001, "accepted", false, "delivered"},
		}, []int{1, 2, 3}, "delivered"},
		{"an event behind a held one waits too", []send{
			{1, 100001, "accepted", false, "picked_up"}, {3, 300004, "held", false, "picked_up"}, {4, 300002, "held", false, "picked_up"},
			{2, 300002, "accepted", false, "out_for_delivery"},
		}, []int{1, 2, 3, 4}, "out_for_delivery"},
		{"a late scan is pushed, the stage stays", []send{
			{1, 100001, "accepted", false, "picked_up"}, {3, 300002, "accepted", false, "out_for_delivery"},
			{2, 200001, "accepted", true, "out_for_delivery"},
		}, []int{1, 3, 2}, "out_for_delivery"},
		{"late after the signature", []send{
			{1, 100001, "accepted", false, "picked_up"}, {2, 300002, "accepted", false, "out_for_delivery"},
			{4, 300003, "accepted", false, "delivered"}, {3, 200001, "accepted", true, "delivered"},
		}, []int{1, 2, 4, 3}, "delivered"},
		{"late and against what followed", []send{
			{1, 100001, "accepted", false, "picked_up"}, {3, 300002, "accepted", false, "out_for_delivery"},
			{2, 300003, "rejected", false, ""},
		}, []int{1, 3}, "out_for_delivery"},
		{"nothing follows a cancellation", []send{
			{2, 400001, "accepted", false, "cancelled"}, {1, 100001, "rejected", false, ""}, {3, 100003, "rejected", false, ""},
		}, []int{2}, "cancelled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			waybill := fmt.Sprintf("%x", c.name)[:40]
			byNumber := map[int]apptest.Event{}
			for _, x := range c.sends {
				e := scan(waybill, x.n, x.action)
				byNumber[x.n] = e
				a := s.Send(t, e)
				if a.Verdict != x.verdict || a.Late != x.late || a.Stage != x.stage && x.stage != "" {
					t.Errorf("event %d (%d): verdict %q, late %v, stage %q; want %q, %v, %q: %s",
						x.n, x.action, a.Verdict, a.Late, a.Stage, x.verdict, x.late, x.stage, a.Body)
				}
			}
			var want []apptest.Event
			for _, n := range c.upstream {
				want = append(want, byNumber[n])
			}
			has := func() bool { return slices.Equal(up.Nodes(waybill).Nodes, trace(want...)) }
			apptest.Eventually(t, soon, has, func() string {
				return fmt.Sprintf("upstream has %+v, want %+v", up.Nodes(waybill).Nodes, trace(want...))
			})
			kept := s.Waybill(t, "SF", waybill)
			if kept.Stage != c.stage {
				t.Errorf("the stage is %s, want %s", kept.Stage, c.stage)
			}
			for _, step := range kept.Timeline {
				if step.Gap {
					t.Errorf("number %d has a gap, but no scan is missing", step.Seq)
				}
			}
		})
	}
}

// TestRepeats covers ids and contents that come again (README, Verdicts).
func TestRepeats(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	s := start(t, apptest.NewSettings(t, sf(up)))
	first := scan("REPEATS", 1, 100001)
	seq := s.Accept(t, first)[0]
	illegal := scan("REPEATS", 3, 100003)
	rejected := s.Send(t, illegal)

	other := func(change func(e *apptest.Event)) apptest.Event {
		e := first
		change(&e)
		return e
	}
	for _, c := range []struct {
		name     string
		event    apptest.Event
		status   int
		verdict  string
		original string
		seq      uint64 // 0: a new one.
	}{
		{"the same event", first, 200, "duplicate", "accepted", seq},
		{"a rejected one again", illegal, 200, "duplicate", "rejected", rejected.Seq},
		{"the same id, another text", other(func(e *apptest.Event) { e.ActionMsg += "!" }), 409, "conflict", "", seq},
		{"the same id, another time", other(func(e *apptest.Event) { e.ActionTime++ }), 409, "conflict", "", seq},
		{"the same id, another waybill", other(func(e *apptest.Event) { e.WaybillID += "2" }), 409, "conflict", "", seq},
		{"another id, the same content", other(func(e *apptest.Event) { e.ID += "b" }), 200, "ignored", "", 0},
		{"another id, repeats the stage", other(func(e *apptest.Event) { e.ID += "c"; e.ActionTime += 30 }), 200, "ignored", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.Send(t, c.event)
			if a.HTTP != c.status || a.Verdict != c.verdict || a.Original != c.original {
				t.Errorf("status %d, verdict %q, original %q; want %d, %q, %q: %s", a.HTTP, a.Verdict, a.Original, c.status, c.verdict, c.original, a.Body)
			}
			if c.seq != 0 && a.Seq != c.seq && a.Verdict != "conflict" {
				t.Errorf("seq %d, want the first one's, %d", a.Seq, c.seq)
			}
		})
	}
	t.Run("the same id of another source", func(t *testing.T) {
		e := first
		e.WaybillID += "-depot"
		a, err := s.PostSigned(t.Context(), e)
		if err != nil || a.HTTP != http.StatusAccepted || a.Verdict != "accepted" {
			t.Errorf("status %d, verdict %q, error %v; want it accepted: ids are unique within a source", a.HTTP, a.Verdict, err)
		}
	})
	s.Settled(t, soon)
	if got := up.Nodes("REPEATS").Nodes; !slices.Equal(got, trace(first)) {
		t.Errorf("upstream has %+v, want the first event only", got)
	}
}
