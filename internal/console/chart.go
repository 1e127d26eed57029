package console

import (
	"fmt"
	"slices"
	"strings"
)

// chart is a bar for each of the last 60 minutes, drawn by the server as SVG. Its bars are one path for each series:
// that is small enough to be sent again every other second.
type chart struct {
	Name   string
	Peak   int64 // What the full height stands for.
	Level  bool  // Its bars are levels and no counts.
	Series []series
}

// series is one colour of a chart's bars, stacked on those before it.
type series struct {
	Name  string
	Class string // Its colour: good, bad or plain.
	Total int64  // Of the hour; of what is a level and no count, the latest.
	Path  string // In a box of chartWidth by chartHeight.
}

const (
	barWidth    = 8
	barGap      = 2
	chartHeight = 64
	chartWidth  = meterMinutes * (barWidth + barGap)
)

// column is what a chart has a bar's part of.
type column struct {
	name, class string
	values      []int64
	level       bool // Not a count: it has no sum.
}

// newChart draws columns, the first at the bottom.
func newChart(name string, columns ...column) chart {
	c := chart{Name: name, Peak: 1, Level: columns[0].level}
	sums := make([]int64, meterMinutes)
	for _, col := range columns {
		for i, v := range col.values {
			sums[i] += v
		}
	}
	c.Peak = max(c.Peak, slices.Max(sums))
	below := make([]int64, meterMinutes)
	for _, col := range columns {
		c.Series = append(c.Series, series{Name: col.name, Class: col.class, Total: col.total(), Path: c.bars(col.values, below)})
		for i, v := range col.values {
			below[i] += v
		}
	}
	return c
}

func (c column) total() (n int64) {
	if c.level {
		return c.values[len(c.values)-1]
	}
	for _, v := range c.values {
		n += v
	}
	return n
}

// bars is a path with a rectangle for each value above what stands below it.
func (c *chart) bars(values, below []int64) string {
	var b strings.Builder
	for i, v := range values {
		if v == 0 {
			continue
		}
		top := chartHeight - c.height(below[i]+v)
		bottom := chartHeight - c.height(below[i])
		if bottom-top < 1 {
			top = bottom - 1 // Even one event among many shows.
		}
		fmt.Fprintf(&b, "M%d %.1fh%dV%.1fh-%dz", i*(barWidth+barGap), top, barWidth, bottom, barWidth)
	}
	return b.String()
}

func (c *chart) height(v int64) float64 { return float64(v) / float64(c.Peak) * chartHeight }

// Box is the view box.
func (chart) Box() string { return fmt.Sprintf("0 0 %d %d", chartWidth-barGap, chartHeight) }
