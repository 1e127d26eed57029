package replay

import (
	"context"
	"errors"
	"sync"
	"time"

	"carrier/internal/store"
)

// job carries out a replay from where it stands, until it is through, paused, cancelled or stopped.
type job struct {
	runner *Runner
	id     uint64
	rule   rule
	pace   pace
	legs   []*leg
	stop   context.CancelFunc

	// finishing is held while a leg ends, so that the last one knows that it is.
	finishing lock
}

func newJob(r *Runner, kept *store.Replay, stop context.CancelFunc) *job {
	j := &job{
		runner: r, id: kept.ID, pace: newPace(kept.Rate), stop: stop, finishing: newLock(),
		rule: rule{
			filter: r.conditions(kept.Filter), upTo: kept.UpTo, skipSuperseded: kept.SkipSuperseded,
			configured: r.configured, held: r.pusher.Held, id: kept.ID, createdAt: kept.CreatedAt,
		},
	}
	for _, at := range kept.Legs {
		if !at.Done {
			j.legs = append(j.legs, newLeg(j, at.DeliveryID))
		}
	}
	return j
}

func (j *job) run(ctx context.Context) {
	var legs sync.WaitGroup
	for _, l := range j.legs {
		legs.Go(func() { l.run(ctx) })
	}
	legs.Wait()
}

// stepTimeout bounds a step: one that is under way when the service stops is carried out all the same.
const stepTimeout = 10 * time.Second

// requeue carries out a step, with what else is to be counted as skipped. A step under way is not cut off, so that a
// new job of the same replay never meets one of its forerunner.
func (j *job) requeue(ctx context.Context, step store.Requeue) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), stepTimeout, errSlowStep)
	defer cancel()
	left := j.runner.takeLeft(j.id)
	step.Replay, step.Skipped = j.id, step.Skipped+left
	_, err := j.runner.store.Requeue(ctx, step)
	if errors.Is(err, store.ErrUnavailable) {
		j.runner.leave(j.id, left) // Not counted, for certain.
	}
	return err
}

// finish ends a leg. The last leg to end counts as skipped what the replay matched and nobody has accounted for: rows
// that stopped matching before the leg came by (delivered after a new Token, expired), or were counted by a process
// that is gone.
func (j *job) finish(ctx context.Context, at store.Leg, skipped int) error {
	if err := j.finishing.take(ctx); err != nil {
		return err
	}
	defer j.finishing.release()
	kept, err := j.runner.store.ReadReplay(ctx, j.id)
	if err != nil {
		return err
	}
	at.Done = true
	last := true
	for i := range kept.Legs {
		last = last && (kept.Legs[i].Done || kept.Legs[i].DeliveryID == at.DeliveryID)
	}
	if last {
		j.runner.takeLeft(j.id)
		skipped = int(max(0, kept.Matched-kept.Requeued-kept.Skipped))
	}
	return j.requeue(ctx, store.Requeue{Skipped: skipped, Leg: at})
}
