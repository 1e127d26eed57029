package pebble

import (
	"encoding/binary"
	"errors"
	"math"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
)

// row is an event with its push.
type row struct {
	seq     uint64
	event   eventRecord
	hasPush bool
	push    pushRecord // Only if hasPush.
	damage  error      // The row can't be read; then only seq is set. Only walks have such rows.
}

// open tells whether the row's push is pending.
func (r *row) open() bool { return r.hasPush && r.push.Status == store.Pending }

// setPush takes the value of the row of r, or nil where there is none.
func (r *row) setPush(value []byte) (err error) {
	r.hasPush = true
	switch {
	case value != nil:
		r.push, err = decodePush(value)
	case r.event.flags&flagNatural != 0:
		r.push = untriedPush(r.seq)
	default:
		r.hasPush, r.push = false, pushRecord{}
	}
	return err
}

// readRow reads one event with its push.
func readRow(db cdb.Reader, seq uint64) (r row, found bool, err error) {
	r.seq = seq
	if r.event, found, err = readEvent(db, seq); !found || err != nil {
		return r, found, err
	}
	var value []byte
	_, err = read(db, seqKey(nil, tablePushes, seq), func(v []byte) error {
		value = append(value, v...)
		return nil
	})
	if err == nil {
		err = r.setPush(value)
	}
	return r, true, err
}

// walk calls use with the rows from number from to before number to, in order, until it returns false. use must not
// keep the row. One damaged row does not end the walk: it is handed on as such, so that it hides no others.
func walk(db cdb.Reader, from, to uint64, use func(*row) (more bool, err error)) error {
	return walkRows(db, from, to, false, use)
}

// walkBack is walk from the newest to the oldest.
func walkBack(db cdb.Reader, from, to uint64, use func(*row) (more bool, err error)) error {
	return walkRows(db, from, to, true, use)
}

func walkRows(db cdb.Reader, from, to uint64, back bool, use func(*row) (more bool, err error)) (err error) {
	if from >= to {
		return nil
	}
	j, err := newJoin(db, from, to, back)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	for j.next() {
		if more, err := use(j.row()); err != nil || !more {
			return err
		}
	}
	return j.events.Error()
}

// join walks the tables l and r side by side.
type join struct {
	events, pushes *cdb.Iterator
	back           bool
	begun          bool
	current        row
}

func newJoin(db cdb.Reader, from, to uint64, back bool) (*join, error) {
	j := &join{back: back}
	var err error
	if j.events, err = iterate(db, tableEvents, from, to); err != nil {
		return nil, err
	}
	if j.pushes, err = iterate(db, tablePushes, from, to); err != nil {
		return nil, errors.Join(err, j.events.Close())
	}
	if back {
		j.pushes.Last()
	} else {
		j.pushes.First()
	}
	return j, nil
}

// iterate makes an iterator over the numbers from to before to of a table.
func iterate(db cdb.Reader, table byte, from, to uint64) (*cdb.Iterator, error) {
	upper := seqKey(nil, table, to)
	if to == math.MaxUint64 {
		upper = []byte{table + 1}
	}
	it, err := db.NewIter(&cdb.IterOptions{LowerBound: seqKey(nil, table, from), UpperBound: upper})
	if err != nil {
		return nil, damaged([]byte{table}, err)
	}
	return it, nil
}

func (j *join) close() error { return errors.Join(j.events.Close(), j.pushes.Close()) }

// next moves to the next event.
func (j *join) next() bool {
	begun := j.begun
	j.begun = true
	switch {
	case !begun && j.back:
		return j.events.Last()
	case !begun:
		return j.events.First()
	case j.back:
		return j.events.Prev()
	}
	return j.events.Next()
}

// row reads the event and its push. It is valid until the next call.
func (j *join) row() *row {
	key := j.events.Key()
	j.current = row{seq: keySeq(key)}
	r := &j.current
	value, err := j.events.ValueAndErr()
	if err == nil {
		r.event, err = decodeEvent(value)
	}
	if err != nil {
		r.damage = damaged(key, err)
		return r
	}
	value, err = j.pushOf(r.seq)
	if err == nil {
		err = r.setPush(value)
	}
	if err != nil {
		*r = row{seq: r.seq, damage: damaged(seqKey(nil, tablePushes, r.seq), err)}
	}
	return r
}

// pushOf moves the other iterator along, and gives the row of r; nil if there is none.
func (j *join) pushOf(seq uint64) ([]byte, error) {
	const steps = 4 // Then a seek is cheaper.
	for n := 0; j.pushes.Valid(); n++ {
		at := binary.BigEndian.Uint64(j.pushes.Key()[1:])
		switch {
		case at == seq:
			return j.pushes.ValueAndErr()
		case (at > seq) != j.back:
			return nil, nil // It is ahead.
		case n < steps && j.back:
			j.pushes.Prev()
		case n < steps:
			j.pushes.Next()
		case j.back:
			j.pushes.SeekLT(seqKey(nil, tablePushes, seq+1))
		default:
			j.pushes.SeekGE(seqKey(nil, tablePushes, seq))
		}
	}
	return nil, j.pushes.Error()
}
