package console

import (
	"context"
	"sync"
	"time"

	"carrier/internal/admin"
	"carrier/internal/store"
)

// Figures is what the overview needs of package admin, beside the accounts.
type Figures interface {
	Stats(ctx context.Context) (admin.StatsItem, error)
	Waits(ctx context.Context, limit int) ([]admin.WaitCount, error)
	Differences(ctx context.Context) (admin.List[admin.DifferenceItem], error)
	DeadLetters(ctx context.Context, by admin.Actor, q admin.PageQuery) (admin.List[admin.DeadLetterItem], error)
}

// overviewView is the service at a glance.
type overviewView struct {
	Unseen   string // What customers do not see, in a sentence; empty: they see all that they should.
	Troubles []trouble
	Stats    admin.StatsItem
	Minute   minuteRates
	Oldest   float64 // Seconds that the oldest pending push has waited.
	Charts   []chart
	Since    time.Time // When counting began, if that is less than an hour ago.
	Accounts []admin.AccountItem
	Waits    []admin.WaitCount
}

// minuteRates are what came in and went out a minute, lately.
type minuteRates struct{ In, Out float64 }

// Overview shows how the service is, at a glance.
func (c *Console) Overview(v *Visit) error { return c.showLive(v, "overview", c.overview) }

// showLive answers with a live page as it is now.
func (c *Console) showLive(v *Visit, name string, view liveView) error {
	now, err := view(v)
	if err != nil {
		return err
	}
	return v.Show(name, now)
}

func (c *Console) overview(v *Visit) (any, error) {
	stats, err := c.admin.Stats(v.Context())
	if err != nil {
		return nil, err
	}
	slow, err := c.slow.read(func() (slowly, error) { return c.readSlowly(v.Context()) })
	if err != nil {
		return nil, err
	}
	hour := c.meter.hour()
	view := overviewView{
		Stats: stats, Minute: c.lately(hour), Charts: charts(v, hour),
		Accounts: c.admin.AccountList().Items, Waits: slow.waits,
	}
	if c.meter.young() {
		view.Since = c.meter.since
	}
	for i := range view.Accounts {
		view.Oldest = max(view.Oldest, view.Accounts[i].OldestPendingSeconds)
	}
	view.Troubles, view.Unseen = c.troubles(v, &view, slow), unseen(v, &view, slow)
	return view, nil
}

// lately is what came in and went out a minute, lately.
func (c *Console) lately(hour []Minute) minuteRates {
	var in, out int64
	for _, minute := range hour[len(hour)-1-latestMinutes:] {
		in += minute.Events.Total()
		out += minute.Ended[store.Delivered]
	}
	return minuteRates{c.meter.perMinute(in), c.meter.perMinute(out)}
}

func charts(v *Visit, hour []Minute) []chart {
	of := func(value func(*Minute) int64) []int64 {
		values := make([]int64, len(hour))
		for i := range hour {
			values[i] = value(&hour[i])
		}
		return values
	}
	return []chart{
		newChart(v.T("overview.chart_in"),
			column{name: v.T("overview.taken"), class: "plain", values: of(func(m *Minute) int64 { return m.Events.Total() - m.Events.Refused() })},
			column{name: v.T("overview.refused"), class: "bad", values: of(func(m *Minute) int64 { return m.Events.Refused() })}),
		newChart(v.T("overview.chart_out"),
			column{name: v.T("status.delivered"), class: "good", values: of(func(m *Minute) int64 { return m.Ended[store.Delivered] })},
			column{name: v.T("status.failed"), class: "bad", values: of(func(m *Minute) int64 { return m.Ended[store.Failed] })}),
		newChart(v.T("overview.chart_backlog"),
			column{name: v.T("status.pending"), class: "plain", values: of(func(m *Minute) int64 { return m.Pending }), level: true}),
	}
}

// pending is how many pushes are pending, of all accounts.
func (c *Console) pending() (n int64) {
	for _, a := range c.admin.AccountList().Items {
		n += a.Waiting
	}
	return n
}

// slowly is what the store is asked for: not more often than every slowFor, however many look at the overview.
type slowly struct {
	waits       []admin.WaitCount
	differences int
	letter      time.Time // When the newest dead letter came; zero: there is none.
	trouble     []string  // Of the service as a whole.
}

const (
	slowFor = 10 * time.Second
	// maxWaits bounds what is counted of pushes that wait for one thing.
	maxWaits = 500
)

// slow keeps what was read of the store last.
type slow struct {
	mu   sync.Mutex
	at   time.Time
	kept slowly
}

func (s *slow) read(anew func() (slowly, error)) (slowly, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < slowFor {
		return s.kept, nil
	}
	now, err := anew()
	if err != nil {
		return slowly{}, err
	}
	s.at, s.kept = time.Now(), now
	return now, nil
}

func (c *Console) readSlowly(ctx context.Context) (slowly, error) {
	waits, err := c.admin.Waits(ctx, maxWaits)
	if err != nil {
		return slowly{}, err
	}
	differences, err := c.admin.Differences(ctx)
	if err != nil {
		return slowly{}, err
	}
	letters, err := c.admin.DeadLetters(ctx, admin.Actor{}, admin.PageQuery{Limit: 1})
	if err != nil {
		return slowly{}, err
	}
	read := slowly{waits: waits, differences: len(differences.Items), trouble: c.trouble()}
	if len(letters.Items) > 0 {
		read.letter = letters.Items[0].ReceivedAt
	}
	return read, nil
}
