package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"carrier/internal/store/migrate"
)

// migrateProgress is a bar on a terminal, and nothing elsewhere.
type migrateProgress struct {
	s   *screen
	w   io.Writer // nil: nobody watches.
	bar *progressbar.ProgressBar
	at  time.Time // When it was drawn last.
}

func newMigrateProgress(s *screen, w *world, quiet bool) *migrateProgress {
	p := &migrateProgress{s: s}
	if f, ok := w.stderr.(*os.File); ok && isTerminal(f) && !quiet {
		p.w = f
	}
	return p
}

// show begins a part of the work, and shows how far it is; nil where nobody watches.
func (p *migrateProgress) show(what string) func(migrate.Report) {
	if p.w == nil {
		return nil
	}
	p.clear()
	p.bar = progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0), // Otherwise a goroutine turns it.
	)
	return p.draw
}

func (p *migrateProgress) draw(r migrate.Report) {
	const pause = 100 * time.Millisecond
	if time.Since(p.at) < pause {
		return
	}
	p.at = time.Now()
	if most := int64(max(r.Expected, r.Events)); r.Expected > 0 && p.bar.GetMax64() != most {
		p.bar.ChangeMax64(most)
	}
	_ = p.bar.Set64(int64(r.Events)) // A terminal that can't be written to is no reason to stop.
}

// clear takes the bar off the terminal.
func (p *migrateProgress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
