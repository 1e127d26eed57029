package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/content"
	"carrier/internal/store/seal"
)

// tx is one commit while it is made. It belongs to the writer goroutine, and after that to the acker.
//
// The batch can't be read before it is applied, so what an operation may ask for again within the same commit is
// remembered beside it: event ids, entries of timelines, pushes, Tokens, orders, what is shown, events that are held.
type tx struct {
	s     *Store
	w     *writer
	b     *cdb.Batch
	now   int64 // Unix ms, the received_at of all its events.
	clock int64 // What the clock says, which may be less: it may have run ahead before. Waits are counted from it.
	ops   []operation
	rows  int
	delta counters

	ids     map[string]first
	written []entryOf
	pushes  map[uint64]pushRecord
	tokens  map[state.Waybill][]store.TokenRecord
	replays map[uint64]*store.Replay // Those that changed.
	orders  map[store.OrderKey]orderRecord
	shown   map[state.Waybill]shownRecord
	waiting map[uint64]eventRecord // Events decided now that a later one may release.

	index    changes
	changes  []store.Change
	outbox   outbox // As this commit leaves it.
	numbered bool   // Numbers were taken.
	noticed  bool   // Notices were made.
	dated    bool   // Something was written that must not be later than what comes next: an end, a replay, or a dead letter.
	full     bool   // Nothing more may be added.
	deadline int64  // The earliest deadline set; 0: none.

	last  uint64 // The highest number given so far.
	wrote bool
	begun time.Time
	err   error

	key, value []byte // Scratch.
}

// first is what is known of an event whose id was seen.
type first struct {
	seq       uint64
	hash      content.Hash
	verdict   state.Verdict
	reason    state.Reason
	late, gap bool
}

type entryOf struct {
	w *waybill
	e state.Entry
}

func newTx(s *Store) *tx {
	return &tx{
		s: s, w: &s.w, delta: newCounters(),
		ids: map[string]first{}, pushes: map[uint64]pushRecord{},
		tokens: map[state.Waybill][]store.TokenRecord{}, waiting: map[uint64]eventRecord{}, replays: map[uint64]*store.Replay{},
		orders: map[store.OrderKey]orderRecord{}, shown: map[state.Waybill]shownRecord{},
		index: newChanges(),
	}
}

// begin starts a commit.
func (s *Store) begin() *tx {
	var x *tx
	select {
	case x = <-s.w.free:
	default:
		x = newTx(s)
	}
	x.b = s.db.NewBatch()
	s.w.batch++
	x.clock = s.opts.Now().UnixMilli()
	s.w.lastMS = max(s.w.lastMS, x.clock)
	x.now = s.w.lastMS
	if s.failed.Load() != nil {
		x.err = *s.failed.Load()
	}
	return x
}

// reset makes x as new. What was handed out (changes) is not used again.
func (x *tx) reset() {
	if x.s.failed.Load() == nil { // Else the engine may still hold the batch.
		x.must(x.b.Close())
	}
	clear(x.ids)
	clear(x.pushes)
	clear(x.tokens)
	clear(x.waiting)
	clear(x.replays)
	clear(x.orders)
	clear(x.shown)
	clear(x.written)
	clear(x.ops)
	x.delta.reset()
	x.index.reset()
	*x = tx{
		s: x.s, w: x.w, delta: x.delta, ops: x.ops[:0], ids: x.ids, written: x.written[:0], pushes: x.pushes,
		tokens: x.tokens, waiting: x.waiting, replays: x.replays, orders: x.orders, shown: x.shown, index: x.index,
		key: x.key[:0], value: x.value[:0],
	}
}

// do runs an operation as part of this commit.
func (x *tx) do(op operation) {
	x.ops = append(x.ops, op)
	x.rows += op.rows()
	if x.err == nil {
		op.run(x)
	}
}

// finishBatch adds what every commit writes: the next number and the counters that changed.
func (x *tx) finishBatch() {
	x.resolveCrowds()
	x.last, x.outbox = x.w.next-1, x.w.outbox
	if x.numbered {
		x.set(metaNext, binary.BigEndian.AppendUint64(nil, x.w.next))
	}
	x.saveReplays()
	x.s.countDeltas(x)
	if x.dated {
		x.set(metaClock, binary.BigEndian.AppendUint64(nil, uint64(x.w.lastMS)))
	}
}

// take gives the next number.
func (x *tx) take() uint64 {
	n := x.w.next
	x.w.next++
	x.numbered = true
	return n
}

// set and del can't fail: the batch is memory, and too large a one would have been refused at the door.
func (x *tx) set(key, value []byte) { x.must(x.b.Set(key, value, nil)) }
func (x *tx) del(key []byte)        { x.must(x.b.Delete(key, nil)) }

func (x *tx) must(err error) {
	if err != nil {
		x.err = errors.Join(x.err, err)
	}
}

// get reads a row that this commit did not write. found is false if there is none. use must not keep value.
func (x *tx) get(key []byte, use func(value []byte) error) (found bool, err error) {
	return read(x.s.db, key, use)
}

// read reads one row.
func read(db cdb.Reader, key []byte, use func(value []byte) error) (found bool, err error) {
	value, closer, err := db.Get(key)
	if errors.Is(err, cdb.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, damaged(key, err)
	}
	err = use(value)
	if cerr := closer.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return true, damaged(key, err)
	}
	return true, nil
}

// damaged names the row that can't be read, and what helps. What the engine below says of a damaged file has a second
// line, for programs; people are told the file's path instead.
func damaged(key []byte, err error) error {
	if _, sealed := errors.AsType[*seal.MissingKeyError](err); sealed {
		return err // Nothing is damaged.
	}
	if info := cdb.ExtractDataCorruptionInfo(err); info != nil {
		err = fmt.Errorf("%s: %w", info.Path, info.Details)
	}
	return &damage{fmt.Errorf("store row %q can't be read (carrier store check tells how much is damaged; "+
		"restore a backup): %w", key, err)}
}

// damage is a store.ErrDamaged that says it in words of its own.
type damage struct{ err error }

func (d *damage) Error() string   { return d.err.Error() }
func (d *damage) Unwrap() []error { return []error{store.ErrDamaged, d.err} }
