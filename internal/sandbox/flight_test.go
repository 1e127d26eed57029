package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pushFor sends a push whose client waits for at most patience.
func pushFor(t *testing.T, s *Sandbox, accessToken, waybill string, patience time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost,
		updateURL+"?access_token="+accessToken, strings.NewReader(bodyOf(waybill, "T", 0))))
}

func TestOverlaps(t *testing.T) {
	type start struct {
		after    time.Duration
		app      string
		waybill  string
		patience time.Duration
	}
	const second = time.Second
	tests := []struct {
		name     string
		starts   []start
		overlaps uint64
		max      int
	}{
		{"one after the other", []start{{0, "wx1", "W", 9 * second}, {2 * second, "wx1", "W", 9 * second}}, 0, 1},
		{"two together", []start{{0, "wx1", "W", 9 * second}, {second / 2, "wx1", "W", 9 * second}}, 1, 2},
		{"three together are three pairs", []start{{0, "wx1", "W", 9 * second}, {second / 4, "wx1", "W", 9 * second}, {second / 2, "wx1", "W", 9 * second}}, 3, 3},
		{"a chain of pairs", []start{{0, "wx1", "W", 9 * second}, {second / 2, "wx1", "W", 9 * second}, {5 * second / 4, "wx1", "W", 9 * second}}, 2, 2},
		{"two waybills", []start{{0, "wx1", "W", 9 * second}, {second / 2, "wx1", "V", 9 * second}}, 0, 1},
		{"two companies, one number", []start{{0, "wx1", "W", 9 * second}, {second / 2, "wx2", "W", 9 * second}}, 0, 1},
		{"the first client had gone", []start{{0, "wx1", "W", second / 4}, {second / 2, "wx1", "W", 9 * second}}, 0, 1},
		{"it goes, which is seen late", []start{{0, "wx1", "W", second / 2}, {second/2 - grace/2, "wx1", "W", 9 * second}}, 0, 1},
		{"it stayed longer than that", []start{{0, "wx1", "W", second / 2}, {second/2 - 3*grace/2, "wx1", "W", 9 * second}}, 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{Open: true})
				tokens := map[string]string{"wx1": testToken(t, s, "wx1"), "wx2": testToken(t, s, "wx2")}
				setFaults(t, s, Faults{Trouble: Trouble{Latency: Duration(time.Second)}})
				var wg sync.WaitGroup
				for _, st := range tt.starts {
					wg.Go(func() {
						time.Sleep(st.after)
						pushFor(t, s, tokens[st.app], st.waybill, st.patience)
					})
				}
				wg.Wait()
				if st := s.Stats(); st.Overlaps != tt.overlaps || st.MaxPerWaybill != tt.max || st.InFlight != 0 {
					t.Errorf("overlaps %d, max_per_waybill %d, in_flight %d; want %d, %d, 0",
						st.Overlaps, st.MaxPerWaybill, st.InFlight, tt.overlaps, tt.max)
				}
			})
		})
	}
}

// TestConcurrentUse pushes from many connections through every fault, and then lets the counts account for it all.
func TestConcurrentUse(t *testing.T) {
	s := New(Options{Seed: 4, Open: true, MaxNodes: 300, MaxWaybills: 20})
	client, base := far(t, s)
	client.Timeout = time.Second
	setFaults(t, s, Faults{
		Trouble: Trouble{
			Jitter: Duration(time.Millisecond), Busy: 0.1, Resets: 0.1, ResetsBefore: 0.1, HTML: 0.05, HalfJSON: 0.05,
			Empty: 0.05, Redirect: 0.05, NoErrcode: 0.05, HTTP500: 0.05, Hang: 0.005, Errcodes: map[int]float64{45011: 0.05},
		},
		ExpireTokens: 0.02,
	})
	const workers, each = 16, 60
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for n := range each {
				url := base + updateURL + "?access_token=" + testToken(t, s, "wx1")
				_, _, _, _ = send(t, client, url, bodyOf(fmt.Sprintf("W%d-%d", i, n%3), "T", n))
				if n%20 == 0 {
					s.Stats()
					s.Arrivals(0, 5)
					s.Nodes("W0-0")
					s.Faults()
				}
			}
		})
	}
	wg.Wait()
	st := settled(t, s)
	answered, spoiled := uint64(0), uint64(0)
	for _, n := range st.Errcodes {
		answered += n
	}
	for _, n := range st.Faults {
		spoiled += n
	}
	if st.Pushes < workers*each*9/10 || answered+spoiled != st.Pushes {
		t.Errorf("%d pushes, but %d answered and %d spoiled: %+v", st.Pushes, answered, spoiled, st)
	}
	if st.Applied != st.Errcodes[0]+st.Unanswered {
		t.Errorf("%d applied, but %d were told so and %d not", st.Applied, st.Errcodes[0], st.Unanswered)
	}
	if st.Overlaps != 0 || st.Waybills > 20 || st.Redirected != 0 {
		t.Errorf("overlaps %d (want 0), waybills %d (at most 20), redirected %d (want 0)", st.Overlaps, st.Waybills, st.Redirected)
	}
	page := s.Arrivals(0, 1000)
	if len(page.Arrivals) != 300 || page.Forgotten != st.Applied-300 || page.Next != st.Applied {
		t.Errorf("%d arrivals kept, %d forgotten, next %d; want 300 of %d", len(page.Arrivals), page.Forgotten, page.Next, st.Applied)
	}
}

// settled waits until no push is in the sandbox, and returns the counts.
func settled(t *testing.T, s *Sandbox) Stats {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		st := s.Stats()
		if st.InFlight == 0 {
			return st
		}
		if time.Now().After(deadline) {
			t.Errorf("%d pushes are still in the sandbox", st.InFlight)
			return st
		}
		time.Sleep(time.Millisecond) // Hung clients have gone; their handlers end when the server sees it.
	}
}
