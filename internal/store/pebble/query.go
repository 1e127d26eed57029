package pebble

import (
	"context"
	"fmt"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// Push reads one push with its attempts.
func (s *Store) Push(_ context.Context, seq uint64) (p store.Push, err error) {
	err = s.view(func(db cdb.Reader) error {
		r, found, err := readRow(db, seq)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("event %d: %w", seq, store.ErrNotFound)
		}
		p, err = newStandings(db, s.opts.Now(), nil).push(&r)
		return err
	})
	return p, err
}

// Waybill reads a waybill's whole timeline.
func (s *Store) Waybill(_ context.Context, w state.Waybill) (story store.Waybill, err error) {
	story.Waybill = w
	err = s.view(func(db cdb.Reader) error {
		t, err := readTimeline(db, w)
		if err != nil {
			return err
		}
		token, err := newestToken(db, w)
		if err != nil {
			return err
		}
		if len(t) == 0 && token == 0 {
			return fmt.Errorf("waybill %s: %w", w, store.ErrNotFound)
		}
		kept, err := readBlock(db, w)
		if err != nil {
			return err
		}
		story.Stage, story.TokenSet, story.TokenAt = t.Stage(), token != 0, codec.FromMillis(token)
		if story.Parked, story.Frozen = kept.is(flagParked), kept.is(flagFrozen); story.Frozen {
			story.Held = kept.hold
		}
		story.Timeline, err = readSteps(db, t, s.opts.Now())
		return err
	})
	return story, err
}

func readSteps(db cdb.Reader, t state.Timeline, now time.Time) ([]store.Step, error) {
	standings := newStandings(db, now, nil)
	steps := make([]store.Step, len(t))
	for i := range t {
		r, found, err := readRow(db, t[i].Seq)
		if err == nil && !found {
			err = damaged(seqKey(nil, tableEvents, t[i].Seq), codec.ErrRecord)
		}
		if err != nil {
			return nil, err
		}
		steps[i].Event = r.storeEvent(&t[i])
		if steps[i].Push, err = standings.push(&r); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

// storeEvent is the event with its verdict as the timeline has it now.
func (r *row) storeEvent(e *state.Entry) store.Event {
	out := store.Event{
		Seq: r.seq, Event: r.event.event, ReceivedAt: codec.FromMillis(r.event.receivedAt),
		First: r.event.first, Verdict: e.Verdict, Reason: e.Reason, Late: e.Late, Gap: e.Gap,
		HeldUntil: codec.FromMillis(e.Until), Override: e.Override, Expunged: r.event.expunged(), Status: r.status(),
		From: r.event.from, Cause: r.event.cause,
	}
	if r.event.first == state.Rejected {
		out.Allowed = r.event.allowed
	}
	return out
}

func (r *row) status() store.Status {
	if !r.hasPush {
		return store.NoPush
	}
	return r.push.Status
}

// Pushes lists pushes, newest first.
func (s *Store) Pushes(ctx context.Context, q store.Query) (store.Page[store.Push], error) {
	return list(ctx, s, q, true, func(f *search, r *row) (store.Push, bool, error) {
		if !r.hasPush || !f.reasonIs(r.push.Reason) {
			return store.Push{}, false, nil
		}
		if ok, err := f.verdictIs(r); !ok || err != nil {
			return store.Push{}, false, err
		}
		p, err := f.standings.push(r)
		return p, f.waitingIs(p.WaitingFor), err
	})
}

// Events lists events of every verdict, newest first.
func (s *Store) Events(ctx context.Context, q store.Query) (store.Page[store.Event], error) {
	return list(ctx, s, q, false, func(f *search, r *row) (store.Event, bool, error) {
		e, err := f.entry(r)
		if err != nil || f.query.Verdict != 0 && e.Verdict != f.query.Verdict {
			return store.Event{}, false, err
		}
		if !f.reasonIs(e.Reason.String()) && !(r.hasPush && f.reasonIs(r.push.Reason)) {
			return store.Event{}, false, nil
		}
		if f.query.WaitingFor != store.WaitNothing {
			p, err := f.standings.push(r)
			if err != nil || !f.waitingIs(p.WaitingFor) {
				return store.Event{}, false, err
			}
		}
		return r.storeEvent(&e), true, nil
	})
}

// list reads one page, once the index is built. pick makes an item of a row, or tells that the row does not match.
func list[T any](
	ctx context.Context, s *Store, q store.Query, pushes bool, pick func(*search, *row) (T, bool, error),
) (page store.Page[T], err error) {
	if err := s.index.wait(ctx); err != nil {
		return page, err
	}
	err = s.view(func(db cdb.Reader) error {
		f, err := newSearch(s, db, q, pushes)
		if err != nil {
			return err
		}
		err = f.walk(func(r *row) error {
			if !f.matches(r) {
				return nil
			}
			item, ok, err := pick(f, r)
			if ok && err == nil {
				page.Items = append(page.Items, item)
				f.room--
			}
			return err
		})
		page.Next = f.next
		return err
	})
	return page, err
}
