package pebble

import (
	"context"
	"fmt"
	"math"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// PutShown keeps what the customer sees of a waybill.
func (s *Store) PutShown(ctx context.Context, w state.Waybill, shown store.Shown) (kept bool, err error) {
	if err := shown.Fit(w); err != nil {
		return false, err
	}
	if err := s.disk.refusal(); err != nil {
		return false, err
	}
	op := &shownOp{waybill: w, shown: shown}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return false, fmt.Errorf("what is shown of waybill %s: %w", w, err)
	}
	return op.kept, nil
}

type shownOp struct {
	engine.Waiter
	waybill state.Waybill
	shown   store.Shown
	kept    bool
}

func (o *shownOp) rows() int { return 1 }
func (o *shownOp) run(x *tx) { o.kept, o.Err = x.putShown(o.waybill, o.shown) }

func (x *tx) putShown(name state.Waybill, shown store.Shown) (kept bool, err error) {
	rec, err := x.shownOf(name)
	if err != nil || rec.known() && shown.Version <= rec.Version {
		return false, err
	}
	shown.ReceivedAt = codec.FromMillis(x.now)
	rec.Shown = shown
	if rec.expungedAt != 0 {
		rec.forget(rec.expungedAt / 1000)
	}
	x.saveShown(name, &rec)
	return true, nil
}

func (x *tx) saveShown(name state.Waybill, rec *shownRecord) {
	x.shown[name] = *rec
	x.key = waybillKey(x.key[:0], tableShown, name)
	x.value = encodeShown(x.value[:0], rec)
	x.set(x.key, x.value)
}

// expungeShown forgets the texts of what was shown, and notes when.
func (x *tx) expungeShown(name state.Waybill, rec *shownRecord) (forgotten int) {
	forgotten = rec.forget(math.MaxInt64)
	rec.expungedAt = x.now
	x.saveShown(name, rec)
	return forgotten
}

// shownOf reads a row of s as it is within this commit.
func (x *tx) shownOf(name state.Waybill) (shownRecord, error) {
	if rec, ok := x.shown[name]; ok {
		return rec, nil
	}
	return readShown(x.s.db, name)
}

// readShown reads a row of s; the zero value if there is none.
func readShown(db cdb.Reader, name state.Waybill) (rec shownRecord, err error) {
	_, err = read(db, waybillKey(nil, tableShown, name), func(v []byte) (err error) {
		rec, err = decodeShown(v)
		return err
	})
	return rec, err
}

// Shown finds what the customer sees of a waybill.
func (s *Store) Shown(_ context.Context, w state.Waybill) (shown store.Shown, err error) {
	err = s.view(func(db cdb.Reader) error {
		rec, err := readShown(db, w)
		if err == nil && !rec.known() {
			err = fmt.Errorf("what is shown of waybill %s: %w", w, store.ErrNotFound)
		}
		shown = rec.Shown
		return err
	})
	return shown, err
}
