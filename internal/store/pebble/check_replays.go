package pebble

import "carrier/internal/store"

// replays compares what each replay counts as still open with the pushes that are pending in its name.
func (c *checker) replays() {
	err := newestFirst(c.db, tableReplays, 0, func(id uint64, value []byte) (bool, error) {
		var r store.Replay
		if err := decodeJSON(value, &r); err != nil {
			c.problem("replay %d: %v", id, err)
			return true, nil
		}
		if got := c.pending[id]; got != r.Open() {
			c.problem("replay %d counts %d pushes that have not ended, and %d are pending", id, r.Open(), got)
		}
		delete(c.pending, id)
		return true, nil
	})
	if err != nil {
		c.problem("the replays: %v", err)
	}
	for id, n := range c.pending {
		c.problem("%d pushes are pending in the name of replay %d, which is not there", n, id)
	}
}

// numbered reads every row of the tables that only people look at.
func (c *checker) numbered() {
	err := newestFirst(c.db, tableAudit, 0, func(_ uint64, value []byte) (bool, error) {
		var entry store.AuditEntry
		return true, decodeJSON(value, &entry)
	})
	if err != nil {
		c.problem("the audit log: %v", err)
	}
	c.letters()
}

// letters reads every dead letter, and sees that none is missing of those that were not dropped.
func (c *checker) letters() {
	gone, err := readNumber(c.db, metaLetters, 0)
	if err != nil {
		c.problem("the dead letter up to which all were dropped: %v", err)
		return
	}
	next := gone + 1
	err = scan(c.db, []byte{tableLetters}, func(key, value []byte) (bool, error) {
		number := keySeq(key)
		switch {
		case number <= gone:
			c.problem("dead letter %d is there, and all up to %d were dropped", number, gone)
		case number != next:
			c.problem("dead letters %d to %d are missing", next, number-1)
		}
		next = max(next, number+1)
		var letter store.DeadLetter
		if err := decodeJSON(value, &letter); err != nil {
			c.problem("dead letter %d: %v", number, err)
		} else if letter.Number != number {
			c.problem("dead letter %d says that it is number %d", number, letter.Number)
		}
		return true, nil
	})
	if err != nil {
		c.problem("the dead letters: %v", err)
	}
}
