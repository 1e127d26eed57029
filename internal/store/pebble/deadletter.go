package pebble

import (
	"context"
	"fmt"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// PutDeadLetter keeps a message that can't be read.
func (s *Store) PutDeadLetter(ctx context.Context, d store.DeadLetter) error {
	if err := s.disk.refusal(); err != nil {
		return err
	}
	op := &deadLetterOp{letter: d}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return fmt.Errorf("dead letter: %w", err)
	}
	return nil
}

type deadLetterOp struct {
	engine.Waiter
	letter store.DeadLetter
}

func (o *deadLetterOp) rows() int { return 1 }

func (o *deadLetterOp) run(x *tx) {
	o.letter.Number, o.letter.ReceivedAt = x.w.letters.last.take(), codec.FromMillis(x.now)
	x.dated = true // The numbers are in the order of time: retention relies on it.
	x.w.letters.add(x.putJSON(letterKey(o.letter.Number), o.letter))
	x.dropExcess()
}

// DeadLetters lists them, newest first.
func (s *Store) DeadLetters(_ context.Context, before uint64, limit int) (page store.Page[store.DeadLetter], err error) {
	err = s.view(func(db cdb.Reader) error {
		page, err = readNumbered[store.DeadLetter](db, tableLetters, before, limit)
		return err
	})
	return page, err
}

func letterKey(number uint64) []byte { return seqKey(nil, tableLetters, number) }
