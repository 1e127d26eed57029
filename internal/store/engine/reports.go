package engine

import (
	"log/slog"
	"sync"
)

// maxReports bounds what is remembered as logged. What comes beyond is not logged at all.
const maxReports = 1000

// Reports logs what would be logged again and again, such as a damaged row, once. It is safe for concurrent use.
type Reports struct {
	Logger *slog.Logger

	mu   sync.Mutex
	seen map[string]bool
}

// Once logs an error, unless one with the same text was.
func (r *Reports) Once(what string, err error) {
	text := err.Error()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[text] || len(r.seen) == maxReports {
		return
	}
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	r.seen[text] = true
	r.Logger.Error(what, "err", text)
}
