package postgres

import (
	"context"
	"errors"
	"slices"

	"carrier/internal/store"
)

// errDutyEnded is why what is done under a duty ends.
var errDutyEnded = errors.New("the duty is another node's now")

// duty is something that this node would do, or does. The leases' mutex guards it.
type duty struct {
	wanted  bool
	granted chan context.Context // Holds the context of the duty once it is this node's.
	cut     context.CancelCauseFunc
	working bool // It was granted and is being done: it is released when that has ended.
}

// drop ends what is done under it.
func (d *duty) drop() {
	if d.cut != nil {
		d.cut(errDutyEnded)
		d.cut = nil
	}
}

// While does something whenever it is this node's duty (store.Ownership).
func (l *leases) While(ctx context.Context, name store.Duty, f func(context.Context) error) error {
	l.mu.Lock()
	d := l.duties[name]
	if d == nil {
		d = &duty{granted: make(chan context.Context, 1)}
		l.duties[name] = d
	}
	d.wanted = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		d.wanted = false
		select {
		case <-d.granted: // It came too late to be begun.
			d.drop()
			d.working = false
		default:
		}
		l.mu.Unlock()
		l.poke()
	}()
	for {
		l.poke()
		select {
		case <-ctx.Done():
			return nil
		case mine := <-d.granted:
			if err := l.do(ctx, mine, name, d, f); err != nil {
				return err
			}
		}
	}
}

// do runs f until it ends, or ctx does, or the duty. The duty is not given back before f has returned.
func (l *leases) do(ctx, mine context.Context, name store.Duty, d *duty, f func(context.Context) error) error {
	l.o.Log.Info("a duty is this node's now", "duty", name)
	both, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(mine, func() { cancel(context.Cause(mine)) })
	err := f(both)
	stop()
	cancel(nil)
	ended := mine.Err() != nil || ctx.Err() != nil
	l.mu.Lock()
	d.drop()
	d.working = false
	l.mu.Unlock()
	if ended {
		return nil
	}
	return err
}

// planDuties says which duties to give back and which to take. l.mu is held.
func (l *leases) planDuties(v *view, me int32) (release, take []string) {
	for name, d := range l.duties {
		owner := v.duties[string(name)]
		switch {
		case owner == me && !d.working && (!d.wanted || l.leaving):
			release = append(release, string(name))
		case owner == 0 && d.wanted && !d.working && !l.leaving:
			take = append(take, string(name))
		}
	}
	slices.Sort(release)
	slices.Sort(take) // In one order on every node, so that none waits for another in a circle.
	return release, take
}

// adoptDuties takes over what the database says of duties. l.mu is held.
func (l *leases) adoptDuties(v *view) {
	for name, d := range l.duties {
		owner := v.duties[string(name)]
		switch {
		case owner != l.number:
			d.drop()
		case d.wanted && !d.working && !l.leaving:
			mine, cut := context.WithCancelCause(context.Background())
			d.cut, d.working = cut, true
			d.granted <- mine
		}
	}
}
