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
	got int64     // Bytes that were received.
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
	p.begin(what, progressbar.OptionSetPredictTime(true))
	return p.draw
}

// received begins a part of the work in which something comes of which nobody knows the size, and shows how much of it was
// written to what it returns.
func (p *migrateProgress) received(what string) io.Writer {
	if p.w == nil {
		return io.Discard
	}
	p.begin(what, progressbar.OptionShowBytes(true))
	return p
}

func (p *migrateProgress) begin(what string, options ...progressbar.Option) {
	p.clear()
	p.bar = progressbar.NewOptions64(-1, append(options,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0), // Otherwise a goroutine turns it.
	)...)
}

// due tells whether the bar may be drawn again: not so often that it costs time.
func (p *migrateProgress) due() bool {
	const pause = 100 * time.Millisecond
	if time.Since(p.at) < pause {
		return false
	}
	p.at = time.Now()
	return true
}

// Write counts what is received.
func (p *migrateProgress) Write(b []byte) (int, error) {
	p.got += int64(len(b))
	if p.due() {
		_ = p.bar.Set64(p.got) // A terminal that can't be written to is no reason to stop.
	}
	return len(b), nil
}

func (p *migrateProgress) draw(r migrate.Report) {
	if !p.due() {
		return
	}
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
