package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

func waybill(id string) state.Waybill { return state.Waybill{DeliveryID: "SF", WaybillID: id} }

// fakes are a store and an upstream, in memory.
type fakes struct {
	mu      sync.Mutex // Owns the rest.
	stories map[state.Waybill][]store.Push
	orders  map[state.Waybill]store.Order
	kept    map[state.Waybill]store.Difference
	marked  []uint64
	agreed  []bool    // What was said of the differences that were closed, whether there were any or not.
	act     store.Act // of the last discard
	ended   []uint64  // What was discarded, in that order.

	paths    map[string][]wechat.PathItem // By waybill number.
	answer   func(*wechat.Path)           // Changes an answer to getPath, or what is kept meanwhile. May be nil.
	gone     map[string]bool              // Orders that were cancelled.
	pathErr  error
	asked    []string // Waybills, in the order in which their traces were asked for.
	batches  [][]string
	unknown  bool // No merchant answers for any shop.
	results  []Result
	askTimes []time.Time
}

func newFakes() *fakes {
	return &fakes{
		stories: map[state.Waybill][]store.Push{}, orders: map[state.Waybill]store.Order{}, kept: map[state.Waybill]store.Difference{},
		paths: map[string][]wechat.PathItem{}, gone: map[string]bool{},
	}
}

// deliver makes a waybill of which three pushes were delivered and are shown.
func (f *fakes) deliver(id string) state.Waybill {
	w, base := waybill(id), uint64(10*len(f.stories))
	for i, kind := range []state.ActionType{state.PickupDone, state.Transit, state.DeliveryBegun} {
		p := push(base+uint64(i)+1, int64(i), kind, id)
		p.DoneAt = time.Now()
		f.stories[w] = append(f.stories[w], p)
		f.paths[id] = append(f.paths[id], node(int64(i), kind, id))
	}
	f.orders[w] = store.Order{OrderKey: store.OrderKey{OrderID: "order-" + id}, ShopAppID: "wx1"}
	return w
}

func (f *fakes) Waybill(_ context.Context, w state.Waybill) (store.Waybill, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pushes, ok := f.stories[w]
	if !ok {
		return store.Waybill{}, store.ErrNotFound
	}
	story := store.Waybill{Waybill: w}
	for _, p := range pushes {
		story.Timeline = append(story.Timeline, store.Step{Push: p})
	}
	return story, nil
}

func (f *fakes) OrderOf(_ context.Context, w state.Waybill) (store.Order, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o, ok := f.orders[w]; ok {
		return o, nil
	}
	return store.Order{}, store.ErrNotFound
}

func (f *fakes) MarkVerified(_ context.Context, _ state.Waybill, seqs []uint64, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.marked = append(f.marked, seqs...)
	return nil
}

func (f *fakes) PutDifference(_ context.Context, d store.Difference) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	d.FoundAt, d.CheckedAt = time.Now(), time.Now()
	if was, known := f.kept[d.Waybill]; known {
		d.FoundAt = was.FoundAt
	}
	f.kept[d.Waybill] = d
	return nil
}

func (f *fakes) CloseDifference(_ context.Context, w state.Waybill, agrees bool) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.agreed = append(f.agreed, agrees)
	_, was := f.kept[w]
	delete(f.kept, w)
	return was, nil
}

func (f *fakes) Differences(context.Context) (all []store.Difference, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.kept {
		all = append(all, d)
	}
	return all, nil
}

func (f *fakes) Discard(_ context.Context, seq uint64, act store.Act) (store.Push, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.act = act
	for w := range f.stories {
		for i := range f.stories[w] {
			if p := &f.stories[w][i]; p.Seq == seq && left(p) {
				p.Status, p.Reason = store.Discarded, act.Reason
				f.ended = append(f.ended, seq)
				return *p, nil
			}
		}
	}
	return store.Push{}, store.ErrState
}

func (f *fakes) GetPath(_ context.Context, q wechat.PathQuery) (wechat.Path, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.askTimes = append(f.asked, q.WaybillID), append(f.askTimes, time.Now())
	path := wechat.Path{PathItemList: f.paths[q.WaybillID]}
	if f.answer != nil {
		f.answer(&path)
	}
	return path, f.pathErr
}

func (f *fakes) GetOrder(context.Context, wechat.OrderQuery) (wechat.Order, error) {
	return wechat.Order{}, errors.New("the verifier asks about many orders at a time")
}

func (f *fakes) BatchGetOrder(_ context.Context, orders []wechat.OrderRef) (results []wechat.OrderResult, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for _, o := range orders {
		ids = append(ids, o.OrderID)
		r := wechat.OrderResult{Order: wechat.Order{OrderID: o.OrderID, DeliveryID: o.DeliveryID, WaybillID: o.WaybillID}}
		if f.gone[o.OrderID] {
			r.OrderStatus = 1
		}
		results = append(results, r)
	}
	f.batches = append(f.batches, ids)
	return results, nil
}

func (f *fakes) ByName(name string) (Merchant, bool) { return Merchant{f, "shop"}, name == "shop" }
func (f *fakes) ByShop(string) (Merchant, bool)      { return Merchant{f, "shop"}, !f.unknown }
func (f *fakes) Names() []string                     { return []string{"shop"} }

// run has a runner on the fakes for a test in a bubble. From then on the test holds the lock, but while time passes.
func (f *fakes) run(t *testing.T, o Options) *Runner {
	t.Helper()
	o.Store, o.Merchants = f, f
	o.Observe = func(r Result) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.results = append(f.results, r)
	}
	r := NewRunner(o)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	synctest.Wait()
	f.mu.Lock()
	return r
}

func delivered(w state.Waybill) *store.Outcome {
	return &store.Outcome{Waybill: w, Status: store.Delivered}
}

// after lets time pass, and everything happen that is due by then.
func (f *fakes) after(d time.Duration) {
	f.mu.Unlock()
	time.Sleep(d)
	synctest.Wait()
	f.mu.Lock()
}

func TestRunnerVerifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		w := f.deliver("W1")
		r := f.run(t, Options{Share: 1})
		r.Settled(delivered(w))
		f.after(3 * time.Minute)
		r.Settled(delivered(w)) // Its last delivery counts.
		f.after(3 * time.Minute)
		if len(f.asked) != 0 {
			t.Fatalf("asked about %v too early", f.asked)
		}
		f.after(2 * time.Minute)
		if !slices.Equal(f.marked, []uint64{1, 2, 3}) || !slices.Equal(f.results, []Result{ResultSame}) || len(f.kept) != 0 {
			t.Errorf("verified %v, results %v, kept %v", f.marked, f.results, f.kept)
		}
		f.after(3 * time.Hour)
		if len(f.asked) != 1 || len(f.batches) != 0 {
			t.Errorf("asked about %v, and %v orders", f.asked, f.batches)
		}
	})
}

// TestRunnerFindsDifferences: what differs is kept, looked at again, and closed once it does not differ any more.
func TestRunnerFindsDifferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		w := f.deliver("W1")
		whole := f.paths["W1"]
		f.paths["W1"] = []wechat.PathItem{whole[0], {ActionTime: 1, ActionType: int64(state.Transit), ActionMsg: "other"}, {ActionTime: 9, ActionType: 300003}}
		r := f.run(t, Options{Share: 1})
		r.Settled(delivered(w))
		f.after(6 * time.Minute)
		d := f.kept[w]
		if !slices.Equal(d.Missing, []uint64{3}) || !slices.Equal(d.Changed, []uint64{2}) || d.Moved != nil || d.Extra != 1 || d.Merchant != "shop" {
			t.Errorf("kept %+v", d)
		}
		if !slices.Equal(f.marked, []uint64{1}) || !slices.Equal(f.results, []Result{ResultDifferent}) {
			t.Errorf("verified %v, results %v", f.marked, f.results)
		}
		f.paths["W1"] = whole
		f.after(2 * time.Hour)
		if len(f.kept) != 0 || !slices.Contains(f.results, ResultSame) {
			t.Errorf("kept %v, results %v", f.kept, f.results)
		}
		asked := len(f.asked)
		f.after(5 * time.Hour)
		if len(f.asked) != asked {
			t.Errorf("it is looked at %d times more", len(f.asked)-asked)
		}
	})
}

// TestRunnerFollowsWhatDiffers: of a waybill that differs each delivery is followed, in the sample or not; a heal shows soon.
func TestRunnerFollowsWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		w, other := f.deliver("W1"), f.deliver("W2")
		f.kept[w] = store.Difference{Waybill: w}
		r := f.run(t, Options{})
		r.Settled(delivered(other))
		f.after(time.Minute)
		r.Settled(delivered(w))
		f.after(7 * time.Minute)
		if !slices.Equal(f.asked, []string{"W1"}) || len(f.kept) != 0 {
			t.Errorf("asked about %v, kept %v", f.asked, f.kept)
		}
	})
}

func TestRunnerSamples(t *testing.T) {
	r := NewRunner(Options{Share: 0.1})
	n := 0
	for i := range 20_000 {
		w := waybill(fmt.Sprint(i))
		chosen := r.chosen(w, r.tuning.Load().share)
		if chosen {
			n++
		}
		if again := r.chosen(w, r.tuning.Load().share); again != chosen {
			t.Fatal("a waybill is in the sample, and is not")
		}
	}
	if n < 1500 || n > 2500 { // Ten standard deviations and more.
		t.Errorf("%d of 20,000 are chosen, want about 2,000", n)
	}
}

// TestRunnerKeepsItsLimits: so many a second, and so many a day in Beijing; with others, its share of them.
func TestRunnerKeepsItsLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
	}{
		{"alone", Options{Share: 1, Rate: 2, PerDay: 8}},
		{"of three nodes", Options{Share: 1, Rate: 6, PerDay: 26, Nodes: func() int { return 3 }}},
	} {
		t.Run(tt.name, func(t *testing.T) { keepsItsLimits(t, tt.o) })
	}
}

// keepsItsLimits expects 2 a second and 8 a day.
func keepsItsLimits(t *testing.T, o Options) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		r := f.run(t, o)
		for i := range 10 {
			r.Settled(delivered(f.deliver(fmt.Sprintf("W%d", i))))
		}
		f.after(20 * time.Minute)
		if len(f.asked) != 8 || len(f.results) != 10 || f.results[9] != ResultLimited {
			t.Fatalf("asked %d times, results %v", len(f.asked), f.results)
		}
		for i := 1; i < len(f.askTimes); i++ {
			if between := f.askTimes[i].Sub(f.askTimes[i-1]); between < 499*time.Millisecond {
				t.Errorf("only %v are between two calls", between)
			}
		}
		f.after(24 * time.Hour)
		r.Settled(delivered(waybill("W1")))
		f.after(6 * time.Minute)
		if len(f.asked) != 9 {
			t.Errorf("the next day it asks %d times in all", len(f.asked))
		}
		f.pathErr = &wechat.RefusedError{Op: "getPath", Answer: wechat.Answer{Errcode: quotaUsed}}
		r.Settled(delivered(waybill("W1")))
		r.Settled(delivered(waybill("W2")))
		f.after(6 * time.Minute)
		if len(f.asked) != 10 || f.results[len(f.results)-1] != ResultLimited {
			t.Errorf("after upstream's limit it asks %d times in all, results %v", len(f.asked), f.results)
		}
	})
}

// TestRunnerDiscardsWhatWasCancelled: a hundred orders in a call, and what is left of the cancelled ones is not sent.
func TestRunnerDiscardsWhatWasCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		r := f.run(t, Options{Rate: 1000})
		for i := range 150 {
			w := f.deliver(fmt.Sprintf("W%d", i))
			f.stories[w][1].Status, f.stories[w][2].Status = store.Failed, store.Pending
			if i%50 == 0 {
				f.gone[f.orders[w].OrderID] = true
			}
			r.Settled(&store.Outcome{Waybill: w, Status: store.Failed, Park: true}) // Not in the sample, but upstream refuses it.
		}
		f.after(5*time.Minute + 10*time.Second)
		if len(f.batches) != 1 || len(f.batches[0]) != 100 {
			t.Fatalf("asked about %d batches", len(f.batches))
		}
		f.after(time.Minute)
		if len(f.batches) != 2 || len(f.batches[1]) != 50 {
			t.Fatalf("asked about %d batches", len(f.batches))
		}
		for i := range 150 {
			p := f.stories[waybill(fmt.Sprintf("W%d", i))]
			want := []store.Status{store.Delivered, store.Failed, store.Pending}
			if i%50 == 0 {
				want = []store.Status{store.Delivered, store.Discarded, store.Discarded}
				if p[1].Reason != store.ReasonCancelledUpstream {
					t.Errorf("discarded because of %q", p[1].Reason)
				}
			}
			if got := []store.Status{p[0].Status, p[1].Status, p[2].Status}; !slices.Equal(got, want) {
				t.Errorf("W%d: %v, want %v", i, got, want)
			}
		}
		if !slices.Equal(f.ended[:2], []uint64{3, 2}) {
			t.Errorf("discarded in the order %v: without push 2, push 3 would be sent", f.ended)
		}
		if f.act.By == "" || f.act.Action != store.ActDiscard {
			t.Errorf("the act is %+v", f.act)
		}
		f.after(time.Hour)
		if len(f.batches) != 2 {
			t.Errorf("asked about %d batches", len(f.batches))
		}
	})
}

// TestRunnerTakesNoOthersWord: an answer about another order discards nothing.
func TestRunnerTakesNoOthersWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		w := f.deliver("W1")
		f.stories[w][2].Status = store.Pending
		o := f.orders[w]
		other := renaming{f}
		r := NewRunner(Options{Store: f, Merchants: other, Share: 1})
		r.askOrder(t.Context(), Merchant{other, "shop"}, asked{w, o.OrderID})
		r.askOrders(t.Context())
		if f.stories[w][2].Status != store.Pending || len(f.batches) != 1 {
			t.Errorf("the push is %s after %d batches", f.stories[w][2].Status, len(f.batches))
		}
	})
}

// renaming answers with other orders than it is asked about, all cancelled.
type renaming struct{ *fakes }

func (f renaming) ByName(string) (Merchant, bool) { return Merchant{f, "shop"}, true }
func (f renaming) BatchGetOrder(ctx context.Context, orders []wechat.OrderRef) ([]wechat.OrderResult, error) {
	results, err := f.fakes.BatchGetOrder(ctx, orders)
	for i := range results {
		results[i].OrderID, results[i].OrderStatus = "another", 1
	}
	return results, err
}

func TestRunnerWithoutAnswers(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(f *fakes)
		want []Result
	}{
		{"no merchant", func(f *fakes) { f.unknown = true }, []Result{ResultNoOne}},
		{"refused", func(f *fakes) {
			f.pathErr = &wechat.RefusedError{Op: "getPath", Answer: wechat.Answer{Errcode: 40199}}
		}, []Result{ResultRefused}},
		{"no answer", func(f *fakes) { f.pathErr = &wechat.CallError{Op: "getPath", Err: errors.New("reset")} }, []Result{ResultFailed}},
		{"retention was faster", func(f *fakes) { clear(f.stories) }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes()
				w := f.deliver("W1")
				test.set(f)
				r := f.run(t, Options{Share: 1})
				r.Settled(delivered(w))
				f.after(6 * time.Minute)
				if !slices.Equal(f.results, test.want) || len(f.marked) != 0 || len(f.kept) != 0 || slices.Contains(f.agreed, true) {
					t.Errorf("results %v, want %v; verified %v, kept %v", f.results, test.want, f.marked, f.kept)
				}
			})
		})
	}
}

func TestRunnerIsRetuned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		w := f.deliver("W1")
		r := f.run(t, Options{Off: true, Share: 1})
		r.Settled(delivered(w))
		f.after(time.Hour)
		if len(f.asked) != 0 {
			t.Fatalf("asked about %v while it was off", f.asked)
		}
		r.Retune(Options{Share: 1, After: 2 * time.Hour})
		r.Settled(delivered(w))
		f.after(time.Hour)
		if len(f.asked) != 0 {
			t.Fatalf("asked about %v too early", f.asked)
		}
		f.after(time.Hour)
		if len(f.asked) != 1 {
			t.Fatalf("asked about %v", f.asked)
		}
		r.Retune(Options{Share: 0})
		r.Settled(delivered(w))
		f.after(time.Hour)
		if len(f.asked) != 1 {
			t.Errorf("asked about %v with a share of 0", f.asked)
		}
	})
}
