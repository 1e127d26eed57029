package orders

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"carrier/internal/state"
)

// TestCancelByStage cancels an order in every stage that scans can lead to.
func TestCancelByStage(t *testing.T) {
	tests := []struct {
		name  string
		scans []state.ActionType
		code  string
	}{
		{"nothing came yet", nil, "0"},
		{"assigned", []state.ActionType{state.PickupAssigned}, "0"},
		{"pickup failed", []state.ActionType{state.PickupAssigned, state.PickupFailed}, "0"},
		{"held before pickup", []state.ActionType{state.Detained}, "0"},
		{"picked up", []state.ActionType{state.PickupDone}, "30002"},
		{"in transit", []state.ActionType{state.PickupDone, state.Transit}, "30002"},
		{"out for delivery", []state.ActionType{state.PickupDone, state.DeliveryBegun}, "30002"},
		{"delivery failed", []state.ActionType{state.PickupDone, state.DeliveryBegun, state.DeliveryFailed}, "30002"},
		{"held after pickup", []state.ActionType{state.PickupDone, state.Detained}, "30002"},
		{"delivered", []state.ActionType{state.PickupDone, state.DeliveryBegun, state.Signed}, "30003"},
		{"cancelled by a scan", []state.ActionType{state.Cancelled}, "30003"},
	}
	for _, tt := range tests {
		for _, dispatched := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, dispatch system: %t", tt.name, dispatched), func(t *testing.T) {
				d := saying(Answer{}, nil)
				if !dispatched {
					d = nil
				}
				r := newRig(t, d)
				r.want(r.push(r.add("order-1", "W1", "Token-1")), "0", "W1")
				r.store.scan("W1", tt.scans...)
				before := len(r.store.waybill(sfWaybill("W1")).Timeline)
				a := r.push(r.cancel("order-1", "W1"))
				r.want(a, tt.code, "W1")
				if a.OrderID != "order-1" || a.BizID != "biz" || a.Event != CancelWaybill {
					t.Errorf("the reply is %+v", a)
				}
				w := r.store.waybill(sfWaybill("W1"))
				if cancelled := w.Stage == state.Void && len(w.Timeline) == before+1; cancelled != (tt.code == "0") {
					t.Errorf("the waybill is %s with %d events", w.Stage, len(w.Timeline))
				}
				// The dispatch system is not troubled with what the scans refuse.
				if d != nil && len(d.questions()) != map[bool]int{true: 2, false: 1}[tt.code == "0"] {
					t.Errorf("asked %v", d.questions())
				}
				if want := map[bool]string{true: "SF cancel_waybill accepted", false: "SF cancel_waybill refused"}[tt.code == "0"]; r.observed(want) != 1 {
					t.Errorf("observed %v", r.seen)
				}
			})
		}
	}
}

func sfWaybill(id string) state.Waybill { return state.Waybill{DeliveryID: "SF", WaybillID: id} }

// TestCancelRepeated: a repeat of one cancellation gets its answer again, another cancellation of the same order 30003.
func TestCancelRepeated(t *testing.T) {
	d := saying(Answer{}, nil)
	r := newRig(t, d)
	r.created = time.Now().Unix() - 60
	r.want(r.push(r.add("order-1", "W1", "Token-1")), "0", "W1")
	first := r.seal(r.cancel("order-1", "W1"), time.Now())
	a := r.send(first)
	r.want(a, "0", "W1")
	if again := r.send(first); again != a {
		t.Errorf("the same request is answered\n%+v, at first\n%+v", again, a)
	}
	r.want(r.push(r.cancel("order-1", "W1")), "0", "W1") // Signed and encrypted anew.
	if r.observed("SF cancel_waybill repeated") != 2 {
		t.Errorf("observed %v", r.seen)
	}
	r.created++
	b := r.push(r.cancel("order-1", "W1"))
	r.want(b, "30003", "W1")
	if again := r.push(r.cancel("order-1", "W1")); again != b {
		t.Errorf("the other one is answered\n%+v, at first\n%+v", again, b)
	}
	if len(d.questions()) != 2 || r.store.count("CancelOrder") != 1 {
		t.Errorf("asked %v, cancelled %d times", d.questions(), r.store.count("CancelOrder"))
	}
	r.want(r.push(r.add("order-1", "W1", "Token-2")), "0", "W1") // It was taken once, and stays cancelled.
	if w := r.store.waybill(sfWaybill("W1")); w.Stage != state.Void {
		t.Errorf("the waybill is %s", w.Stage)
	}
}

// TestCancelRefusedIsRepeated: a refusal of the scans stays what it was for each repeat, whatever happened since.
func TestCancelRefusedIsRepeated(t *testing.T) {
	r := newRig(t, saying(Answer{}, nil))
	r.dispatch.answer = func(_ context.Context, q Question) (Answer, error) {
		if q.Event == CancelWaybill {
			r.store.scan("W1", state.PickupDone) // The courier is faster.
		}
		return Answer{}, nil
	}
	r.want(r.push(r.add("order-1", "W1", "Token-1")), "0", "W1")
	message := r.cancel("order-1", "W1")
	r.want(r.push(message), "30002", "W1")
	if !strings.Contains(r.log.String(), "the order stands") {
		t.Errorf("the log is %s", r.log)
	}
	r.store.scan("W1", state.DeliveryBegun, state.Signed)
	r.want(r.push(message), "30002", "W1")
	r.want(r.push(r.cancel("order-2", "W1")), "30001", "W1")
}

// TestCancelUnknown: what was never ordered, or is another order's.
func TestCancelUnknown(t *testing.T) {
	r := newRig(t, saying(Answer{}, nil))
	r.want(r.push(r.add("order-1", "W1", "Token-1")), "0", "W1")
	r.want(r.push(r.cancel("order-9", "W1")), "30001", "W1")
	r.want(r.push(r.cancel("order-1", "W9")), "30001", "W9")
	r.want(r.push(r.cancel("", "W1")), "30001", "W1")
	r.want(r.push(r.cancel("order-1", "")), "30001", "")
	r.json = true
	r.want(r.push(r.cancel("order\x001", "W1")), "30001", "W1")
	if asked := r.dispatch.questions(); len(asked) != 1 || r.store.count("CancelOrder") != 0 {
		t.Errorf("asked %v", asked)
	}
}

// TestCancelRefusedByDispatch: its no is passed on, and nothing is changed.
func TestCancelRefusedByDispatch(t *testing.T) {
	tests := []struct {
		name   string
		answer Answer
		err    error
		code   string
	}{
		{"picked up", Answer{Code: 30002, Msg: "已揽收"}, nil, "30002"},
		{"not supported", Answer{Code: 30004}, nil, "30004"},
		{"a code of another event", Answer{Code: 20001}, nil, "-1"},
		{"an error", Answer{}, context.DeadlineExceeded, "-1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, saying(Answer{}, nil))
			r.want(r.push(r.add("order-1", "W1", "Token-1")), "0", "W1")
			r.dispatch.answer = func(context.Context, Question) (Answer, error) { return tt.answer, tt.err }
			message := r.cancel("order-1", "W1")
			r.want(r.push(message), tt.code, "W1")
			if w := r.store.waybill(sfWaybill("W1")); w.Stage != state.Created || len(w.Timeline) > 0 {
				t.Errorf("the waybill is %s: %+v", w.Stage, w.Timeline)
			}
			r.dispatch.answer = func(context.Context, Question) (Answer, error) { return Answer{}, nil }
			r.want(r.push(message), "0", "W1")
		})
	}
}

// TestCancelThreeTimesAtOnce: sendings of one cancellation are one; the dispatch system is asked once.
func TestCancelThreeTimesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, saying(Answer{}, nil))
		r.want(r.push(r.add("order-1", "W1", "Token-1")), "0", "W1")
		r.dispatch.answer = func(context.Context, Question) (Answer, error) {
			time.Sleep(time.Second)
			return Answer{}, nil
		}
		message := r.cancel("order-1", "W1")
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { r.want(r.push(message), "0", "W1") })
		}
		all.Wait()
		if len(r.dispatch.questions()) != 2 || r.store.count("CancelOrder") != 1 {
			t.Errorf("asked %v", r.dispatch.questions())
		}
	})
}

// TestActionTime: a CreateTime that makes no sense doesn't get into a timeline.
func TestActionTime(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct{ created, want int64 }{
		{now.Unix(), now.Unix()}, {now.Unix() - 60, now.Unix() - 60}, {0, now.Unix()}, {-5, now.Unix()},
		{now.Unix() + 1, now.Unix()}, {now.UnixMilli(), now.Unix()}, {now.Unix() - 90_000, now.Unix()},
	} {
		if got := actionTime(tt.created, now); got != tt.want {
			t.Errorf("CreateTime %d becomes %d, want %d", tt.created, got, tt.want)
		}
	}
}
