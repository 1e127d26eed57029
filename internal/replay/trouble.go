package replay

import (
	"context"
	"log/slog"
)

// trouble logs an error that comes back again and again when it changes, and not each time.
type trouble struct {
	log  *slog.Logger
	what string
	last string
}

// is notes an error, or that there is none, and tells whether there is one that is not the end of ctx.
func (t *trouble) is(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		t.last = ""
		return false
	}
	if text := err.Error(); text != t.last {
		t.last = text
		t.log.Error(t.what, "err", err)
	}
	return true
}
