package verify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// push is a delivered one: its number is its place, too.
func push(seq uint64, at int64, kind state.ActionType, text string, with ...func(*store.Push)) store.Push {
	p := store.Push{
		Seq: seq, Ord: seq, Status: store.Delivered, DoneAt: now.Add(-time.Hour),
		Event: state.Event{Time: at, Type: kind, Msg: text},
	}
	for _, change := range with {
		change(&p)
	}
	return p
}

func ended(status store.Status) func(*store.Push) {
	return func(p *store.Push) { p.Status = status }
}

func ago(d time.Duration) func(*store.Push) {
	return func(p *store.Push) { p.DoneAt = now.Add(-d) }
}

func replayed(p *store.Push) { p.Replay = 7 }

func accepted(ord uint64) func(*store.Push) {
	return func(p *store.Push) { p.Ord = ord }
}

func node(at int64, kind state.ActionType, text string) wechat.PathItem {
	return wechat.PathItem{ActionTime: at, ActionType: int64(kind), ActionMsg: text}
}

// sketch shows a report's lines in short: "same 1, extra <10 picked>".
func sketch(r *Report) string {
	var lines []string
	for _, l := range r.Lines {
		text := string(l.Kind)
		if l.Seq != 0 {
			text += fmt.Sprintf(" %d", l.Seq)
		}
		if l.Status != store.Delivered && l.Seq != 0 {
			text += " (" + l.Status.String() + ")"
		}
		if l.Upstream != nil && (l.Kind != Same) {
			text += fmt.Sprintf(" <%d %s>", l.Upstream.ActionTime, l.Upstream.ActionMsg)
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, ", ")
}

var differences = regexp.MustCompile(`extra|missing|moved|changed`)

func TestCompare(t *testing.T) {
	picked, hub, round, signed := push(1, 10, state.PickupDone, "picked"), push(2, 20, state.Transit, "hub"),
		push(3, 30, state.DeliveryBegun, "round"), push(4, 40, state.Signed, "signed")
	atPicked, atHub, atRound, atSigned := node(10, state.PickupDone, "picked"), node(20, state.Transit, "hub"),
		node(30, state.DeliveryBegun, "round"), node(40, state.Signed, "signed")
	for _, test := range []struct {
		name     string
		pushes   []store.Push
		upstream []wechat.PathItem
		want     string
		order    Order
	}{
		{"nothing", nil, nil, "", ByAcceptance},
		{"all is there", []store.Push{picked, hub, round, signed}, []wechat.PathItem{atPicked, atHub, atRound, atSigned},
			"same 1, same 2, same 3, same 4", ByAcceptance},
		{"pushes come in any order", []store.Push{signed, hub, picked, round}, []wechat.PathItem{atPicked, atHub, atRound, atSigned},
			"same 1, same 2, same 3, same 4", ByAcceptance},
		{"one is missing", []store.Push{picked, hub, round}, []wechat.PathItem{atPicked, atRound}, "same 1, missing 2, same 3", ByAcceptance},
		{"all are missing", []store.Push{picked, hub}, nil, "missing 1, missing 2", ByAcceptance},
		{"one may show yet", []store.Push{picked, push(2, 20, state.Transit, "hub", ago(defaultDelay-1))}, []wechat.PathItem{atPicked},
			"same 1, pending 2", ByAcceptance},
		{"one should show by now", []store.Push{picked, push(2, 20, state.Transit, "hub", ago(defaultDelay))}, []wechat.PathItem{atPicked},
			"same 1, missing 2", ByAcceptance},
		{"nobody pushed it", []store.Push{picked, round}, []wechat.PathItem{atPicked, atHub, atRound},
			"same 1, extra <20 hub>, same 3", ByAcceptance},
		{"extra ones at the beginning and the end", []store.Push{hub}, []wechat.PathItem{atPicked, atHub, atRound, atSigned},
			"extra <10 picked>, same 2, extra <30 round>, extra <40 signed>", ByAcceptance},
		{"one is shown twice", []store.Push{picked, hub}, []wechat.PathItem{atPicked, atPicked, atHub},
			"same 1, extra <10 picked>, same 2", ByAcceptance},
		{"another text", []store.Push{picked, hub}, []wechat.PathItem{atPicked, node(20, state.Transit, "HUB")},
			"same 1, changed 2 <20 HUB>", ByAcceptance},
		{"of two of a second, one is changed and one missing",
			[]store.Push{push(1, 10, state.Transit, "left Wuhan"), push(2, 10, state.Transit, "at Changsha")},
			[]wechat.PathItem{node(10, state.Transit, "at Changsha!")}, "missing 1, changed 2 <10 at Changsha!>", ByAcceptance},
		{"another time is another node", []store.Push{picked}, []wechat.PathItem{node(11, state.PickupDone, "picked")},
			"extra <11 picked>, missing 1", ByAcceptance},
		{"another type is another node", []store.Push{picked}, []wechat.PathItem{node(10, state.Transit, "picked")},
			"extra <10 picked>, missing 1", ByAcceptance},
		{"one stands elsewhere", []store.Push{picked, hub, round, signed}, []wechat.PathItem{atSigned, atPicked, atHub, atRound},
			"same 1, same 2, same 3, moved 4 <40 signed>", ByAcceptance},
		{"a late scan, upstream keeps the order of arrival",
			[]store.Push{picked, push(2, 30, state.DeliveryBegun, "round"), push(3, 20, state.Transit, "hub")},
			[]wechat.PathItem{atPicked, atRound, atHub}, "same 1, same 2, same 3", ByAcceptance},
		{"a late scan, upstream sorts by time",
			[]store.Push{picked, push(2, 30, state.DeliveryBegun, "round"), push(3, 20, state.Transit, "hub")},
			[]wechat.PathItem{atPicked, atHub, atRound}, "same 1, same 2, same 3", ByTime},
		{"a scan that was held is sent after one that came later", []store.Push{push(1, 20, state.Transit, "hub", accepted(9)), push(2, 10, state.PickupDone, "picked")},
			[]wechat.PathItem{atPicked, atHub}, "same 2, same 1", ByAcceptance},
		{"one that was sent again may stand last", []store.Push{picked, push(2, 20, state.Transit, "hub", replayed), round},
			[]wechat.PathItem{atPicked, atRound, atHub}, "same 1, same 2, same 3", ByAcceptance},
		{"one that was sent again may stand where it was", []store.Push{picked, push(2, 20, state.Transit, "hub", replayed), round},
			[]wechat.PathItem{atPicked, atHub, atRound}, "same 1, same 2, same 3", ByAcceptance},
		{"equal pushes are one node", []store.Push{picked, hub, push(3, 10, state.PickupDone, "picked")}, []wechat.PathItem{atPicked, atHub},
			"same 1, same 2, same 3", ByAcceptance},
		{"equal pushes are as many nodes", []store.Push{picked, hub, push(3, 10, state.PickupDone, "picked")}, []wechat.PathItem{atPicked, atHub, atPicked},
			"same 1, same 2, same 3", ByAcceptance},
		{"equal pushes are more nodes than that", []store.Push{picked, push(2, 10, state.PickupDone, "picked")}, []wechat.PathItem{atPicked, atPicked, atPicked},
			"same 1, same 2, extra <10 picked>", ByAcceptance},
		{"what is not delivered is not missed", []store.Push{picked, push(2, 20, state.Transit, "hub", ended(store.Pending)),
			push(3, 30, state.DeliveryBegun, "round", ended(store.Failed)), push(4, 40, state.Signed, "signed", ended(store.NoPush))},
			[]wechat.PathItem{atPicked}, "same 1", ByAcceptance},
		{"what is not delivered explains what is there", []store.Push{picked, push(2, 20, state.Transit, "hub", ended(store.Failed))},
			[]wechat.PathItem{atPicked, atHub}, "same 1, same 2 (failed)", ByAcceptance},
		{"what is not delivered explains no other text", []store.Push{push(2, 20, state.Transit, "hub", ended(store.Failed))},
			[]wechat.PathItem{node(20, state.Transit, "other")}, "extra <20 other>", ByAcceptance},
		{"an equal one that was delivered comes first", []store.Push{push(1, 10, state.PickupDone, "picked", ended(store.Pending)), push(2, 10, state.PickupDone, "picked")},
			[]wechat.PathItem{atPicked}, "same 1 (pending), same 2", ByAcceptance},
		{"a text that was forgotten", []store.Push{push(1, 10, state.PickupDone, ""), hub}, []wechat.PathItem{atPicked, atHub}, "same 1, same 2", ByAcceptance},
		{"a text that was forgotten, and is missing", []store.Push{push(1, 10, state.PickupDone, ""), hub}, []wechat.PathItem{atHub}, "missing 1, same 2", ByAcceptance},
		{"WeChat's own", []store.Push{picked}, []wechat.PathItem{atPicked, node(15, 300001, "on the way"), {ActionTime: 16, ActionType: 1<<32 + 100001}},
			"same 1, own <15 on the way>, own <16 >", ByAcceptance},
	} {
		t.Run(test.name, func(t *testing.T) {
			pushes, upstream := slices.Clone(test.pushes), slices.Clone(test.upstream)
			got := Compare(test.pushes, test.upstream, now.Add(-defaultDelay))
			if text := sketch(&got); text != test.want || got.Order != test.order {
				t.Errorf("got  %s (by %s)\nwant %s (by %s)", text, got.Order, test.want, test.order)
			}
			for i := range pushes {
				if pushes[i].Seq != test.pushes[i].Seq {
					t.Fatal("the pushes were reordered")
				}
			}
			if !slices.Equal(upstream, test.upstream) {
				t.Error("upstream's nodes were changed")
			}
			if different := differences.MatchString(test.want); got.Same() == different {
				t.Errorf("Same is %v of %s", got.Same(), test.want)
			}
		})
	}
}

func TestReportTells(t *testing.T) {
	r := Compare([]store.Push{push(1, 10, state.PickupDone, "a"), push(2, 20, state.Transit, "b"), push(3, 30, state.Transit, "c")},
		[]wechat.PathItem{node(10, state.PickupDone, "a"), node(30, state.Transit, "C"), node(5, state.Signed, "x")}, now)
	if got := r.Seqs(Missing, Changed); !slices.Equal(got, []uint64{2, 3}) {
		t.Errorf("Seqs gives %v", got)
	}
	counts := map[Kind]int{Same: 1, Missing: 1, Changed: 1, Extra: 1}
	for _, k := range Kinds() {
		if r.Count(k) != counts[k] {
			t.Errorf("there are %d of %s, want %d", r.Count(k), k, counts[k])
		}
	}
	if l := r.Lines[2]; l.Delivered.ActionMsg != "c" || l.Upstream.ActionMsg != "C" {
		t.Errorf("the changed line is %+v", l)
	}
}
