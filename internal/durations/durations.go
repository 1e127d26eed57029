// Package durations waits for spans of time, and writes them as people do.
package durations

import (
	"context"
	"strings"
	"time"
)

// Wait waits for d, and not at all if that is 0 or less. If ctx ends first, or has ended, it returns why (context.Cause).
func Wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Text is d without the zeros that its String ends in: 10m, not 10m0s.
func Text(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
