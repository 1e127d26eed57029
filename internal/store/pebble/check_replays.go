package pebble

import (
	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
)

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
	if err := decodeAll[store.AuditEntry](c.db, tableAudit); err != nil {
		c.problem("the audit log: %v", err)
	}
	if err := decodeAll[store.DeadLetter](c.db, tableLetters); err != nil {
		c.problem("the dead letters: %v", err)
	}
}

func decodeAll[T any](db cdb.Reader, table byte) error {
	return newestFirst(db, table, 0, func(_ uint64, value []byte) (bool, error) {
		var item T
		return true, decodeJSON(value, &item)
	})
}
