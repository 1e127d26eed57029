package pebble

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// verifiedOp keeps something that came of looking at what upstream shows.
type verifiedOp struct {
	engine.Waiter
	keep func(x *tx) error
}

func (o *verifiedOp) rows() int { return 1 }
func (o *verifiedOp) run(x *tx) { o.Err = o.keep(x) }

func (s *Store) keepVerified(ctx context.Context, what string, w state.Waybill, keep func(x *tx) error) error {
	op := &verifiedOp{keep: keep}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return fmt.Errorf("%s of waybill %s: %w", what, w, err)
	}
	return nil
}

// MarkVerified notes that upstream shows pushes of a waybill.
func (s *Store) MarkVerified(ctx context.Context, w state.Waybill, seqs []uint64, at time.Time) error {
	if len(seqs) == 0 {
		return nil
	}
	return s.keepVerified(ctx, "verifying pushes", w, func(x *tx) error { return x.markVerified(w, seqs, at) })
}

// markVerified reads all that it takes first, as only that can fail.
func (x *tx) markVerified(w state.Waybill, seqs []uint64, at time.Time) error {
	var delivered []numbered
	for _, seq := range seqs {
		switch rec, err := x.existing(w, seq); {
		case errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrState):
		case err != nil:
			return err
		case rec.Status == store.Delivered:
			delivered = append(delivered, numbered{seq, rec})
		}
	}
	for _, p := range delivered {
		p.rec.VerifiedAt = codec.Millis(at)
		x.savePush(p.seq, p.rec)
	}
	return nil
}

// PutDifference keeps a waybill's difference.
func (s *Store) PutDifference(ctx context.Context, d store.Difference) error {
	// Rows of z are written by the caller of this method and of CloseDifference alone, so what is read before the commit
	// still holds then.
	s.differing.Lock()
	defer s.differing.Unlock()
	kept, err := s.Differences(ctx)
	if err != nil {
		return err
	}
	news := true
	d.FoundAt = time.Time{}
	if i := slices.IndexFunc(kept, func(k store.Difference) bool { return k.Waybill == d.Waybill }); i >= 0 {
		news = !d.SameAs(&kept[i])
		d.FoundAt = kept[i].FoundAt
		kept = slices.Delete(kept, i, i+1)
	}
	return s.keepVerified(ctx, "keeping the difference", d.Waybill, func(x *tx) error {
		for over := max(0, len(kept)-store.MaxDifferences+1); over > 0; over-- {
			x.del(waybillKey(nil, tableDiffers, kept[len(kept)-over].Waybill))
		}
		d.CheckedAt = codec.FromMillis(x.now)
		if d.FoundAt.IsZero() {
			d.FoundAt = d.CheckedAt
		}
		x.putJSON(waybillKey(nil, tableDiffers, d.Waybill), d)
		if news {
			x.noticeDifference(&d)
		}
		return nil
	})
}

// CloseDifference forgets a waybill's difference.
func (s *Store) CloseDifference(ctx context.Context, w state.Waybill, agrees bool) (closed bool, err error) {
	s.differing.Lock()
	defer s.differing.Unlock()
	key := waybillKey(nil, tableDiffers, w)
	var kept store.Difference
	if err = s.view(func(db cdb.Reader) error {
		closed, err = read(db, key, func(value []byte) error { return decodeJSON(value, &kept) })
		return err
	}); !closed || err != nil {
		return false, err
	}
	err = s.keepVerified(ctx, "closing the difference", w, func(x *tx) error {
		x.del(key)
		if agrees {
			x.noticeDifference(&store.Difference{Waybill: w, Merchant: kept.Merchant, FoundAt: kept.FoundAt, CheckedAt: codec.FromMillis(x.now)})
		}
		return nil
	})
	return err == nil, err
}

// Differences lists all.
func (s *Store) Differences(context.Context) (all []store.Difference, err error) {
	err = s.view(func(db cdb.Reader) error {
		return scan(db, []byte{tableDiffers}, func(_, value []byte) (bool, error) {
			var d store.Difference
			if err := decodeJSON(value, &d); err != nil {
				return false, err
			}
			all = append(all, d)
			return true, nil
		})
	})
	slices.SortFunc(all, func(a, b store.Difference) int {
		return cmp.Or(b.CheckedAt.Compare(a.CheckedAt), cmp.Compare(a.Waybill.String(), b.Waybill.String()))
	})
	return all, err
}
