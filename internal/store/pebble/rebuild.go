package pebble

import (
	"bytes"
	"context"
	"hash/maphash"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store/engine"
)

// rebuildFilters reads the names that the filters must know. Until it is through, the filters say "maybe", which costs
// reads and is never wrong. The writer adds new names to filters of its own meanwhile, and joins them at the end.
func (s *Store) rebuildFilters() {
	op := &joinOp{}
	err := s.view(func(db cdb.Reader) error { return s.readNames(db, op) })
	if err == nil {
		err = s.write(context.Background(), op, &op.Waiter)
	}
	if err != nil && !s.stopping() {
		s.opts.Logger.Error("the filters of known events can't be rebuilt; events take longer until a restart", "err", err)
	}
}

// readNames fills filters with all event ids and all waybills of which anything is stored.
func (s *Store) readNames(db cdb.Reader, op *joinOp) error {
	err := s.scanNames(db, tableIDs, func(name []byte) {
		op.ids.add(maphash.Bytes(s.w.seed, name))
	})
	if err != nil {
		return err
	}
	var last []byte
	add := func(name []byte) {
		if w, ok := parseWaybill(name); ok && !bytes.Equal(name, last) {
			op.waybills.add(hashWaybill(s.w.seed, w))
			last = append(last[:0], name...)
		}
	}
	for _, table := range []byte{tableTokens, tableFlags} {
		if err := s.scanNames(db, table, add); err != nil {
			return err
		}
	}
	return s.scanNames(db, tableTimeline, func(name []byte) {
		if n := len(name) - 9; n > 0 { // A zero byte and the number.
			add(name[:n])
		}
	})
}

// scanNames calls add with the keys of a table without its letter, until the store closes.
func (s *Store) scanNames(db cdb.Reader, table byte, add func(name []byte)) error {
	n := 0
	return scan(db, []byte{table}, func(key, _ []byte) (bool, error) {
		add(key[1:])
		n++
		if n%1024 == 0 && s.stopping() {
			return false, errStopped
		}
		return true, nil
	})
}

// joinOp hands the writer the filters of what was there before the start.
type joinOp struct {
	engine.Waiter
	ids, waybills filter
}

func (o *joinOp) rows() int { return 1 }

func (o *joinOp) run(x *tx) {
	x.w.ids.join(&o.ids)
	x.w.waybills.join(&o.waybills)
}
