package pebble

import (
	"cmp"
	"context"
	"slices"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/seal"
)

// Lane reads a waybill's open pushes. It shows only what is durable as accepted: nothing may be sent that a crash
// could still undo.
func (s *Store) Lane(_ context.Context, w state.Waybill) (store.Lane, error) {
	// Before the snapshot: what becomes durable after this line is fed after it too, and so not missed.
	durable := s.durable.Load()
	var lane store.Lane
	err := s.view(func(db cdb.Reader) (err error) {
		lane, err = readLane(db, s.keys, w, durable)
		if s.isSealed(err) {
			// Without its Token the lane is blocked, and holds up no others.
			return nil
		}
		return err
	})
	return lane, err
}

// readLane reads the open pushes that have an ord of at most durable, in order of ord.
func readLane(db cdb.Reader, keys seal.Keys, w state.Waybill, durable uint64) (store.Lane, error) {
	lane := store.Lane{Waybill: w}
	t, err := readTimeline(db, w)
	if err != nil {
		return lane, err
	}
	for i := range t {
		if t[i].Ord == 0 || t[i].Ord > durable {
			continue
		}
		if lane.Pushes, err = appendOpen(db, lane.Pushes, &t[i]); err != nil {
			return lane, err
		}
	}
	slices.SortFunc(lane.Pushes, func(a, b store.Push) int { return cmp.Compare(a.Ord, b.Ord) })
	kept, err := readBlock(db, w)
	if err != nil {
		return lane, err
	}
	lane.Parked, lane.Frozen = kept.is(flagParked), kept.is(flagFrozen)
	tokens, err := readTokens(db, keys, w)
	if len(tokens) > 0 {
		lane.Token, lane.TokenAt = tokens[0].Value, codec.FromMillis(tokens[0].At)
	}
	return lane, err
}

// appendOpen appends an entry's push if it is pending.
func appendOpen(db cdb.Reader, pushes []store.Push, e *state.Entry) ([]store.Push, error) {
	rec, err := readPush(db, e.Seq, e.Ord)
	if err != nil || rec.Status != store.Pending {
		return pushes, err
	}
	event, found, err := readEvent(db, e.Seq)
	if err != nil {
		return pushes, err
	}
	if !found {
		return pushes, damaged(seqKey(nil, tableEvents, e.Seq), codec.ErrRecord)
	}
	p := event.push(e.Seq, e.Ord)
	rec.fill(&p)
	return append(pushes, p), nil
}
