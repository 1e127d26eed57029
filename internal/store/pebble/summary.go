package pebble

import (
	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// summarize reads a waybill without its timeline.
func summarize(db cdb.Reader, w state.Waybill) (store.Summary, error) {
	sum := store.Summary{Waybill: w}
	t, err := readTimeline(db, w)
	if err != nil {
		return sum, err
	}
	token, err := newestToken(db, w)
	if err != nil {
		return sum, err
	}
	kept, err := readBlock(db, w)
	if err != nil {
		return sum, err
	}
	sum.Stage, sum.TokenSet = t.Stage(), token != 0
	sum.Parked, sum.Frozen = kept.is(flagParked), kept.is(flagFrozen)
	if err := countPushes(db, t, &sum); err != nil {
		return sum, err
	}
	return sum, readNewest(db, t, &sum)
}

// countPushes counts the pushes of a timeline that are pending or failed.
func countPushes(db cdb.Reader, t state.Timeline, sum *store.Summary) error {
	for i := range t {
		if t[i].Ord == 0 {
			continue
		}
		rec, err := readPush(db, t[i].Seq, t[i].Ord)
		switch {
		case err != nil:
			return err
		case rec.Status == store.Pending:
			sum.Open++
		case rec.Status == store.Failed:
			sum.Failed++
		}
	}
	return nil
}

// readNewest reads the event that came last, and the one that was accepted last as it came.
func readNewest(db cdb.Reader, t state.Timeline, sum *store.Summary) error {
	var heard, accepted *state.Entry
	for i := range t {
		e := &t[i]
		if heard == nil || e.Seq > heard.Seq {
			heard = e
		}
		if e.Verdict == state.Accepted && (accepted == nil || e.Seq > accepted.Seq) {
			accepted = e
		}
	}
	for _, e := range []*state.Entry{accepted, heard} {
		if e == nil {
			continue
		}
		r, found, err := readRow(db, e.Seq)
		if err == nil && !found {
			err = damaged(seqKey(nil, tableEvents, e.Seq), codec.ErrRecord)
		}
		if err != nil {
			return err
		}
		sum.HeardAt = codec.FromMillis(r.event.receivedAt)
		if e == accepted {
			sum.Newest = new(r.storeEvent(e))
			if e == heard {
				break
			}
		}
	}
	return nil
}
