package console

import (
	"time"

	"carrier/internal/state"
)

// sourcesView is what came from each source.
type sourcesView struct {
	Since   time.Time // When counting began, if that is less than an hour ago.
	Words   []string  // The heads of the columns of counts.
	Sources []sourceRow
}

// sourceRow is one source's last hour.
type sourceRow struct {
	SourceHour
	PerMinute float64 // Lately.
	Counts    []int64 // One for each of the view's words.
	Share     int64   // Of what was refused, in percent.
	Ahead     float64 // Seconds that its clock is ahead at least; 0: not so that it shows.
	Half      float64 // Seconds within which half of its events came.
	HalfMore  bool    // It is more than that.
}

// otherSource is what package ingest counts all sources as that are not configured.
const otherSource = "other"

// Sources shows what comes from each source: how much, what is refused, and whether its clock is right.
func (c *Console) Sources(v *Visit) error { return c.showLive(v, "sources", c.sourcesView) }

func (c *Console) sourcesView(*Visit) (any, error) {
	var view sourcesView
	if c.meter.young() {
		view.Since = c.meter.since
	}
	hours := c.meter.bySource()
	view.Words = columns(hours)
	for _, s := range hours {
		view.Sources = append(view.Sources, c.sourceRow(s, view.Words))
	}
	return view, nil
}

// columns are the words that are worth one: what is never missing in such a table, and what was counted at all.
func columns(hours []SourceHour) []string {
	counted := Words{state.Accepted.String(): 1, state.Duplicate.String(): 1, state.Rejected.String(): 1, state.Invalid.String(): 1}
	for _, s := range hours {
		counted.add(s.Events)
	}
	var shown []string
	for _, word := range words {
		if counted[word] > 0 {
			shown = append(shown, word)
		}
	}
	return shown
}

func (c *Console) sourceRow(s SourceHour, shown []string) sourceRow {
	row := sourceRow{SourceHour: s, PerMinute: c.meter.perMinute(s.Latest.Total())}
	for _, word := range shown {
		row.Counts = append(row.Counts, s.Events[word])
	}
	if total := s.Events.Total(); total > 0 {
		row.Share = 100 * s.Events.Refused() / total
	}
	if s.Ages.n > 0 && s.Ages.least < -time.Second {
		row.Ahead = -s.Ages.least.Seconds()
	}
	half, more := s.Ages.half()
	row.Half, row.HalfMore = half.Seconds(), more
	return row
}

// Known tells whether any of its events could be read, so that there are ages.
func (r sourceRow) Known() bool { return r.Ages.n > 0 }

// Other tells whether it stands for all that are not configured.
func (r sourceRow) Other() bool { return r.Name == otherSource }

// Hot tells whether a share is refused that is worth a look.
func (r sourceRow) Hot() bool { return r.Share >= 100*refusedShare }
