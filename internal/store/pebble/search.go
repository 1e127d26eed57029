package pebble

import (
	"errors"
	"math"
	"slices"
	"sort"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

// What is looked at for one page is bounded. A page that ends at a bound is short, and has a next.
const (
	searchRows      = 2000 // Rows that are read, beside those that fit on the page.
	searchStandings = 200  // Waybills that are read to tell what their pushes wait for, beside as many.
	searchSpans     = 1024 // Spans whose sets are worked out: 67 million events.
)

// search is a query under way. It looks at rows in the order of their numbers, from one end to the other.
type search struct {
	s         *Store
	db        cdb.Reader
	query     store.Query
	pushes    bool // Pushes are listed, and not events.
	standings *standings
	from, to  uint64 // Numbers: from to before to.

	limit int    // Items that fit on the page.
	room  int    // Items that still do.
	rows  int    // Rows that were looked at.
	spans int    // Spans that were worked out.
	next  uint64 // Page.Next
}

func newSearch(s *Store, db cdb.Reader, q store.Query, pushes bool) (*search, error) {
	f := &search{
		s: s, db: db, query: q, pushes: pushes, standings: newStandings(db, s.opts.Now(), q.Held),
		from: q.After + 1, to: s.durable.Load() + 1, limit: min(max(q.Limit, 1), store.MaxLimit),
	}
	f.room = f.limit
	if q.Before != 0 {
		f.to = min(f.to, q.Before)
	}
	if !q.Since.IsZero() {
		f.from = max(f.from, receivedFrom(db, q.Since.UnixMilli()))
	}
	if !q.Until.IsZero() {
		f.to = min(f.to, receivedFrom(db, q.Until.UnixMilli()))
	}
	first, err := firstNumber(db, 0)
	f.from = max(f.from, first)
	return f, err
}

// visit tells whether to look at the event with a number. If not, the next page begins with it.
func (f *search) visit(seq uint64) bool {
	if f.room <= 0 || f.rows >= searchRows+f.limit || len(f.standings.known) >= searchStandings+f.limit {
		f.stopAt(seq)
		return false
	}
	f.rows++
	return true
}

// stopAt says with which number the next page begins.
func (f *search) stopAt(seq uint64) {
	f.next = seq + 1
	if f.query.Ascending {
		f.next = seq - 1
	}
}

// walk calls use with all rows that can match, and with some that do not, until the page is full.
func (f *search) walk(use func(*row) error) error {
	switch {
	case f.from >= f.to:
		return nil
	case f.query.WaybillID != "":
		return f.ofWaybill(use)
	}
	p, ok := f.plan()
	if !ok {
		return nil
	}
	return f.planned(p, use)
}

// planned goes through the spans.
func (f *search) planned(p *plan, use func(*row) error) (err error) {
	rows := f.s.index.rows
	first, last := f.from/rows, (f.to-1)/rows
	for n := first; n <= last && err == nil && f.next == 0; n++ {
		span := n
		if !f.query.Ascending {
			span = last - (n - first)
		}
		from, to := max(f.from, span*rows), min(f.to, (span+1)*rows)
		if f.spans++; f.spans > searchSpans {
			f.stopAt(to - 1)
			if f.query.Ascending {
				f.stopAt(from)
			}
			return nil
		}
		p.rows.fill(from-span*rows, to-span*rows)
		if err := p.narrow(span); err != nil {
			return err
		}
		p.rows.each(!f.query.Ascending, func(place uint64) bool {
			if seq := span*rows + place; f.visit(seq) {
				err = f.one(seq, use)
				return err == nil
			}
			return false
		})
	}
	return err
}

// these looks at the events with given numbers, in any order.
func (f *search) these(seqs []uint64, use func(*row) error) error {
	slices.Sort(seqs)
	if !f.query.Ascending {
		slices.Reverse(seqs)
	}
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

// one looks at one event. A list must not end at a damaged row: sweeps report it, and Check does.
func (f *search) one(seq uint64, use func(*row) error) error {
	r, found, err := readRow(f.db, seq)
	if errors.Is(err, codec.ErrRecord) {
		return nil
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

// matches checks what the row alone tells.
func (f *search) matches(r *row) bool {
	q, e := &f.query, &r.event.event
	switch {
	case q.DeliveryID != "" && e.DeliveryID != q.DeliveryID,
		q.WaybillID != "" && e.WaybillID != q.WaybillID,
		q.Source != "" && e.Source != q.Source,
		q.Type != 0 && e.Type != q.Type,
		q.Status != store.NoPush && r.status() != q.Status,
		q.Errcode != nil && (!r.hasPush || !f.errcodeIs(r.push.Errcode())):
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
		err = damaged(timelineKey(nil, r.event.event.Waybill(), r.seq), codec.ErrRecord)
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
func lastNumber(db cdb.Reader) (uint64, error) { return endNumber(db, 0, (*cdb.Iterator).Last) }

// firstNumber is the number of the oldest event from a number on; 0 if there is none.
func firstNumber(db cdb.Reader, from uint64) (uint64, error) {
	return endNumber(db, from, (*cdb.Iterator).First)
}

func endNumber(db cdb.Reader, from uint64, seek func(*cdb.Iterator) bool) (seq uint64, err error) {
	it, err := iterate(db, tableEvents, from, math.MaxUint64)
	if err != nil {
		return 0, err
	}
	if seek(it) {
		seq = keySeq(it.Key())
	}
	return seq, errors.Join(it.Error(), it.Close())
}
