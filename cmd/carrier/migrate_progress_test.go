package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"carrier/internal/store/migrate"
)

// brokenTerminal can't be written to.
type brokenTerminal struct{}

func (brokenTerminal) Write([]byte) (int, error) { return 0, errors.New("hung up") }

func TestMigrateProgress(t *testing.T) {
	var shown strings.Builder
	p := &migrateProgress{w: &shown}
	if _, err := p.received("fetching").Write(make([]byte, 5<<20)); err != nil {
		t.Error(err)
	}
	if s := shown.String(); !strings.Contains(s, "fetching") || !strings.Contains(s, "5.2 MB") {
		t.Errorf("after 5 MiB it shows %q", s)
	}
	p.at = time.Time{} // As if the last drawing were long ago.
	p.show("copying")(migrate.Report{Events: 7, Expected: 10})
	if s := shown.String(); !strings.Contains(s, "copying") || !strings.Contains(s, "7/10") {
		t.Errorf("after 7 of 10 events it shows %q", s)
	}
	p.clear()

	broken := &migrateProgress{w: brokenTerminal{}}
	if n, err := broken.received("fetching").Write(make([]byte, 10)); n != 10 || err != nil {
		t.Errorf("a terminal that broke stops the copy: %d, %v", n, err)
	}
	unwatched := &migrateProgress{}
	if unwatched.received("fetching") != io.Discard || unwatched.show("copying") != nil {
		t.Error("progress is shown where nobody watches")
	}
}
