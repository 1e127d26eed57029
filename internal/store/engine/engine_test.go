package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/store"
)

func TestHandOver(t *testing.T) {
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("nobody waits"))
	queue := make(chan int, 1)
	if err := HandOver(ended, queue, 1); err != nil {
		t.Errorf("with room, although nobody waits: %v", err)
	}
	err := HandOver(ended, queue, 2)
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "nobody waits") {
		t.Errorf("without room: %v", err)
	}
	if got := <-queue; got != 1 {
		t.Errorf("handed over is %d", got)
	}
}

func TestWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own, failed := errors.New("own"), errors.New("failed")
		for _, c := range []struct {
			name              string
			own, finish, want error
		}{
			{"done", nil, nil, nil},
			{"refused", own, nil, own},
			{"the commit failed", nil, failed, failed},
			{"refused, and the commit failed", own, failed, failed},
		} {
			w := Waiter{}
			w.Begin()
			go func() {
				w.Err = c.own
				w.Finish(c.finish)
			}()
			if err := w.Wait(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		var w Waiter
		w.Begin()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, failed)
		defer cancel()
		if err := w.Wait(ctx); !errors.Is(err, failed) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("not waited for: %v, want an unknown outcome", err)
		}
	})
}

func TestAlarm(t *testing.T) {
	const longest = time.Minute
	at := func(d time.Duration) int64 { return time.Now().Add(d).UnixMilli() }
	for _, c := range []struct {
		name string
		set  func(a *Alarm)
		want time.Duration
	}{
		{"no deadline", func(*Alarm) {}, longest},
		{"a deadline", func(a *Alarm) { a.Set(at(time.Second)) }, time.Second},
		{"one that is far", func(a *Alarm) { a.Set(at(time.Hour)) }, longest},
		{"one that has passed", func(a *Alarm) { a.Set(at(-time.Hour)) }, time.Millisecond},
		{"an earlier one comes", func(a *Alarm) { a.Set(at(time.Hour)); a.Expect(at(time.Second)) }, 0},
		{"earlier ones come", func(a *Alarm) { a.Expect(at(time.Second)); a.Expect(at(2 * time.Second)) }, 0},
		{"a later one comes", func(a *Alarm) { a.Set(at(time.Second)); a.Expect(at(time.Hour)) }, time.Second},
		{"none comes", func(a *Alarm) { a.Expect(0) }, longest},
		{"one comes during the look", func(a *Alarm) { a.Set(math.MaxInt64); a.Expect(at(time.Second)); a.Set(at(time.Hour)) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := NewAlarm()
				c.set(a)
				begun := time.Now()
				if !a.Wait(make(chan struct{}), time.Now, longest) || time.Since(begun) != c.want {
					t.Errorf("it slept for %v, want %v", time.Since(begun), c.want)
				}
			})
		})
	}
	stop := make(chan struct{})
	close(stop)
	if NewAlarm().Wait(stop, time.Now, longest) {
		t.Error("it goes on although it is to stop")
	}
}

func TestReports(t *testing.T) {
	var log bytes.Buffer
	r := Reports{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for n := range maxReports + 10 {
		for range 2 {
			r.Once("damaged", fmt.Errorf("row %d", n))
		}
	}
	r.Once("a key is missing", errors.New("of 2024"))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != maxReports+1 || !strings.Contains(lines[maxReports], "a key is missing") {
		t.Errorf("%d lines, the last is %q; want %d of one kind and then one of the other", len(lines), lines[len(lines)-1], maxReports)
	}
	if told := strings.Count(log.String(), "no more of these"); told != 1 || !strings.Contains(lines[maxReports-1], "no more of these") {
		t.Errorf("%d lines say that no more come, want the last of its kind", told)
	}
}
