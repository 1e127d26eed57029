package console

import (
	"maps"
	"slices"
	"sync"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
)

// Meter keeps what came in and went out in each of the last 60 minutes, for the overview and the page about sources.
// It is in memory: a restart begins anew. It is safe for concurrent use, and every call is quick.
type Meter struct {
	since time.Time

	mu      sync.Mutex
	sources map[string]*[meterMinutes]intake
	out     [meterMinutes]outgo
}

const (
	// meterMinutes is how far back it goes: this minute and those before it.
	meterMinutes = 60
	// maxMetered bounds the sources that are told apart. They come from the configuration; what is beyond counts as one.
	maxMetered = 200
	// beyond is the name of those.
	beyond = "…"
)

// What is counted of a source's events beside their verdicts; the words are those of package ingest.
const (
	unauthorized = "unauthorized"
	limited      = "limited"
	unavailable  = "unavailable"
)

// words are what is counted of a source's events.
var words = func() []string {
	var all []string
	for _, v := range state.Verdicts() {
		all = append(all, v.String())
	}
	return append(all, unauthorized, limited, unavailable)
}()

// Words counts events by what became of them.
type Words map[string]int64

// intake is a minute of a source.
type intake struct {
	minute int64 // Unix time in minutes; another one than is looked for: the slot is of an earlier hour.
	events Words
	ages   ages
}

// outgo is a minute of all that goes out.
type outgo struct {
	minute  int64
	ended   [store.NumStatuses]int64
	pending int64 // At the end of the minute, as far as it was looked at.
}

// NewMeter begins to count.
func NewMeter() *Meter {
	return &Meter{since: time.Now(), sources: map[string]*[meterMinutes]intake{}}
}

// Events counts n events of a source by verdict, or by the word for why there was none.
func (m *Meter) Events(source, word string, n int) {
	now := minuteOf(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.intake(source, now).events[word] += int64(n)
}

// Scanned takes note of how old an event of a source was when it came, by the source's clock.
func (m *Meter) Scanned(source string, age time.Duration) {
	now := minuteOf(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.intake(source, now).ages.add(age)
}

// Ended counts a push that ended.
func (m *Meter) Ended(status store.Status) {
	now := minuteOf(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outgo(now).ended[status]++
}

// Backlog takes note of how many pushes are pending.
func (m *Meter) Backlog(pending int64) {
	now := minuteOf(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outgo(now).pending = pending
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// intake is a source's slot of a minute, with the lock held.
func (m *Meter) intake(source string, minute int64) *intake {
	ring := m.sources[source]
	if ring == nil && len(m.sources) >= maxMetered {
		source = beyond
		ring = m.sources[source]
	}
	if ring == nil {
		ring = new([meterMinutes]intake)
		m.sources[source] = ring
	}
	slot := &ring[minute%meterMinutes]
	if slot.minute != minute {
		*slot = intake{minute: minute, events: Words{}}
	}
	return slot
}

// outgo is the slot of a minute, with the lock held.
func (m *Meter) outgo(minute int64) *outgo {
	slot := &m.out[minute%meterMinutes]
	if slot.minute != minute {
		*slot = outgo{minute: minute}
	}
	return slot
}

// Minute is one minute of the service.
type Minute struct {
	Events  Words
	Ended   [store.NumStatuses]int64
	Pending int64
}

// hour is the last 60 minutes, this one last.
func (m *Meter) hour() []Minute {
	first := minuteOf(time.Now()) - meterMinutes + 1
	out := make([]Minute, meterMinutes)
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range out {
		minute := first + int64(i)
		out[i].Events = Words{}
		for _, ring := range m.sources {
			if slot := &ring[minute%meterMinutes]; slot.minute == minute {
				out[i].Events.add(slot.events)
			}
		}
		if slot := &m.out[minute%meterMinutes]; slot.minute == minute {
			out[i].Ended, out[i].Pending = slot.ended, slot.pending
		}
	}
	return out
}

// SourceHour is what came from a source in the last 60 minutes.
type SourceHour struct {
	Name   string // Empty: it did not say, or not rightly, who it was.
	Events Words
	Latest Words // In this minute and the five before it.
	Ages   ages
}

// bySource is the last 60 minutes of each source, by name.
func (m *Meter) bySource() []SourceHour {
	now := minuteOf(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []SourceHour
	for _, name := range slices.Sorted(maps.Keys(m.sources)) {
		s := SourceHour{Name: name, Events: Words{}, Latest: Words{}}
		for i := range m.sources[name] {
			slot := &m.sources[name][i]
			if slot.minute <= now-meterMinutes {
				continue
			}
			s.Events.add(slot.events)
			s.Ages.join(&slot.ages)
			if slot.minute >= now-latestMinutes {
				s.Latest.add(slot.events)
			}
		}
		all = append(all, s)
	}
	return all
}

// latestMinutes is what a rate is the mean of, beside what has passed of this minute.
const latestMinutes = 5

// perMinute makes a rate of what was counted in the latest minutes.
func (m *Meter) perMinute(n int64) float64 {
	now := time.Now()
	counted := latestMinutes*time.Minute + now.Sub(now.Truncate(time.Minute))
	return float64(n) / max(min(counted, now.Sub(m.since)), time.Second).Minutes()
}

// young tells whether it has counted for less than it could tell of.
func (m *Meter) young() bool { return time.Since(m.since) < meterMinutes*time.Minute }

func (w Words) add(more Words) {
	for word, n := range more {
		w[word] += n
	}
}

// Total is how many there are.
func (w Words) Total() (n int64) {
	for _, one := range w {
		n += one
	}
	return n
}

// Refused is how many were not kept, or kept as rejected.
func (w Words) Refused() int64 {
	return w[state.Rejected.String()] + w[state.Invalid.String()] + w[state.Conflict.String()] +
		w[unauthorized] + w[limited] + w[unavailable]
}
