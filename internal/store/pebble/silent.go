package pebble

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// Silent lists waybills of which nothing was accepted for long, the one that fell silent first at the top.
func (s *Store) Silent(_ context.Context, q store.SilentQuery) (page store.Summaries, err error) {
	// How far the reading is comes first: with a page that says that it is whole, it was.
	if page.Read, page.Total, err = s.fronts.progress(); err != nil {
		return page, fmt.Errorf("the index of silent waybills could not be built; restart the service: %w", err)
	}
	from, err := store.AfterNumber(q.After)
	if err != nil {
		return page, err
	}
	limit := min(max(q.Limit, 1), store.MaxLimit)
	err = s.view(func(db cdb.Reader) error {
		below := belowByStage(db, q.Before)
		seqs := s.fronts.oldest(from, limit+1, func(l line) uint64 {
			if q.DeliveryID != "" && l.account != q.DeliveryID || !l.token && !q.NoToken {
				return 0
			}
			return below[l.stage]
		})
		if len(seqs) > limit {
			page.Next = store.NextNumber(seqs[limit])
			seqs = seqs[:limit]
		}
		for _, seq := range seqs {
			sum, err := standsAt(db, seq)
			if errors.Is(err, store.ErrDamaged) {
				s.reportDamage(err) // One that is damaged hides no others.
				continue
			}
			if err != nil {
				return err
			}
			// It may have moved since, or not yet.
			if n := sum.Newest; n != nil && n.Seq == seq && seq < below[sum.Stage] && (sum.TokenSet || q.NoToken) {
				page.Items = append(page.Items, sum)
			}
		}
		return nil
	})
	return page, err
}

// belowByStage turns moments into the numbers of the first events that came then.
func belowByStage(db cdb.Reader, before map[state.Stage]time.Time) map[state.Stage]uint64 {
	below, known := map[state.Stage]uint64{}, map[time.Time]uint64{}
	for stage, at := range before {
		if _, ok := known[at]; !ok {
			known[at] = receivedFrom(db, at.UnixMilli())
		}
		below[stage] = known[at]
	}
	return below
}

// standsAt reads the waybill of an event; without a Newest, if the event is not there.
func standsAt(db cdb.Reader, seq uint64) (store.Summary, error) {
	event, found, err := readEvent(db, seq)
	if err != nil || !found {
		return store.Summary{}, err
	}
	return summarize(db, event.event.Waybill())
}

// StageAges tells how old the oldest waybill with a Token is, by account and stage.
func (s *Store) StageAges(context.Context) (ages []store.StageAge, err error) {
	if _, total, err := s.fronts.progress(); total != 0 || err != nil {
		return nil, err
	}
	err = s.view(func(db cdb.Reader) error {
		for l, seq := range s.fronts.heads() {
			event, found, err := readEvent(db, seq)
			if errors.Is(err, store.ErrDamaged) || err == nil && !found {
				continue // It may have been pruned meanwhile; damage is reported by those who list it.
			}
			if err != nil {
				return err
			}
			ages = append(ages, store.StageAge{DeliveryID: l.account, Stage: l.stage, OldestAt: codec.FromMillis(event.receivedAt)})
		}
		return nil
	})
	slices.SortFunc(ages, func(a, b store.StageAge) int {
		if a.DeliveryID != b.DeliveryID {
			return strings.Compare(a.DeliveryID, b.DeliveryID)
		}
		return int(a.Stage) - int(b.Stage)
	})
	return ages, err
}

// heads are the oldest fronts of the lines with a Token.
func (f *fronts) heads() map[line]uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	heads := map[line]uint64{}
	for l, m := range f.lines {
		if first := m.appendRange(nil, f.rows, 0, 1<<63, 1); l.token && len(first) > 0 {
			heads[l] = first[0]
		}
	}
	return heads
}
