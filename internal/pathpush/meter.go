package pathpush

import "time"

// meter tells how many calls were sent a minute of late.
type meter struct {
	start   time.Time
	minutes [meterMinutes]struct{ at, n int64 } // at counts minutes since 1970: a bucket is used again each time around.
}

const (
	// meterMinutes is how far it looks back: long enough not to follow every van that comes in, short enough to see
	// that the evening is busier than the afternoon.
	meterMinutes = 15
	// leastSpan is what the first calls after a start are spread over at least: a backlog that goes out at once is no
	// rate for the rest of the day.
	leastSpan = 5 * time.Minute
)

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func (m *meter) add(now time.Time) {
	at := minuteOf(now)
	b := &m.minutes[at%meterMinutes]
	if b.at != at {
		b.at, b.n = at, 0
	}
	b.n++
}

// perMinute is the rate over the window, of which the last minute is still under way.
func (m *meter) perMinute(now time.Time) float64 {
	last, sum := minuteOf(now), int64(0)
	for _, b := range m.minutes {
		if last-meterMinutes < b.at && b.at <= last {
			sum += b.n
		}
	}
	if sum == 0 {
		return 0
	}
	begin := now.Truncate(time.Minute).Add(-(meterMinutes - 1) * time.Minute)
	if m.start.After(begin) {
		begin = m.start
	}
	return float64(sum) / max(now.Sub(begin), leastSpan).Minutes()
}
