package pathpush

import (
	"slices"
	"testing"
	"time"

	"carrier/internal/store"
	"carrier/internal/wechat"
)

// lanePlace brings the lane of W1, whose pushes are 1, 2 and 3, to a place, where it is for some seconds.
type lanePlace struct {
	name   string
	change func(*Options)
	bring  func(r *rig)
	sent   []int // of W1 so far
	where  place
}

// failsOnce makes upstream unable to take W1's first push the first time.
func failsOnce(r *rig) {
	r.upstream.answer = func(n int, c call) (wechat.Answer, error) {
		if c.update.WaybillID == "W1" && n == 1 {
			return code(-1)
		}
		return code(0)
	}
}

func lanePlaces() []lanePlace {
	return []lanePlace{
		{"waiting", nil, func(r *rig) {
			failsOnce(r)
			r.store.accept(waybill(1), 3, false)
		}, []int{1}, waiting},
		{"ready", func(o *Options) { o.Accounts[0].Concurrency = 1 }, func(r *rig) {
			r.store.accept(waybill(1), 3, true)
			r.upstream.takes(5 * time.Second)
			r.store.accept(waybill(2), 1, false)
			r.store.mu.Lock()
			r.store.tell(false, store.Change{Waybill: waybill(1), Reload: true})
		}, nil, ready},
		{"in flight", nil, func(r *rig) {
			r.upstream.takes(5 * time.Second)
			r.store.accept(waybill(1), 3, false)
		}, []int{1}, inFlight},
		{"in flight, to be retried", nil, func(r *rig) {
			r.upstream.takes(5 * time.Second)
			failsOnce(r)
			r.store.accept(waybill(1), 3, false)
		}, []int{1}, inFlight},
		{"being read", func(o *Options) { o.Store.(*fakeStore).laneTakes = 5 * time.Second }, func(r *rig) {
			r.store.accept(waybill(1), 3, true)
			r.store.mu.Lock()
			r.store.tell(false, store.Change{Waybill: waybill(1), Reload: true})
		}, nil, loading},
	}
}

// TestActsInEveryPlace: what a person does to a waybill holds from that moment on, wherever its lane is.
func TestActsInEveryPlace(t *testing.T) {
	tests := []struct {
		name string
		act  func(r *rig)
		// What is sent of W1 from then on while nothing else is done, and after a thaw; by place, or for all ("").
		then, thawed map[string][]int
	}{
		{"nothing", func(*rig) {}, map[string][]int{
			"waiting": {1, 2, 3}, "ready": {1, 2, 3}, "in flight": {2, 3}, "in flight, to be retried": {1, 2, 3}, "being read": {1, 2, 3},
		}, nil},
		{"the head discarded", func(r *rig) { r.store.discard(1) }, map[string][]int{"": {2, 3}}, nil},
		{"a later one discarded", func(r *rig) { r.store.discard(2) }, map[string][]int{
			"": {1, 3}, "in flight": {3},
		}, nil},
		{"all discarded", func(r *rig) { r.store.discard(3); r.store.discard(1); r.store.discard(2) }, nil, nil},
		{"frozen", func(r *rig) { r.store.freeze(waybill(1), true) }, nil, map[string][]int{
			"": {1, 2, 3}, "in flight": {2, 3},
		}},
		{"frozen, and a scan", func(r *rig) {
			r.store.freeze(waybill(1), true)
			r.store.accept(waybill(1), 1, false)
		}, nil, map[string][]int{"": {1, 2, 3, 4}, "in flight": {2, 3, 4}}},
		{"frozen, and the head discarded", func(r *rig) {
			r.store.freeze(waybill(1), true)
			r.store.discard(1)
		}, nil, map[string][]int{"": {2, 3}}},
		{"frozen and thawed", func(r *rig) {
			r.store.freeze(waybill(1), true)
			r.store.freeze(waybill(1), false)
		}, map[string][]int{"": {1, 2, 3}, "in flight": {2, 3}}, nil},
		{"retried now", func(r *rig) { r.store.retryNow(1) }, map[string][]int{"": {1, 2, 3}, "in flight": {2, 3}}, nil},
		{"discarded and replayed", func(r *rig) {
			r.store.discard(2)
			r.store.mu.Lock()
			r.store.reopen(r.store.pushes[1])
			r.store.tell(false, store.Change{Waybill: waybill(1), Reload: true})
		}, map[string][]int{"": {1, 2, 3}, "in flight": {2, 3}}, nil},
	}
	for _, tt := range tests {
		for _, p := range lanePlaces() {
			t.Run(tt.name+"/"+p.name, func(t *testing.T) {
				bubble(t, p.change, func(t *testing.T, r *rig) {
					time.Sleep(time.Second) // The sweep at the start is over.
					p.bring(r)
					time.Sleep(time.Second / 10)
					r.at(t, p.where)
					if got := r.sentOfW1(); !slices.Equal(got, p.sent) {
						t.Fatalf("%v were sent before", got)
					}
					tt.act(r)
					want := slices.Concat(p.sent, byPlace(tt.then, p.name))
					time.Sleep(time.Hour)
					if got := r.sentOfW1(); !slices.Equal(got, want) {
						t.Errorf("sent %v, want %v", got, want)
					}
					if n := r.pusher.Snapshots()[0].Loaded; n != 0 {
						t.Errorf("%d pushes are left in memory", n)
					}
					r.store.freeze(waybill(1), false)
					time.Sleep(time.Hour)
					want = append(want, byPlace(tt.thawed, p.name)...)
					if got := r.sentOfW1(); !slices.Equal(got, want) {
						t.Errorf("sent %v after a thaw, want %v", got, want)
					}
					if n := r.store.count(store.Pending); n != 0 {
						t.Errorf("%d are still open", n)
					}
				})
			})
		}
	}
}

// TestDiscardOfWhatUpstreamTakes: of a push in flight upstream's answer decides.
func TestDiscardOfWhatUpstreamTakes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.upstream.takes(time.Second)
		r.store.accept(waybill(1), 2, false)
		time.Sleep(time.Second / 2)
		r.store.discard(1)
		time.Sleep(time.Minute)
		if n := r.store.count(store.Delivered); n != 2 {
			t.Errorf("delivered %d of 2", n)
		}
	})
}

// TestRetryNowGoesAtOnce: a push that waits for its next attempt does not wait any longer.
func TestRetryNowGoesAtOnce(t *testing.T) {
	bubble(t, func(o *Options) { o.Retry.Initial = 10 * time.Minute }, func(t *testing.T, r *rig) {
		failsOnce(r)
		r.store.accept(waybill(1), 3, false)
		time.Sleep(time.Second)
		r.store.retryNow(1)
		time.Sleep(time.Second)
		if n := r.store.count(store.Delivered); n != 3 {
			t.Errorf("delivered %d of 3", n)
		}
	})
}

// at sees that W1's lane is at a place.
func (r *rig) at(t *testing.T, where place) {
	t.Helper()
	a := r.pusher.roster.Load().order[0]
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.lanes.all[waybill(1)]; l == nil || l.where != where {
		t.Fatalf("the lane is %+v, want it at %d", l, where)
	}
}

// sentOfW1 are the pushes of W1 that upstream saw, numbered from 1.
func (r *rig) sentOfW1() (sent []int) {
	all := r.store.byWaybill(waybill(1))
	for _, c := range r.upstream.seen() {
		if i := slices.IndexFunc(all, func(p store.Push) bool { return p.Event.Time == c.update.ActionTime }); i >= 0 {
			sent = append(sent, i+1)
		}
	}
	return sent
}

// byPlace picks what is wanted of a place, or of all ("").
func byPlace(want map[string][]int, name string) []int {
	if seqs, ok := want[name]; ok {
		return seqs
	}
	return want[""]
}
