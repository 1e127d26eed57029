package admin

import (
	"cmp"
	"context"
	"errors"
	"time"

	"carrier/internal/problem"
	"carrier/internal/store"
)

// No store has an index of what a look is for, so it reads events, newest first, for as long as Service.LookFor says;
// then it says how far it came, and with which cursor to look on. Whoever looks on has chosen to wait, and waits for
// lookOn times as long.
const (
	lookFor = 100 * time.Millisecond
	lookOn  = 20
)

// Looked says how far a look through events went.
type Looked struct {
	Events int       // That were looked at.
	Newest time.Time // When the first of them was received, and
	Oldest time.Time // the last; zero if there was none.
	All    bool      // No older ones are left.
}

// seen notes an event.
func (l *Looked) seen(e *store.Event) {
	if l.Events++; l.Events == 1 {
		l.Newest = e.ReceivedAt.UTC()
	}
	l.Oldest = e.ReceivedAt.UTC()
}

// look calls use with the events that a query finds, newest first, until use has enough, time is up, or none is left.
// next is the Before with which to look on; 0 if none is left. What one page of the store costs is bounded, so that time
// can be exceeded by that of a page.
func (s *Service) look(ctx context.Context, q store.Query, use func(*store.Event) (enough bool, err error)) (how Looked, next uint64, err error) {
	long := cmp.Or(s.LookFor, lookFor)
	if q.Before != 0 {
		long *= lookOn
	}
	until := time.Now().Add(long)
	for {
		page, err := s.Store.Events(ctx, q)
		if err != nil {
			return how, 0, storeProblem(err)
		}
		for i := range page.Items {
			e := &page.Items[i]
			how.seen(e)
			enough, err := use(e)
			if err != nil {
				return how, 0, err
			}
			if enough || time.Now().After(until) {
				return how, e.Seq, nil
			}
		}
		if page.Next == 0 {
			how.All = true
			return how, 0, nil
		}
		if time.Now().After(until) {
			return how, page.Next, nil
		}
		q.Before = page.Next
	}
}

// absent tells whether a problem says that there is no such thing.
func absent(err error) bool {
	p, ok := errors.AsType[*problem.Problem](err)
	return errors.Is(err, store.ErrNotFound) || ok && p.Code == problem.NotFound
}
