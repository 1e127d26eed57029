package replay

import "context"

// lock is a mutex that is held across calls of the store: whoever waits for it gives up when ctx ends.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

// take waits for the lock, in the order in which callers came.
func (l lock) take(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l lock) release() { <-l }
