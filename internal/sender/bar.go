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
	drawnAt time.Time
	waiting bool
}

// NewBar makes a Bar for an input of size bytes; 0 or below if that is not known.
func NewBar(w io.Writer, size int64) *Bar {
	if size <= 0 {
		size = -1
	}
	return &Bar{bar: progressbar.NewOptions64(size,
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
	b.bar.Describe(describe(p))
	_ = b.bar.Set64(p.Bytes)
}

// Clear takes the bar off the terminal, for the summary that follows.
func (b *Bar) Clear() { _ = b.bar.Clear() }

func describe(p Progress) string {
	if p.Waiting != nil {
		return fmt.Sprintf("%d events; again in %s: %s", p.Events, p.Wait.Round(100*time.Millisecond), printable(p.Waiting.Error()))
	}
	if p.Refused > 0 {
		return fmt.Sprintf("%d events, %d refused", p.Events, p.Refused)
	}
	return fmt.Sprintf("%d events", p.Events)
}

// Notices tells of failures that are waited out, one line for each that is not the same as before, where there is no
// terminal for a Bar. It is an Options.Progress.
func Notices(w io.Writer) func(Progress) {
	last := ""
	return func(p Progress) {
		if p.Waiting == nil || p.Waiting.Error() == last {
			return
		}
		last = p.Waiting.Error()
		fmt.Fprintf(w, "carrier: %s; trying again\n", printable(last))
	}
}
