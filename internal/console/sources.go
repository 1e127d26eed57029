package console

import "time"

// sourcesView is what came from each source.
type sourcesView struct {
	Since   time.Time
	Sources []sourceRow
}

// sourceRow is one source's last hour.
type sourceRow struct {
	SourceHour
	PerMinute float64 // The mean of the last five minutes.
	Counts    []int64 // One for each of words.
	Share     int64   // Of what was refused, in percent.
	Ahead     float64 // Seconds that its clock is ahead at least; 0: not so that it shows.
	Half      float64 // Seconds within which half of its events came.
	HalfMore  bool    // It is more than that.
}

// Words are the heads of the columns.
func (sourcesView) Words() []string { return words }

// Sources shows what comes from each source: how much, what is refused, and whether its clock is right.
func (c *Console) Sources(v *Visit) error { return c.showLive(v, "sources", c.sourcesView) }

func (c *Console) sourcesView(*Visit) (any, error) {
	view := sourcesView{Since: c.meter.since}
	for _, s := range c.meter.bySource() {
		view.Sources = append(view.Sources, newSourceRow(s))
	}
	return view, nil
}

func newSourceRow(s SourceHour) sourceRow {
	row := sourceRow{SourceHour: s, PerMinute: float64(s.Latest.Total()) / latestMinutes}
	for _, word := range words {
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

// Hot tells whether a share is refused that is worth a look.
func (r sourceRow) Hot() bool { return r.Share >= 100*refusedShare }
