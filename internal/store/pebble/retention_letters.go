package pebble

import (
	"context"
	"sort"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// pruneLetters drops dead letters from before the horizon (Unix ms). One deletion of a range takes them all, so there is
// nothing to do in steps.
func (s *Store) pruneLetters(ctx context.Context, horizon int64) error {
	number, err := s.lettersBefore(horizon)
	if err != nil || number == 0 {
		return err
	}
	op := &dropLettersOp{number: number}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return err
	}
	if op.dropped > 0 {
		s.opts.Logger.Info("dead letters that are older than the retention were dropped", "dropped", op.dropped)
	}
	return nil
}

// lettersBefore is the number of the newest letter from before the horizon (Unix ms); 0 if there is none. They are in
// the order of time.
func (s *Store) lettersBefore(horizon int64) (number uint64, err error) {
	err = s.view(func(db cdb.Reader) error {
		gone, err := readNumber(db, metaLetters, 0)
		if err != nil {
			return err
		}
		last, err := lastOf(db, tableLetters)
		if err != nil || uint64(last) <= gone {
			return err
		}
		old := sort.Search(int(uint64(last)-gone), func(i int) bool {
			at, found := s.letterAt(db, gone+1+uint64(i))
			return !found || at >= horizon
		})
		if old > 0 {
			number = gone + uint64(old)
		}
		return nil
	})
	return number, err
}

// letterAt is when a letter came (Unix ms). One that can't be read is as old as the next that can.
func (s *Store) letterAt(db cdb.Reader, number uint64) (at int64, found bool) {
	err := scanRange(db, letterKey(number), []byte{tableLetters + 1}, func(key, value []byte) (bool, error) {
		var letter struct{ ReceivedAt time.Time }
		if err := decodeJSON(value, &letter); err != nil {
			s.reportDamage(damaged(key, err))
			return true, nil
		}
		at, found = codec.Millis(letter.ReceivedAt), true
		return false, nil
	})
	if err != nil {
		s.reportDamage(err)
	}
	return at, found
}

type dropLettersOp struct {
	engine.Waiter
	number  uint64 // Of a letter that is there.
	dropped uint64
}

func (o *dropLettersOp) rows() int { return 1 }

func (o *dropLettersOp) run(x *tx) {
	before := x.w.letters.gone
	x.dropLetters(o.number)
	o.dropped = x.w.letters.gone - before
}
