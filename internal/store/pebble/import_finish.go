package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
)

// Finish makes the folder a store: it counts what is there, and builds the lists.
func (i *Importer) Finish(ctx context.Context) error {
	s := i.s
	counts, err := countRows(ctx, s.db)
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	number := func(key []byte, n uint64) {
		err = errors.Join(err, b.Set(key, binary.BigEndian.AppendUint64(nil, n), nil))
	}
	counted := counterKey(nil, "p/")
	err = errors.Join(err, b.DeleteRange(counted, after(counted), nil))
	for delivery, row := range counts.pushes {
		for status, n := range row {
			if n != 0 {
				number(counterKey(nil, "p/"+store.Status(status).String()+"/"+delivery), uint64(n))
			}
		}
	}
	number(counterKey(nil, "held"), uint64(counts.held))
	next, nerr := readNumber(s.db, metaNext, 1)
	number(metaLow, next) // All that is open is in q or in t.
	gone, gerr := goneLetters(s.db)
	number(metaLetters, gone)
	err = errors.Join(err, fillNotices(s.db, b))
	if err = errors.Join(err, nerr, gerr, b.Commit(cdb.Sync), b.Close()); err != nil {
		return err
	}
	if err := s.buildLists(); err != nil {
		return err
	}
	text, err := importOf(s.db)
	if err != nil {
		return err
	}
	return s.db.Set(metaImport, []byte(strings.Replace(text, filling, filled, 1)), cdb.Sync)
}

// fillNotices puts rows that say nothing where numbers are missing between notices that wait: here numbers have no gaps,
// and elsewhere they may. Those that an earlier Finish made are gone first.
func fillNotices(db cdb.Reader, b *cdb.Batch) error {
	next := uint64(0)
	return scan(db, []byte{tableNotices}, func(key, value []byte) (bool, error) {
		n, err := decodeNotice(value)
		if err != nil {
			return false, damaged(key, err)
		}
		if n.isNothing() {
			return true, b.Delete(slices.Clone(key), nil)
		}
		number := keySeq(key)
		for ; next != 0 && next < number; next++ {
			err = errors.Join(err, b.Set(noticeKey(next), encodeNotice(nil, &noticeRecord{at: n.at}), nil))
		}
		next = number + 1
		return true, err
	})
}

// countRows counts pushes and held events.
func countRows(ctx context.Context, db cdb.Reader) (counters, error) {
	counts := newCounters()
	err := walk(db, 0, math.MaxUint64, func(r *row) (bool, error) {
		if r.damage != nil {
			return false, r.damage
		}
		if r.hasPush {
			counts.move(r.event.event.DeliveryID, store.NoPush, r.push.Status)
		}
		if r.event.first != state.Held {
			return true, context.Cause(ctx)
		}
		e, found, err := readEntry(db, r.event.event.Waybill(), r.seq)
		if found && e.Verdict == state.Held {
			counts.held++
		}
		return true, errors.Join(err, context.Cause(ctx))
	})
	return counts, err
}

// goneLetters is the number of the last dead letter that was dropped.
func goneLetters(db cdb.Reader) (gone uint64, err error) {
	if gone, err = readNumber(db, metaLetters, 0); err != nil {
		return 0, err
	}
	err = scan(db, []byte{tableLetters}, func(key, _ []byte) (bool, error) {
		gone = keySeq(key) - 1
		return false, nil
	})
	return gone, err
}
