package durations

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(why) })
		begun := time.Now()
		for _, step := range []struct {
			wait, until time.Duration
			err         error
		}{{0, 0, nil}, {-time.Second, 0, nil}, {time.Second, time.Second, nil}, {time.Hour, time.Minute, why}, {0, time.Minute, why}, {time.Second, time.Minute, why}} {
			if err := Wait(ctx, step.wait); !errors.Is(err, step.err) || time.Since(begun) != step.until {
				t.Errorf("Wait(%v) ends after %v with %v, want after %v with %v", step.wait, time.Since(begun), err, step.until, step.err)
			}
		}
	})
}

func TestText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Second: "1m30s", 30 * time.Second: "30s", 720 * time.Hour: "720h",
		100 * time.Minute: "1h40m", time.Hour + time.Second: "1h0m1s",
	} {
		if got := Text(d); got != want {
			t.Errorf("Text(%v) = %s, want %s", d, got, want)
		}
	}
}
