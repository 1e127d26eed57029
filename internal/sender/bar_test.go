package sender_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/sender"
)

func TestBar(t *testing.T) {
	for _, size := range []int64{1000, 0, -1} {
		synctest.Test(t, func(t *testing.T) { // Which finds goroutines that are left behind.
			var b strings.Builder
			bar := sender.NewBar(&b, size)
			show := func(p sender.Progress) string {
				b.Reset()
				bar.Show(p)
				return b.String()
			}
			if got := show(sender.Progress{Events: 5, Bytes: 100}); !strings.Contains(got, "5 events") {
				t.Errorf("size %d: the bar is %q", size, got)
			}
			if got := show(sender.Progress{Events: 6, Bytes: 200}); got != "" {
				t.Errorf("size %d: drawn too soon: %q", size, got)
			}
			failure := sender.Progress{Events: 6, Waiting: errors.New("503 \x1b[2J"), Wait: 1234 * time.Millisecond}
			if got := show(failure); strings.Count(got, "carrier: 503 �[2J; trying again\n") != 1 || !strings.Contains(got, "6 events, trying again in 1.2s") {
				t.Errorf("size %d: waiting is %q", size, got)
			}
			time.Sleep(time.Second)
			if got := show(failure); strings.Contains(got, "503") {
				t.Errorf("size %d: told again: %q", size, got)
			}
			if got := show(sender.Progress{Events: 9, Refused: 2, Bytes: 300}); !strings.Contains(got, "9 events, 2 refused") {
				t.Errorf("size %d: the bar is %q", size, got)
			}
			bar.Clear()
		})
	}
}

func TestNoticesAreNotRepeated(t *testing.T) {
	var b strings.Builder
	show := sender.Notices(&b)
	for _, err := range []error{nil, errors.New("busy"), nil, errors.New("busy"), errors.New("away\n"), errors.New("busy")} {
		show(sender.Progress{Waiting: err})
	}
	if got, want := b.String(), "carrier: busy; trying again\ncarrier: away ; trying again\ncarrier: busy; trying again\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
