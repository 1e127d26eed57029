package bench

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"carrier/internal/state"
)

// push is the body of a push of a waybill's step.
func push(r *roll, waybill uint64, step int) []byte {
	return fmt.Appendf(nil, `{"token":"T","waybill_id":"%012d","action_time":%d,"action_type":200001,"action_msg":"x"}`,
		waybill, r.begin+int64(step))
}

func TestBook(t *testing.T) {
	type arrival struct {
		waybill uint64
		step    int
	}
	tests := []struct {
		name     string
		accepted int // Steps of waybill 5.
		arrivals []arrival
		want     Audit
		wantErr  bool
	}{
		{"all in order", 3, []arrival{{5, 0}, {5, 1}, {5, 2}}, Audit{Accepted: 3, Arrived: 3}, false},
		{"lost", 3, []arrival{{5, 0}}, Audit{Accepted: 3, Arrived: 1, Lost: 2}, true},
		{"twice", 2, []arrival{{5, 0}, {5, 0}, {5, 1}}, Audit{Accepted: 2, Arrived: 2, Repeated: 1}, true},
		{"one skipped", 2, []arrival{{5, 1}, {5, 0}}, Audit{Accepted: 2, Arrived: 1, Lost: 1, Disordered: 1}, true},
		{"accepted without an answer", 1, []arrival{{5, 0}, {5, 1}}, Audit{Accepted: 1, Arrived: 2}, false},
		{"never sent", 0, []arrival{{99_999, 0}}, Audit{Strange: 1}, true},
		{"no such step", 0, []arrival{{5, steps}}, Audit{Strange: 1}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRoll(0)
			r.take(10_000)
			b := newBook(r)
			for step := range tt.accepted {
				b.accept(5, 1, step)
			}
			for _, a := range tt.arrivals {
				b.arrive(push(r, a.waybill, a.step))
			}
			got := b.audit()
			if got != tt.want || (got.err() != nil) != tt.wantErr {
				t.Errorf("got %+v (%v), want %+v", got, got.err(), tt.want)
			}
			if waits := b.waits(); waits != int64(tt.want.Accepted)-int64(tt.want.Arrived) {
				t.Errorf("%d wait", waits)
			}
		})
	}
}

func TestBookWaited(t *testing.T) {
	r := newRoll(0)
	r.take(10)
	b := newBook(r)
	begun := time.Now()
	b.accept(1, 2, 0)
	b.arrive(push(r, 2, 0))
	b.accept(3, 1, 0) // It never arrives.
	if got := b.waited(begun); len(got) != 1 || got[0] < 0 || got[0] > time.Minute {
		t.Errorf("got %v, want one short time", got)
	}
	if got := b.waited(time.Now().Add(time.Hour)); len(got) != 0 {
		t.Errorf("from later on: got %v, want nothing", got)
	}
}

func TestBookStrangeBody(t *testing.T) {
	r := newRoll(0)
	r.take(10)
	for _, body := range []string{"", "{}", `{"waybill_id":"x"}`, `{"waybill_id":"1"}`, `{"waybill_id":"1`} {
		b := newBook(r)
		b.arrive([]byte(body))
		if got := b.audit(); got != (Audit{Strange: 1}) {
			t.Errorf("%q: got %+v", body, got)
		}
	}
}

// TestJourney takes a waybill through all its events: the service must be able to accept each of them.
func TestJourney(t *testing.T) {
	r := newRoll(0)
	stage := state.Created
	for step := range steps {
		text := r.appendEvent(nil, 42, step)
		var e struct {
			ID         string           `json:"id"`
			DeliveryID string           `json:"delivery_id"`
			WaybillID  string           `json:"waybill_id"`
			Type       state.ActionType `json:"action_type"`
			Time       int64            `json:"action_time"`
			Msg        string           `json:"action_msg"`
			Token      string           `json:"token"`
		}
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		next, outcome := state.Next(stage, e.Type)
		if outcome != state.Legal {
			t.Errorf("step %d: %v is %c after %v", step, e.Type, outcome, stage)
		}
		stage = next
		if want := fmt.Sprintf("000000000042-%d", step); e.ID != want || e.WaybillID != want[:12] || e.DeliveryID != deliveryID {
			t.Errorf("got %+v, want id %s", e, want)
		}
		if (e.Token != "") != (step == 0) || e.Time != r.begin+int64(step) || e.Msg != journey[step].msg {
			t.Errorf("step %d: %+v", step, e)
		}
	}
	if stage != state.Delivered {
		t.Errorf("the way ends at %v", stage)
	}
}

func TestRoll(t *testing.T) {
	r := newRoll(250)
	var got []string
	for range 4 {
		first, n := r.take(100)
		got = append(got, fmt.Sprint(first, "+", n))
	}
	if list := strings.Join(got, " "); list != "0+100 100+100 200+50 300+0" {
		t.Errorf("got %s", list)
	}
}

// TestLoadParts sees that the requests of a window hold every step of every waybill once, the steps in order.
func TestLoadParts(t *testing.T) {
	for _, batch := range []int{1, window} {
		for _, n := range []int{window, 7, 1} {
			l := &load{batch: batch}
			had := make([]int, n)
			for i := range steps * n / min(batch, n) {
				step, at, size := l.part(i, n)
				for w := at; w < at+size; w++ {
					if had[w] != step {
						t.Fatalf("batch %d of %d: step %d of waybill %d comes after %d others", batch, n, step, w, had[w])
					}
					had[w]++
				}
			}
			for w := range had {
				if had[w] != steps {
					t.Errorf("batch %d of %d: waybill %d has %d steps", batch, n, w, had[w])
				}
			}
		}
	}
}
