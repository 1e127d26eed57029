package pebble

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"sort"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
)

// searchRows bounds the rows that are looked at for one page. A page that ends there is short, and has a next.
const searchRows = 20_000

// search is a query under way. It looks at rows from the newest to the oldest.
type search struct {
	db        cdb.Reader
	query     store.Query
	standings *standings
	from, to  uint64 // Numbers: from to before to.
	low       uint64 // The low-water mark.

	room   int    // Items that still fit on the page.
	budget int    // Rows that may still be looked at.
	next   uint64 // Page.Next
}

func newSearch(db cdb.Reader, now time.Time, q store.Query) (*search, error) {
	f := &search{
		db: db, query: q, standings: newStandings(db, now, q.Held),
		to: cmp.Or(q.Before, math.MaxUint64), room: min(max(q.Limit, 1), store.MaxLimit), budget: searchRows,
	}
	if !q.Since.IsZero() {
		f.from = receivedFrom(db, q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		f.to = min(f.to, receivedFrom(db, q.Until.UnixMilli()))
	}
	var err error
	f.low, err = readNumber(db, metaLow, 1)
	return f, err
}

// visit tells whether to look at the event with a number. If not, the next page begins with it.
func (f *search) visit(seq uint64) bool {
	if f.room <= 0 || f.budget <= 0 {
		f.next = seq + 1
		return false
	}
	f.budget--
	return true
}

// walk calls use with the rows of the smallest table that holds all that can match.
func (f *search) walk(use func(*row) error) error {
	switch {
	case f.query.WaybillID != "":
		return f.ofWaybill(use)
	case f.query.Status == store.Failed:
		return f.failed(use)
	case f.query.Verdict == state.Held:
		return f.held(use)
	case f.query.Status == store.Pending:
		return f.pending(use)
	}
	return f.all(f.from, use)
}

// all looks at every event down to a number.
func (f *search) all(from uint64, use func(*row) error) error {
	return walkBack(f.db, from, f.to, func(r *row) (bool, error) {
		if !f.visit(r.seq) {
			return false, nil
		}
		if r.damage != nil {
			return true, nil // A list must not end at a damaged row. Sweeps report it, and Check does.
		}
		return true, use(r)
	})
}

// these looks at the events with given numbers, in any order.
func (f *search) these(seqs []uint64, use func(*row) error) error {
	slices.SortFunc(seqs, func(a, b uint64) int { return cmp.Compare(b, a) })
	for _, seq := range slices.Compact(seqs) {
		if seq < f.from || seq >= f.to {
			continue
		}
		if !f.visit(seq) {
			return nil
		}
		if err := f.one(seq, use); err != nil {
			return err
		}
	}
	return nil
}

func (f *search) one(seq uint64, use func(*row) error) error {
	r, found, err := readRow(f.db, seq)
	if errors.Is(err, errRecord) {
		return nil // As in all.
	}
	if err != nil || !found {
		return err
	}
	return use(&r)
}

// ofWaybill looks at a waybill's events; without an account given, at those of all accounts.
func (f *search) ofWaybill(use func(*row) error) error {
	accounts := []string{f.query.DeliveryID}
	if f.query.DeliveryID == "" {
		var err error
		if accounts, err = readAccounts(f.db); err != nil {
			return err
		}
	}
	var seqs []uint64
	for _, delivery := range accounts {
		prefix := timelinePrefix(nil, state.Waybill{DeliveryID: delivery, WaybillID: f.query.WaybillID})
		err := scan(f.db, prefix, func(key, _ []byte) (bool, error) {
			seqs = append(seqs, keySeq(key))
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return f.these(seqs, use)
}

// readAccounts lists the accounts that have events. It steps from one to the next, so it costs a seek an account.
func readAccounts(db cdb.Reader) (accounts []string, err error) {
	lower := []byte{tableTimeline}
	for more := true; more; {
		more = false
		err = scanRange(db, lower, []byte{tableTimeline + 1}, func(key, _ []byte) (bool, error) {
			w, _ := parseWaybill(key[1:])
			accounts = append(accounts, w.DeliveryID)
			lower = append(append([]byte{tableTimeline}, w.DeliveryID...), 1)
			more = true
			return false, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return accounts, nil
}

// failed looks at f, which answers for account and errcode by itself.
func (f *search) failed(use func(*row) error) error {
	it, err := iterate(f.db, tableFailed, f.from, f.to)
	if err != nil {
		return err
	}
	err = f.failedRows(it, use)
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	return err
}

func (f *search) failedRows(it *cdb.Iterator, use func(*row) error) error {
	for ok := it.Last(); ok; ok = it.Prev() {
		seq := keySeq(it.Key())
		if !f.visit(seq) {
			return nil
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return damaged(it.Key(), err)
		}
		fail, err := decodeFailure(value)
		if err != nil {
			return damaged(it.Key(), err)
		}
		if f.query.DeliveryID != "" && fail.account != f.query.DeliveryID || !f.errcodeIs(fail.errcode) {
			continue
		}
		if err := f.one(seq, use); err != nil {
			return err
		}
	}
	return it.Error()
}

// held looks at the events that are held now, unless they are very many.
func (f *search) held(use func(*row) error) error {
	seqs, err := f.numbers([]byte{tableHeld}, []byte{tableHeld + 1})
	if err != nil {
		return err
	}
	if len(seqs) > searchRows {
		return f.all(f.from, use)
	}
	return f.these(seqs, use)
}

// pending looks at all events above the low-water mark, and below it at those that q and t list.
func (f *search) pending(use func(*row) error) error {
	waiting, err := f.numbers([]byte{tableNoToken}, []byte{tableNoToken + 1})
	if err != nil {
		return err
	}
	queued, err := f.numbersBack(tableQueued, f.from, min(f.low, f.to))
	if err != nil {
		return err
	}
	if len(waiting) > searchRows || len(queued) > searchRows {
		return f.all(f.from, use)
	}
	if err := f.all(max(f.from, f.low), use); err != nil || f.next != 0 {
		return err
	}
	f.to = min(f.to, f.low)
	return f.these(append(waiting, queued...), use)
}

// numbers lists the numbers at the ends of keys, and one more than searchRows at most.
func (f *search) numbers(lower, upper []byte) (seqs []uint64, err error) {
	err = scanRange(f.db, lower, upper, func(key, _ []byte) (bool, error) {
		seqs = append(seqs, keySeq(key))
		return len(seqs) <= searchRows, nil
	})
	return seqs, err
}

func (f *search) numbersBack(table byte, from, to uint64) ([]uint64, error) {
	if from >= to {
		return nil, nil
	}
	return f.numbers(seqKey(nil, table, from), seqKey(nil, table, to))
}

// matches checks what the row alone tells.
func (f *search) matches(r *row) bool {
	q, e := &f.query, &r.event.event
	switch {
	case q.DeliveryID != "" && e.DeliveryID != q.DeliveryID,
		q.WaybillID != "" && e.WaybillID != q.WaybillID,
		q.Source != "" && e.Source != q.Source,
		q.Type != 0 && e.Type != q.Type,
		q.Status != store.NoPush && r.status() != q.Status,
		q.Errcode != nil && (!r.hasPush || !f.errcodeIs(r.push.errcode())):
		return false
	}
	return true
}

func (f *search) errcodeIs(code *int) bool {
	return f.query.Errcode == nil || code != nil && *code == *f.query.Errcode
}

func (f *search) reasonIs(reason string) bool {
	return f.query.Reason == "" || reason == f.query.Reason
}

func (f *search) waitingIs(w store.WaitingFor) bool {
	return f.query.WaitingFor == store.WaitNothing || w == f.query.WaitingFor
}

func (f *search) verdictIs(r *row) (bool, error) {
	if f.query.Verdict == 0 {
		return true, nil
	}
	e, err := f.entry(r)
	return e.Verdict == f.query.Verdict, err
}

// entry reads the row's place in its waybill's timeline.
func (f *search) entry(r *row) (state.Entry, error) {
	e, found, err := readEntry(f.db, r.event.event.Waybill(), r.seq)
	if err == nil && !found {
		err = damaged(timelineKey(nil, r.event.event.Waybill(), r.seq), errRecord)
	}
	return e, err
}

// readEntry reads a row of w.
func readEntry(db cdb.Reader, w state.Waybill, seq uint64) (e state.Entry, found bool, err error) {
	found, err = read(db, timelineKey(nil, w, seq), func(v []byte) error {
		e, err = decodeEntry(seq, v)
		return err
	})
	return e, found, err
}

// receivedFrom is the first number whose event was received at or after a moment (Unix ms): a binary search, as
// received_at never goes back.
func receivedFrom(db cdb.Reader, ms int64) uint64 {
	newest, err := lastNumber(db)
	if err != nil {
		return 0
	}
	n := sort.Search(int(newest)+1, func(i int) bool {
		at := int64(math.MaxInt64)
		err := walk(db, uint64(i), math.MaxUint64, func(r *row) (bool, error) {
			if r.damage == nil {
				at = r.event.receivedAt
			}
			return r.damage != nil, nil
		})
		return err == nil && at >= ms
	})
	return uint64(n)
}

// lastNumber is the number of the newest event; 0 if there is none.
func lastNumber(db cdb.Reader) (seq uint64, err error) {
	err = walkBack(db, 0, math.MaxUint64, func(r *row) (bool, error) {
		seq = r.seq
		return false, nil
	})
	return seq, err
}
