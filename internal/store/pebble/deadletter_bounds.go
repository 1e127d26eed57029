package pebble

import (
	"context"
	"encoding/binary"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store/engine"
)

// The bounds of the dead letters that are kept. Whoever may publish on NATS can make as many as they like, and a disk
// that they fill closes the webhook, too.
const (
	maxLetters     = 100_000
	maxLetterBytes = 256 << 20 // Of rows: the bodies, in base64, and what is said of them.
	// letterLot is the part of a bound that is dropped at a time: one deletion of a range for each letter of a flood
	// would slow down whoever reads them.
	letterLot = 16
	// lettersSay is how often the log tells of a flood.
	lettersSay = time.Minute
)

// letters is where the table g stands. Its numbers have no gaps: all behind gone up to last are there. It belongs to the
// writer goroutine.
type letters struct {
	last    serial
	gone    uint64   // All up to here were dropped.
	sizes   []uint32 // Bytes of the rows, oldest first; until counted, only of those that came since the start.
	bytes   int      // All sizes together.
	counted bool
}

func (l *letters) add(size int) {
	l.sizes = append(l.sizes, uint32(size))
	l.bytes += size
}

// adopt takes in the sizes of what was there at the start, oldest first.
func (l *letters) adopt(sizes []uint32) {
	for _, size := range sizes {
		l.bytes += int(size)
	}
	l.sizes, l.counted = append(sizes, l.sizes...), true
}

// excess is how many of the oldest must go: none while the bounds hold, and a lot once one of them does not. The newest
// stays in any case.
func (l *letters) excess(count, bytes int) (n int) {
	if len(l.sizes) <= count && l.bytes <= bytes {
		return 0
	}
	count -= count / letterLot
	bytes -= bytes / letterLot
	for left := l.bytes; n < len(l.sizes)-1 && (len(l.sizes)-n > count || left > bytes); n++ {
		left -= int(l.sizes[n])
	}
	return n
}

// dropExcess drops the oldest letters while there are too many. Until those of the start are counted nobody knows that.
func (x *tx) dropExcess() {
	l := &x.w.letters
	if !l.counted {
		return
	}
	if n := uint64(l.excess(x.s.opts.maxLetters, x.s.opts.maxLetterBytes)); n > 0 {
		x.dropLetters(l.gone + n)
		x.s.lettersExcess.Add(n)
	}
}

// dropLetters deletes all letters up to and including a number. That it is written keeps the numbers from being given
// again when no letter is left.
func (x *tx) dropLetters(number uint64) {
	l := &x.w.letters
	if !l.counted || number <= l.gone {
		return
	}
	n := number - l.gone
	for _, size := range l.sizes[:n] {
		l.bytes -= int(size)
	}
	x.must(x.b.DeleteRange(letterKey(l.gone+1), letterKey(number+1), nil))
	x.set(metaLetters, binary.BigEndian.AppendUint64(nil, number))
	l.sizes, l.gone = l.sizes[n:], number
}

// loadLetters reads where the table g stands.
func (s *Store) loadLetters() (err error) {
	l := &s.w.letters
	if l.gone, err = readNumber(s.db, metaLetters, 0); err != nil {
		return err
	}
	last, err := lastOf(s.db, tableLetters)
	l.last = max(last, serial(l.gone))
	s.keeper.letters = lettersAtStart{gone: l.gone, last: uint64(l.last)}
	return err
}

// lettersAtStart are the letters that were there when the store was opened.
type lettersAtStart struct {
	gone, last uint64
	counted    bool
}

// boundLetters sees to the bounds from the start on, and tells what they cost.
func (s *Store) boundLetters(ctx context.Context) error {
	err := s.countLetters(ctx)
	s.noteExcess()
	return err
}

// countLetters finds out, once, what those take that were there at the start: the bounds are kept from then on. That
// may be 256 MiB to read, so it is done beside the traffic.
func (s *Store) countLetters(ctx context.Context) error {
	start := &s.keeper.letters
	if start.counted {
		return nil
	}
	op := &countLettersOp{sizes: make([]uint32, start.last-start.gone)}
	count, bytes := 0, 0
	err := s.view(func(db cdb.Reader) error {
		return newestFirst(db, tableLetters, start.last+1, func(number uint64, value []byte) (bool, error) {
			if number <= start.gone || s.stopping() {
				return false, nil
			}
			op.sizes[number-start.gone-1] = uint32(len(value))
			count, bytes = count+1, bytes+len(value)
			return count <= s.opts.maxLetters && bytes <= s.opts.maxLetterBytes, nil // All before will go.
		})
	})
	if s.stopping() {
		return errStopped
	}
	if err != nil {
		s.reportDamage(err) // What can't be read counts as empty, and goes in its turn.
	}
	if err := s.write(ctx, op, &op.Waiter); err != nil {
		return err
	}
	start.counted = true
	return nil
}

type countLettersOp struct {
	engine.Waiter
	sizes []uint32
}

func (o *countLettersOp) rows() int { return 1 }

func (o *countLettersOp) run(x *tx) {
	if x.w.letters.counted {
		return // By one whose answer was not waited for.
	}
	x.w.letters.adopt(o.sizes)
	x.dropExcess()
}

// logExcess tells how many letters were dropped since it last did.
func (s *Store) logExcess() {
	if n := s.lettersExcess.Swap(0); n > 0 {
		s.opts.Logger.Warn("too many messages come that can't be read; the oldest dead letters were dropped to make room",
			"dropped", n, "kept_at_most", s.opts.maxLetters, "bytes_at_most", s.opts.maxLetterBytes)
	}
}

// noteExcess tells it at once when it begins, and then every lettersSay.
func (s *Store) noteExcess() {
	now := s.opts.Now()
	if s.lettersExcess.Load() > 0 && now.Sub(s.keeper.lettersSaid) >= lettersSay {
		s.keeper.lettersSaid = now
		s.logExcess()
	}
}
