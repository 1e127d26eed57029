package pebble

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// The tables of what is rare (acts, replays, dead letters) are numbered by themselves. Their rows are JSON with a version
// before it: nobody waits for them, and people may have to read them one day.

// serial is the highest number of such a table. It belongs to the writer goroutine.
type serial uint64

func (n *serial) take() uint64 {
	*n++
	return uint64(*n)
}

// lastOf is the highest number of a table; 0 if it is empty.
func lastOf(db cdb.Reader, table byte) (n serial, err error) {
	err = newestFirst(db, table, 0, func(number uint64, _ []byte) (bool, error) {
		n = serial(number)
		return false, nil
	})
	return n, err
}

// newestFirst calls use with the rows of a table below a number (0: all), from the highest number down, until it
// returns false. use must not keep value.
func newestFirst(db cdb.Reader, table byte, below uint64, use func(number uint64, value []byte) (bool, error)) (err error) {
	if below == 0 {
		below = math.MaxUint64
	}
	it, err := iterate(db, table, 0, below)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.Last(); ok; ok = it.Prev() {
		value, err := it.ValueAndErr()
		if err != nil {
			return damaged(it.Key(), err)
		}
		more, err := use(keySeq(it.Key()), value)
		if err != nil {
			return damaged(it.Key(), err)
		}
		if !more {
			return nil
		}
	}
	return it.Error()
}

// readNumbered reads one page of such a table, newest first.
func readNumbered[T any](db cdb.Reader, table byte, before uint64, limit int) (page store.Page[T], err error) {
	limit = min(max(limit, 1), store.MaxLimit)
	err = newestFirst(db, table, before, func(number uint64, value []byte) (bool, error) {
		if len(page.Items) == limit {
			page.Next = number + 1
			return false, nil
		}
		var item T
		err := decodeJSON(value, &item)
		page.Items = append(page.Items, item)
		return true, err
	})
	return page, err
}

const jsonVersion = 1

// putJSON writes a row of such a table, and tells how many bytes it has.
func (x *tx) putJSON(key []byte, v any) (size int) {
	value, err := encodeJSON(v)
	if err != nil {
		panic(fmt.Sprintf("a record can't be written as JSON: %v", err)) // They are plain structs of ours.
	}
	x.set(key, value)
	return len(value)
}

func encodeJSON(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return append([]byte{jsonVersion}, text...), err
}

func decodeJSON(value []byte, v any) error {
	if len(value) == 0 || value[0] != jsonVersion {
		return codec.ErrRecord
	}
	if err := json.Unmarshal(value[1:], v); err != nil {
		return fmt.Errorf("%w: %w", codec.ErrRecord, err)
	}
	return nil
}
