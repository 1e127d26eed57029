package pebble

import (
	"errors"
	"hash/maphash"
	"math"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// buildFrom fills what is in memory only from the state of the store at the start.
func (s *Store) buildFrom(snapshot *cdb.Snapshot) {
	s.buildIndex(snapshot)
	s.buildFronts(snapshot)
	if err := snapshot.Close(); err != nil {
		s.opts.Logger.Error("closing the snapshot of the start", "err", err)
	}
}

// buildIndex fills the index. Until it is through, lists wait.
func (s *Store) buildIndex(db cdb.Reader) {
	b := indexBuild{s: s, db: db}
	err := b.run()
	if err != nil && !s.stopping() {
		s.opts.Logger.Error("the index of open pushes can't be built; lists don't work until a restart", "err", err)
	}
	s.index.finish(err)
}

// indexBuild reads the store once, but for the open pushes, which it reads twice: only at the end of the first pass it
// is known which waybills have several.
type indexBuild struct {
	s    *Store
	db   cdb.Reader
	rows int
}

// buildRows is how much is read between two looks at whether the store closes, and handed over at a time.
const buildRows = 1024

func (b *indexBuild) run() error {
	if err := b.terms(); err != nil {
		return err
	}
	if err := b.tail(); err != nil {
		return err
	}
	return b.open()
}

// goOn fails once the store closes.
func (b *indexBuild) goOn() error {
	if b.rows++; b.rows%buildRows == 0 && b.s.stopping() {
		return store.ErrClosing
	}
	return nil
}

// terms reads i.
func (b *indexBuild) terms() error {
	x := b.s.index
	return scan(b.db, []byte{tableIndex}, func(key, _ []byte) (bool, error) {
		t, ok := parseTerm(key)
		if !ok {
			return false, damaged(key, codec.ErrRecord)
		}
		x.mu.Lock()
		x.mark(t, keySeq(key))
		x.mu.Unlock()
		return true, b.goOn()
	})
}

// tail reads the events of spans that b does not have.
func (b *indexBuild) tail() error {
	x := b.s.index
	list := make([]arrival, 0, buildRows)
	flush := func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.arrive(list)
		list = list[:0]
	}
	err := walk(b.db, x.stored*x.rows, math.MaxUint64, func(r *row) (bool, error) {
		if r.damage != nil {
			return true, nil
		}
		if list = append(list, arrivalOf(r)); len(list) == buildRows {
			flush()
		}
		return true, b.goOn()
	})
	flush()
	return err
}

func arrivalOf(r *row) arrival {
	e := &r.event.event
	return arrival{r.seq, e.DeliveryID, e.Source, e.Type}
}

// opened is an open push as the build finds it.
type opened struct {
	seq     uint64
	waybill []byte // As putWaybill makes it. Valid until the next one.
	sets    openSets
}

// open reads all open pushes. Those of waybills that have several, or that are blocked, perhaps wait for another; which
// waybills these are is kept in filters, so that millions take little.
func (b *indexBuild) open() error {
	var some, several filter
	hash := func(waybill []byte) uint64 { return maphash.Bytes(b.s.w.seed, waybill) }
	err := scan(b.db, []byte{tableFlags}, func(key, _ []byte) (bool, error) {
		several.add(hash(key[1:]))
		return true, b.goOn()
	})
	if err != nil {
		return err
	}
	x := b.s.index
	mark := func(o *opened, sets openSets) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.change(nil, []openChange{{seq: o.seq, in: sets}})
	}
	err = b.eachOpen(func(o *opened) {
		mark(o, o.sets)
		if h := hash(o.waybill); some.has(h) {
			several.add(h)
		} else {
			some.add(h)
		}
	})
	if err != nil || len(several.generations) == 0 {
		return err
	}
	return b.eachOpen(func(o *opened) {
		if several.has(hash(o.waybill)) {
			mark(o, setBehind)
		}
	})
}

// eachOpen calls use with every open push.
func (b *indexBuild) eachOpen(use func(*opened)) error {
	err := scan(b.db, []byte{tableNoToken}, func(key, value []byte) (bool, error) {
		use(&opened{keySeq(key), value, setOpen | setNoToken})
		return true, b.goOn()
	})
	if err != nil {
		return err
	}
	if err := b.queued(use); err != nil {
		return err
	}
	low, err := readNumber(b.db, metaLow, 1)
	if err != nil {
		return err
	}
	var waybill []byte
	return walk(b.db, low, math.MaxUint64, func(r *row) (bool, error) {
		if r.damage == nil && r.open() && !r.push.queued && r.push.TokenUntil == 0 {
			waybill = putWaybill(waybill[:0], r.event.event.Waybill())
			use(&opened{r.seq, waybill, r.push.sets()})
		}
		return true, b.goOn()
	})
}

// queued reads q, and the pushes beside it in one sweep.
func (b *indexBuild) queued(use func(*opened)) (err error) {
	pushes, err := iterate(b.db, tablePushes, 0, math.MaxUint64)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pushes.Close()) }()
	return scan(b.db, []byte{tableQueued}, func(key, value []byte) (bool, error) {
		o := opened{keySeq(key), value, setOpen}
		if pushes.SeekGE(seqKey(nil, tablePushes, o.seq)) && keySeq(pushes.Key()) == o.seq {
			rec, err := decodePush(pushes.Value())
			if err == nil {
				o.sets = rec.sets()
			}
		}
		use(&o)
		return true, b.goOn()
	})
}
