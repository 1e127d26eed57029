package pebble

import (
	"errors"

	"carrier/internal/state"
	"carrier/internal/store"
)

// notices checks that all that is to be told is there, and that ends are ends of known events.
func (c *checker) notices() {
	told, err := readNumber(c.db, metaTold, 0)
	if err != nil {
		c.problem("the notice up to which all are told: %v", err)
		return
	}
	next := told + 1
	err = scan(c.db, []byte{tableNotices}, func(key, value []byte) (bool, error) {
		number := keySeq(key)
		switch {
		case number <= told:
			c.problem("notice %d is there, and all up to %d are told", number, told)
		case number != next:
			c.problem("notices %d to %d are missing", next, number-1)
		}
		next = max(next, number+1)
		if err := c.notice(value); err != nil {
			c.problem("notice %d: %v", number, err)
		}
		return true, nil
	})
	if err != nil {
		c.problem("the notices: %v", err)
	}
}

func (c *checker) notice(value []byte) error {
	n, err := decodeNotice(value)
	if err != nil {
		return err
	}
	if n.isNothing() {
		return nil
	}
	if n.difference != "" {
		_, err := n.ofDifference(0)
		return err
	}
	r, found, err := readRow(c.db, n.seq)
	switch {
	case err != nil:
		return err
	case !found:
		return errors.New("its event is not known")
	}
	ends := r.push.Ends
	if !r.hasPush {
		e, _, err := readEntry(c.db, r.event.event.Waybill(), n.seq)
		if err != nil {
			return err
		}
		if e.Verdict == state.Rejected {
			ends = 1
		}
	}
	switch {
	case n.nth < 1 || n.nth > ends:
		return errors.New("its event has not ended so often")
	case n.nth == ends && r.status() != store.Pending && r.status() != n.status:
		return errors.New("its event ended in another way")
	}
	return nil
}
