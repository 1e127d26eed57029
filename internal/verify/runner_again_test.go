package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// TestRunnerKnowsWhatIsSentMeanwhile: a scan that is pushed while upstream is asked is no node that nobody sent, and one
// that does not show in the answer is not missing.
func TestRunnerKnowsWhatIsSentMeanwhile(t *testing.T) {
	for _, shows := range []bool{true, false} {
		t.Run(fmt.Sprintf("it shows: %v", shows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes()
				w := f.deliver("W1")
				f.answer = func(path *wechat.Path) {
					p := push(4, 3, state.Signed, "W1")
					p.DoneAt = time.Now()
					f.stories[w] = append(f.stories[w], p)
					if shows {
						path.PathItemList = append(path.PathItemList, node(3, state.Signed, "W1"))
					}
				}
				r := f.run(t, Options{Share: 1})
				r.Settled(delivered(w))
				f.after(6 * time.Minute)
				if !slices.Equal(f.results, []Result{ResultSame}) || len(f.kept) != 0 {
					t.Errorf("results %v, kept %+v", f.results, f.kept)
				}
			})
		})
	}
}

// TestRunnerWaitsForWhatMends: a difference stands while a heal is on its way, until upstream shows what it sends.
func TestRunnerWaitsForWhatMends(t *testing.T) {
	for _, test := range []struct {
		name string
		push func(p *store.Push)
	}{
		{"it waits to be sent again", func(p *store.Push) { p.Status, p.Replay = store.Pending, 1 }},
		{"it was sent again a moment ago", func(p *store.Push) { p.DoneAt, p.Replay = time.Now().Add(5*time.Minute), 1 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes()
				w := f.deliver("W1")
				f.kept[w] = store.Difference{Waybill: w, FoundAt: time.Now(), Missing: []uint64{3}}
				whole := f.paths["W1"]
				f.paths["W1"] = whole[:2]
				test.push(&f.stories[w][2])
				f.run(t, Options{})
				f.after(6 * time.Minute)
				if len(f.asked) != 1 || len(f.kept) != 1 || slices.Contains(f.agreed, true) {
					t.Fatalf("asked %v, kept %v, closed %v", f.asked, f.kept, f.agreed)
				}
				f.stories[w][2].Status, f.paths["W1"] = store.Delivered, whole
				f.after(2 * time.Hour)
				if len(f.kept) != 0 || !slices.Equal(f.agreed, []bool{true}) {
					t.Errorf("kept %v, closed %v", f.kept, f.agreed)
				}
			})
		})
	}
}

// TestRunnerTakesNoHalfTrace: what can't be the whole trace of the waybill says nothing of what is missing in it.
func TestRunnerTakesNoHalfTrace(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(path *wechat.Path)
		want   Result
	}{
		{"without a list", func(path *wechat.Path) { path.PathItemNum, path.PathItemList = 3, nil }, ResultFailed},
		{"cut", func(path *wechat.Path) { path.PathItemNum, path.PathItemList = 3, path.PathItemList[:2] }, ResultFailed},
		{"another waybill's", func(path *wechat.Path) { path.WaybillID, path.PathItemList = "W2", nil }, ResultFailed},
		{"without a number", func(path *wechat.Path) { path.WaybillID = "W1" }, ResultSame},
		{"a number too low", func(path *wechat.Path) { path.PathItemNum = 2 }, ResultSame},
		{"none at all", func(path *wechat.Path) { path.PathItemList = nil }, ResultDifferent},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes()
				w := f.deliver("W1")
				f.answer = test.answer
				r := f.run(t, Options{Share: 1})
				r.Settled(delivered(w))
				f.after(6 * time.Minute)
				if !slices.Equal(f.results, []Result{test.want}) || (len(f.kept) != 0) != (test.want == ResultDifferent) {
					t.Errorf("results %v, want %v; kept %+v", f.results, test.want, f.kept)
				}
				up := &Upstream{Merchants: f, Orders: f}
				f.mu.Unlock()
				_, err := up.Ask(t.Context(), w, Hint{OrderID: "order-W1"})
				f.mu.Lock()
				if bad, ok := errors.AsType[*wechat.CallError](err); ok != (test.want == ResultFailed) || ok && bad.Kind != wechat.KindBadAnswer {
					t.Errorf("to an operator it is %v", err)
				}
			})
		})
	}
}

// TestRunnerTellsTroubleOnce: what keeps a merchant's waybills from being verified is told when it begins, when it
// changes, and when it ends; what is about one waybill alone is not.
func TestRunnerTellsTroubleOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		var log strings.Builder
		r := f.run(t, Options{Share: 1, PerDay: 40, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		look := func(err error) {
			t.Helper()
			f.pathErr = err
			for range 5 {
				r.Settled(delivered(f.deliver(fmt.Sprint("W", len(f.stories)))))
				f.after(6 * time.Minute)
			}
		}
		refusal := func(errcode int) error {
			return &wechat.RefusedError{Op: "getPath", Answer: wechat.Answer{Errcode: errcode, Errmsg: fmt.Sprint("no rid: ", time.Now())}}
		}
		for _, test := range []struct {
			err  error
			told string // "" for nothing.
		}{
			{nil, ""},
			{&wechat.CallError{Op: "getPath", Kind: wechat.KindBadAnswer, Err: errors.New("no list")}, "a waybill can't be verified"},
			{nil, ""},
			{refusal(40199), ""},
			{refusal(48001), "errcode 48001"},
			{refusal(48001), ""},
			{&wechat.CallError{Op: "getPath", Kind: wechat.KindCanceled, Err: context.Canceled}, ""}, // The service stops.
			{&wechat.TokenError{Errcode: 40125, Err: errors.New("errcode 40125")}, "errcode 40125"},  // No call is made.
			{nil, "answers a merchant again"},
		} {
			log.Reset()
			look(test.err)
			if lines := strings.Count(log.String(), "\n"); lines != min(1, len(test.told)) || !strings.Contains(log.String(), test.told) {
				t.Errorf("%v: told %d times:\n%s", test.err, lines, &log)
			}
		}
		if slices.Contains(f.results, ResultLimited) {
			t.Errorf("calls that were not made use up the day's: %v", f.results)
		}
	})
}

// TestRunnerForgetsOldPlaces: a waybill that is delivered to again and again has one place in the queue.
func TestRunnerForgetsOldPlaces(t *testing.T) {
	r := NewRunner(Options{Share: 1})
	for i := range 3 {
		r.Settled(delivered(waybill(fmt.Sprint(i))))
	}
	for range 20_000 {
		r.Settled(delivered(waybill("busy")))
	}
	if len(r.queue) > 2*minTidied || len(r.due) != 4 {
		t.Errorf("the queue has %d entries for %d waybills", len(r.queue), len(r.due))
	}
	late := time.Now().Add(time.Hour)
	for _, want := range []string{"0", "1", "2", "busy"} {
		if w, ok, _ := r.next(late); !ok || w.WaybillID != want {
			t.Errorf("next is %q, want %q", w.WaybillID, want)
		}
	}
}

// TestRunnerReconsidersWhenBusy: what differs is looked at again although there are always others to be looked at.
func TestRunnerReconsidersWhenBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		f.unknown = true // Of the others.
		r := f.run(t, Options{Share: 1})
		w := f.deliver("differs")
		f.kept[w] = store.Difference{Waybill: w}
		for minute := range 120 {
			for i := range 70 { // Ten more than it has time for.
				r.Settled(delivered(waybill(fmt.Sprint(minute, " ", i))))
				f.stories[waybill(fmt.Sprint(minute, " ", i))] = nil
			}
			f.after(time.Minute)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.due) < 100 || !r.differs[w] {
			t.Errorf("%d wait, and of what differs %v is known", len(r.due), r.differs)
		}
	})
}

// TestRunnerLooksLessOften: a difference that stands is looked at again soon, then less and less often, and never given up.
func TestRunnerLooksLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		w := f.deliver("W1")
		f.answer = func(path *wechat.Path) { path.PathItemList = path.PathItemList[:2] }
		r := f.run(t, Options{Share: 1})
		r.Settled(delivered(w))
		asked := 0
		for i, day := range []struct{ least, most int }{{5, 8}, {1, 2}, {1, 1}, {1, 1}} {
			if i > 1 { // Nor more often if there is no answer.
				f.pathErr = &wechat.RefusedError{Op: "getPath", Answer: wechat.Answer{Errcode: 40199}}
			}
			f.after(24 * time.Hour)
			if n := len(f.asked) - asked; n < day.least || n > day.most {
				t.Errorf("asked %d times in a day, want %d to %d", n, day.least, day.most)
			}
			asked = len(f.asked)
		}
		f.answer, f.pathErr = nil, nil
		f.after(26 * time.Hour)
		if len(f.kept) != 0 {
			t.Errorf("kept %v after it was mended", f.kept)
		}
	})
}
