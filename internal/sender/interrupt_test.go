package sender_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/sender"
	"carrier/internal/state"
)

func TestInterruptionKeepsTheAnswersUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		interrupted := errors.New("interrupted by a person")
		h.before = func(w http.ResponseWriter, n int, _ []byte) bool {
			if n == 3 {
				cancel(interrupted)
				time.Sleep(time.Second) // Within the grace.
			}
			return false
		}
		o := h.options()
		o.Batch, o.Parallel = 10, 1
		got, err := send(t, ctx, o, file(1000, 5))
		if !errors.Is(err, interrupted) {
			t.Errorf("the error is %v", err)
		}
		if h.n != 3 || got.Counts[state.Accepted] != 30 || got.NextLine != 31 {
			t.Errorf("%d requests; %+v", h.n, got)
		}
	})
}

func TestInterruptionDoesNotWaitForEver(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(w http.ResponseWriter, r *webhook) bool
		most   time.Duration
	}{
		{"no answer", func(http.ResponseWriter, *webhook) bool { time.Sleep(time.Hour); return true }, 3 * time.Second},
		{"waiting to try again", func(w http.ResponseWriter, _ *webhook) bool {
			refuse(w, 503, "Busy", "Wait.", "200")
			return true
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newWebhook(t)
				h.before = func(w http.ResponseWriter, _ int, _ []byte) bool { return test.before(w, h) }
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				begun := time.Now()
				got, err := send(t, ctx, h.options(), file(10, 5))
				if took := time.Since(begun); took > 10*time.Second+test.most {
					t.Errorf("it took %s", took)
				}
				if !errors.Is(err, context.DeadlineExceeded) || got.Unanswered != 10 || got.NextLine != 1 {
					t.Errorf("%v; %+v", err, got)
				}
				synctest.Wait()
				time.Sleep(2 * time.Hour) // Lets the stand-in end.
			})
		})
	}
}

// TestASilentInputHoldsNothingBack: events that come one by one through a pipe go out without waiting for a batch.
func TestASilentInputHoldsNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		in, out := io.Pipe()
		finished := make(chan *sender.Summary)
		go func() {
			s, err := sender.New(h.options())
			if err != nil {
				t.Error(err)
			}
			summary, err := s.Send(t.Context(), reading(t, in, "-"))
			if err != nil {
				t.Error(err)
			}
			finished <- summary
		}()
		for n := range 3 {
			_, _ = io.WriteString(out, line(n+1, "W")+"\n")
			time.Sleep(time.Second)
			h.mu.Lock()
			if len(h.lines) != n+1 {
				t.Errorf("%d lines were taken a second after line %d", len(h.lines), n+1)
			}
			h.mu.Unlock()
		}
		_ = out.Close()
		if got := <-finished; got.Counts[state.Accepted] != 3 {
			t.Errorf("%+v", got)
		}
	})
}

func TestInterruptionDoesNotWaitForInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newWebhook(t)
		in, out := io.Pipe()
		defer out.Close() // Wakes the reading goroutine, for the bubble's sake.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := sender.NewReader(ctx, in, "-", sender.Auto); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("NewReader: %v", err)
		}
		_ = out.Close()
		synctest.Wait()

		in, out = io.Pipe()
		defer out.Close()
		go func() { _, _ = io.WriteString(out, line(1, "W")+"\n") }()
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s, err := sender.New(h.options())
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Send(ctx, reading(t, in, "-"))
		if !errors.Is(err, context.DeadlineExceeded) || got.Counts[state.Accepted] != 1 || got.NextLine != 2 {
			t.Errorf("%v; %+v", err, got)
		}
	})
}
