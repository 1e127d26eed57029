package bus

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// calmFor is how long a line that was logged is not logged again.
const calmFor = time.Minute

// calm logs what may happen many times a second: each message at most once in calmFor, with the number of times that it
// was kept back.
type calm struct {
	log *slog.Logger

	mu    sync.Mutex
	lines map[string]*line // By message; these are few, all of them in this package's text.
}

type line struct {
	at   time.Time
	kept int
}

func newCalm(log *slog.Logger) *calm { return &calm{log: log, lines: map[string]*line{}} }

func (c *calm) info(msg string, attrs ...any) { c.write(slog.LevelInfo, msg, attrs) }
func (c *calm) warn(msg string, attrs ...any) { c.write(slog.LevelWarn, msg, attrs) }

func (c *calm) write(level slog.Level, msg string, attrs []any) {
	kept, now := c.turn(msg)
	if !now {
		return
	}
	if kept > 0 {
		attrs = append(attrs, "times_not_logged", kept)
	}
	c.log.Log(context.Background(), level, msg, attrs...)
}

// turn tells whether it is a message's turn, and how often it was not since it last was.
func (c *calm) turn(msg string) (kept int, now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lines[msg]
	if l == nil {
		l = &line{}
		c.lines[msg] = l
	}
	if !l.at.IsZero() && time.Since(l.at) < calmFor {
		l.kept++
		return 0, false
	}
	kept, l.kept, l.at = l.kept, 0, time.Now()
	return kept, true
}
