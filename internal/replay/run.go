package replay

import (
	"context"
	"sync"
	"time"

	"carrier/internal/durations"
	"carrier/internal/store"
)

// retryAfter is how long anything waits that the store failed.
const retryAfter = time.Second

// lookEvery is how soon Run notices what other nodes did to replays.
const lookEvery = 2 * time.Second

// Run carries out running replays until ctx ends, and returns when its goroutines have. It may be called again after
// that. Its error is always nil: what the store can't do is tried again.
func (r *Runner) Run(ctx context.Context) error {
	var jobs sync.WaitGroup
	defer jobs.Wait()
	trouble := trouble{log: r.log, what: "reading which replays are under way; trying again"}
	for ctx.Err() == nil {
		err := r.refresh(ctx, &jobs)
		if trouble.is(ctx, err) {
			_ = durations.Wait(ctx, retryAfter)
			continue
		}
		var look <-chan time.Time
		if r.look > 0 {
			look = time.After(r.look)
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-look:
		}
	}
	return nil
}

// refresh starts a job for every running replay that has none, and stops those of replays that are not running any
// more. A replay that is resumed while its job is still ending gets a new one when that has ended, as an end wakes Run.
func (r *Runner) refresh(ctx context.Context, jobs *sync.WaitGroup) error {
	if err := r.listing.take(ctx); err != nil {
		return err
	}
	defer r.listing.release()
	running, err := r.running(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, j := range r.jobs {
		if running[id] == nil {
			j.stop()
		}
	}
	for id, kept := range running {
		if r.jobs[id] != nil {
			continue
		}
		jctx, stop := context.WithCancel(ctx)
		j := newJob(r, kept, stop)
		r.jobs[id] = j
		jobs.Go(func() {
			defer r.ended(j)
			j.run(jctx)
		})
	}
	return nil
}

// ended forgets a job, and has Run look again: its replay may have been resumed meanwhile.
func (r *Runner) ended(j *job) {
	j.stop()
	r.mu.Lock()
	delete(r.jobs, j.id)
	r.mu.Unlock()
	r.Wake()
}

// running lists the bulk replays that have pushes to be made pending yet.
func (r *Runner) running(ctx context.Context) (map[uint64]*store.Replay, error) {
	found := map[uint64]*store.Replay{}
	oldest, before := uint64(0), uint64(0)
	for {
		page, err := r.store.ListReplays(ctx, before, store.MaxLimit)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			kept := &page.Items[i]
			if kept.ID < r.oldest {
				page.Next = 0
				break
			}
			if oldest == 0 {
				oldest = kept.ID + 1 // If none is left, then only what is yet to come.
			}
			if kept.Single != 0 || kept.Status.Ended() || kept.Exhausted() {
				continue
			}
			oldest = kept.ID
			if kept.Status == store.ReplayRunning {
				found[kept.ID] = kept
			}
		}
		if page.Next == 0 {
			r.oldest = max(r.oldest, oldest)
			return found, nil
		}
		before = page.Next
	}
}
