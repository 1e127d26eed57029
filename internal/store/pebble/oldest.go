package pebble

import (
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/store"
)

// oldestRows bounds the rows that are read to find the oldest open push of one account.
const oldestRows = 5000

// lookForOldest finds when each account's oldest open push was received. An account whose oldest push is not found
// within the bound keeps what was known, and the next look goes on from there.
func (s *Store) lookForOldest() error {
	for delivery, pending := range s.pendingByAccount() {
		if pending == 0 {
			delete(s.keeper.hints, delivery)
			s.setOldest(delivery, 0)
			continue
		}
		ms, err := s.oldestOf(delivery)
		if err != nil {
			return err
		}
		if ms != 0 {
			s.setOldest(delivery, ms)
		}
	}
	return nil
}

func (s *Store) pendingByAccount() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := map[string]int64{}
	for delivery, row := range s.totals.pushes {
		pending[delivery] = row[store.Pending]
	}
	return pending
}

// setOldest keeps a moment in Unix milliseconds; 0: no push is open.
func (s *Store) setOldest(delivery string, ms int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ms == 0 {
		delete(s.oldest, delivery)
		return
	}
	s.oldest[delivery] = time.UnixMilli(ms)
}

// oldestOf is when the oldest push of an account was received that q, t or l lists as open, in Unix milliseconds; 0 if
// none is found.
func (s *Store) oldestOf(delivery string) (ms int64, err error) {
	durable := s.durable.Load()
	err = s.view(func(db cdb.Reader) error {
		for _, table := range []byte{tableQueued, tableNoToken} {
			at, err := oldestListed(db, table, delivery)
			if err != nil {
				return err
			}
			ms = earlier(ms, at)
		}
		at, err := s.oldestNatural(db, delivery, durable)
		ms = earlier(ms, at)
		return err
	})
	return ms, err
}

func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func oldestListed(db cdb.Reader, table byte, delivery string) (ms int64, err error) {
	rows := 0
	err = scan(db, []byte{table}, func(key, value []byte) (bool, error) {
		if w, _ := parseWaybill(value); w.DeliveryID != delivery {
			rows++
			return rows < oldestRows, nil
		}
		rec, _, err := readEvent(db, keySeq(key))
		ms = rec.receivedAt
		return false, err
	})
	return ms, err
}

func (s *Store) oldestNatural(db cdb.Reader, delivery string, durable uint64) (ms int64, err error) {
	from := max(s.keeper.hints[delivery], s.low.Load())
	s.keeper.hints[delivery] = durable + 1
	rows := 0
	err = walk(db, from, durable+1, func(r *row) (bool, error) {
		open := r.open() && !r.push.queued && r.push.TokenUntil == 0 && r.event.event.DeliveryID == delivery
		if open {
			ms = r.event.receivedAt
		}
		if rows++; open || rows == oldestRows {
			s.keeper.hints[delivery] = r.seq
			return false, nil
		}
		return true, nil
	})
	return ms, err
}
