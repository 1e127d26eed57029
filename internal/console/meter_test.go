package console

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"carrier/internal/store"
)

func TestMeterKeepsAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMeter()
		m.Events("app", "accepted", 3)
		m.Ended(store.Delivered)
		m.Backlog(5)
		time.Sleep(time.Minute)
		m.Events("app", "rejected", 2)
		m.Events("hub", "accepted", 10)

		hour := m.hour()
		before, now := hour[meterMinutes-2], hour[meterMinutes-1]
		if before.Events["accepted"] != 3 || before.Ended[store.Delivered] != 1 || before.Pending != 5 {
			t.Errorf("the minute before is %+v", before)
		}
		if now.Events.Total() != 12 || now.Events.Refused() != 2 || now.Pending != 0 {
			t.Errorf("this minute is %+v", now)
		}
		sources := m.bySource()
		if len(sources) != 2 || sources[0].Name != "app" || sources[0].Events.Total() != 5 || sources[1].Events["accepted"] != 10 {
			t.Errorf("the sources are %+v", sources)
		}

		time.Sleep(meterMinutes * time.Minute)
		if n := sum(m.hour()); n != 0 {
			t.Errorf("%d events are left of an hour ago", n)
		}
		m.Events("app", "accepted", 1) // In the slot of an earlier hour.
		if n := sum(m.hour()); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
		if got := m.bySource()[0].Events.Total(); got != 1 {
			t.Errorf("the source has %d events, want 1", got)
		}
	})
}

func sum(hour []Minute) (n int64) {
	for _, m := range hour {
		n += m.Events.Total()
	}
	return n
}

// TestMeterRates: a rate is right from the first minute on, and is of the latest minutes.
func TestMeterRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMeter()
		time.Sleep(30 * time.Second)
		m.Events("app", "accepted", 30)
		if got := m.perMinute(m.bySource()[0].Latest.Total()); got != 60 {
			t.Errorf("after half a minute the rate is %v, want 60", got)
		}
		for range 20 {
			time.Sleep(time.Minute)
			m.Events("app", "accepted", 60)
		}
		if got := m.perMinute(m.bySource()[0].Latest.Total()); got < 55 || got > 70 {
			t.Errorf("after 20 minutes the rate is %v, want about 60", got)
		}
		if !m.young() {
			t.Error("it could not tell of a whole hour yet")
		}
		time.Sleep(time.Hour)
		if m.young() {
			t.Error("it could tell of a whole hour by now")
		}
	})
}

func TestMeterBoundsSources(t *testing.T) {
	m := NewMeter()
	for i := range maxMetered + 50 {
		m.Events(fmt.Sprint("s", i), "accepted", 1)
	}
	sources := m.bySource()
	if len(sources) != maxMetered+1 {
		t.Errorf("%d sources are told apart", len(sources))
	}
	for _, s := range sources {
		if s.Name == beyond && s.Events.Total() != 50 {
			t.Errorf("beyond the bound there are %d events, want 50", s.Events.Total())
		}
	}
}

func TestAges(t *testing.T) {
	tests := []struct {
		name   string
		ages   []time.Duration
		least  time.Duration
		within time.Duration
		more   bool
	}{
		{"none", nil, 0, 0, false},
		{"one", []time.Duration{3 * time.Second}, 3 * time.Second, 5 * time.Second, false},
		{"ahead", []time.Duration{-90 * time.Second, time.Second}, -90 * time.Second, time.Second, false},
		{"half", []time.Duration{time.Second, time.Second, time.Hour, time.Hour}, time.Second, time.Second, false},
		{"most of them late", []time.Duration{time.Second, time.Hour, time.Hour}, time.Second, time.Hour, false},
		{"very late", []time.Duration{48 * time.Hour}, 48 * time.Hour, 24 * time.Hour, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var first, second, all ages
			for i, age := range tt.ages {
				if i%2 == 0 {
					first.add(age)
				} else {
					second.add(age)
				}
			}
			all.join(&first)
			all.join(&second)
			within, more := all.half()
			if all.least != tt.least || within != tt.within || more != tt.more || all.n != int64(len(tt.ages)) {
				t.Errorf("%d ages, the least %s, half within %s (more: %v)", all.n, all.least, within, more)
			}
		})
	}
}

func TestSourcesPage(t *testing.T) {
	b := open(t, &fakeAdmin{}).as(deskToken)
	b.get("/sources", Viewer, b.console.Sources).says(200, "Nothing came in yet. Send an event")
	m := b.console.meter
	m.Events("<b>app", "accepted", 90)
	m.Events("<b>app", "rejected", 10)
	m.Scanned("<b>app", -2*time.Minute)
	m.Events("other", "accepted", 1)
	m.Scanned("other", 48*time.Hour)
	m.Events("", "unauthorized", 3)
	b.get("/sources", Viewer, b.console.Sources).
		says(200, "<b>app", "ahead by at least 2 min", "10 %", "not identified", "unauthorized", "all that are not configured", "more than 1 d").
		lacks("<b>app", "over the rate")
}
