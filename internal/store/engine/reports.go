package engine

import (
	"log/slog"
	"sync"
)

// maxReports bounds what is remembered as logged, of each kind. What comes beyond is not logged at all.
const maxReports = 1000

// Reports logs what would be logged again and again, such as a damaged row, once. It is safe for concurrent use.
type Reports struct {
	Logger *slog.Logger

	mu   sync.Mutex
	seen map[string]map[string]bool // By kind: the errors that were logged.
}

// Once logs an error, unless one of the same kind and with the same text was. The last one of a kind says so.
func (r *Reports) Once(kind string, err error) {
	text := err.Error()
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen[kind]
	if seen[text] || len(seen) == maxReports {
		return
	}
	if seen == nil {
		seen = map[string]bool{}
		if r.seen == nil {
			r.seen = map[string]map[string]bool{}
		}
		r.seen[kind] = seen
	}
	seen[text] = true
	log := r.Logger
	if len(seen) == maxReports {
		log = log.With("next", "no more of these are logged until a restart; carrier store check counts what is damaged")
	}
	log.Error(kind, "err", text)
}
