package replay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"carrier/internal/durations"
	"carrier/internal/state"
	"carrier/internal/store"
)

var errSlowStep = fmt.Errorf("the store did not carry out a step of a replay within %s", stepTimeout)

// pageRows is how many rows a leg reads at a time.
const pageRows = 200

// leg walks one account's pushes of a replay.
type leg struct {
	job     *job
	account string // Its delivery_id.

	// What Waiting reads.
	pacing  atomic.Bool // It waits for the rate.
	failing atomic.Bool // The store can't do what it asks for.
	done    atomic.Bool

	// Only the leg's own goroutine uses the rest.

	at      store.Leg // Where it stands: rows up to Cursor are dealt with.
	known   bool      // at is as the store has it, or ahead of that; else it is read again.
	skipped int       // Rows looked at and left alone since the last step.
	page    []store.Push
	next    uint64 // Where the page after it begins.
	end     bool   // There is none after it.
	// dealt are the waybills dealt with on this page, each with those of its pushes that are left as they are.
	dealt map[state.Waybill]map[uint64]bool

	notBefore time.Time // The rate allows no step before that.
	trouble   trouble
}

func newLeg(j *job, deliveryID string) *leg {
	return &leg{
		job: j, account: deliveryID,
		trouble: trouble{
			log:  j.runner.log.With("replay", j.id, "delivery_id", deliveryID),
			what: "the store can't carry out a step of a replay; trying again",
		},
	}
}

// run goes on until the leg is done, ctx ends, or the replay is not running any more.
func (l *leg) run(ctx context.Context) {
	for ctx.Err() == nil && !l.done.Load() {
		err := l.goOn(ctx)
		if errors.Is(err, errNotRunning) {
			return
		}
		failed := l.trouble.is(ctx, err)
		l.failing.Store(failed)
		if failed {
			_ = durations.Wait(ctx, retryAfter)
		}
	}
}

// errNotRunning says that the replay was paused, cancelled or ended meanwhile.
var errNotRunning = errors.New("the replay is not running")

// goOn does the next thing: reads where the leg stands, reads a page, takes a step, or ends.
func (l *leg) goOn(ctx context.Context) error {
	switch {
	case !l.known:
		return l.restore(ctx)
	case len(l.page) > 0:
		return l.send(ctx)
	case l.end || !l.job.rule.configured(l.account) || l.job.rule.sends() == store.NoPush:
		return l.finish(ctx)
	}
	return l.read(ctx)
}

// restore reads where the leg stands.
func (l *leg) restore(ctx context.Context) error {
	kept, err := l.job.runner.store.ReadReplay(ctx, l.job.id)
	if err != nil {
		return err
	}
	if kept.Status != store.ReplayRunning {
		return errNotRunning
	}
	for _, at := range kept.Legs {
		if at.DeliveryID == l.account {
			l.at = at
		}
	}
	l.done.Store(l.at.Done)
	l.known, l.skipped, l.page, l.next, l.end = true, 0, nil, l.at.Cursor, false
	return nil
}

// read reads the next page of what can be sent; what the filter finds beside that is left alone anyway.
func (l *leg) read(ctx context.Context) error {
	q := l.job.rule.filter
	q.Status, q.DeliveryID = l.job.rule.sends(), l.account
	q.Ascending, q.After, q.Before, q.Limit = true, l.next, l.job.rule.upTo+1, pageRows
	page, err := l.job.runner.store.Pushes(ctx, q)
	if err != nil {
		return err
	}
	l.page, l.next, l.end = page.Items, page.Next, page.Next == 0
	l.dealt = map[state.Waybill]map[uint64]bool{}
	return nil
}

// send takes a step as soon as the rate and the account allow it. All waiting is done before anything is looked at, so
// that a step is made of what is true now.
func (l *leg) send(ctx context.Context) error {
	if err := l.keepPace(ctx); err != nil {
		return err
	}
	done, err := l.job.runner.turn(ctx, l.account)
	if err != nil {
		return err
	}
	defer done()
	step, err := l.collect(ctx)
	if err != nil || len(step.Seqs) == 0 {
		return err // A cursor that moved over rows that stay as they are is kept with the next step.
	}
	if err := l.job.requeue(ctx, step); err != nil {
		return l.refused(ctx, err)
	}
	l.skipped = 0
	l.notBefore = l.job.pace.spend(len(step.Seqs), time.Now())
	return nil
}

// keepPace waits until the rate allows a step.
func (l *leg) keepPace(ctx context.Context) error {
	wait := time.Until(l.notBefore)
	if wait <= 0 {
		return nil
	}
	l.pacing.Store(true)
	defer l.pacing.Store(false)
	return durations.Wait(ctx, wait)
}

// refused is the error of a step. A replay that is not running any more takes none; otherwise it is not known whether
// the step was carried out, and the leg reads where it stands.
func (l *leg) refused(ctx context.Context, err error) error {
	l.known = false
	if !errors.Is(err, store.ErrState) {
		return err
	}
	if kept, rerr := l.job.runner.store.ReadReplay(ctx, l.job.id); rerr == nil && kept.Status != store.ReplayRunning {
		return errNotRunning
	}
	return err
}

// finish ends the leg.
func (l *leg) finish(ctx context.Context) error {
	l.at.Cursor = max(l.at.Cursor, l.job.rule.upTo)
	if err := l.job.finish(ctx, l.at, l.skipped); err != nil {
		return l.refused(ctx, err)
	}
	l.done.Store(true)
	return nil
}

// collect makes the next step of rows of the page, and takes them off it. Where a waybill can't be read, the step is
// what comes before it; it is an error if that is nothing.
func (l *leg) collect(ctx context.Context) (store.Requeue, error) {
	var step store.Requeue
	for waybills := 0; len(l.page) > 0; l.page = l.page[1:] {
		row := &l.page[0]
		dealt, ok := l.dealt[row.Event.Waybill()]
		if !ok {
			seqs, left, err := l.of(ctx, row)
			if err != nil && waybills == 0 {
				return step, err
			}
			if err != nil || waybills > 0 && (waybills == maxWaybills || len(step.Seqs)+len(seqs) > l.job.pace.pushes) {
				break // It begins the next step.
			}
			if len(seqs) > 0 {
				waybills++
			}
			step.Seqs = append(step.Seqs, seqs...)
			dealt, l.dealt[row.Event.Waybill()] = left, left
		}
		if dealt[row.Seq] {
			l.skipped++
		}
		l.at.Cursor = row.Seq
	}
	step.Leg, step.Skipped = l.at, l.skipped
	return step, nil
}

// of lists the pushes of a row's waybill that are to be made pending, in order of acceptance, and those that are left as
// they are though they could be sent. What changed since the replay was made is neither: it may be one that the replay
// sent, so what is to be counted of that is known at the end only.
func (l *leg) of(ctx context.Context, row *store.Push) (seqs []uint64, left map[uint64]bool, err error) {
	story, err := l.job.runner.store.Waybill(ctx, row.Event.Waybill())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, nil // Its retention ended since the page was read.
	}
	if errors.Is(err, store.ErrDamaged) {
		// It must not keep the others from being sent. Nothing is known of its other pushes, so only this one counts;
		// what is left is counted as skipped at the replay's end.
		l.job.runner.log.Error("a replay leaves out a waybill that can't be read", "replay", l.job.id,
			"delivery_id", l.account, "waybill_id", row.Event.WaybillID, "err", err)
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	left = map[uint64]bool{}
	for _, item := range judge(&story, &l.job.rule) {
		switch {
		case l.job.rule.sent(item.Verdict):
			seqs = append(seqs, item.Push.Seq)
		case item.Push.Status == l.job.rule.sends():
			left[item.Push.Seq] = true
		}
	}
	return seqs, left, nil
}
