package pebble

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"

	"carrier/internal/state"
	"carrier/internal/store/codec"
	"carrier/internal/store/seal"
)

// orders checks that every order is found by its waybill. That no others are found is seen by their number.
func (c *checker) orders() {
	err := scan(c.db, []byte{tableOrders}, func(key, value []byte) (bool, error) {
		rec, err := decodeOrder(key, value)
		if err != nil {
			c.problem("the order %q: %v", key[1:], err)
			return true, nil
		}
		c.wanted[tableOrdered]++
		var to []byte
		found, err := read(c.db, orderedKey(nil, rec.Waybill(), rec.number), func(v []byte) error {
			to = bytes.Clone(v)
			return nil
		})
		if err != nil || !found || !bytes.Equal(to, key[1:]) {
			c.problem("the order %q is not found by its waybill %s (%v)", key[1:], rec.Waybill(), err)
		}
		return true, nil
	})
	if err != nil {
		c.problem("the orders: %v", err)
	}
}

// tokens checks that every Token can be read.
func (c *checker) tokens() {
	closed, first := map[seal.ID]int{}, map[seal.ID]state.Waybill{}
	err := scan(c.db, []byte{tableTokens}, func(key, value []byte) (bool, error) {
		_, err := openTokens(c.keys, key, value)
		w, _ := parseWaybill(key[1:])
		if sealed, ok := errors.AsType[*seal.MissingKeyError](err); ok {
			if closed[sealed.Key]++; closed[sealed.Key] == 1 {
				first[sealed.Key] = w
			}
		} else if err != nil {
			c.problem("the Tokens of waybill %s: %v", w, err)
		}
		return true, nil
	})
	if err != nil {
		c.problem("the Tokens: %v", err)
	}
	for _, id := range slices.SortedFunc(maps.Keys(closed), func(a, b seal.ID) int { return bytes.Compare(a[:], b[:]) }) {
		c.problem("the Tokens of %d waybills, such as %s, can't be opened: %v", closed[id], first[id], &seal.MissingKeyError{Key: id})
	}
}

// shown checks that all of what customers are shown can be read.
func (c *checker) shown() {
	err := scan(c.db, []byte{tableShown}, func(key, value []byte) (bool, error) {
		w, ok := parseWaybill(key[1:])
		if _, err := decodeShown(value); err != nil || !ok {
			c.problem("what is shown of waybill %s: %v", w, cmp.Or(err, codec.ErrRecord))
		}
		return true, nil
	})
	if err != nil {
		c.problem("what customers are shown: %v", err)
	}
}
