package sender

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Bar shows progress on a terminal.
type Bar struct {
	bar     *progressbar.ProgressBar
	notices notices
	drawnAt time.Time
	waiting bool
}

// NewBar makes a Bar for an input of size bytes; 0 or below if that is not known.
func NewBar(w io.Writer, size int64) *Bar {
	if size <= 0 {
		size = -1
	}
	return &Bar{notices: notices{w: w}, bar: progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("sending"),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		// Otherwise a goroutine turns the spinner of an input of unknown size, and nothing ends it.
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionClearOnFinish(),
	)}
}

// Show draws how far things are. It is an Options.Progress. A terminal that can't be written to is no reason to stop.
func (b *Bar) Show(p Progress) {
	// progressbar's own throttle does not hold for the description.
	const pause = 100 * time.Millisecond
	waiting := p.Waiting != nil
	if waiting == b.waiting && time.Since(b.drawnAt) < pause {
		return
	}
	b.waiting, b.drawnAt = waiting, time.Now()
	if b.notices.fresh(p) { // On a line of its own, above the bar: one that wraps could not be drawn over.
		b.Clear()
		b.notices.print()
	}
	b.bar.Describe(describe(p))
	_ = b.bar.Set64(p.Bytes)
}

// Clear takes the bar off the terminal, for the summary that follows.
func (b *Bar) Clear() { _ = b.bar.Clear() }

func describe(p Progress) string {
	switch {
	case p.Waiting != nil:
		return fmt.Sprintf("%d events, trying again in %s", p.Events, p.Wait.Round(100*time.Millisecond))
	case p.Refused > 0:
		return fmt.Sprintf("%d events, %d refused", p.Events, p.Refused)
	}
	return fmt.Sprintf("%d events", p.Events)
}

// Notices tells of failures that are waited out, where there is no terminal for a Bar. It is an Options.Progress.
func Notices(w io.Writer) func(Progress) {
	n := &notices{w: w}
	return func(p Progress) {
		if n.fresh(p) {
			n.print()
		}
	}
}

// notices are failures, one line for each that is not the same as the one before.
type notices struct {
	w    io.Writer
	last string
}

// fresh takes note of a failure, and tells whether it is a new one.
func (n *notices) fresh(p Progress) bool {
	if p.Waiting == nil || p.Waiting.Error() == n.last {
		return false
	}
	n.last = p.Waiting.Error()
	return true
}

func (n *notices) print() { fmt.Fprintf(n.w, "carrier: %s; trying again\n", printable(n.last)) }
